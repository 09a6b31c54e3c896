"""Where a history goes wrong: crashes, stalls and lost answers at chosen calls of the operator.

Calls that change something are counted, at both APIs together, in the order in which the operator makes them. A history
names some of them and says what happens there. ``stalls`` counts every call, reads as well, and ``orders`` are told
relative to some call: so a process can be made to stand still between any two of its awaits.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, Protocol, TypeVar

import httpx

from saperly_operator.kube.errors import KubeError
from tests.simulation.invariants import Violation

Result = TypeVar("Result")


class Crash(BaseException):
    """The operator's process is gone at this line. Not an Exception: no code of the operator may catch it."""


class Event(Enum):
    """What happens at a call."""

    CRASH_BEFORE = "the process dies before the request leaves"
    CRASH_AFTER = "the process dies after the request took effect"
    CRASH_LATE = "the process dies, and the request takes effect later"
    LOST_BEFORE = "the request never arrives"
    LOST_AFTER = "the request takes effect and its answer is lost"
    LOST_LATE = "the client gives up, and the request takes effect later"
    ERROR_BEFORE = "the server fails before the request takes effect"
    ERROR_AFTER = "the server fails after the request took effect"
    TWICE = "the request takes effect twice, and the second answer arrives"
    SLOW = "the request takes very long"
    STALL_BEFORE = "the process stands still before the request leaves, and another takes over"
    STALL_AFTER = "the process stands still before it reads the answer, and another takes over"


@dataclass(frozen=True, slots=True)
class Call(Generic[Result]):
    """One request that changes something: what it is, its effect, and what its client sees when it goes wrong."""

    what: str
    leave: Callable[[], Awaitable[None]]
    """Asked as the request is sent: what arrives late may find its object gone, and was right to be sent."""
    effect: Callable[[], Awaitable[Result]]
    lost: Callable[[], Exception]
    fail: Callable[[bool], Awaitable[Result]]
    """The server answers 500; True: after the effect."""
    slow: Callable[[float], Awaitable[Result]]
    """The server takes so many seconds."""
    name: str = ""
    """The name that a mint asks for, tag and all."""


@dataclass
class Upon:
    """One event at the ``nth`` call that changes something and whose text begins with ``what``."""

    what: str
    event: Event
    nth: int = 1


@dataclass
class StallAt:
    """One choreographed stall: from a call on whose text begins with ``after``, before the ``calls``-th next call of
    the same process leaves. ``seconds`` None: until it is woken by hand."""

    after: str
    calls: int = 1
    seconds: float | None = None
    who: str | None = None
    """The process that made the first of these calls."""


class Stalling(Protocol):
    """The process that makes a call, as far as it matters here."""

    name: str

    async def runs(self) -> None:
        """Return once the process runs: at once, when a stall ends, or never if it is dead."""
        ...

    def die(self) -> None: ...

    def stall(self, seconds: float | None) -> None:
        """Stand still; another process takes over in the meantime."""
        ...


@dataclass
class Interruptions:
    """The plan of one history: at which call what happens. ``trace`` is what was done, for people.

    ``pace`` draws the seconds that a message takes, ``lateness`` those after which a request still takes effect whose
    client is gone, ``stall`` how long a process stands still."""

    plan: dict[int, Event] = field(default_factory=dict)
    stalls: dict[int, float] = field(default_factory=dict)
    upon: list[Upon] = field(default_factory=list)
    orders: list[StallAt] = field(default_factory=list)
    pace: Callable[[], float] | None = None
    lateness: Callable[[], float] = lambda: 20.0
    stall: Callable[[], float] = lambda: 300.0
    calls: int = 0
    touches: int = 0
    undelivered: list[str] = field(default_factory=list)
    """The names that mints on their way ask for."""
    failed: Callable[[BaseException], None] = lambda _: None
    trace: list[str] = field(default_factory=list)
    _late: set[asyncio.Future[None]] = field(default_factory=set)

    def note(self, who: str, what: str) -> int:
        """One more line of the story; returns its number."""
        now = asyncio.get_running_loop().time()
        minutes, seconds = divmod(now, 60)
        hours, minutes = divmod(minutes, 60)
        self.trace.append(f"{hours:02.0f}:{minutes:02.0f}:{seconds:06.3f} {who:<4} {what}")
        return len(self.trace) - 1

    def calm(self) -> None:
        """Nothing goes wrong from now on; what is on its way stays so."""
        self.plan.clear()
        self.stalls.clear()
        self.upon.clear()
        self.orders.clear()

    async def start(self, process: Stalling, what: str) -> None:
        """A process is about to send a request: it may be made to stand still first."""
        await process.runs()
        self.touches += 1
        seconds = self.stalls.pop(self.touches, None)
        order = self._ordered(process)
        if order is not None or seconds is not None:
            process.stall(order.seconds if order is not None else seconds)
            await process.runs()
        for each in self.orders:
            if each.who is None and what.startswith(each.after):
                each.who = process.name
                return  # one at a time: the same call does not begin two of them

    def _ordered(self, process: Stalling) -> StallAt | None:
        for order in self.orders:
            if order.who == process.name:
                order.calls -= 1
                if order.calls == 0:
                    self.orders.remove(order)
                    return order
        return None

    async def travel(self) -> None:
        """A message's way."""
        if self.pace is not None:
            await asyncio.sleep(self.pace())

    async def depart(self, process: Stalling) -> None:
        """The answer's way back, and the wait until it is read."""
        await self.travel()
        await process.runs()

    async def around(self, process: Stalling, call: Call[Result]) -> Result:
        """Make one call, or what the plan makes of it."""
        await self.start(process, call.what)
        self.calls += 1
        event = self.plan.get(self.calls) or self._upon(call.what)
        line = self.note(process.name, f"{self.calls:>3} {call.what}")
        if event is not None:
            self.trace[line] += f"   <- {event.value}"
        try:
            if event is Event.STALL_BEFORE:
                process.stall(self.stall())
                await process.runs()
            if event is not Event.CRASH_BEFORE:
                await call.leave()
                await self.travel()
            result = await self._happens(event, process, call)
        except Crash:
            process.die()
            raise
        except Exception as error:
            self.trace[line] += f"   -> {type(error).__name__}"
            raise
        await self.depart(process)
        return result

    def _upon(self, what: str) -> Event | None:
        for each in self.upon:
            if what.startswith(each.what):
                each.nth -= 1
                if each.nth == 0:
                    self.upon.remove(each)
                    return each.event
        return None

    async def _happens(self, event: Event | None, process: Stalling, call: Call[Result]) -> Result:  # noqa: C901 (one case an event)
        match event:
            case None | Event.STALL_BEFORE:
                return await call.effect()
            case Event.CRASH_BEFORE:
                raise Crash
            case Event.CRASH_AFTER:
                await call.effect()
                raise Crash
            case Event.CRASH_LATE:
                self._deliver_later(call)
                raise Crash
            case Event.LOST_BEFORE:
                raise call.lost()
            case Event.LOST_AFTER:
                await call.effect()
                raise call.lost()
            case Event.LOST_LATE:
                self._deliver_later(call)
                raise call.lost()
            case Event.ERROR_BEFORE | Event.ERROR_AFTER:
                return await call.fail(event is Event.ERROR_AFTER)
            case Event.TWICE:
                await call.effect()
                return await call.effect()
            case Event.SLOW:
                return await call.slow(self.lateness())
            case Event.STALL_AFTER:
                result = await call.effect()
                process.stall(self.stall())
                return result

    def _deliver_later(self, call: Call[Result]) -> None:
        async def deliver() -> None:
            # A mint may be longer on its way than a write to Kubernetes: the protocol lets it settle for longer.
            await asyncio.sleep(self.lateness() * (2 if call.name else 1))
            line = self.note("late", call.what)
            try:
                await call.effect()
            except (KubeError, httpx.TransportError) as error:
                self.trace[line] += f"   -> {type(error).__name__}"
            except Violation as violation:
                self.failed(violation)
            finally:
                self.undelivered.remove(call.name)

        self.undelivered.append(call.name)
        delivery = asyncio.ensure_future(deliver())
        self._late.add(delivery)
        delivery.add_done_callback(self._late.discard)
