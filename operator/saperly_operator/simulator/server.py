"""The simulator as an HTTP server: the vendor's paths under ``/api``, the control surface under ``/_control``.

Called by ``saperly-operator simulate`` and by tests. The ``Date`` header is the vendor's own clock, not the
machine's, since the operator reads the vendor's time there. Nothing of a request is logged.
"""

import asyncio
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from saperly_operator.clock import Clock
from saperly_operator.simulator.control import Control
from saperly_operator.simulator.control_http import ControlHttp
from saperly_operator.simulator.core import Core
from saperly_operator.simulator.faults import FaultBook
from saperly_operator.simulator.openapi import document
from saperly_operator.simulator.store import Store
from saperly_operator.simulator.turn import Entropy
from saperly_operator.simulator.vendor_http import BASE_PATH, VendorApp

_RST = struct.pack("ii", 1, 0)
"""SO_LINGER on, zero seconds: closing throws away what is unsent and tells the peer with RST."""


@dataclass(frozen=True)
class ControlAccess:
    """The control surface is served; with a token, only to who knows it."""

    token: str | None = field(default=None, repr=False)


class Simulator:
    """One simulated vendor: its core, its levers, and the ASGI application in front of them."""

    def __init__(self, store: Store, clock: Clock, entropy: Entropy, access: ControlAccess | None) -> None:
        self.core = Core(store, clock, entropy)
        self.control = Control(self.core)
        self.faults = FaultBook()
        self.connections = Connections()
        self._vendor = VendorApp(self.core, self.faults, clock, self.connections.end)
        self._rest = self._other_paths(access)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_vendor = scope["type"] == "http" and scope["path"].startswith(f"{BASE_PATH}/")
        app: ASGIApp = self._vendor if is_vendor else self._rest
        await app(scope, receive, send)

    def _other_paths(self, access: ControlAccess | None) -> Starlette:
        routes = [Route("/healthz", _healthz), Route("/openapi.json", _openapi)]
        if access is not None:
            control = ControlHttp(self.core, self.control, self.faults, self._vendor.gates, access.token)
            routes += control.routes()
        return Starlette(routes=routes)


class Connections:
    """The server's open connections, which ASGI does not let an application break."""

    def __init__(self) -> None:
        self._state: ServerState | None = None

    def attach(self, state: ServerState) -> None:
        self._state = state

    def end(self, scope: Scope, how: Literal["reset", "close"]) -> None:
        """Break the connection that this request came by. Needs a real server underneath."""
        assert self._state is not None, "resets and truncated answers need the HTTP server"
        for connection in self._state.connections:
            assert isinstance(connection, H11Protocol)
            if connection.client == tuple(scope["client"]):
                _end(connection.transport, how)


def _end(transport: asyncio.Transport, how: Literal["reset", "close"]) -> None:
    if how == "reset":
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST)
        transport.abort()
    else:
        transport.close()


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one."""
    listener = socket.create_server((host, port), backlog=512)
    # Handed down to every connection. asyncio sets it only on sockets whose protocol number is not left to default,
    # and without it each answer waits 40 ms for the client's delayed acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_listening = on_listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_listening()


async def serve(simulator: Simulator, listener: socket.socket, on_listening: Callable[[], None]) -> None:
    """Serve on a socket of ``listen`` until SIGINT or SIGTERM; ``on_listening`` is called once requests are taken."""
    config = uvicorn.Config(
        simulator,
        http="h11",
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=1,
    )
    server = _Server(config, on_listening)
    simulator.connections.attach(server.server_state)
    await server.serve(sockets=[listener])


async def _healthz(_: Request) -> Response:
    return PlainTextResponse("ok")


async def _openapi(_: Request) -> Response:
    return JSONResponse(document())
