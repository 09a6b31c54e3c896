"""A pause of one endpoint of one service key after a 429. Pure; times as in ``window``.

Several requests may be under way when the first 429 arrives, and their answers come in any order. They count as one
429: the longest of their pauses holds, the guess grows once, whatever the order.
"""

SHORTEST, LONGEST = 1.0, 3600.0
"""A ``Retry-After`` is clamped to these: an hour is the vendor's window, and a second keeps a zero from spinning."""

FIRST_GUESS = 60.0
"""The pause when a 429 names none; doubled for each further one in a row, up to ``LONGEST``."""


class Pause:
    """Nothing is sent before ``until``. ``granted_at`` tells requests from before a pause from those after it."""

    def __init__(self) -> None:
        self._begun_at = float("-inf")
        self._until = float("-inf")
        self._guesses_in_a_row = 0
        self._guessed = False  # in the pause that is on, or was the last

    def until(self, now: float) -> float:
        """When the next request may go: ``now``, or later."""
        return max(now, self._until)

    def throttled(self, retry_after: float | None, *, granted_at: float, now: float) -> None:
        """A 429 came, asking to wait ``retry_after`` seconds (None: it did not say)."""
        if granted_at >= self._until:
            self._begun_at, self._guessed = now, False
        wait = self._guess() if retry_after is None else min(LONGEST, max(SHORTEST, retry_after))
        self._until = max(self._until, now + wait)

    def answered(self, *, granted_at: float) -> None:
        """An answer that was no 429 came: the next guess starts small again."""
        if granted_at >= self._begun_at:
            self._guesses_in_a_row = 0

    def _guess(self) -> float:
        if not self._guessed:
            self._guessed = True
            self._guesses_in_a_row += 1
        doublings = min(self._guesses_in_a_row - 1, 16)  # bounded, lest the power outgrow a float in a bad year
        return min(LONGEST, FIRST_GUESS * 2.0**doublings)
