"""GET /v1/audit, and what it records about its own readers."""

import pytest

from saperly_operator.saperly.models import Environment
from tests.unit.simulator.vendor import Vendor


def _names(vendor: Vendor, by: str, query: str = "") -> list[str]:
    return [event["data"]["name"] for event in vendor.call("GET", f"/v1/audit{query}", by=by).json["events"]]


@pytest.mark.contract("audit")
def test_a_key_reads_its_own_story_newest_first() -> None:
    vendor = Vendor()
    key = vendor.minted()
    vendor.clock.advance(5)
    vendor.call("PATCH", f"/v1/keys/{key['id']}", {"name": "x"})
    page = vendor.call("GET", "/v1/audit?api_key_id=self&limit=2", by=key["plaintext_key"])
    assert page.status == 200
    assert (page.json["limit"], page.json["api_key_id"]) == (2, key["id"])
    assert [set(event) for event in page.json["events"]] == [{"type", "id", "created_at", "data"}] * 2
    assert [event["created_at"] for event in page.json["events"]] == [
        "2026-11-24T10:00:05.000Z",
        "2026-11-24T10:00:00.000Z",
    ]


@pytest.mark.contract("audit-event")
def test_each_read_is_itself_recorded_and_the_next_read_shows_it() -> None:
    vendor = Vendor()
    key = vendor.minted()
    assert _names(vendor, key["plaintext_key"]) == ["api_key_created"]
    assert _names(vendor, key["plaintext_key"]) == ["audit_read", "api_key_created"]
    assert _names(vendor, key["plaintext_key"], "?limit=1") == ["audit_read"]


@pytest.mark.contract("audit")
def test_another_key_of_the_same_user_and_environment_can_be_read_and_learns_who_read() -> None:
    vendor = Vendor()
    reader = vendor.minted("k1")
    target = vendor.minted("k2", by=vendor.another_service_key().plaintext)
    read = vendor.call("GET", f"/v1/audit?api_key_id={target['id']}", by=reader["plaintext_key"])
    assert read.json["api_key_id"] == target["id"]
    newest = vendor.call("GET", "/v1/audit", by=target["plaintext_key"]).json["events"][0]
    assert newest["data"] == {"name": "audit_read", "read_by": reader["id"]}


@pytest.mark.contract("audit")
def test_keys_of_another_user_or_environment_and_unknown_ones_are_not_found() -> None:
    vendor = Vendor()
    reader = vendor.minted()["plaintext_key"]
    live = vendor.minted(by=vendor.another_service_key(Environment.LIVE).plaintext)["id"]
    stranger = vendor.minted(by=vendor.another_service_key(account_id="another").plaintext)["id"]
    for target in (live, stranger, "nobody"):
        assert vendor.call("GET", f"/v1/audit?api_key_id={target}", by=reader).refusal == (404, "not_found")


@pytest.mark.contract("audit-line-scoped")
@pytest.mark.contract("403-agent_scope_error")
def test_a_line_scoped_key_reads_only_itself() -> None:
    vendor = Vendor()
    line = vendor.control.create_line().id
    scoped = vendor.minted("k1", line_id=line)
    other = vendor.minted("k2")
    refused = vendor.call("GET", f"/v1/audit?api_key_id={other['id']}", by=scoped["plaintext_key"])
    assert (refused.refusal, refused.details) == ((403, "agent_scope_error"), {"line_id": line})
    for own in ("self", scoped["id"]):
        assert vendor.call("GET", f"/v1/audit?api_key_id={own}", by=scoped["plaintext_key"]).status == 200
    assert vendor.call("GET", f"/v1/audit?api_key_id={scoped['id']}", by=other["plaintext_key"]).status == 200


@pytest.mark.contract("audit")
def test_event_types_filter() -> None:
    vendor = Vendor()
    key = vendor.minted()["plaintext_key"]
    assert _names(vendor, key, "?event_types=call,sms,billing_transaction") == []
    assert _names(vendor, key, "?event_types=call,compliance_event&limit=1") == ["audit_read"]


@pytest.mark.contract("audit")
@pytest.mark.parametrize("query", ["limit=0", "limit=501", "limit=x", "event_types=", "event_types=call,party"])
def test_a_query_out_of_bounds_names_the_parameter(query: str) -> None:
    vendor = Vendor()
    refused = vendor.call("GET", f"/v1/audit?{query}", by=vendor.minted()["plaintext_key"])
    assert (refused.refusal, list(refused.details)) == ((422, "validation_error"), [query.partition("=")[0]])


@pytest.mark.contract("audit")
@pytest.mark.parametrize("limit", [1, 500])
def test_a_limit_at_its_bounds_is_taken(limit: int) -> None:
    vendor = Vendor()
    assert vendor.call("GET", f"/v1/audit?limit={limit}", by=vendor.minted()["plaintext_key"]).json["limit"] == limit


@pytest.mark.contract("open-audit-spelling")
def test_the_time_of_an_event_can_be_spelt_in_camel_case() -> None:
    vendor = Vendor()
    vendor.configure(audit_time_field="createdAt")
    events = vendor.call("GET", "/v1/audit", by=vendor.minted()["plaintext_key"]).json["events"]
    assert [set(event) for event in events] == [{"type", "id", "createdAt", "data"}]
