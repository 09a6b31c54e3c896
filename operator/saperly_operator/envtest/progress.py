"""Saying what is going on while something takes minutes: never silence, never a flood."""

import time
from collections.abc import Callable

Report = Callable[[str], None]
"""Takes one line for the person at the terminal."""


def silent(_line: str) -> None:
    """Report nothing."""


class Heartbeat:
    """Repeats a line with the elapsed time, at most every ``every`` seconds, for as long as ``beat`` is called."""

    def __init__(self, report: Report, every: float = 10.0, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._report = report
        self._every = every
        self._monotonic = monotonic
        self._started = self._last = monotonic()

    @property
    def elapsed(self) -> str:
        """Since this heartbeat was made, as ``1m05s``."""
        minutes, seconds = divmod(int(self._monotonic() - self._started), 60)
        return f"{minutes}m{seconds:02}s" if minutes else f"{seconds}s"

    def beat(self, line: str) -> None:
        """Call it often; it reports when it is time to."""
        now = self._monotonic()
        if now - self._last >= self._every:
            self._last = now
            self._report(f"{line} ({self.elapsed})")
