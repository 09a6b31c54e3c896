"""One process of the operator: built by ``wiring`` as in production, with its own memory, name, clock and watches.

It may be killed at any moment (nothing of it runs on, as after kill -9), and it may be made to stand still: then its
timers, answers and events wait at its door, and when it goes on it knows nothing of the time that passed.
"""

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING

import httpx

from saperly_operator import wiring
from saperly_operator.controller.resync import resync, resync_for_ever
from saperly_operator.saperly.api import VendorApi
from saperly_operator.saperly.client import SaperlyClient
from saperly_operator.saperly.concealed import Credential
from tests.simulation.ports import DistantKube, DistantVendor
from tests.simulation.virtual_time import LoopClock
from tests.simulation.watches import Watches

if TYPE_CHECKING:
    from tests.simulation.cluster import Cluster

URL = "https://saperly.example/api"
_WORKERS = 2


class ProcessClock:
    """The cluster's clock as one process sees it: while that stands still, no sleep of it ends."""

    def __init__(self, process: "Process", clock: LoopClock) -> None:
        self._process = process
        self._clock = clock

    def now(self) -> datetime:
        return self._clock.now()

    def monotonic(self) -> float:
        return self._clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        await self._process.runs()


class Process:
    """See the module's text. ``name`` is for the story."""

    def __init__(self, cluster: "Cluster", name: str, *, began_alone: bool) -> None:
        self.cluster = cluster
        self.name = name
        self.began_alone = began_alone
        self.is_dead = False
        self.has_stalled = False
        self._thawed: asyncio.Future[None] | None = None
        self._watches: Watches | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def is_running(self) -> bool:
        return not self.is_dead and self._thawed is None

    def interrupt_watches(self, *plurals: str) -> None:
        """Nothing is shown any more, of these kinds or of any."""
        if self._watches is not None:
            self._watches.interrupt(*plurals)

    def resume_watches(self, *plurals: str, from_list: bool) -> None:
        """The watches go on: see ``Watches.resume``."""
        if self._watches is not None and not self.is_dead:
            self._watches.resume(*plurals, from_list=from_list)

    def start(self) -> "asyncio.Task[None]":
        """Begin; the task ends with what killed the process."""
        self._task = asyncio.create_task(self._live())
        return self._task

    def die(self) -> None:
        """From this moment nothing of it runs on."""
        self.is_dead = True

    def kill(self) -> "asyncio.Task[None] | None":
        """As kill -9 does; returns what is still to end of it."""
        self.die()
        if self._task is None or self._task.done():
            return None
        self._task.cancel()
        return self._task

    def stall(self, seconds: float | None) -> None:
        """Stand still for so long (None: until it is woken), if it does not already."""
        if self.is_running:
            self.cluster.interruptions.note(
                self.name, f"stands still {'' if seconds is None else f'for {seconds:.0f} s'}"
            )
            self.has_stalled = True
            self._thawed = asyncio.get_running_loop().create_future()
            self.cluster.stalled(self, seconds)

    def thaw(self) -> None:
        """Go on as if nothing had been."""
        thawed, self._thawed = self._thawed, None
        if thawed is not None:
            self.cluster.interruptions.note(self.name, "goes on" if not self.is_dead else "is dead by now")
            thawed.set_result(None)
            if self._watches is not None and not self.is_dead:
                self._watches.catch_up()

    async def runs(self) -> None:
        """Return while it runs; after a stall once that has ended; never if it is dead."""
        cancelled: asyncio.CancelledError | None = None
        while self._thawed is not None and not self.is_dead:
            try:
                await asyncio.shield(self._thawed)
            except asyncio.CancelledError as error:
                if self.is_dead:
                    raise
                cancelled = error  # a timer of its own went off meanwhile: it will hear of it when it goes on
        if cancelled is not None:
            raise cancelled
        if self.is_dead:
            await asyncio.get_running_loop().create_future()

    async def _live(self) -> None:
        clock = ProcessClock(self, self.cluster.clock)
        async with httpx.AsyncClient(transport=DistantVendor(self, self.cluster.core)) as http:

            def connect(credential: Credential) -> VendorApi:
                return SaperlyClient(URL, credential, http=http, clock=clock)

            kube = DistantKube(self)
            operator = await wiring.build(self.cluster.settings, kube, connect, clock, self.cluster.random.randbytes)
            self.cluster.interruptions.note(self.name, f"is {operator.tools.observer.myself.holder}")
            await resync(kube, operator.intake)
            await self.runs()
            self._watches = Watches(self, self.cluster.kube, operator.intake, self.cluster.lag)
            self._watches.connect()
            tasks = [
                *(asyncio.create_task(operator.keys.work(operator.key_worker.handle)) for _ in range(_WORKERS)),
                asyncio.create_task(operator.provider_queue.work(operator.provider_worker.handle)),
                asyncio.create_task(operator.sweeper.run()),
                asyncio.create_task(
                    resync_for_ever(
                        lambda: resync(kube, operator.intake), lambda: clock.sleep(self.cluster.settings.resync)
                    )
                ),
            ]
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
                for task in done:
                    task.result()
            finally:
                self.is_dead = True
                self._watches.disconnect()
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)
