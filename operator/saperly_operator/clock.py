"""Time, as everything here receives it: never from the interpreter, always from a ``Clock``.

Every room may import this module. Production gets ``SystemClock`` from ``wiring``; tests and the simulation
pass a clock of their own, so that hours of protocol take milliseconds.
"""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """A source of time that can also wait."""

    def now(self) -> datetime:
        """The wall-clock time, timezone-aware, in UTC. May jump."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary origin; never goes back. For durations and expiry within one process."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after ``seconds`` of this clock's time (at once when not positive)."""
        ...


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))


class ManualClock:
    """A clock that stands still until it is told to move; ``sleep`` returns once it was moved far enough.

    Wall time and monotonic time move together; ``jump`` moves the wall alone, as an NTP step does.
    """

    def __init__(self, start: datetime = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)) -> None:
        self._wall = start
        self._elapsed = 0.0
        self._moved = asyncio.Event()

    def now(self) -> datetime:
        return self._wall

    def monotonic(self) -> float:
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        until = self._elapsed + seconds
        while self._elapsed < until:
            await self._moved.wait()

    def advance(self, by: timedelta | float) -> None:
        """Let ``by`` (seconds, or a timedelta) pass."""
        delta = by if isinstance(by, timedelta) else timedelta(seconds=by)
        self._wall += delta
        self._elapsed += delta.total_seconds()
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    def jump(self, by: timedelta) -> None:
        """Step the wall clock only."""
        self._wall += by
