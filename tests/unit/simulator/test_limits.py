"""The rolling hourly limits and the forms of Retry-After."""

from email.utils import parsedate_to_datetime

import pytest

from saperly_operator.simulator.settings import Limits
from tests.unit.simulator.vendor import NO_LIMITS, Reply, Vendor

HOUR = 3600
TOO_MANY = (429, "rate_limited")


@pytest.mark.contract("mint-limit")
@pytest.mark.contract("429-rate_limited")
def test_the_61st_mint_within_an_hour_is_told_when_the_first_one_leaves_the_window() -> None:
    vendor = Vendor()
    for n in range(60):
        assert vendor.mint(f"k{n}").status == 201
        vendor.clock.advance(10)
    refused = vendor.mint("late")
    assert (refused.refusal, refused.headers["Retry-After"]) == (TOO_MANY, "3000")
    assert len(vendor.live_ids()) == 60
    vendor.clock.advance(2999)
    assert vendor.mint("late").headers["Retry-After"] == "1"
    vendor.clock.advance(1)
    assert vendor.mint("late").status == 201
    assert vendor.mint("later").headers["Retry-After"] == "10"


@pytest.mark.contract("mint-limit")
def test_replays_and_refusals_count_and_a_429_does_not() -> None:
    vendor = Vendor()
    replays = [vendor.mint("same") for _ in range(30)]
    refusals = [vendor.call("POST", "/v1/keys", b"nonsense", key="k") for _ in range(30)]
    assert {reply.status for reply in replays + refusals} == {201, 422}
    for _ in range(5):
        assert vendor.mint("new").refusal == TOO_MANY
    vendor.clock.advance(HOUR)
    assert vendor.mint("new").status == 201


@pytest.mark.contract("rotate-limit")
def test_the_31st_rotate_says_retry_after_120() -> None:
    vendor = Vendor()
    key = vendor.minted()["id"]
    for n in range(30):
        key = vendor.call("POST", f"/v1/keys/{key}/rotate", key=f"r{n}").key["id"]
    refused = vendor.call("POST", f"/v1/keys/{key}/rotate", key="late")
    assert (refused.refusal, refused.headers["Retry-After"]) == (TOO_MANY, "120")
    assert vendor.live_ids() == {key}


@pytest.mark.contract("list-limit")
def test_the_601st_list_is_refused() -> None:
    vendor = Vendor()
    assert {vendor.call("GET", "/v1/keys").status for _ in range(600)} == {200}
    assert vendor.call("GET", "/v1/keys").refusal == TOO_MANY


@pytest.mark.contract("audit-limit")
def test_the_61st_audit_read_of_a_user_is_refused_whichever_key_reads() -> None:
    vendor = Vendor()
    readers = [vendor.minted(f"k{n}")["plaintext_key"] for n in range(2)]
    assert {vendor.call("GET", "/v1/audit", by=readers[n % 2]).status for n in range(60)} == {200}
    assert vendor.call("GET", "/v1/audit", by=readers[0]).refusal == TOO_MANY
    stranger = vendor.minted(by=vendor.another_service_key(account_id="another").plaintext)["plaintext_key"]
    assert vendor.call("GET", "/v1/audit", by=stranger).status == 200


@pytest.mark.contract("mint-limit")
@pytest.mark.contract("list-limit")
@pytest.mark.contract("rotate-limit")
def test_each_service_key_and_each_endpoint_has_a_window_of_its_own() -> None:
    vendor = Vendor()
    vendor.configure(limits=Limits(mint=1, rotate=1, list=1))
    other = vendor.another_service_key().plaintext
    for credential in (None, other):
        key = vendor.minted(by=credential)["id"]
        assert vendor.call("GET", "/v1/keys", by=credential).status == 200
        assert vendor.call("POST", f"/v1/keys/{key}/rotate", key="r", by=credential).status == 201
        assert vendor.mint("k2", by=credential).refusal == TOO_MANY


@pytest.mark.contract("open-limits")
def test_get_patch_and_delete_have_no_limit_unless_one_is_set() -> None:
    vendor = Vendor()
    key = vendor.minted()["id"]

    def calls() -> list[Reply]:
        return [
            vendor.call("GET", f"/v1/keys/{key}"),
            vendor.call("PATCH", f"/v1/keys/{key}", {"name": "x"}),
            vendor.call("DELETE", "/v1/keys/nobody"),
        ]

    assert {reply.status for _ in range(700) for reply in calls()} == {200, 404}
    vendor.clock.advance(HOUR)
    vendor.configure(limits=Limits(get=1, update=1, revoke=1))
    calls()
    assert [reply.refusal for reply in calls()] == [TOO_MANY] * 3


def test_a_lifted_limit_lets_all_through_and_a_limit_set_again_counts_what_went_before() -> None:
    vendor = Vendor()
    vendor.configure(limits=NO_LIMITS)
    assert {vendor.mint(f"k{n}").status for n in range(100)} == {201}
    vendor.configure(limits=Limits())
    refused = vendor.mint("late")
    assert (refused.refusal, refused.headers["Retry-After"]) == (TOO_MANY, "3600")


def test_under_a_limit_that_was_lowered_one_waits_for_all_that_is_too_many_to_leave() -> None:
    vendor = Vendor()
    for n in range(10):
        vendor.mint(f"k{n}")
        vendor.clock.advance(10)
    vendor.configure(limits=Limits(mint=3))
    refused = vendor.mint("late")
    assert refused.headers["Retry-After"] == str(HOUR - 100 + 70)
    vendor.clock.advance(HOUR - 100 + 70)
    assert vendor.mint("late").status == 201


def test_a_request_with_a_bad_credential_does_not_count() -> None:
    vendor = Vendor()
    vendor.configure(limits=Limits(mint=1))
    for _ in range(5):
        assert vendor.mint(by="sk_svc_test_nobody").status == 401
    assert vendor.mint().status == 201


@pytest.mark.contract("open-retry-after")
def test_retry_after_comes_in_seconds_as_a_date_or_not_at_all() -> None:
    vendor = Vendor()
    vendor.configure(limits=Limits(mint=1))
    vendor.mint()
    assert vendor.mint().headers["Retry-After"] == "3600"
    vendor.configure(retry_after="date")
    at = parsedate_to_datetime(vendor.mint().headers["Retry-After"])
    assert (at - vendor.core.now()).total_seconds() == HOUR
    vendor.configure(retry_after="missing")
    assert "Retry-After" not in vendor.mint().headers


@pytest.mark.contract("open-clock-skew")
def test_the_vendors_clock_can_be_off_and_shows_in_every_date() -> None:
    vendor = Vendor()
    vendor.control.advance_clock(-180)
    reply = vendor.mint()
    assert reply.headers["Date"] == "Tue, 24 Nov 2026 09:57:00 GMT"
    assert reply.key["created_at"] == "2026-11-24T09:57:00.000Z"
    vendor.control.advance_clock(HOUR)
    assert vendor.mint("k2").key["created_at"] == "2026-11-24T10:57:00.000Z"
