"""An event loop whose time jumps: when nothing is ready, the next timer is due at once.

Hours of the operator's life take milliseconds, and nothing depends on how fast the machine is. There is no real I/O in a
simulation; waiting for something that can never happen ends it with an error instead of hanging.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

Result = TypeVar("Result")


_SHORTEST = 1e-6
"""Seconds. What a clock that runs by itself would let pass anyway."""


class _JumpingSelector(selectors.DefaultSelector):
    """``select`` never waits: it notes how long it was asked to."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("deadlock: every task waits, and no timer is set")
        self.now += max(0.0, timeout)
        return []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """See the module's text."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


class LoopClock:
    """The clock of a ``VirtualTimeLoop``. ``jump`` steps its wall time, as an NTP correction does."""

    def __init__(self, start: datetime = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)) -> None:
        self._start = start

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        # The event loop takes a timer within the resolution of its clock for due: nothing would pass, for ever.
        await asyncio.sleep(max(_SHORTEST, seconds) if seconds > 0 else 0.0)

    def jump(self, by: timedelta) -> None:
        """Step the wall clock only."""
        self._start += by


def run_virtually(history: Coroutine[Any, Any, Result]) -> Result:
    """Run one history to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(history)
