"""The levers that only the master of a simulation has."""

from datetime import timedelta

import pytest

from saperly_operator.saperly.models import Permissions
from saperly_operator.simulator.control import UnknownIdError
from saperly_operator.simulator.state import digest_of
from tests.unit.simulator.vendor import Vendor


def test_the_ledger_knows_every_key_ever_minted_and_tells_who_it_was_by_digest() -> None:
    vendor = Vendor()
    minted = vendor.minted("k1")
    theirs = vendor.minted("k1", by=vendor.another_service_key(account_id="another").plaintext)
    vendor.call("DELETE", f"/v1/keys/{minted['id']}")
    assert [child.id for child in vendor.control.ledger()] == [minted["id"], theirs["id"]]
    assert vendor.live_ids() == {theirs["id"]}
    assert vendor.control.ledger()[0].digest == digest_of(minted["plaintext_key"])


def test_a_planted_key_is_listed_works_and_is_as_old_as_ordered() -> None:
    vendor = Vendor()
    service_key_id = vendor.service_key.service_key.id
    planted = vendor.control.plant_key(service_key_id, "by hand", Permissions.LEGACY_FULL, timedelta(days=2))
    listed = vendor.call("GET", "/v1/keys").json["keys"]
    assert [(key["id"], key["created_at"]) for key in listed] == [(planted.child.id, "2026-11-22T10:00:00.000Z")]
    assert vendor.call("GET", "/v1/audit", by=planted.plaintext).status == 200


def test_a_key_revoked_in_the_portal_is_revoked_for_the_api_and_keeps_its_first_date() -> None:
    vendor = Vendor()
    key = vendor.minted()["id"]
    vendor.control.revoke_key(key)
    vendor.clock.advance(5)
    vendor.control.revoke_key(key)
    assert vendor.call("GET", f"/v1/keys/{key}").key["revoked_at"] == "2026-11-24T10:00:00.000Z"
    assert vendor.call("DELETE", f"/v1/keys/{key}").refusal == (404, "not_found")


def test_use_shows_in_last_used_at_and_in_the_spend() -> None:
    vendor = Vendor()
    key = vendor.minted()["id"]
    vendor.clock.advance(5)
    vendor.control.use_key(key, spend_cents=7)
    vendor.control.use_key(key, spend_cents=5)
    used = vendor.call("GET", f"/v1/keys/{key}").key
    assert (used["last_used_at"], used["monthly_spend_cents"]) == ("2026-11-24T10:00:05.000Z", 12)


def test_what_does_not_exist_is_said_by_kind() -> None:
    control = Vendor().control
    for kind, order in [
        ("service key", control.revoke_service_key),
        ("line", control.release_line),
        ("block", control.unblock),
        ("key", control.revoke_key),
        ("key", control.use_key),
    ]:
        with pytest.raises(UnknownIdError, match=f"^{kind}$"):
            order("nobody")


def test_levers_are_no_calls_of_the_api() -> None:
    vendor = Vendor()
    vendor.control.use_key(vendor.control.plant_key(vendor.service_key.service_key.id, "x").child.id)
    assert vendor.core.calls.records() == []
    vendor.mint()
    assert {f"{op} {status}": n for (op, status), n in vendor.core.calls.counts().items()} == {"mint 201": 1}


def test_the_call_log_tells_each_call_apart() -> None:
    vendor = Vendor()
    key = vendor.minted("k")["id"]
    vendor.mint("k")
    vendor.call("GET", "/v1/keys/nobody")
    vendor.call("GET", "/v1/keys", by="")
    assert [
        (str(c.operation), c.service_key_id is not None, c.key_id, c.idempotency_key, c.status, c.code, c.replayed)
        for c in vendor.core.calls.records()
    ] == [
        ("mint", True, None, "k", 201, None, False),
        ("mint", True, None, "k", 201, None, True),
        ("get", True, "nobody", None, 404, "not_found", False),
        ("list", False, None, None, 401, "unauthorized", False),
    ]
    assert [c.number for c in vendor.core.calls.records(after=2)] == [3, 4]
    vendor.core.calls.clear()
    assert (vendor.core.calls.records(), vendor.core.calls.counts()) == ([], {})
    assert key in vendor.live_ids()


def test_no_credential_shows_in_a_repr() -> None:
    vendor = Vendor()
    request = vendor.request("POST", "/v1/keys", {"name": "x"}, key="k")
    call = vendor.core.begin(request)
    vendor.core.commit(call)
    shown = repr((vendor.service_key, request, call, call.response))
    assert vendor.service_key.plaintext not in shown
    assert "sk_test_" not in shown
