"""One request at a time finds out whether the vendor still turns the service key down."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from saperly_operator.budget.breaker import Breaker, BreakerTimes, Closed, HalfOpen, Open

TIMES = BreakerTimes(first=30, longest=900, patience=120, recheck=5)


def opened(now: float = 0.0, reason: str = "unauthorized") -> Breaker:
    breaker = Breaker(TIMES)
    breaker.failed(reason, granted_at=now, now=now)
    return breaker


def half_open(now: float = 30.0) -> Breaker:
    breaker = opened()
    breaker.enter(now)
    return breaker


def test_a_closed_breaker_lets_everything_pass_and_stays_closed() -> None:
    breaker = Breaker(TIMES)
    breaker.enter(1.0)
    breaker.undecided(granted_at=1.0, now=2.0)
    breaker.succeeded(granted_at=1.0, now=2.0)
    assert breaker.passes_at(3.0) == 3.0
    assert breaker.state == Closed()


def test_one_failure_opens_it() -> None:
    breaker = opened(now=100.0)
    assert breaker.state == Open(100.0, 130.0, 1, frozenset({"unauthorized"}))
    assert breaker.passes_at(129.75) == 130.0
    assert breaker.passes_at(130.0) == 130.0


def test_while_the_probe_is_out_nobody_else_passes() -> None:
    breaker = half_open(now=30.0)
    assert breaker.state == HalfOpen(30.0, 1, frozenset({"unauthorized"}))
    assert breaker.passes_at(30.0) == 35.0
    assert breaker.passes_at(149.0) == 150.0


def test_a_probe_that_succeeds_closes_it() -> None:
    breaker = half_open()
    breaker.succeeded(granted_at=30.0, now=31.0)
    assert breaker.state == Closed(31.0)
    assert breaker.passes_at(31.0) == 31.0


def test_each_probe_that_fails_doubles_the_wait_up_to_the_longest() -> None:
    breaker, now, waits = opened(), 0.0, []
    for _ in range(8):
        waits.append(breaker.passes_at(now) - now)
        now = breaker.passes_at(now)
        breaker.enter(now)
        breaker.failed("forbidden", granted_at=now, now=now)
    assert waits == [30, 60, 120, 240, 480, 900, 900, 900]
    assert isinstance(breaker.state, Open)
    assert breaker.state.reasons == {"forbidden"}


def test_an_outage_of_weeks_does_not_break_the_breaker() -> None:
    breaker, now = opened(), 0.0
    for _ in range(2000):
        now = breaker.passes_at(now)
        breaker.enter(now)
        breaker.failed("unauthorized", granted_at=now, now=now)
    assert breaker.passes_at(now) == now + 900


def test_after_it_closed_the_wait_is_short_again() -> None:
    breaker = half_open()
    breaker.failed("unauthorized", granted_at=30.0, now=30.0)
    breaker.enter(90.0)
    breaker.succeeded(granted_at=90.0, now=90.0)
    breaker.failed("unauthorized", granted_at=91.0, now=91.0)
    assert breaker.passes_at(91.0) == 121.0


def test_a_probe_that_finds_nothing_out_is_followed_by_another_as_late() -> None:
    breaker = half_open()
    breaker.undecided(granted_at=30.0, now=40.0)
    assert breaker.passes_at(40.0) == 70.0


def test_a_probe_that_was_not_sent_makes_room_at_once() -> None:
    breaker = half_open()
    breaker.withdrawn(granted_at=30.0, now=31.0)
    assert breaker.passes_at(31.0) == 31.0
    breaker.enter(31.0)
    assert breaker.passes_at(31.0) == 36.0


def test_a_probe_that_nobody_reports_on_is_given_up_and_has_no_say_any_more() -> None:
    breaker = half_open(now=30.0)
    assert breaker.passes_at(149.75) == 150.0
    assert breaker.passes_at(150.0) == 150.0
    breaker.enter(150.0)
    breaker.succeeded(granted_at=30.0, now=151.0)
    assert breaker.state == HalfOpen(150.0, 1, frozenset({"unauthorized"}))


def test_requests_from_before_it_opened_have_no_say() -> None:
    breaker = half_open(now=30.0)
    breaker.succeeded(granted_at=-1.0, now=31.0)
    breaker.failed("forbidden", granted_at=-1.0, now=31.0)
    breaker.undecided(granted_at=-1.0, now=31.0)
    breaker.withdrawn(granted_at=-1.0, now=31.0)
    assert breaker.state == HalfOpen(30.0, 1, frozenset({"unauthorized"}))


def test_a_failure_from_before_it_closed_does_not_open_it_again() -> None:
    breaker = half_open(now=30.0)
    breaker.succeeded(granted_at=30.0, now=31.0)
    breaker.failed("unauthorized", granted_at=-1.0, now=32.0)
    assert breaker.state == Closed(31.0)


VERDICTS = ["succeeded", "undecided", "unauthorized", "forbidden"]


@given(verdicts=st.lists(st.sampled_from(VERDICTS), max_size=6), data=st.data())
def test_the_answers_of_requests_under_way_together_may_come_in_any_order(
    verdicts: list[str], data: st.DataObject
) -> None:
    def after(order: list[str]) -> object:
        breaker = Breaker(TIMES)
        for verdict in order:
            if verdict in {"succeeded", "undecided"}:
                getattr(breaker, verdict)(granted_at=1.0, now=2.0)
            else:
                breaker.failed(verdict, granted_at=1.0, now=2.0)
        return breaker.state

    assert after(data.draw(st.permutations(verdicts))) == after(verdicts)


class OneProbeAtATime(RuleBasedStateMachine):
    """Any history of requests that ask first: while the breaker is not closed, no two are out together."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker = opened()
        self.now = 0.0
        self.out: list[float] = []  # what was granted since it last opened or closed, and is not older than patience

    @rule(seconds=st.sampled_from([0.25, 5.0, 29.75, 30.0, 119.75, 120.0, 900.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(requests=st.integers(1, 4))
    def requests_ask(self, requests: int) -> None:
        for _ in range(requests):
            if self.breaker.passes_at(self.now) <= self.now:
                self.breaker.enter(self.now)
                self.out.append(self.now)

    @precondition(lambda self: self.out)
    @rule(data=st.data(), verdict=st.sampled_from([*VERDICTS, "withdrawn"]))
    def one_is_answered(self, data: st.DataObject, verdict: str) -> None:
        granted_at = self.out.pop(data.draw(st.integers(0, len(self.out) - 1)))
        before = self.breaker.state
        if verdict in {"succeeded", "undecided", "withdrawn"}:
            getattr(self.breaker, verdict)(granted_at=granted_at, now=self.now)
        else:
            self.breaker.failed(verdict, granted_at=granted_at, now=self.now)
        if type(self.breaker.state) is not type(before) and not isinstance(self.breaker.state, HalfOpen):
            self.out.clear()

    @invariant()
    def no_two_are_out_unless_it_is_closed(self) -> None:
        if not isinstance(self.breaker.state, Closed):
            assert len([at for at in self.out if at > self.now - TIMES.patience]) <= 1

    @invariant()
    def whoever_waits_is_told_a_time_to_come(self) -> None:
        again = self.breaker.passes_at(self.now)
        assert self.now <= again <= self.now + TIMES.longest


TestOneProbeAtATime = OneProbeAtATime.TestCase


@pytest.mark.parametrize("change", [{"first": 0.0}, {"first": 901.0}, {"patience": 0.0}, {"recheck": -1.0}], ids=str)
def test_times_without_sense_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="breaker"):
        BreakerTimes(**change)
