"""Reading the audit log as the holder of a child key."""

import httpx
import pytest

from saperly_operator.clock import ManualClock
from saperly_operator.saperly.audit import AuditReader
from saperly_operator.saperly.concealed import Plaintext
from saperly_operator.saperly.errors import Defect, OutcomeUnknown, Refused, ServiceKeyRejected
from saperly_operator.saperly.transport import make_http_client
from tests.unit.saperly.builders import PLAINTEXT, a_failure
from tests.unit.saperly.wire import answering, wire

EVENTS = {
    "events": [
        {
            "type": "compliance_event",
            "id": "e-2",
            "createdAt": "2026-11-24T10:00:01Z",
            "data": {"event": "audit_read"},
        },
        {"type": "call", "id": "e-1", "created_at": "2026-11-24T10:00:00Z", "data": {}},
    ],
    "limit": 100,
    "api_key_id": "key-1",
}


def reader(url: str, http: httpx.AsyncClient) -> AuditReader:
    return AuditReader(url, Plaintext(PLAINTEXT), http=http, clock=ManualClock())


@pytest.mark.contract("tier-api-key", "audit")
async def test_the_log_is_read_with_the_child_key() -> None:
    async with wire(answering(200, EVENTS)) as server, make_http_client(user_agent="test") as http:
        page = await reader(server.url, http).read()
        await reader(server.url, http).read("a&b", limit=500, event_types=["call", "sms"])
    first, second = server.received
    assert first.line == "GET /api/v1/audit?api_key_id=self&limit=100 HTTP/1.1"
    assert second.line == "GET /api/v1/audit?api_key_id=a%26b&limit=500&event_types=call%2Csms HTTP/1.1"
    assert first.headers["authorization"] == f"Bearer {PLAINTEXT}"
    assert [event.id for event in page.events] == ["e-2", "e-1"]
    assert page.events[0].created_at > page.events[1].created_at
    assert page.api_key_id == "key-1"


@pytest.mark.contract("audit-line-scoped")
@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, "invalid_api_key", ServiceKeyRejected),
        (403, "agent_scope_error", Refused),
        (500, "internal_error", OutcomeUnknown),
    ],
)
async def test_its_failures_are_those_of_every_call(status: int, code: str, kind: type[Exception]) -> None:
    async with wire(answering(status, a_failure(code))) as server, make_http_client(user_agent="test") as http:
        with pytest.raises(kind):
            await reader(server.url, http).read()


@pytest.mark.parametrize("limit", [0, 501])
async def test_a_limit_outside_the_documented_range_is_never_sent(limit: int) -> None:
    async with wire(answering(200, EVENTS)) as server, make_http_client(user_agent="test") as http:
        with pytest.raises(Defect):
            await reader(server.url, http).read(limit=limit)
    assert server.received == []


@pytest.mark.parametrize("plaintext", ["", "sk_test_a\r\nX-Evil: 1", "sk_test_ü"])
async def test_a_key_that_cannot_stand_in_a_header_is_never_sent(plaintext: str) -> None:
    async with make_http_client(user_agent="test") as http:
        with pytest.raises(Defect):
            AuditReader("https://saperly.example/api", Plaintext(plaintext), http=http, clock=ManualClock())
