"""One request, one answer, over httpx: the only module that speaks HTTP to the vendor.

It gives back an ``Answer`` of any status, read whole and within bounds, or raises ``NotSent`` or ``OutcomeUnknown``.
It never repeats a request, follows a redirect, keeps a cookie or decodes a compressed body.

The errors are raised outside of the ``except`` that met them, so that the exception of httpx, which holds the request
with its Authorization header, is neither their cause nor their context. httpx and httpcore log URLs, statuses and
answer headers, at INFO and DEBUG; never request headers nor bodies. A test holds them to that.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Generator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from ipaddress import ip_address
from pathlib import Path

import httpx

from saperly_operator.clock import Clock
from saperly_operator.saperly.concealed import Concealed
from saperly_operator.saperly.errors import Doubt, NotSent, OutcomeUnknown, SaperlyError
from saperly_operator.saperly.operation import Operation
from saperly_operator.saperly.retry_after import parse_http_date, parse_retry_after

MAX_ANSWER_BYTES = 1024 * 1024
"""What is read of an answer at most. A full page of 100 keys takes some 100 KB."""

NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)
"""The exceptions of httpx that prove that no request left. All others leave it open."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: to get a connection, between two pieces of an answer, and for the whole call, whatever it does."""

    connect: float = 5.0
    read: float = 20.0
    whole: float = 30.0

    def __post_init__(self) -> None:
        if min(self.connect, self.read, self.whole) <= 0:
            raise ValueError("timeouts must be positive")


@dataclass(frozen=True, slots=True)
class Request:
    """A call in the vendor's terms; ``path`` is already percent-encoded and starts with ``/v1/``."""

    operation: Operation
    method: str
    path: str
    query: Mapping[str, str | int] = field(default_factory=dict)
    body: bytes | None = None
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of any status, complete. ``body`` may hold a plaintext and does not show."""

    status: int
    body: bytes = field(repr=False)
    retry_after: float | None
    server_time: datetime | None


def make_http_client(
    *, user_agent: str, ca_bundle: Path | None = None, trust_env: bool = False, max_connections: int = 16
) -> httpx.AsyncClient:
    """The pool of connections that all service keys share; the caller closes it.

    TLS is always verified, against the public authorities and those in ``ca_bundle``. ``trust_env`` honours
    HTTPS_PROXY, NO_PROXY and SSL_CERT_FILE. No cookie is ever kept: one handed out to one service key would travel
    with the next one's requests.
    """
    context: ssl.SSLContext = httpx.create_ssl_context(trust_env=trust_env)
    if ca_bundle is not None:
        context.load_verify_locations(cafile=ca_bundle)
    return httpx.AsyncClient(
        verify=context,
        trust_env=trust_env,
        follow_redirects=False,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        headers={"User-Agent": user_agent, "Accept": "application/json", "Accept-Encoding": "identity"},
        limits=httpx.Limits(max_connections=max_connections, max_keepalive_connections=max_connections),
    )


class Transport:
    """Sends the requests of one credential to one base URL."""

    def __init__(
        self, base_url: httpx.URL, secret: Concealed, http: httpx.AsyncClient, clock: Clock, timeouts: Timeouts
    ) -> None:
        self._base = str(base_url).rstrip("/")
        self._auth = _Bearer(secret)
        self._http = http
        self._clock = clock
        self._whole = timeouts.whole
        self._timeout = httpx.Timeout(timeouts.read, connect=timeouts.connect, pool=timeouts.connect)

    async def exchange(self, request: Request) -> Answer:
        """Send the request once. Raises ``NotSent`` or ``OutcomeUnknown``; any complete answer is returned."""
        answer = await self._attempt(request)
        if isinstance(answer, SaperlyError):
            raise answer
        return answer

    async def _attempt(self, request: Request) -> Answer | SaperlyError:
        operation = request.operation
        try:
            async with asyncio.timeout(self._whole), self._stream(request) as response:
                return await self._read(operation, response)
        except NOT_SENT:
            return NotSent(operation)
        except (TimeoutError, httpx.TimeoutException):
            return OutcomeUnknown(operation, Doubt.TIMEOUT)
        except (httpx.TransportError, OSError):  # OSError: what TLS raises below httpx when it breaks midway
            return OutcomeUnknown(operation, Doubt.DISCONNECTED)
        except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL):
            return OutcomeUnknown(operation, Doubt.UNREADABLE)

    def _stream(self, request: Request) -> AbstractAsyncContextManager[httpx.Response]:
        headers = {}
        if request.body is not None:
            headers["Content-Type"] = "application/json"
        if request.idempotency_key is not None:
            headers["Idempotency-Key"] = request.idempotency_key
        return self._http.stream(
            request.method,
            self._base + request.path,
            params=dict(request.query) or None,
            content=request.body,
            headers=headers,
            auth=self._auth,
            timeout=self._timeout,
            follow_redirects=False,
        )

    async def _read(self, operation: Operation, response: httpx.Response) -> Answer | SaperlyError:
        status = response.status_code
        # Raw: a compressed body, which was not asked for, stays unreadable rather than swell in memory.
        body = await _body_within(MAX_ANSWER_BYTES, response.aiter_raw())
        if body is None:
            return OutcomeUnknown(operation, Doubt.OVERSIZED, http_status=status)
        server_time = parse_http_date(response.headers.get("Date"))
        retry_after = parse_retry_after(
            response.headers.get("Retry-After"), answered_at=server_time or self._clock.now()
        )
        return Answer(status, body, retry_after, server_time)


async def _body_within(limit: int, pieces: AsyncIterator[bytes]) -> bytes | None:
    body = bytearray()
    async for piece in pieces:
        body += piece
        if len(body) > limit:
            return None
    return bytes(body)


class _Bearer(httpx.Auth):
    """Sets the header as the request leaves, so that no frame of ours holds it."""

    def __init__(self, secret: Concealed) -> None:
        self._secret = secret

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = f"Bearer {self._secret.reveal()}"
        yield request


def checked_base_url(base_url: str, *, allow_http: bool = False) -> httpx.URL:
    """The base URL, which ends before ``/v1``. Raises ``ValueError`` unless it is https.

    Plain http is for this machine itself, or, with ``allow_http``, for a simulator inside a cluster: the credential
    would travel in the open.
    """
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in {"http", "https"} or not url.host:
        raise ValueError("the API's base URL must be an absolute https URL")
    if url.userinfo or url.query or url.fragment:
        raise ValueError("the API's base URL must have no user, query or fragment")
    if url.scheme == "http" and not (allow_http or _is_loopback(url.host)):
        raise ValueError(f"the API's base URL must be https: plain http to {url.host} would show the credential")
    return url


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
