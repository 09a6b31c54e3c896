"""The work queue: which object to look at, and when.

Events, timers, sweeps and providers only ever *add* a key; workers take one. The rest relies on three promises:

* one worker per key at a time: a key that is added while it is being worked on is worked on once more afterwards;
* keys coalesce: a thousand events of one object are one look at it;
* a due time is a lower bound, and an earlier one wins.

Nothing is stored: after a restart the watches deliver every object again.
"""

import asyncio
import heapq
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from saperly_operator.clock import Clock

Key = TypeVar("Key", bound=Hashable)


_SUPERSEDED_ALLOWED = 64
"""Entries of the heap beyond twice the planned keys, before it is swept."""


class WorkQueue(Generic[Key]):
    """Keys that wait for a worker, in the order in which they became due."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ready: dict[Key, None] = {}
        self._due: dict[Key, float] = {}
        self._heap: list[tuple[float, int, Key]] = []
        self._sequence = 0
        self._working: set[Key] = set()
        self._again: set[Key] = set()
        self._idle: list[asyncio.Future[None]] = []
        self._closed = False

    def add(self, key: Key) -> None:
        """Work on ``key`` as soon as a worker is free."""
        self._due.pop(key, None)
        if key in self._working:
            self._again.add(key)
        else:
            self._ready[key] = None
            self._wake()

    def add_after(self, key: Key, seconds: float) -> None:
        """Work on ``key`` in ``seconds`` at the earliest, unless something calls for it before."""
        at = self._clock.monotonic() + max(0.0, seconds)
        if key in self._ready or self._due.get(key, float("inf")) <= at:
            return
        self._due[key] = at
        self._sequence += 1
        heapq.heappush(self._heap, (at, self._sequence, key))
        self._drop_superseded()
        self._wake()

    def _drop_superseded(self) -> None:
        """Entries whose key was added, forgotten or planned anew since would stay until their time, weeks ahead."""
        if len(self._heap) > _SUPERSEDED_ALLOWED + 2 * len(self._due):
            valid = {key: (at, number, key) for at, number, key in self._heap if self._due.get(key) == at}
            self._heap = sorted(valid.values())

    def forget(self, key: Key) -> None:
        """Drop what is planned for ``key``; work in progress goes on."""
        self._due.pop(key, None)
        self._ready.pop(key, None)
        self._again.discard(key)

    def close(self) -> None:
        """Hand out nothing more. ``work`` returns once its current key is done."""
        self._closed = True
        self._wake()

    @property
    def is_closed(self) -> bool:
        return self._closed

    @property
    def waiting(self) -> int:
        """How many keys are due and wait for a worker."""
        return len(self._ready)

    @property
    def planned(self) -> int:
        """How many keys wait for their time."""
        return len(self._due)

    async def work(self, handle: Callable[[Key], Awaitable[None]]) -> None:
        """Take keys one after another until the queue is closed. ``handle`` must not raise."""
        while (key := await self._next()) is not None:
            try:
                await handle(key)
            finally:
                self._working.discard(key)
                if key in self._again:
                    self._again.discard(key)
                    self.add(key)

    async def _next(self) -> Key | None:
        while not self._closed:
            self._promote()
            if self._ready:
                key = next(iter(self._ready))
                del self._ready[key]
                self._working.add(key)
                return key
            await self._wait_for_change()
        return None

    def _promote(self) -> None:
        now = self._clock.monotonic()
        while self._heap and self._heap[0][0] <= now:
            at, _, key = heapq.heappop(self._heap)
            if self._due.get(key) == at:  # else an earlier entry won, or the key was added meanwhile
                self.add(key)

    async def _wait_for_change(self) -> None:
        """Until something was added or the next due time has come."""
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._idle.append(woken)
        waits: set[asyncio.Future[None]] = {woken}
        if self._heap:
            waits.add(asyncio.ensure_future(self._clock.sleep(self._heap[0][0] - self._clock.monotonic())))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def _wake(self) -> None:
        """Every idle worker looks again: with a future each, none can miss it."""
        idle, self._idle = self._idle, []
        for woken in idle:
            if not woken.done():
                woken.set_result(None)
