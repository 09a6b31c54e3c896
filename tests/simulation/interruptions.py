"""Where a history goes wrong: crashes and lost answers at chosen calls, through wrappers of the two ports.

Calls that change something are counted, at both APIs together, in the order in which the operator makes them. A
history names some of them and says what happens there.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeVar

import httpx

from saperly_operator.kube.api import SAPERLY_KEYS, Kube, Object, PatchOptions, Resource
from saperly_operator.kube.errors import KubeError, Unavailable
from saperly_operator.simulator.core import Core
from saperly_operator.simulator.messages import Request
from tests.simulation.invariants import Invariants, Violation

Result = TypeVar("Result")


_LATE_SECONDS = 20.0


class Crash(BaseException):
    """The operator's process is gone at this line. Not an Exception: no code of the operator may catch it."""


class Event(Enum):
    """What happens at a call."""

    CRASH_BEFORE = "the process dies before the request leaves"
    CRASH_AFTER = "the process dies after the request took effect"
    CRASH_LATE = "the process dies, and the request takes effect 20 s later"
    LOST_BEFORE = "the request never arrives"
    LOST_AFTER = "the request takes effect and its answer is lost"


@dataclass
class Interruptions:
    """The plan of one history: at which call what happens. ``trace`` is what the operator did, for people."""

    plan: dict[int, Event] = field(default_factory=dict)
    calls: int = 0
    vendor_is_down: bool = False
    undelivered: list[str] = field(default_factory=list)
    process: int = 0
    violations: list[str] = field(default_factory=list)
    _late: list[asyncio.Future[None]] = field(default_factory=list)
    trace: list[str] = field(default_factory=list)

    async def alive(self, process: int) -> None:
        """Return while that process lives; a dead one's tasks never get on, as after kill -9."""
        if process != self.process:
            await asyncio.get_running_loop().create_future()

    async def around(self, what: str, effect: Callable[[], Awaitable[Result]], lost: Exception) -> Result:
        """Make one call, or what the plan makes of it."""
        try:
            return await self._around(what, effect, lost)
        except Crash:
            self.process += 1
            raise

    async def _around(self, what: str, effect: Callable[[], Awaitable[Result]], lost: Exception) -> Result:
        self.calls += 1
        event = self.plan.get(self.calls)
        self.trace.append(f"{self.calls:>3} {what}{f'   <- {event.value}' if event else ''}")
        if event is Event.CRASH_BEFORE:
            raise Crash
        if event is Event.LOST_BEFORE:
            raise lost
        if event is Event.CRASH_LATE:
            self._deliver_later(what, effect)
            raise Crash
        result = await effect()
        if event is Event.CRASH_AFTER:
            raise Crash
        if event is Event.LOST_AFTER:
            raise lost
        return result

    def _deliver_later(self, what: str, effect: Callable[[], Awaitable[Result]]) -> None:
        async def deliver() -> None:
            await asyncio.sleep(_LATE_SECONDS)
            self.undelivered.remove(what)
            self.trace.append("    (the late request takes effect)")
            try:
                await effect()
            except KubeError as error:
                self.trace.append(f"    (or rather not: {error})")
            except Violation as violation:
                self.violations.append(str(violation))

        self.undelivered.append(what)
        self._late.append(asyncio.ensure_future(deliver()))


class InterruptedKube:
    """``Kube`` with the plan's events at its writes. Reads always work: losing one is losing nothing."""

    def __init__(
        self, kube: Kube, interruptions: Interruptions, invariants: Invariants, wrote: Callable[[], None]
    ) -> None:
        self._kube = kube
        self._invariants = invariants
        self._interruptions = interruptions
        self._wrote = wrote
        self._process = interruptions.process

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Object:
        await self._interruptions.alive(self._process)
        return await self._kube.get(resource, namespace, name)

    async def list(self, resource: Resource, namespace: str | None = None, labels: str = "") -> list[Object]:
        await self._interruptions.alive(self._process)
        return await self._kube.list(resource, namespace, labels)

    async def create(self, resource: Resource, namespace: str, body: Object, *, dry_run: bool = False) -> Object:
        what = f"create {resource.plural}/{body['metadata'].get('name', '')}{' (dry run)' if dry_run else ''}"
        return await self._write(what, lambda: self._kube.create(resource, namespace, body, dry_run=dry_run))

    async def patch(
        self, resource: Resource, namespace: str | None, name: str, patch: Object, *, options: PatchOptions
    ) -> Object:
        what = f"patch {resource.plural}/{name}{f'/{options.subresource}' if options.subresource else ''}"

        async def effect() -> Object:
            if resource is not SAPERLY_KEYS:
                return await self._kube.patch(resource, namespace, name, patch, options=options)
            old = await self._kube.get(resource, namespace, name)
            new = await self._kube.patch(resource, namespace, name, patch, options=options)
            await self._invariants.check_status(old, new)
            if old["metadata"].get("finalizers") and not new["metadata"].get("finalizers"):
                self._invariants.check_let_go(old, self._interruptions.undelivered)
            return new

        return await self._write(what, effect)

    async def delete(self, resource: Resource, namespace: str, name: str, *, uid: str, version: str) -> None:
        what = f"delete {resource.plural}/{name}"
        await self._write(what, lambda: self._kube.delete(resource, namespace, name, uid=uid, version=version))

    async def _write(self, what: str, effect: Callable[[], Awaitable[Result]]) -> Result:
        await self._interruptions.alive(self._process)
        try:
            return await self._interruptions.around(what, effect, Unavailable(what, None, "lost"))
        finally:
            self._wrote()


class InterruptedVendor(httpx.AsyncBaseTransport):
    """httpx's transport straight into the simulator's core, with the plan's events at every call but reads."""

    def __init__(self, core: Core, interruptions: Interruptions, invariants: Invariants) -> None:
        self._core = core
        self._interruptions = interruptions
        self._invariants = invariants
        self._process = interruptions.process

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await self._interruptions.alive(self._process)
        message = Request(
            method=request.method,
            path=request.url.raw_path.decode().partition("?")[0].removeprefix("/api"),
            query=request.url.query.decode(),
            headers={name.lower(): value for name, value in request.headers.items()},
            body=await request.aread(),
        )

        async def effect() -> httpx.Response:
            response = self._core.handle(message)
            return httpx.Response(
                response.status, headers=dict(response.headers), stream=httpx.ByteStream(response.body)
            )

        if self._interruptions.vendor_is_down:
            raise httpx.ConnectError("down", request=request)
        if request.method == "GET":
            return await effect()
        # Asked when it is sent: what arrives late may find its object gone, and was right to be sent all the same.
        await self._invariants.check(message)
        what = f"vendor {request.method} {message.path} {_asked_name(message, self._core)}".rstrip()
        return await self._interruptions.around(what, effect, httpx.ReadError("lost", request=request))


def _asked_name(message: Request, core: Core) -> str:
    """The name that a mint asks for, tag and all, or that a rotated key inherits."""
    if message.method != "POST":
        return ""
    if message.body:
        return str(json.loads(message.body)["name"])
    child = core.store.child(message.path.split("/")[-2])
    return child.name if child is not None else ""
