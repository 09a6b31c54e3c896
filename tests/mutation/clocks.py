"""Mutants of what is believed of a clock that was wrong.

The list as a whole is in ``mutants``."""

from tests.mutation.mutant import Edit, Mutant, clock_history, unit

CLOCKS = (
    Mutant(
        "wait for what a wrong clock noted",
        "section 4, clocks",
        "A process whose clock was a year ahead stops all mints of an object for a year.",
        Edit(
            "lifecycle/case.py",
            "        if moment <= self.now + self.timings.clock_tolerance:\n",
            "        if moment is not None:\n",
        ),
        caught_by=(clock_history("mints_begun_under_a_clock_ahead_block_for_an_hour_and_no_longer"),),
    ),
    Mutant(
        "take what a wrong clock noted for long ago",
        "I4",
        "A clock that is set back three times an hour lets nine keys be minted.",
        Edit(
            "lifecycle/case.py",
            "        return min(self.observed.memory.ahead_since.get(moment, self.now), self.now)\n",
            "        return self.observed.myself.started_at.min.replace(tzinfo=moment.tzinfo)\n",
        ),
        caught_by=(clock_history("mints_begun_under_a_clock_ahead_block_for_an_hour_and_no_longer"),),
    ),
    Mutant(
        "back off for as long as status says",
        "section 4, clocks",
        "A refusal is not tried again before the year that a wrong clock named.",
        Edit(
            "lifecycle/case.py",
            "        is_wait = self.now < failure.retry_at <= self.now + longest + timings.clock_tolerance\n",
            "        is_wait = self.now < failure.retry_at and longest is not None\n",
        ),
        caught_by=(clock_history("a_refusal_of_a_clock_ahead_is_tried_again_when_the_clock_is_right"),),
    ),
    Mutant(
        "trust a list dated by a clock that was set back",
        "section 4, clocks",
        "It seems to be begun after a request that it cannot show; and a wait goes on until the old date.",
        Edit("controller/scratch.py", "            self._forget_dates(now)\n", "            self.sent_at.clear()\n"),
        caught_by=(
            unit("controller/test_clock_set_back.py", "a_step_of_more_lets_dates_go_and_keeps_the_plaintext"),
        ),
    ),
)
"""What status notes by the operator's own clock."""
