"""``RestKube`` against a server that misbehaves: what it sends, and what it makes of each answer."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio import client as kubernetes_client

from saperly_operator.kube import errors
from saperly_operator.kube.api import (
    CLUSTER_PROVIDERS,
    PLAIN,
    SAPERLY_KEYS,
    SECRETS,
    STATUS,
    PatchOptions,
    RestKube,
)

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Server:
    """An API server that answers each request with the next of ``answers``."""

    answers: list[Answer]
    requests: list[dict[str, Any]] = field(default_factory=list)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        self.requests.append(
            {
                "line": f"{request.method} {request.path}",
                "query": dict(request.query),
                "body": json.loads(raw) if raw else None,
                "type": request.headers.get("Content-Type"),
            }
        )
        return await self.answers.pop(0)(request)


@asynccontextmanager
async def a_server(*answers: Answer, patience: float = 5.0) -> AsyncIterator[tuple[RestKube, Server]]:
    server = Server(list(answers))
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.serve)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    configuration = kubernetes_client.Configuration(host=f"http://127.0.0.1:{port}")
    configuration.retries = None
    api = kubernetes_client.ApiClient(configuration)
    try:
        yield RestKube(api, request_timeout=patience), server
    finally:
        await api.close()
        await runner.cleanup()


def saying(body: Any, status: int = 200, **headers: str) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.json_response(body, status=status, headers=fields)

    return answer


async def unreadable(request: web.Request) -> web.StreamResponse:
    return web.Response(text="<html>NEVERSHOWTHIS", status=200)


async def silent(request: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


async def resetting(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def half(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"metadata": ')
    assert request.transport is not None
    request.transport.close()
    return response


async def test_each_verb_is_the_request_that_the_api_takes() -> None:
    async with a_server(*[saying({"metadata": {}})] * 5) as (kube, server):
        await kube.get(SECRETS, "agents", "support")
        await kube.create(SAPERLY_KEYS, "agents", {"spec": {}}, dry_run=True)
        await kube.patch(SAPERLY_KEYS, "agents", "support", {"status": {}}, options=STATUS)
        await kube.patch(CLUSTER_PROVIDERS, None, "default", {"spec": {}}, options=PatchOptions(dry_run=True))
        await kube.delete(SECRETS, "agents", "support", uid="uid-1", version="7")
    keys = "/apis/saperly.com/v1alpha1/namespaces/agents/saperlykeys"
    manager = {"fieldManager": "saperly-operator"}
    merge = "application/merge-patch+json"
    assert [(each["line"], each["query"], each["body"]) for each in server.requests] == [
        ("GET /api/v1/namespaces/agents/secrets/support", {}, None),
        (f"POST {keys}", manager | {"dryRun": "All"}, {"spec": {}}),
        (f"PATCH {keys}/support/status", manager, {"status": {}}),
        (
            "PATCH /apis/saperly.com/v1alpha1/clustersaperlyproviders/default",
            manager | {"dryRun": "All"},
            {"spec": {}},
        ),
        (
            "DELETE /api/v1/namespaces/agents/secrets/support",
            {},
            {"preconditions": {"uid": "uid-1", "resourceVersion": "7"}},
        ),
    ]
    assert [each["type"] for each in server.requests if each["line"].startswith("PATCH")] == [merge, merge]


async def test_a_list_goes_on_to_its_last_page() -> None:
    pages = [
        saying({"metadata": {"continue": "more"}, "items": [{"n": 1}]}),
        saying({"metadata": {}, "items": [{"n": 2}]}),
    ]
    async with a_server(*pages) as (kube, server):
        assert await kube.list(SECRETS, labels="a=b") == [{"n": 1}, {"n": 2}]
    assert [each["query"] for each in server.requests] == [
        {"limit": "500", "labelSelector": "a=b"},
        {"limit": "500", "labelSelector": "a=b", "continue": "more"},
    ]


async def test_a_list_without_items_is_empty() -> None:
    async with a_server(saying({"metadata": {}, "items": None})) as (kube, _):
        assert await kube.list(SECRETS, "agents") == []


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(silent, "TimeoutError", id="no answer in time"),
        pytest.param(resetting, "ServerDisconnectedError", id="reset"),
        pytest.param(half, "ClientPayloadError", id="half an answer"),
        pytest.param(unreadable, "unreadable answer", id="an answer that is no JSON"),
        pytest.param(saying([1, 2]), "unreadable answer", id="JSON that is no object"),
    ],
)
async def test_what_may_have_happened_is_unavailable_and_is_sent_once(answer: Answer, reason: str) -> None:
    async with a_server(answer, patience=0.3) as (kube, server):
        with pytest.raises(errors.Unavailable) as caught:
            await kube.create(SECRETS, "agents", {"data": {"TOKEN": "NEVERSHOWTHIS"}})
    assert caught.value.reason == reason
    assert len(server.requests) == 1, "whoever asked decides whether to send it again"
    assert "NEVERSHOWTHIS" not in f"{caught.value!r} {caught.value}"
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__, "the cause quotes the request"


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    configuration = kubernetes_client.Configuration(host="http://127.0.0.1:1")
    configuration.retries = None
    api = kubernetes_client.ApiClient(configuration)
    with pytest.raises(errors.Unavailable):
        await RestKube(api, request_timeout=5).get(SECRETS, "agents", "support")
    await api.close()


def refusal(status: int, message: str, reason: str = "Forbidden") -> Answer:
    return saying({"kind": "Status", "reason": reason, "message": message}, status)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        pytest.param(
            refusal(403, 'secrets "x" is forbidden: exceeded quota: full, requested: count/secrets=1'),
            errors.QuotaExceeded,
            id="quota",
        ),
        pytest.param(refusal(403, 'secrets "x" is forbidden: User cannot create'), errors.Refused, id="RBAC"),
        pytest.param(
            refusal(422, "data: Forbidden: field is immutable when `immutable` is set", "Invalid"),
            errors.Immutable,
            id="immutable",
        ),
        pytest.param(refusal(422, "metadata.name: Invalid value", "Invalid"), errors.Refused, id="invalid"),
        pytest.param(refusal(409, "exceeded quota", "Conflict"), errors.Conflict, id="only a refusal is refined"),
    ],
)
async def test_refusals_without_a_cause_of_their_own_are_told_apart(
    answer: Answer, kind: type[errors.KubeError]
) -> None:
    async with a_server(answer) as (kube, _):
        with pytest.raises(errors.KubeError) as caught:
            await kube.patch(SECRETS, "agents", "x", {}, options=PLAIN)
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7.0), ("soon", None), ("-1", None)], ids=["seconds", "text", "negative"]
)
async def test_the_time_to_wait_is_read_from_a_429(header: str, seconds: float | None) -> None:
    async with a_server(saying({"reason": "TooManyRequests"}, 429, Retry_After=header)) as (kube, _):
        with pytest.raises(errors.Unavailable) as caught:
            await kube.get(SECRETS, "agents", "x")
    assert caught.value.retry_after == seconds
