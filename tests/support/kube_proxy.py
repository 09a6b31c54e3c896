"""A proxy before the kube-apiserver at which requests of the operator can be stopped, refused or lost, one by one.

The operator's kubeconfig names the proxy as its server, over plain HTTP on loopback; the proxy passes every request on
under the same bearer token, and streams watches through. A test orders an effect for the requests that match, waits
until one is held there, kills the operator, and decides what becomes of the request: it arrives all the same, or never
did. So the product needs no fault points of its own. The simulator has the like for calls to the vendor (``hold``).

It runs in the test's process, in a thread of its own. What was asked is recorded without any body.
"""

import asyncio
import contextlib
import json
import re
import ssl
import threading
from base64 import b64decode
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import yaml
from aiohttp import web

from tests.support.waiting import PATIENCE

_HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "host", "content-length"}
)
_LARGEST_BODY = 4 * 1024 * 1024
_REASONS = {
    403: "Forbidden",
    409: "Conflict",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
}

Result = TypeVar("Result")
Body = Any
"""A request's body, parsed; None where there is none."""


def _any_body(body: Body) -> bool:
    del body
    return True


@dataclass(frozen=True, slots=True)
class Match:
    """Which requests: by method, by a regular expression found in path and query, and by a look at the body."""

    method: str
    path: str
    body: Callable[[Body], bool] = _any_body

    def fits(self, method: str, path: str, body: Body) -> bool:
        return method == self.method and re.search(self.path, path) is not None and self.body(body)


class When(Enum):
    """On which side of the API server's own doing."""

    BEFORE = "before"
    """It has not seen the request."""
    AFTER = "after"
    """It has done as asked; only the answer is under way."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Stop the request until the test decides what becomes of it."""

    when: When


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer ``status`` in the API server's place, which never sees the request."""

    status: int


@dataclass(frozen=True, slots=True)
class Drop:
    """Break the connection without an answer."""

    when: When


Effect = Hold | Answer | Drop


@dataclass(frozen=True, slots=True)
class Request:
    """One request that was made; ``status`` is the API server's answer, None while (or if) there is none."""

    method: str
    path: str
    status: int | None


@dataclass(slots=True)
class Order:
    """An effect on order, for the next ``count`` requests that match."""

    match: Match
    effect: Effect
    count: int
    hits: int = 0
    _held: "Future[str]" = field(default_factory=Future)
    _passes: "Future[bool]" = field(default_factory=Future)
    _status: "Future[int]" = field(default_factory=Future)

    def wait_held(self) -> None:
        """Until a request is held. TimeoutError when none comes."""
        self._held.result(timeout=PATIENCE)

    def let_pass(self) -> int:
        """The held request goes on, whether or not anybody waits for its answer; returns the API server's status."""
        self._passes.set_result(True)
        return self._status.result(timeout=PATIENCE)

    def lose(self) -> None:
        """What is held goes no further: the request never arrives, or its answer does not."""
        if not self._passes.done():
            self._passes.set_result(False)

    @property
    def is_spent(self) -> bool:
        return self.hits >= self.count

    async def hold(self, what: str) -> bool:
        """Whether the request is to pass, once the test has said so."""
        if not self._held.done():
            self._held.set_result(what)
        return await asyncio.wrap_future(self._passes)

    def answered(self, status: int) -> None:
        if not self._status.done():
            self._status.set_result(status)


class _Lost(Exception):
    """The connection is to be broken."""


class KubeProxy:
    """See the module's text. ``kubeconfig`` (a file in ``folder``) makes its reader go through the proxy."""

    def __init__(self, upstream: Path, folder: Path) -> None:
        """``upstream``: a kubeconfig with one context, as ``envtest`` writes it."""
        config = yaml.safe_load(upstream.read_text())
        cluster = config["clusters"][0]["cluster"]
        self._upstream = str(cluster["server"])
        self._tls = ssl.create_default_context(cadata=b64decode(cluster.pop("certificate-authority-data")).decode())
        self._orders: list[Order] = []
        self._requests: list[Request] = []
        self._lock = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="kube-proxy", daemon=True)
        self._thread.start()
        cluster["server"] = self._run(self._start())
        self.kubeconfig = folder / f"through-proxy-{upstream.name}"
        self.kubeconfig.touch(mode=0o600)
        self.kubeconfig.write_text(yaml.safe_dump(config))

    # --- for the test -------------------------------------------------------------------------------------------

    def order(self, match: Match, effect: Effect, count: int = 1) -> Order:
        """Have ``effect`` on the next ``count`` requests that match."""
        order = Order(match, effect, count)
        with self._lock:
            self._orders.append(order)
        return order

    def cancel_all(self) -> None:
        """Take every order back, whether or not it had its effect; what is held is lost."""
        with self._lock:
            orders, self._orders = self._orders, []
        for order in orders:
            order.lose()

    def requests(self, match: Match | None = None) -> list[Request]:
        """What was asked so far, in the order of arrival. The body of ``match`` is not looked at: none is kept."""
        with self._lock:
            asked = list(self._requests)
        return [each for each in asked if match is None or match.fits(each.method, each.path, None)]

    def close(self) -> None:
        """Let go of everything; what is held is lost."""
        self.cancel_all()
        self._run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=PATIENCE)
        self._loop.close()
        self.kubeconfig.unlink()

    # --- in the proxy's own thread --------------------------------------------------------------------------------

    def _run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=PATIENCE)

    async def _start(self) -> str:
        connector = aiohttp.TCPConnector(ssl=self._tls, limit=0)
        # Bytes are passed on as they came: not decompressed, and for as long as a watch lasts.
        self._session = aiohttp.ClientSession(
            connector=connector, auto_decompress=False, timeout=aiohttp.ClientTimeout(total=None)
        )
        application = web.Application(client_max_size=_LARGEST_BODY)
        application.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _stop(self) -> None:
        await self._session.close()  # which ends the watches, those of killed operators too
        await self._runner.cleanup()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        try:
            return await self._pass_on(request)
        except (_Lost, aiohttp.ClientError, ConnectionError):
            if request.transport is not None:
                request.transport.abort()
            return web.Response()  # nobody reads it: the connection is gone

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        order = self._take(request, raw)
        if order is not None:
            early = await self._before(order, request)
            if early is not None:
                return early
        place = self._record(Request(request.method, request.path_qs, None))
        async with self._session.request(
            request.method,
            self._upstream + request.raw_path,
            data=raw or None,
            headers={name: value for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP},
            allow_redirects=False,
        ) as answer:
            self._record(Request(request.method, request.path_qs, answer.status), place)
            if request.query.get("watch") == "true":
                return await _stream(request, answer)
            body = await answer.read()
        if order is not None:
            await self._after(order, request, answer.status)
        return web.Response(status=answer.status, headers=_headers_of(answer), body=body)

    async def _before(self, order: Order, request: web.Request) -> web.Response | None:
        match order.effect:
            case Answer(status):
                return _refusal(status)
            case Drop(When.BEFORE):
                raise _Lost
            case Hold(When.BEFORE) if not await order.hold(request.path):
                raise _Lost
            case _:
                return None

    async def _after(self, order: Order, request: web.Request, status: int) -> None:
        order.answered(status)
        match order.effect:
            case Drop(When.AFTER):
                raise _Lost
            case Hold(When.AFTER) if not await order.hold(request.path):
                raise _Lost
            case _:
                return

    def _take(self, request: web.Request, raw: bytes) -> Order | None:
        body: Body = None
        with contextlib.suppress(ValueError):
            body = json.loads(raw) if raw else None
        with self._lock:
            for order in self._orders:
                if not order.is_spent and order.match.fits(request.method, request.path_qs, body):
                    order.hits += 1
                    return order
        return None

    def _record(self, request: Request, place: int | None = None) -> int:
        with self._lock:
            if place is None:
                self._requests.append(request)
                return len(self._requests) - 1
            self._requests[place] = request
            return place


async def _stream(request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, headers=_headers_of(answer))
    await response.prepare(request)
    async for chunk in answer.content.iter_any():
        await response.write(chunk)
    await response.write_eof()
    return response


def _headers_of(answer: aiohttp.ClientResponse) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name.lower() not in _HOP_BY_HOP}


def _refusal(status: int) -> web.Response:
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status, "reason": _REASONS[status]}
    return web.json_response(body | {"message": "ordered by a test"}, status=status)
