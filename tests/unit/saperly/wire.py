"""A server on a real socket that answers as it is told, well or badly, and keeps what it was sent, byte for byte.

It speaks no HTTP of its own: the answers of these tests are what no HTTP library would let a server send.
"""

import asyncio
import json
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Reply = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Received:
    """One request as it came over the wire."""

    line: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Wire:
    """The server's side: where it listens, what it answers (in turn, the last one for ever), what it was sent."""

    replies: list[Reply]
    scheme: str = "http"
    port: int = 0
    received: list[Received] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/api"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                self.received.append(await _read_request(reader))
                reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
                await reply(writer)
                if writer.is_closing():
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


async def _read_request(reader: asyncio.StreamReader) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii")
    line, *fields = head.rstrip().split("\r\n")
    headers = {name.lower(): value for name, value in (entry.split(": ", 1) for entry in fields)}
    return Received(line, headers, await reader.readexactly(int(headers.get("content-length", "0"))))


@asynccontextmanager
async def wire(*replies: Reply, tls: ssl.SSLContext | None = None) -> AsyncIterator[Wire]:
    """A running server; what it still does at the end is cancelled."""
    state = Wire(list(replies), scheme="https" if tls else "http")
    handlers: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(state.serve(reader, writer))
        handlers.add(task)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    state.port = server.sockets[0].getsockname()[1]
    try:
        yield state
    finally:
        server.close()
        for task in handlers:
            task.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)


def answering(status: int, body: object = None, *, raw: bytes | None = None, **headers: str) -> Reply:
    """A complete answer; ``body`` as JSON, or ``raw`` as it stands; ``Retry_After="3"`` is the header Retry-After."""
    content = raw if raw is not None else json.dumps(body).encode()
    fields = {"Content-Type": "application/json", "Content-Length": str(len(content))}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return sending(f"HTTP/1.1 {status} Whatever\r\n{head}\r\n".encode() + content)


def sending(octets: bytes, *, then_close: bool = False) -> Reply:
    """These bytes, whatever they are."""

    async def reply(writer: asyncio.StreamWriter) -> None:
        writer.write(octets)
        await writer.drain()
        if then_close:
            writer.close()

    return reply


def sending_for_ever(head: bytes, piece: bytes, *, pause: float = 0.0) -> Reply:
    """A head, then the same piece again and again, until the client hangs up."""

    async def reply(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)

    return reply


async def resetting(writer: asyncio.StreamWriter) -> None:
    """No answer but a TCP reset."""
    reset_on_close = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset_on_close)
    writer.transport.abort()


async def stalling(writer: asyncio.StreamWriter) -> None:
    """No answer, and the connection stays open."""
    del writer
    await asyncio.Event().wait()
