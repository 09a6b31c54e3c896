"""A limit of so many in any rolling period. Pure: the time comes in as an argument.

All times in this room are seconds of a monotonic clock, as floats: a window must not burst because the wall clock was
stepped back, nor stand still because it was stepped forward. Only the process that holds the window can read them.
"""

from collections import deque

HOUR = 3600.0


class RollingWindow:
    """At most ``limit`` takes in any half-open window ``[t, t + period)``.

    ``margin`` (seconds) lengthens the period that a take is held against us. The vendor counts a request when it
    arrives, which is up to one whole call later than it was granted: with a margin of that length, a slow request
    followed an hour later by a quick one never makes one too many on the vendor's side.
    """

    def __init__(self, limit: int, period: float = HOUR, margin: float = 0.0) -> None:
        if limit < 0 or period <= 0 or margin < 0:
            raise ValueError("a window has a limit of at least 0, a positive period and no negative margin")
        self._limit = limit
        self._held = period + margin
        self._taken: deque[float] = deque()
        self._latest = float("-inf")

    def try_take(self, now: float) -> bool:
        """Take one if one is free. A ``now`` before an earlier one counts as that earlier one."""
        now = self._forget_before(now)
        if len(self._taken) >= self._limit:
            return False
        self._taken.append(now)
        return True

    def next_free_at(self, now: float) -> float:
        """When ``try_take`` will succeed if nothing else is taken: ``now``, or later; infinity under a limit of 0."""
        now = self._forget_before(now)
        if len(self._taken) < self._limit:
            return now
        if self._limit == 0:
            return float("inf")
        # Under a limit that was lowered, several have to go before one is free.
        return self._taken[len(self._taken) - self._limit] + self._held

    def free(self, now: float) -> int:
        """How many can be taken at this moment."""
        self._forget_before(now)
        return max(0, self._limit - len(self._taken))

    def give_back(self, taken_at: float) -> None:
        """Undo a take of that time, for what was certainly never sent. Unknown times are ignored."""
        if taken_at in self._taken:
            self._taken.remove(taken_at)

    def relimit(self, limit: int) -> None:
        """Another limit from now on; what was taken stays taken."""
        if limit < 0:
            raise ValueError("a window has a limit of at least 0")
        self._limit = limit

    def _forget_before(self, now: float) -> float:
        now = self._latest = max(now, self._latest)
        while self._taken and self._taken[0] + self._held <= now:
            self._taken.popleft()
        return now
