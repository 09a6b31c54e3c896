"""The six endpoints under /v1/keys, each line of the contract's table."""

import re
from itertools import pairwise
from typing import Any

import pytest

from saperly_operator.saperly.models import Environment, MintedKey, Permissions
from saperly_operator.simulator.settings import ListOrder
from tests.unit.simulator.vendor import NO_LIMITS, Vendor

NO_UUID = "not-a-uuid"
UNKNOWN_LINE = "6f1f0000-0000-4000-8000-000000000000"


@pytest.mark.contract("key-object")
@pytest.mark.contract("timestamps")
def test_a_minted_key_has_every_field_of_the_contract() -> None:
    vendor = Vendor()
    assert {**vendor.minted(), "id": "ID", "plaintext_key": "PLAIN", "key_prefix": "PREFIX"} == {
        "id": "ID",
        "plaintext_key": "PLAIN",
        "key_prefix": "PREFIX",
        "environment": "test",
        "name": "a key",
        "agent_label": None,
        "line_id": None,
        "permissions": "full",
        "monthly_cap_cents": None,
        "monthly_spend_cents": 0,
        "created_at": "2026-11-24T10:00:00.000Z",
        "revoked_at": None,
        "last_used_at": None,
        "rotated_from": None,
        "created_by_service_key_id": vendor.service_key.service_key.id,
    }


@pytest.mark.contract("key-object")
def test_the_prefix_is_the_head_of_the_plaintext_and_the_client_reads_the_object() -> None:
    key = Vendor(environment=Environment.LIVE).minted()
    assert re.fullmatch("sk_live_[a-z0-9]{3}", key["key_prefix"])
    assert key["plaintext_key"].startswith(key["key_prefix"])
    read = MintedKey.model_validate(key)
    assert read.plaintext_key is not None
    assert read.plaintext_key.get_secret_value() == key["plaintext_key"]


@pytest.mark.contract("mint")
def test_a_mint_sets_every_attribute() -> None:
    vendor = Vendor()
    line = vendor.control.create_line().id
    fields: dict[str, Any] = {
        "agent_label": "support",
        "line_id": line,
        "permissions": "call_only",
        "monthly_cap_cents": 5000,
        "environment": "test",
    }
    key = vendor.minted(name="support agent", **fields)
    assert {name: key[name] for name in ("name", *fields)} == {"name": "support agent", **fields}


@pytest.mark.contract("mint")
@pytest.mark.contract("422-validation_error")
@pytest.mark.parametrize(
    ("field", "good"),
    [
        ("name", ["x", "x" * 64, "é" * 64]),
        ("agent_label", ["a", "a" * 128, None]),
        ("permissions", ["full", "call_only", "sms_only", "read_only", None]),
        ("monthly_cap_cents", [1, 100_000, None]),
        ("environment", ["test", None]),
        ("line_id", [None]),
    ],
)
def test_a_mint_takes_values_within_their_bounds(field: str, good: list[Any]) -> None:
    vendor = Vendor()
    for n, value in enumerate(good):
        assert vendor.mint(f"k{n}", **{field: value}).status == 201, value


@pytest.mark.contract("mint")
@pytest.mark.contract("422-validation_error")
@pytest.mark.parametrize(
    ("field", "bad"),
    [
        ("name", ["", "x" * 65, None, 7]),
        ("agent_label", ["", "a" * 129, "Support", 7]),
        ("permissions", ["admin", "", 7]),
        ("monthly_cap_cents", [0, -1, 1.5, "100", True]),
        ("environment", ["prod", "", "live"]),
        ("line_id", [7, {}]),
        ("monthly_cap", [100]),
    ],
)
def test_a_mint_outside_the_bounds_names_the_field_and_mints_nothing(field: str, bad: list[Any]) -> None:
    vendor = Vendor()
    for n, value in enumerate(bad):
        refused = vendor.mint(f"k{n}", **{field: value})
        assert refused.refusal == (422, "validation_error"), value
        assert list(refused.details) == [field]
    assert vendor.live_ids() == set()


@pytest.mark.contract("422-validation_error")
@pytest.mark.parametrize(
    "body", [b"", b"nonsense", b"[]", b"null", b'{"name": "\xff"}', b'{"name": "\\ud800"}', b"{}"]
)
def test_a_body_that_is_no_mint_at_all_is_a_validation_error(body: bytes) -> None:
    assert Vendor().call("POST", "/v1/keys", body, key="k").refusal == (422, "validation_error")


@pytest.mark.contract("key-permissions")
def test_legacy_full_cannot_be_set_but_is_returned_for_old_keys() -> None:
    vendor = Vendor()
    assert list(vendor.mint(permissions="legacy_full").details) == ["permissions"]
    old = vendor.control.plant_key(vendor.service_key.service_key.id, "old", Permissions.LEGACY_FULL).child
    assert vendor.call("GET", f"/v1/keys/{old.id}").key["permissions"] == "legacy_full"
    refused = vendor.call("PATCH", f"/v1/keys/{old.id}", {"permissions": "legacy_full"})
    assert list(refused.details) == ["permissions"]


@pytest.mark.contract("tier-environment")
@pytest.mark.contract("422-validation_error")
def test_a_mint_for_the_other_environment_is_a_mismatch() -> None:
    refused = Vendor(environment=Environment.LIVE).mint(environment="test")
    assert (refused.refusal, list(refused.details)) == ((422, "validation_error"), ["environment"])


@pytest.mark.contract("key-extra-fields")
def test_answers_can_carry_fields_that_no_document_names() -> None:
    vendor = Vendor()
    vendor.configure(extra_fields=True)
    reply = vendor.mint()
    assert set(reply.json) == {"key", "region"}
    assert reply.key["region"] == "undocumented"
    assert set(vendor.call("GET", "/v1/keys").json) == {"keys", "total", "region"}
    assert MintedKey.model_validate(reply.key).plaintext_key is not None


@pytest.mark.contract("update-line")
@pytest.mark.parametrize("call", ["mint", "update"])
def test_a_line_must_exist_and_be_of_the_same_environment(call: str) -> None:
    vendor = Vendor()
    key = vendor.minted()["id"]

    def attempt(line_id: str) -> Any:
        if call == "mint":
            return vendor.mint(f"mint-with-{line_id}", line_id=line_id)
        return vendor.call("PATCH", f"/v1/keys/{key}", {"line_id": line_id})

    released = vendor.control.create_line().id
    assert attempt(released).status in (200, 201)
    vendor.control.release_line(released)
    assert attempt(vendor.control.create_line(Environment.LIVE).id).refusal == (422, "validation_error")
    assert attempt(UNKNOWN_LINE).refusal == (404, "not_found")
    assert attempt(vendor.control.create_line(account_id="another").id).refusal == (404, "not_found")
    if call == "update":
        assert attempt(released).refusal == (404, "not_found")


@pytest.mark.contract("open-malformed-line")
@pytest.mark.parametrize(("status", "code"), [(404, "not_found"), (422, "validation_error")])
def test_a_line_id_that_is_no_uuid_answers_what_the_settings_say(status: int, code: str) -> None:
    vendor = Vendor()
    vendor.configure(malformed_line_status=status)
    assert vendor.mint(line_id=NO_UUID).refusal == (status, code)
    assert vendor.mint("other", line_id=UNKNOWN_LINE).refusal == (404, "not_found")


@pytest.mark.contract("open-label-length")
def test_the_longest_agent_label_is_what_the_settings_say() -> None:
    vendor = Vendor()
    assert vendor.mint("k1", agent_label="a" * 128).status == 201
    vendor.configure(agent_label_max=64)
    assert list(vendor.mint("k2", agent_label="a" * 65).details) == ["agent_label"]
    assert vendor.mint("k3", agent_label="a" * 64).status == 201


@pytest.mark.contract("list")
def test_the_list_pages_over_live_keys_only() -> None:
    vendor = Vendor()
    vendor.configure(limits=NO_LIMITS)
    ids = [vendor.minted(f"k{n}")["id"] for n in range(60)]
    vendor.call("DELETE", f"/v1/keys/{ids[0]}")
    first = vendor.call("GET", "/v1/keys").json
    assert (len(first["keys"]), first["total"]) == (50, 59)
    pages = [vendor.call("GET", f"/v1/keys?limit=25&offset={offset}").json for offset in (0, 25, 50, 75)]
    assert [len(page["keys"]) for page in pages] == [25, 25, 9, 0]
    assert {key["id"] for page in pages for key in page["keys"]} == set(ids[1:])
    assert not any("plaintext_key" in key for page in pages for key in page["keys"])


@pytest.mark.contract("list")
@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=101", "limit=x", "limit=", "limit=-1", "offset=-1", "offset=1.5", "limit=٣", "colour=red"],
)
def test_a_page_out_of_bounds_names_the_parameter(query: str) -> None:
    refused = Vendor().call("GET", f"/v1/keys?{query}")
    assert (refused.refusal, list(refused.details)) == ((422, "validation_error"), [query.partition("=")[0]])


@pytest.mark.contract("list")
@pytest.mark.parametrize("query", ["limit=1", "limit=100", "offset=0", "limit=1&offset=1000000"])
def test_a_page_within_bounds_is_answered(query: str) -> None:
    assert Vendor().call("GET", f"/v1/keys?{query}").status == 200


@pytest.mark.contract("open-list-order")
def test_the_order_of_the_list_is_what_the_settings_say() -> None:
    vendor = Vendor()
    minted = [vendor.minted(f"k{n}")["id"] for n in range(20)]

    def listed(order: ListOrder) -> list[str]:
        vendor.configure(list_order=order)
        return [key["id"] for key in vendor.call("GET", "/v1/keys").json["keys"]]

    assert listed(ListOrder.OLDEST_FIRST) == minted
    assert listed(ListOrder.NEWEST_FIRST) == minted[::-1]
    assert listed(ListOrder.ID) == sorted(minted)
    orders = [listed(ListOrder.SHUFFLED) for _ in range(5)]
    assert all(sorted(order) == sorted(minted) for order in orders)
    assert all(one != other for one, other in pairwise(orders))


@pytest.mark.contract("list-event")
def test_each_list_read_writes_a_compliance_event() -> None:
    vendor = Vendor()
    vendor.call("GET", "/v1/keys")
    vendor.call("GET", "/v1/keys")
    reads = [event for event in vendor.core.store.events() if event.data["name"] == "service_key_list_read"]
    assert [event.type for event in reads] == ["compliance_event"] * 2
    assert reads[0].data["service_key_id"] == vendor.service_key.service_key.id


@pytest.mark.contract("get")
def test_get_returns_a_revoked_key_with_its_date_and_no_plaintext() -> None:
    vendor = Vendor()
    key = vendor.minted()
    del key["plaintext_key"]
    assert vendor.call("GET", f"/v1/keys/{key['id']}").key == key
    vendor.clock.advance(5)
    vendor.call("DELETE", f"/v1/keys/{key['id']}")
    assert vendor.call("GET", f"/v1/keys/{key['id']}").key == {**key, "revoked_at": "2026-11-24T10:00:05.000Z"}


@pytest.mark.contract("404-not_found")
@pytest.mark.parametrize(("method", "suffix"), [("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/rotate")])
def test_a_key_that_never_was_is_not_found(method: str, suffix: str) -> None:
    assert Vendor().call(method, f"/v1/keys/nobody{suffix}", {"name": "x"}, key="k").refusal == (404, "not_found")


@pytest.mark.contract("path-encoding")
def test_an_encoded_slash_stays_inside_the_id() -> None:
    vendor = Vendor()
    key = vendor.minted()["id"]
    encoded = "".join(f"%{ord(character):02x}" for character in key)
    assert vendor.call("GET", f"/v1/keys/{encoded}").key["id"] == key
    assert vendor.call("POST", f"/v1/keys/{key}%2Frotate", key="k").refusal == (401, "invalid_api_key")
    assert vendor.call("DELETE", f"/v1/keys/{key}%2Frotate").refusal == (404, "not_found")
    assert vendor.live_ids() == {key}


@pytest.mark.contract("update")
@pytest.mark.parametrize(
    ("field", "value"),
    [("name", "new"), ("agent_label", "label"), ("permissions", "sms_only"), ("monthly_cap_cents", 7)],
)
def test_a_patch_changes_what_it_names_and_nothing_else(field: str, value: object) -> None:
    vendor = Vendor()
    key = vendor.minted()
    del key["plaintext_key"]
    changed = vendor.call("PATCH", f"/v1/keys/{key['id']}", {field: value})
    assert (changed.status, changed.key) == (200, {**key, field: value})
    assert vendor.call("GET", f"/v1/keys/{key['id']}").key == changed.key


@pytest.mark.contract("update")
def test_null_clears_what_can_be_cleared() -> None:
    vendor = Vendor()
    line = vendor.control.create_line().id
    key = vendor.minted(agent_label="a", line_id=line, monthly_cap_cents=5)["id"]
    cleared = {"agent_label": None, "line_id": None, "monthly_cap_cents": None}
    answer = vendor.call("PATCH", f"/v1/keys/{key}", cleared).key
    assert {name: answer[name] for name in cleared} == cleared


@pytest.mark.contract("update")
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "body"),
        ({"name": None}, "name"),
        ({"permissions": None}, "permissions"),
        ({"name": ""}, "name"),
        ({"agent_label": "UPPER"}, "agent_label"),
        ({"monthly_cap_cents": 0}, "monthly_cap_cents"),
        ({"colour": "red"}, "colour"),
        (b"", "body"),
    ],
)
def test_a_patch_that_is_not_valid_names_the_field_and_changes_nothing(body: object, field: str) -> None:
    vendor = Vendor()
    key = vendor.minted()
    del key["plaintext_key"]
    refused = vendor.call("PATCH", f"/v1/keys/{key['id']}", body)
    assert (refused.refusal, list(refused.details)) == ((422, "validation_error"), [field])
    assert vendor.call("GET", f"/v1/keys/{key['id']}").key == key


@pytest.mark.contract("update-environment")
def test_the_environment_cannot_be_changed() -> None:
    vendor = Vendor()
    refused = vendor.call("PATCH", f"/v1/keys/{vendor.minted()['id']}", {"environment": "test"})
    assert (refused.refusal, list(refused.details)) == ((422, "validation_error"), ["environment"])


@pytest.mark.contract("revoke")
def test_a_revoke_is_effective_at_once_and_a_second_one_finds_nothing() -> None:
    vendor = Vendor()
    key = vendor.minted()
    revoked = vendor.call("DELETE", f"/v1/keys/{key['id']}")
    assert (revoked.status, revoked.key["revoked_at"]) == (200, "2026-11-24T10:00:00.000Z")
    assert vendor.call("GET", "/v1/audit", by=key["plaintext_key"]).status == 401
    vendor.clock.advance(5)
    assert vendor.call("DELETE", f"/v1/keys/{key['id']}").refusal == (404, "not_found")
    assert vendor.call("GET", f"/v1/keys/{key['id']}").key["revoked_at"] == "2026-11-24T10:00:00.000Z"


@pytest.mark.contract("rotate")
@pytest.mark.contract("key-plaintext-first")
def test_a_rotate_revokes_the_old_key_and_a_new_row_inherits_and_links() -> None:
    vendor = Vendor()
    line = vendor.control.create_line().id
    inherited: dict[str, Any] = {
        "name": "agent",
        "agent_label": "label",
        "line_id": line,
        "permissions": "call_only",
        "monthly_cap_cents": 5,
    }
    old = vendor.minted(**inherited)
    vendor.control.use_key(old["id"], spend_cents=3)
    vendor.clock.advance(5)
    rotated = vendor.call("POST", f"/v1/keys/{old['id']}/rotate", key="r")
    new = rotated.key
    assert rotated.status == 201
    assert {name: new[name] for name in inherited} == inherited
    assert (new["rotated_from"], new["revoked_at"]) == (old["id"], None)
    assert (new["last_used_at"], new["monthly_spend_cents"]) == (None, 0)
    assert new["id"] != old["id"]
    assert new["plaintext_key"] != old["plaintext_key"]
    assert vendor.live_ids() == {new["id"]}
    assert vendor.call("GET", f"/v1/keys/{old['id']}").key["revoked_at"] == new["created_at"]
    assert vendor.call("GET", "/v1/audit", by=old["plaintext_key"]).status == 401
    assert vendor.call("GET", "/v1/audit", by=new["plaintext_key"]).status == 200


@pytest.mark.contract("open-revoked")
@pytest.mark.parametrize(("status", "code"), [(404, "not_found"), (422, "validation_error")])
def test_patch_and_rotate_of_a_revoked_key_answer_what_the_settings_say(status: int, code: str) -> None:
    vendor = Vendor()
    vendor.configure(revoked_key_status=status)
    key = vendor.minted()["id"]
    vendor.control.revoke_key(key)
    assert vendor.call("PATCH", f"/v1/keys/{key}", {"name": "x"}).refusal == (status, code)
    assert vendor.call("POST", f"/v1/keys/{key}/rotate", key="r").refusal == (status, code)
    assert vendor.live_ids() == set()
