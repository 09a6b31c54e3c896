"""The two ports of a simulated process: a Kubernetes and a vendor that are far away, and sometimes down.

Every call takes time to arrive and to come back, stops at the door of a process that stands still, is counted, and is
held against the invariants just before it takes effect.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import httpx

from saperly_operator.kube.api import SAPERLY_KEYS, SECRETS, Object, PatchOptions, Resource
from saperly_operator.kube.errors import Unavailable
from saperly_operator.simulator.core import Call as VendorCall
from saperly_operator.simulator.core import Core
from saperly_operator.simulator.messages import Request, Response
from tests.simulation.interruptions import Call, Minting

if TYPE_CHECKING:
    from tests.simulation.process import Process

Result = TypeVar("Result")


class DistantKube:
    """``Kube`` as one process reaches it."""

    def __init__(self, process: "Process") -> None:
        self._process = process
        self._cluster = process.cluster
        self._kube = process.cluster.kube
        self._interruptions = process.cluster.interruptions
        self._invariants = process.cluster.invariants

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Object:
        return await self._read(f"get {resource.plural}/{name}", lambda: self._kube.get(resource, namespace, name))

    async def list(self, resource: Resource, namespace: str | None = None, labels: str = "") -> list[Object]:
        return await self._read(f"list {resource.plural}", lambda: self._kube.list(resource, namespace, labels))

    async def create(self, resource: Resource, namespace: str, body: Object, *, dry_run: bool = False) -> Object:
        if dry_run:
            # It stores nothing, and is a read in all but name.
            return await self._read(
                "dry run", lambda: self._kube.create(resource, namespace, body, dry_run=True), told=True
            )
        what = f"create {resource.plural}/{body['metadata']['name']} {_told(resource, body)}"

        async def effect() -> Object:
            self._invariants.check_secrecy(resource, body)
            return await self._kube.create(resource, namespace, body)

        return await self._write(what.rstrip(), effect)

    async def patch(
        self, resource: Resource, namespace: str | None, name: str, patch: Object, *, options: PatchOptions
    ) -> Object:
        async def apply() -> Object:
            return await self._kube.patch(resource, namespace, name, patch, options=options)

        if options.dry_run:
            return await self._read("dry run", apply, told=True)
        subresource = f"/{options.subresource}" if options.subresource else ""
        what = f"patch {resource.plural}/{name}{subresource} {_told(resource, patch)}"

        async def effect() -> Object:
            self._invariants.check_secrecy(resource, patch)
            if resource is not SAPERLY_KEYS:
                return await apply()
            old = await self._kube.get(resource, namespace, name)
            new = await apply()
            await self._invariants.check_written(old, new, self._interruptions.undelivered)
            return new

        return await self._write(what.rstrip(), effect)

    async def delete(self, resource: Resource, namespace: str, name: str, *, uid: str, version: str) -> None:
        async def effect() -> None:
            if resource is SECRETS:
                await self._invariants.check_secret_deletion(namespace, name, uid)
            await self._kube.delete(resource, namespace, name, uid=uid, version=version)

        await self._write(f"delete {resource.plural}/{name}", effect)

    async def _read(self, what: str, effect: Callable[[], Awaitable[Result]], *, told: bool = False) -> Result:
        """Reads are never lost by themselves: losing one is losing nothing."""
        await self._interruptions.start(self._process, what)
        await self._interruptions.travel()
        line = self._interruptions.note(self._process.name, f"    {what}") if told else None
        try:
            self._check_reachable(what)
            return await effect()
        except Exception as error:
            if line is not None:
                self._interruptions.trace[line] += f"   -> {type(error).__name__}"
            raise
        finally:
            await self._interruptions.depart(self._process)

    async def _write(self, what: str, effect: Callable[[], Awaitable[Result]]) -> Result:
        async def reachable() -> Result:
            self._check_reachable(what)
            return await effect()

        async def fail(after: bool) -> Result:
            if after:
                await reachable()
            raise Unavailable(what, 500, "InternalError")

        async def slow(seconds: float) -> Result:
            await asyncio.sleep(min(seconds, 25.0))
            return await reachable()

        call = Call(what, _at_will, reachable, lambda: Unavailable(what, None, "lost"), fail, slow)
        return await self._interruptions.around(self._process, call)

    def _check_reachable(self, what: str) -> None:
        if self._cluster.kube_is_down:
            raise Unavailable(what, None, "down")


class DistantVendor(httpx.AsyncBaseTransport):
    """httpx's transport straight into the simulator's core, as one process reaches it."""

    def __init__(self, process: "Process", core: Core) -> None:
        self._process = process
        self._core = core
        self._cluster = process.cluster
        self._interruptions = process.cluster.interruptions
        self._invariants = process.cluster.invariants

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        message = Request(
            method=request.method,
            path=request.url.raw_path.decode().partition("?")[0].removeprefix("/api"),
            query=request.url.query.decode(),
            headers={name.lower(): value for name, value in request.headers.items()},
            body=await request.aread(),
        )
        if request.method == "GET":
            return await self._read(request, message)
        return await self._interruptions.around(self._process, self._call(request, message))

    async def _read(self, request: httpx.Request, message: Request) -> httpx.Response:
        await self._interruptions.start(self._process, f"vendor GET {request.url.path}")
        await self._interruptions.travel()
        try:
            self._check_reachable(request)
            return _answered(self._core.handle(message))
        finally:
            await self._interruptions.depart(self._process)

    def _call(self, request: httpx.Request, message: Request) -> Call[httpx.Response]:
        mint = None
        if message.method == "POST":
            mint = Minting(self._asked_name(message), message.headers["idempotency-key"])

        async def leave() -> None:
            await self._invariants.check_sent(message, is_alone=self._cluster.is_alone(self._process))

        async def effect() -> httpx.Response:
            self._check_reachable(request)
            return _answered(self._handled(message))

        async def fail(after: bool) -> httpx.Response:
            self._check_reachable(request)
            call = self._core.begin(message)
            if after:
                self._commit(call)
            self._core.fail(call, Response(503, {"Content-Type": "text/plain"}, b"upstream"))
            return _answered(self._core.answer(call))

        async def slow(seconds: float) -> httpx.Response:
            self._check_reachable(request)
            call = self._core.begin(message)
            committing = asyncio.ensure_future(self._commit_later(call, seconds))
            self._cluster.keep(committing)
            await asyncio.shield(committing)
            return _answered(self._core.answer(call))

        what = f"vendor {message.method} {message.path} {mint.name if mint else ''}".rstrip()
        return Call(what, leave, effect, lambda: httpx.ReadError("lost", request=request), fail, slow, mint)

    def _asked_name(self, message: Request) -> str:
        """The name that a mint asks for, tag and all, or that a rotated key inherits."""
        if message.body:
            return str(json.loads(message.body)["name"])
        child = self._core.store.child(message.path.split("/")[-2])
        return child.name if child is not None else ""

    async def _commit_later(self, call: VendorCall, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._commit(call)

    def _handled(self, message: Request) -> Response:
        call = self._core.begin(message)
        self._commit(call)
        return self._core.answer(call)

    def _commit(self, call: VendorCall) -> None:
        self._core.commit(call)
        self._invariants.note_minted(call)

    def _check_reachable(self, request: httpx.Request) -> None:
        if self._cluster.vendor_is_down:
            raise httpx.ConnectError("down", request=request)


async def _at_will() -> None:
    """A write to Kubernetes may always be sent: it is judged by what it would change."""


def _answered(response: Response) -> httpx.Response:
    return httpx.Response(response.status, headers=dict(response.headers), stream=httpx.ByteStream(response.body))


def _told(resource: Resource, body: Object) -> str:
    """What a write says, for people who read the story."""
    metadata, status = body.get("metadata") or {}, body.get("status") or {}
    if resource is SECRETS:
        marks = metadata.get("annotations") or {}
        return f"key {marks.get('saperly.com/key-id')} serial {marks.get('saperly.com/serial')}"
    if resource is SAPERLY_KEYS and status:
        intent, current = status.get("intent") or {}, status.get("current") or {}
        retiring = ", ".join(f"{entry['id']} ({entry['reason']})" for entry in status.get("retiring") or ())
        conditions: list[dict[str, str]] = status.get("conditions") or []
        ready = next((each for each in conditions if each["type"] == "Ready"), {})
        opened = f"{intent['serial']} of {intent['holder']}" if intent else "none"
        return (
            f"intent {opened}, current {current.get('id')}, retiring [{retiring}], "
            f"{'' if ready.get('status') == 'True' else 'not '}ready: {ready.get('reason')}"
        )
    if resource.plural == "events":
        return f"{body['reason']}: {body['note']}"
    return str(metadata.get("finalizers", "")) if resource is SAPERLY_KEYS else ""
