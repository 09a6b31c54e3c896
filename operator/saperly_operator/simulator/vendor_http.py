"""The vendor's paths on ASGI: bytes in, ``Core``, faults, bytes out.

One request is one task. It is never cancelled when its client goes away: like the real service, a request that was
received takes effect, seconds later if a fault holds it so long.
"""

import asyncio
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Literal

from starlette.types import Receive, Scope, Send

from saperly_operator.clock import Clock
from saperly_operator.simulator.core import Call, Core
from saperly_operator.simulator.errors import ApiError
from saperly_operator.simulator.faults import Fault, FaultBook, FaultKind, OrderedFault
from saperly_operator.simulator.messages import Request, Response

BASE_PATH = "/api"
MAX_BODY_BYTES = 1 << 20
OVERSIZED_BYTES = 8 << 20

Disconnect = Callable[[Scope, Literal["reset", "close"]], None]
"""End the connection of a request: at once with RST, or after what was written has been sent."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What reaches the client: a response whole, cut in half, or (None) nothing but a closed connection."""

    response: Response | None
    cut: bool = False


class Gates:
    """Calls that ``hold`` faults keep waiting, by fault."""

    def __init__(self) -> None:
        self._gates: dict[str, asyncio.Event] = {}

    async def wait(self, ordered: OrderedFault, call: Call) -> None:
        gate = self._gates.setdefault(ordered.id, asyncio.Event())
        ordered.holding.append(call.number)
        await gate.wait()
        ordered.holding.remove(call.number)

    def open(self, fault_id: str) -> None:
        """Let go what the fault holds now. A call that it hits later is held again."""
        gate = self._gates.pop(fault_id, None)
        if gate is not None:
            gate.set()


class VendorApp:
    """An ASGI application for everything under ``/api``."""

    def __init__(self, core: Core, faults: FaultBook, clock: Clock, disconnect: Disconnect) -> None:
        self.gates = Gates()
        self._core = core
        self._faults = faults
        self._clock = clock
        self._disconnect = disconnect

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _body(receive)
        if body is None:
            return
        if len(body) > MAX_BODY_BYTES:
            await _send_whole(send, _TOO_LARGE)
            return
        call = self._core.begin(_request(scope, body))
        delivery = await self._carry_out(call, self._faults.take(call))
        if delivery.response is None:
            await self._hang_up(scope, receive, "reset")
        elif delivery.cut:
            await _send_half(send, delivery.response)
            await self._hang_up(scope, receive, "close")
        else:
            await _send_whole(send, delivery.response)

    async def _carry_out(self, call: Call, faults: list[OrderedFault]) -> Delivery:
        for ordered in faults:
            if ordered.fault.when == "before":
                call.fault = ordered.fault.kind.value
                if ordered.fault.kind is FaultKind.DUPLICATE:
                    call = self._done_once_and_begun_again(call)
                elif delivery := await self._strike(call, ordered):
                    return delivery
        self._core.commit(call)
        for ordered in faults:
            if ordered.fault.when == "after":
                call.fault = ordered.fault.kind.value
                if delivery := await self._strike(call, ordered):
                    return delivery
        return Delivery(self._core.answer(call))

    def _done_once_and_begun_again(self, call: Call) -> Call:
        self._core.commit(call)
        self._core.answer(call)
        return self._core.begin(call.request)

    async def _strike(self, call: Call, ordered: OrderedFault) -> Delivery | None:
        """Let one fault do its worst; None when the call goes on afterwards."""
        match ordered.fault.kind:
            case FaultKind.LATENCY:
                await self._clock.sleep(ordered.fault.seconds)
                return None
            case FaultKind.HOLD:
                await self.gates.wait(ordered, call)
                return None
            case FaultKind.RESET:
                self._core.abandon(call)
                return Delivery(None)
            case FaultKind.TRUNCATE:
                response = call.response or _BROKEN_OFF
                self._core.abandon(call)
                return Delivery(response, cut=True)
            case _:
                response, code = _spoilt(ordered.fault, call)
                self._core.fail(call, response, code)
                return Delivery(self._core.answer(call))

    async def _hang_up(self, scope: Scope, receive: Receive, how: Literal["reset", "close"]) -> None:
        self._disconnect(scope, how)
        while (await receive())["type"] != "http.disconnect":
            pass  # the server must have seen the end before the task returns, or it would send a 500


_JSON = {"Content-Type": "application/json"}
_TOO_LARGE = Response(413, _JSON, b'{"error": {"code": "payload_too_large", "message": "The body is too large."}}')
_BROKEN_OFF = Response(200, _JSON, b'{"key": {"id": "broken off here", "name": "never sent"}}')


def _spoilt(fault: Fault, call: Call) -> tuple[Response, str | None]:
    """The response, and its error code, that takes the place of the call's own."""
    status = call.response.status if call.response is not None else 200
    match fault.kind:
        case FaultKind.GARBAGE:
            return Response(status, {"Content-Type": "text/html"}, b"<html><body>It works!</body></html>"), None
        case FaultKind.OVERSIZED:
            return Response(status, _JSON, b'{"padding": "' + b"x" * OVERSIZED_BYTES + b'"}'), None
        case FaultKind.REDIRECT:
            return Response(307, {"Location": "https://elsewhere.invalid/api" + call.request.path}), None
        case _:
            error = ApiError(fault.status, fault.code, "Ordered by the control surface.")
            headers = _JSON if fault.retry_after is None else {**_JSON, "Retry-After": fault.retry_after}
            return Response(fault.status, headers, error.body()), fault.code


async def _body(receive: Receive) -> bytes | None:
    """The whole body, or as much as shows that it is too large; None when the client left before it was sent."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if not message.get("more_body", False) or len(body) > MAX_BODY_BYTES:
            return bytes(body)


def _request(scope: Scope, body: bytes) -> Request:
    """Header names are lower case in ASGI already. The raw path keeps percent-encoded slashes in ids apart."""
    return Request(
        method=scope["method"],
        path=scope["raw_path"].decode("ascii", "replace").removeprefix(BASE_PATH),
        query=scope["query_string"].decode("ascii", "replace"),
        headers={name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
        body=body,
    )


def _start(response: Response) -> MutableMapping[str, Any]:
    headers = {**response.headers, "Content-Length": str(len(response.body))}
    encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    return {"type": "http.response.start", "status": response.status, "headers": encoded}


async def _send_whole(send: Send, response: Response) -> None:
    await send(_start(response))
    await send({"type": "http.response.body", "body": response.body})


async def _send_half(send: Send, response: Response) -> None:
    await send(_start(response))
    half = response.body[: len(response.body) // 2]
    await send({"type": "http.response.body", "body": half, "more_body": True})
