"""TLS is verified, always: against the public authorities, and against a bundle that the administrator gives."""

import asyncio
import os
import shutil
import ssl
import subprocess
from pathlib import Path

import httpx
import pytest

from saperly_operator.saperly.errors import Doubt, NotSent, OutcomeUnknown
from saperly_operator.saperly.transport import make_http_client
from tests.unit.saperly.builders import KEY_ID, SERVICE_KEY, a_client, a_key
from tests.unit.saperly.wire import answering, wire

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")

A_KEY = answering(200, {"key": a_key()})


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for this machine that nobody vouches for, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "tls.crt", folder / "tls.key"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
    ]
    names = ["-subj", "/CN=saperly test", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command, *names, *files], check=True, capture_output=True)
    return certificate, key


@pytest.fixture(scope="module")
def tls(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


@pytest.fixture
def trusting(certificate: tuple[Path, Path]) -> httpx.AsyncClient:
    """Connections that trust the certificate; the client under test closes them."""
    return make_http_client(user_agent="test", ca_bundle=certificate[0])


async def test_a_server_that_nobody_vouches_for_is_sent_nothing(tls: ssl.SSLContext) -> None:
    async with wire(A_KEY, tls=tls) as server, a_client(server.url) as client:
        with pytest.raises(NotSent):
            await client.get_key(KEY_ID)
    assert server.received == []


async def test_the_administrators_bundle_vouches_for_it(tls: ssl.SSLContext, trusting: httpx.AsyncClient) -> None:
    async with wire(A_KEY, tls=tls) as server, a_client(server.url, http=trusting) as client:
        assert (await client.get_key(KEY_ID)).id == KEY_ID


async def test_a_name_that_the_certificate_does_not_bear_is_refused(
    tls: ssl.SSLContext, trusting: httpx.AsyncClient
) -> None:
    async with wire(A_KEY, tls=tls) as server:
        by_another_name = server.url.replace("127.0.0.1", "localhost")
        async with a_client(by_another_name, http=trusting) as client:
            with pytest.raises(NotSent):
                await client.get_key(KEY_ID)
    assert server.received == []


async def test_when_encryption_breaks_after_the_request_the_outcome_is_unknown(
    tls: ssl.SSLContext, trusting: httpx.AsyncClient
) -> None:
    async def answer_in_the_clear(writer: asyncio.StreamWriter) -> None:
        os.write(writer.get_extra_info("socket").fileno(), b"HTTP/1.1 200 OK\r\n\r\n")

    async with wire(answer_in_the_clear, tls=tls) as server, a_client(server.url, http=trusting) as client:
        with pytest.raises(OutcomeUnknown) as caught:
            await client.mint("{}", "key-1")
    assert caught.value.doubt is Doubt.DISCONNECTED
    assert len(server.received) == 1


async def test_a_proxy_that_declines_is_shown_nothing_but_where_to(monkeypatch: pytest.MonkeyPatch) -> None:
    async with wire(answering(502, {})) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        pool = make_http_client(user_agent="test", trust_env=True)
        async with a_client("https://saperly.example/api", http=pool) as client:
            with pytest.raises(NotSent):
                await client.get_key(KEY_ID)
    (received,) = proxy.received
    assert received.line == "CONNECT saperly.example:443 HTTP/1.1"
    assert SERVICE_KEY not in str(received)


async def test_a_proxy_of_the_environment_is_used_only_when_asked_for(
    monkeypatch: pytest.MonkeyPatch, tls: ssl.SSLContext, trusting: httpx.AsyncClient
) -> None:
    async with wire(answering(502, {})) as proxy, wire(A_KEY, tls=tls) as server:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        async with a_client(server.url, http=trusting) as client:
            await client.get_key(KEY_ID)
    assert proxy.received == []
