"""What the network does to a call: nothing of it may be taken for an answer, or hold the caller up."""

import gzip
import json
import socket
from collections.abc import Iterator

import httpx
import pytest

from saperly_operator.saperly import transport
from saperly_operator.saperly.errors import Doubt, NotSent, OutcomeUnknown, SaperlyError
from saperly_operator.saperly.transport import Timeouts, checked_base_url, make_http_client
from tests.unit.saperly.builders import KEY_ID, PLAINTEXT, a_client, a_key
from tests.unit.saperly.wire import Reply, answering, resetting, sending, sending_for_ever, stalling, wire

PATIENT = Timeouts(connect=5, read=60, whole=60)
WHOLE_ANSWER = json.dumps({"key": a_key(plaintext_key=PLAINTEXT)}).encode()


def head(status: int, *fields: str) -> bytes:
    return "".join(f"{line}\r\n" for line in (f"HTTP/1.1 {status} Whatever", *fields, "")).encode()


ODD: dict[str, tuple[Reply, Doubt]] = {
    "a reset": (resetting, Doubt.DISCONNECTED),
    "closed without a word": (sending(b"", then_close=True), Doubt.DISCONNECTED),
    "closed in the status line": (sending(b"HTTP/1.1 20", then_close=True), Doubt.DISCONNECTED),
    "closed in the headers": (sending(b"HTTP/1.1 201 Created\r\nContent-", then_close=True), Doubt.DISCONNECTED),
    "closed in the body": (
        sending(head(201, f"Content-Length: {len(WHOLE_ANSWER)}") + WHOLE_ANSWER[:-1], then_close=True),
        Doubt.DISCONNECTED,
    ),
    "closed in a chunk": (
        sending(head(201, "Transfer-Encoding: chunked") + b"ffff\r\n{", then_close=True),
        Doubt.DISCONNECTED,
    ),
    "not HTTP": (sending(b"SSH-2.0-OpenSSH_9.6\r\n\r\n", then_close=True), Doubt.DISCONNECTED),
    "endless headers": (sending_for_ever(head(201)[:-2], b"X-More: more\r\n" * 100), Doubt.DISCONNECTED),
    "an endless body": (sending_for_ever(head(201, "Content-Length: 99999999999"), b" " * 65536), Doubt.OVERSIZED),
    "an endless body in chunks": (
        sending_for_ever(head(201, "Transfer-Encoding: chunked"), b"1000\r\n" + b" " * 4096 + b"\r\n"),
        Doubt.OVERSIZED,
    ),
    "an endless error": (sending_for_ever(head(404, "Content-Length: 99999999999"), b" " * 65536), Doubt.OVERSIZED),
    "not JSON": (answering(201, raw=b"<html>created</html>"), Doubt.UNREADABLE),
    "an empty body": (answering(201, raw=b""), Doubt.UNREADABLE),
    "no body at all": (sending(head(204)), Doubt.UNREADABLE),
    "not UTF-8": (answering(201, raw=b'{"key": "\xff\xfe"}'), Doubt.UNREADABLE),
    "JSON of another shape": (answering(201, {"keys": []}), Doubt.UNREADABLE),
    "JSON that is no object": (answering(201, [1, 2]), Doubt.UNREADABLE),
    "a key without an id": (answering(201, {"key": a_key(id="")}), Doubt.UNREADABLE),
    "a key without a time": (answering(201, {"key": a_key(created_at="yesterday")}), Doubt.UNREADABLE),
    "a number beyond numbers": (answering(201, raw=b'{"key": ' + b"9" * 5000 + b"}"), Doubt.UNREADABLE),
    "JSON nested without end": (answering(201, raw=b'{"key":' + b"[" * 500_000), Doubt.UNREADABLE),
    "a compressed body": (
        answering(201, raw=gzip.compress(WHOLE_ANSWER), Content_Encoding="gzip"),
        Doubt.UNREADABLE,
    ),
    "a redirect": (answering(307, {}, Location="/api/v1/keys"), Doubt.UNREADABLE),
    "a 5xx": (answering(502, raw=b"bad gateway"), Doubt.SERVER_ERROR),
}


@pytest.mark.contract("5xx-unknown")
@pytest.mark.parametrize("name", ODD)
async def test_after_an_odd_answer_to_a_mint_the_outcome_is_unknown(name: str) -> None:
    reply, doubt = ODD[name]
    async with wire(reply) as server, a_client(server.url, timeouts=PATIENT) as client:
        with pytest.raises(OutcomeUnknown) as caught:
            await client.mint("{}", "k-1")
    assert type(caught.value) is OutcomeUnknown
    assert caught.value.doubt is doubt
    assert len(server.received) == 1, "nothing is ever sent twice"


@pytest.mark.parametrize(
    ("reply", "timeouts"),
    [
        pytest.param(stalling, Timeouts(connect=5, read=0.05, whole=60), id="no answer within the read timeout"),
        pytest.param(stalling, Timeouts(connect=5, read=60, whole=0.05), id="no answer within the whole"),
        pytest.param(
            sending_for_ever(head(201, "Content-Length: 1000"), b" ", pause=0.01),
            Timeouts(connect=5, read=60, whole=0.1),
            id="an answer that drips, each byte in time",
        ),
        pytest.param(
            sending_for_ever(b"", head(103), pause=0.01),
            Timeouts(connect=5, read=60, whole=0.1),
            id="early hints without end",
        ),
    ],
)
async def test_a_call_never_takes_longer_than_its_timeouts(reply: Reply, timeouts: Timeouts) -> None:
    async with wire(reply) as server, a_client(server.url, timeouts=timeouts) as client:
        with pytest.raises(OutcomeUnknown) as caught:
            await client.get_key(KEY_ID)
    assert type(caught.value) is OutcomeUnknown
    assert caught.value.doubt is Doubt.TIMEOUT


@pytest.fixture
def port_that_refuses() -> Iterator[int]:
    with socket.socket() as bound:  # bound and not listening: no one else gets it, and it refuses
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


async def test_a_refused_connection_proves_that_nothing_was_sent(port_that_refuses: int) -> None:
    async with a_client(f"http://127.0.0.1:{port_that_refuses}/api") as client:
        with pytest.raises(NotSent) as caught:
            await client.mint("{}", "k-1")
    assert caught.value.doubt is Doubt.CONNECT


async def test_waiting_for_a_free_connection_proves_that_nothing_was_sent() -> None:
    pool = make_http_client(user_agent="test", max_connections=1)
    timeouts = Timeouts(connect=0.05, read=60, whole=60)
    unfinished = sending(head(200, "Content-Length: 99"))
    async with (
        wire(unfinished) as server,
        a_client(server.url, http=pool, timeouts=timeouts) as client,
        pool.stream("GET", server.url),  # holds the only connection
    ):
        with pytest.raises(NotSent):
            await client.get_key(KEY_ID)
    assert len(server.received) == 1


async def test_a_redirect_takes_the_credential_nowhere() -> None:
    async with wire(answering(200, {"key": a_key()})) as elsewhere:
        moved = answering(302, {}, Location=f"{elsewhere.url}/v1/keys/{KEY_ID}")
        async with wire(moved) as server, a_client(server.url) as client:
            with pytest.raises(OutcomeUnknown):
                await client.get_key(KEY_ID)
    assert elsewhere.received == []


async def test_no_cookie_is_kept_for_the_next_service_key() -> None:
    handing_out = answering(200, {"key": a_key()}, Set_Cookie="session=1; Path=/")
    async with wire(handing_out) as server, a_client(server.url) as client:
        await client.get_key(KEY_ID)
        await client.get_key(KEY_ID)
    assert len(server.received) == 2
    assert "cookie" not in server.received[1].headers


async def test_an_answer_is_not_asked_for_in_compressed_form() -> None:
    async with wire(answering(200, {"key": a_key()})) as server, a_client(server.url) as client:
        await client.get_key(KEY_ID)
    assert server.received[0].headers["accept-encoding"] == "identity"
    assert server.received[0].headers["user-agent"] == "saperly-operator/test"


async def test_an_answer_just_within_bounds_is_read_and_one_just_beyond_is_not() -> None:
    filled = json.dumps({"key": a_key()}).encode().ljust(transport.MAX_ANSWER_BYTES)
    replies = answering(200, raw=filled), answering(200, raw=filled + b" ")
    async with wire(*replies) as server, a_client(server.url) as client:
        assert (await client.get_key(KEY_ID)).id == KEY_ID
        with pytest.raises(OutcomeUnknown) as caught:
            await client.get_key(KEY_ID)
    assert caught.value.doubt is Doubt.OVERSIZED


def _all_below(kind: type[Exception]) -> Iterator[type[Exception]]:
    for child in kind.__subclasses__():
        yield child
        yield from _all_below(child)


WITHOUT_WORDS = {httpx.StreamConsumed, httpx.StreamClosed, httpx.ResponseNotRead, httpx.RequestNotRead}
NEVER_RAISED = {httpx.HTTPStatusError}  # only by raise_for_status, which is never called
RAISED_BY_HTTPX = sorted(
    {*_all_below(httpx.HTTPError), *_all_below(httpx.StreamError), httpx.InvalidURL} - NEVER_RAISED,
    key=lambda kind: kind.__name__,
)


@pytest.mark.parametrize("kind", RAISED_BY_HTTPX, ids=lambda kind: kind.__name__)
async def test_every_exception_of_httpx_becomes_an_unknown_outcome(kind: type[Exception]) -> None:
    words = ["words of httpx"][: 0 if kind in WITHOUT_WORDS else 1]

    def fail(request: httpx.Request) -> httpx.Response:
        raise kind(*words)

    pool = httpx.AsyncClient(transport=httpx.MockTransport(fail))
    async with a_client("https://saperly.example/api", http=pool) as client:
        with pytest.raises(SaperlyError) as caught:
            await client.mint("{}", "k-1")
    proves_nothing_left = kind.__name__ in {
        "ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError", "UnsupportedProtocol",
    }  # fmt: skip
    assert type(caught.value) is (NotSent if proves_nothing_left else OutcomeUnknown)
    assert "words of httpx" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://saperly.com/api",
        "https://saperly.com",
        "http://127.0.0.1:8080/api",
        "http://[::1]:1",
        "http://localhost/",
    ],
)
def test_a_base_url_may_be_https_or_of_this_machine(url: str) -> None:
    assert str(checked_base_url(url)).startswith(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://saperly.com/api",
        "http://10.0.0.1/api",
        "http://localhost.example/api",
        "http://127.0.0.1.example/api",
        "ftp://saperly.com/api",
        "saperly.com/api",
        "https:///api",
        "",
        "https://user:word@saperly.com/api",
        "https://saperly.com/api?x=1",
        "https://saperly.com/api#x",
        "https://saperly.com:port/api",
    ],
)
def test_any_other_base_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="base URL") as caught:
        checked_base_url(url)
    assert "word" not in str(caught.value)


def test_plain_http_inside_a_cluster_is_a_choice() -> None:
    assert checked_base_url("http://saperly-simulator.saperly:8080/api", allow_http=True).scheme == "http"
    with pytest.raises(ValueError, match="base URL"):
        checked_base_url("ftp://saperly-simulator/api", allow_http=True)


@pytest.mark.parametrize("change", [{"connect": 0.0}, {"read": -1.0}, {"whole": 0.0}])
def test_a_timeout_of_nothing_is_refused(change: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="positive"):
        Timeouts(**change)
