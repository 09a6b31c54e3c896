"""The six calls as they go over the wire, and what is made of their answers."""

from datetime import UTC, datetime
from typing import Any

import pytest

from saperly_operator.saperly.api import VendorApi
from saperly_operator.saperly.canonical import mint_body
from saperly_operator.saperly.client import SaperlyClient
from saperly_operator.saperly.errors import Defect, Doubt, OutcomeUnknown
from saperly_operator.saperly.models import ChildKey, Environment, MintRequest, Permissions, UpdateRequest
from saperly_operator.saperly.outcome import Minted, Misfit, Redacted
from tests.unit.saperly.builders import KEY_ID, PLAINTEXT, SERVICE_KEY, a_client, a_key
from tests.unit.saperly.wire import Received, Reply, answering, wire

BODY = mint_body(MintRequest(name="agent ☎", permissions=Permissions.CALL_ONLY, environment=Environment.TEST))


def as_port(client: SaperlyClient) -> VendorApi:
    return client  # holds for the type checker: the client is the port


async def sent_by(reply: Reply, call: str, *arguments: Any) -> tuple[Any, Received]:
    """What a call returned, and the one request that it sent."""
    async with wire(reply) as server, a_client(server.url) as client:
        result = await getattr(as_port(client), call)(*arguments)
    (received,) = server.received
    assert received.headers["authorization"] == f"Bearer {SERVICE_KEY}"
    return result, received


@pytest.mark.contract("key-plaintext-first", "mint")
async def test_a_mint_sends_the_stored_body_byte_for_byte_under_its_key() -> None:
    answer = answering(201, {"key": a_key(plaintext_key=PLAINTEXT)})
    outcome, received = await sent_by(answer, "mint", BODY, "key-1")
    assert received.line == "POST /api/v1/keys HTTP/1.1"
    assert received.body == BODY.encode()
    assert received.headers["idempotency-key"] == "key-1"
    assert received.headers["content-type"] == "application/json"
    assert isinstance(outcome, Minted)
    assert outcome.plaintext.reveal() == PLAINTEXT
    assert outcome.key == ChildKey.model_validate(a_key())


async def test_a_body_is_not_reformatted_on_its_way() -> None:
    odd = '{ "name" :\t"x", "name": "y" }\n'
    _, received = await sent_by(answering(201, {"key": a_key()}), "mint", odd, "key-1")
    assert received.body == odd.encode()


@pytest.mark.contract("replay-redacted")
@pytest.mark.parametrize("status", [200, 201])
@pytest.mark.parametrize("changes", [{}, {"plaintext_key": None}, {"plaintext_key": ""}], ids=str)
async def test_a_replay_brings_the_row_without_the_plaintext(status: int, changes: dict[str, Any]) -> None:
    outcome, _ = await sent_by(answering(status, {"key": a_key(**changes)}), "mint", BODY, "key-1")
    assert outcome == Redacted(ChildKey.model_validate(a_key()))


@pytest.mark.contract("rotate")
async def test_a_rotate_sends_no_body() -> None:
    row = a_key(id="new", rotated_from=KEY_ID, plaintext_key=PLAINTEXT)
    outcome, received = await sent_by(answering(201, {"key": row}), "rotate", KEY_ID, "key-2")
    assert received.line == f"POST /api/v1/keys/{KEY_ID}/rotate HTTP/1.1"
    assert received.body == b""
    assert received.headers["content-length"] == "0"
    assert received.headers["idempotency-key"] == "key-2"
    assert isinstance(outcome, Minted)
    assert (outcome.key.id, outcome.key.rotated_from) == ("new", KEY_ID)


@pytest.mark.contract("get")
async def test_a_get_returns_a_revoked_key_too() -> None:
    row = a_key(revoked_at="2026-11-24T11:00:00Z", surprise={"any": "thing"})
    key, received = await sent_by(answering(200, {"key": row, "more": 1}), "get_key", KEY_ID)
    assert received.line == f"GET /api/v1/keys/{KEY_ID} HTTP/1.1"
    assert key.revoked_at == datetime(2026, 11, 24, 11, tzinfo=UTC)


@pytest.mark.contract("list")
async def test_a_list_tells_the_vendors_own_time() -> None:
    answer = answering(200, {"keys": [a_key()], "total": 201}, Date="Tue, 24 Nov 2026 09:57:00 GMT")
    listed, received = await sent_by(answer, "list_page", 100, 200)
    assert received.line == "GET /api/v1/keys?limit=100&offset=200 HTTP/1.1"
    assert [key.id for key in listed.page.keys] == [KEY_ID]
    assert listed.page.total == 201
    assert listed.server_time == datetime(2026, 11, 24, 9, 57, tzinfo=UTC)


async def test_a_list_without_a_date_says_so() -> None:
    listed, _ = await sent_by(answering(200, {"keys": [], "total": 0}), "list_page")
    assert listed.server_time is None


@pytest.mark.contract("update")
async def test_an_update_sends_what_was_set_and_clears_with_null() -> None:
    update = UpdateRequest(name="new", monthly_cap_cents=None)
    key, received = await sent_by(answering(200, {"key": a_key(name="new")}), "update_key", KEY_ID, update)
    assert received.line == f"PATCH /api/v1/keys/{KEY_ID} HTTP/1.1"
    assert received.body == b'{"monthly_cap_cents":null,"name":"new"}'
    assert key.name == "new"


async def test_a_revoke_returns_the_revoked_row() -> None:
    row = a_key(revoked_at="2026-11-24T11:00:00Z")
    key, received = await sent_by(answering(200, {"key": row}), "revoke_key", KEY_ID)
    assert received.line == f"DELETE /api/v1/keys/{KEY_ID} HTTP/1.1"
    assert received.body == b""
    assert key.revoked_at is not None


@pytest.mark.contract("path-encoding")
@pytest.mark.parametrize(
    ("key_id", "on_the_wire"),
    [
        ("a/../../b", "a%2F..%2F..%2Fb"),
        ("a?limit=1#x", "a%3Flimit%3D1%23x"),
        ("100%", "100%25"),
        ("%2e%2e", "%252e%252e"),
        ("a b\r\nX-Evil: 1", "a%20b%0D%0AX-Evil%3A%201"),
        ("ключ", "%D0%BA%D0%BB%D1%8E%D1%87"),
        ("...", "..."),
        ("a:b@c;d", "a%3Ab%40c%3Bd"),
    ],
)
async def test_an_id_cannot_leave_its_place_in_the_path(key_id: str, on_the_wire: str) -> None:
    _, received = await sent_by(answering(200, {"key": a_key(id=key_id)}), "revoke_key", key_id)
    assert received.line == f"DELETE /api/v1/keys/{on_the_wire} HTTP/1.1"


@pytest.mark.parametrize("key_id", ["", ".", "..", "x" * 257], ids=["empty", "dot", "dots", "too long"])
@pytest.mark.parametrize("call", ["get_key", "revoke_key", "update_key", "rotate"])
async def test_an_id_that_cannot_stand_in_a_path_is_never_sent(call: str, key_id: str) -> None:
    arguments: dict[str, tuple[Any, ...]] = {"update_key": (UpdateRequest(name="x"),), "rotate": ("key-1",)}
    async with wire(answering(200, {})) as server, a_client(server.url) as client:
        with pytest.raises(Defect):
            await getattr(client, call)(key_id, *arguments.get(call, ()))
    assert server.received == []


@pytest.mark.contract("key-missing")
@pytest.mark.parametrize("key", ["", "x" * 256, "a b", "a\r\nX-Evil: 1", "ключ"])
async def test_an_idempotency_key_that_cannot_stand_in_a_header_is_never_sent(key: str) -> None:
    async with wire(answering(200, {})) as server, a_client(server.url) as client:
        with pytest.raises(Defect):
            await client.mint(BODY, key)
        with pytest.raises(Defect):
            await client.rotate(KEY_ID, key)
    assert server.received == []


@pytest.mark.parametrize(("limit", "offset"), [(0, 0), (101, 0), (1, -1)])
async def test_a_page_outside_the_documented_range_is_never_asked_for(limit: int, offset: int) -> None:
    async with wire(answering(200, {})) as server, a_client(server.url) as client:
        with pytest.raises(Defect):
            await client.list_page(limit, offset)
    assert server.received == []


@pytest.mark.parametrize(
    ("call", "more"), [("get_key", ()), ("revoke_key", ()), ("update_key", (UpdateRequest(name="x"),))]
)
async def test_an_answer_about_another_key_is_not_believed(call: str, more: tuple[Any, ...]) -> None:
    with pytest.raises(OutcomeUnknown) as caught:
        await sent_by(answering(200, {"key": a_key(id="another")}), call, KEY_ID, *more)
    assert caught.value.doubt is Doubt.UNREADABLE


@pytest.mark.contract("tier-environment")
@pytest.mark.parametrize(
    ("changes", "expected", "misfit"),
    [
        pytest.param({}, Environment.TEST, None, id="as asked for"),
        pytest.param({}, Environment.LIVE, Misfit.ENVIRONMENT, id="asked for live, got test"),
        pytest.param({"environment": "live"}, Environment.TEST, Misfit.ENVIRONMENT, id="the row says live"),
        pytest.param(
            {"plaintext_key": "sk_live_abcX"}, Environment.TEST, Misfit.ENVIRONMENT, id="the plaintext says live"
        ),
        pytest.param(
            {"plaintext_key": SERVICE_KEY}, Environment.TEST, Misfit.ENVIRONMENT, id="a service key is no API key"
        ),
        pytest.param({"key_prefix": "sk_test_xyz"}, Environment.TEST, Misfit.PREFIX, id="another key's prefix"),
        pytest.param({"key_prefix": ""}, Environment.TEST, Misfit.PREFIX, id="an empty prefix fits nothing"),
    ],
)
async def test_a_minted_key_that_is_not_the_one_asked_for_is_told(
    changes: dict[str, Any], expected: Environment, misfit: Misfit | None
) -> None:
    row = a_key(**{"plaintext_key": PLAINTEXT, **changes})
    outcome, _ = await sent_by(answering(201, {"key": row}), "mint", BODY, "key-1")
    assert isinstance(outcome, Minted)
    assert outcome.misfit(expected) is misfit
