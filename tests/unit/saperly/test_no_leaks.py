"""Neither the service key nor a plaintext shows in an exception, in what hangs on it, or in any log."""

import asyncio
import json
import logging
import pickle
import traceback
from collections.abc import Iterator

import httpx
import pytest

from saperly_operator.saperly.errors import SaperlyError
from saperly_operator.saperly.transport import Timeouts
from tests.unit.saperly.builders import KEY_ID, PLAINTEXT, SERVICE_KEY, a_client, a_failure, a_key
from tests.unit.saperly.wire import Reply, answering, resetting, sending, stalling, wire

ECHO = f"{SERVICE_KEY} {PLAINTEXT}"

FAILURES: dict[str, Reply] = {
    "a refusal that echoes": answering(422, a_failure("validation_error", [{"field": ECHO, "message": ECHO}], ECHO)),
    "a refusal with the echo as its code": answering(422, a_failure(SERVICE_KEY)),
    "a 5xx that echoes": answering(500, raw=ECHO.encode()),
    "a success that cannot be read": answering(201, {"key": a_key(id=[ECHO], plaintext_key=PLAINTEXT)}),
    "a success that is cut": sending(
        b"HTTP/1.1 201 Created\r\nContent-Length: 999\r\n\r\n" + ECHO.encode(), then_close=True
    ),
    "a plaintext in the wrong place": answering(201, {"plaintext_key": PLAINTEXT}),
    "a reset": resetting,
    "silence": stalling,
}


def hanging_on(error: BaseException | None) -> Iterator[BaseException]:
    """The exception, its cause and its context, and theirs."""
    if error is not None:
        yield error
        yield from hanging_on(error.__cause__)
        yield from hanging_on(error.__context__)


def everything_a_reporter_could_show(error: BaseException) -> str:
    """As the keenest of error reporters would: chain, attributes, and the locals of all frames of the product."""
    shown = []
    for each in hanging_on(error):
        report = traceback.TracebackException.from_exception(each, capture_locals=True)
        # The frames of this file hold the echo itself.
        shown += [f"{frame.name} {frame.locals}" for frame in report.stack if frame.filename != __file__]
        shown += [str(each), repr(each), repr(each.args), repr(vars(each))]
    return "\n".join(shown)


@pytest.mark.parametrize("name", FAILURES)
async def test_no_exception_holds_a_secret(name: str) -> None:
    timeouts = Timeouts(connect=5, read=0.05, whole=5)
    async with wire(FAILURES[name]) as server, a_client(server.url, timeouts=timeouts) as client:
        with pytest.raises(SaperlyError) as caught:
            await client.mint("{}", "key-1")
    shown = everything_a_reporter_could_show(caught.value)
    assert "exchange" in shown or "success" in shown or "parse" in shown, "the frames were looked at"
    assert SERVICE_KEY not in shown
    assert PLAINTEXT not in shown
    assert list(hanging_on(caught.value)) == [caught.value], "no exception of httpx or pydantic hangs on it"


@pytest.mark.parametrize("name", FAILURES)
async def test_no_log_holds_a_secret_at_any_level(name: str, caplog: pytest.LogCaptureFixture) -> None:
    timeouts = Timeouts(connect=5, read=0.05, whole=5)
    with caplog.at_level(logging.DEBUG):
        async with wire(FAILURES[name]) as server, a_client(server.url, timeouts=timeouts) as client:
            with pytest.raises(SaperlyError):
                await client.mint('{"name":"x"}', "key-1")
    assert {record.name.split(".")[0] for record in caplog.records} >= {"httpcore"}, "httpcore was logging"
    assert SERVICE_KEY not in caplog.text
    assert PLAINTEXT not in caplog.text


async def test_no_log_of_a_success_holds_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    minted = answering(201, {"key": a_key(plaintext_key=PLAINTEXT)})
    with caplog.at_level(logging.DEBUG):
        async with wire(minted) as server, a_client(server.url) as client:
            outcome = await client.mint("{}", "key-1")
            logging.getLogger("operator").warning("%s %r", outcome, outcome)
    assert {record.name.split(".")[0] for record in caplog.records} >= {"httpcore", "httpx", "operator"}
    assert SERVICE_KEY not in caplog.text
    assert PLAINTEXT not in caplog.text


async def test_a_cancelled_call_is_cancelled_and_shows_nothing() -> None:
    arrived = asyncio.Event()

    async def stalling_loudly(writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await stalling(writer)

    async with wire(stalling_loudly) as server, a_client(server.url) as client:
        call = asyncio.create_task(client.get_key(KEY_ID))
        await arrived.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await call
    assert SERVICE_KEY not in everything_a_reporter_could_show(caught.value)


async def test_the_client_itself_shows_nothing() -> None:
    async with a_client("https://saperly.example/api") as client:
        assert SERVICE_KEY not in f"{client!r}{vars(client)}{vars(client._transport)}"
        with pytest.raises(TypeError):
            pickle.dumps(client._transport._auth)


async def test_a_broken_transport_does_not_carry_its_request_along() -> None:
    def fail(request: httpx.Request) -> httpx.Response:
        assert SERVICE_KEY in request.headers["Authorization"], "which is why it must not travel"
        raise httpx.ReadError(json.dumps(dict(request.headers)), request=request)

    pool = httpx.AsyncClient(transport=httpx.MockTransport(fail))
    async with a_client("https://saperly.example/api", http=pool) as client:
        with pytest.raises(SaperlyError) as caught:
            await client.mint("{}", "key-1")
    assert SERVICE_KEY not in everything_a_reporter_could_show(caught.value)
    assert list(hanging_on(caught.value)) == [caught.value]
