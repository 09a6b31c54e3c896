"""Idempotency-Keys, each sentence of the contract's section."""

import pytest

from saperly_operator.simulator.messages import Response
from saperly_operator.simulator.state import Operation
from tests.unit.simulator.vendor import NO_LIMITS, Vendor

HOUR = 3600
LINE = "6f1f0000-0000-4000-8000-000000000000"


@pytest.mark.contract("replay-redacted")
@pytest.mark.contract("key-plaintext-first")
def test_a_replay_answers_the_same_row_without_its_plaintext() -> None:
    vendor = Vendor()
    first = vendor.minted()
    assert "plaintext_key" in first
    vendor.clock.advance(HOUR)
    for _ in range(2):
        again = vendor.mint()
        assert again.status == 201
        assert again.key == {name: value for name, value in first.items() if name != "plaintext_key"}
    assert vendor.live_ids() == {first["id"]}


@pytest.mark.contract("replay-redacted")
def test_a_replayed_rotate_answers_the_same_row_without_its_plaintext() -> None:
    vendor = Vendor()
    path = f"/v1/keys/{vendor.minted()['id']}/rotate"
    first = vendor.call("POST", path, key="r").key
    again = vendor.call("POST", path, key="r")
    assert (again.status, again.key) == (201, {k: v for k, v in first.items() if k != "plaintext_key"})
    assert vendor.live_ids() == {first["id"]}


@pytest.mark.contract("replay-redacted")
def test_a_replay_answers_the_row_as_it_was_though_it_was_changed_since() -> None:
    vendor = Vendor()
    first = vendor.minted()
    vendor.call("PATCH", f"/v1/keys/{first['id']}", {"name": "changed"})
    vendor.control.revoke_key(first["id"])
    again = vendor.mint().key
    assert (again["name"], again["revoked_at"]) == ("a key", None)


@pytest.mark.contract("key-reused")
@pytest.mark.contract("409-idempotency_key_reused")
def test_the_same_key_with_another_body_is_refused() -> None:
    vendor = Vendor()
    vendor.mint()
    assert vendor.mint(name="another").refusal == (409, "idempotency_key_reused")
    assert vendor.call("POST", "/v1/keys", b'{"name":"a key"}', key="mint-1").refusal == (
        409,
        "idempotency_key_reused",
    )
    assert len(vendor.live_ids()) == 1


@pytest.mark.contract("key-reused-rotate")
@pytest.mark.contract("409-idempotency_key_reused")
def test_the_same_rotate_key_on_another_child_is_refused() -> None:
    vendor = Vendor()
    one, two = vendor.minted("k1")["id"], vendor.minted("k2")["id"]
    assert vendor.call("POST", f"/v1/keys/{one}/rotate", key="r").status == 201
    assert vendor.call("POST", f"/v1/keys/{two}/rotate", key="r").refusal == (409, "idempotency_key_reused")
    assert two in vendor.live_ids()


@pytest.mark.contract("key-in-progress")
@pytest.mark.contract("409-idempotency_in_progress")
def test_while_the_first_request_runs_a_second_one_is_told_so() -> None:
    vendor = Vendor()
    running = vendor.begin_mint("k")
    second = vendor.mint("k")
    assert second.refusal == (409, "idempotency_in_progress")
    assert second.headers["Retry-After"] == "1"
    assert vendor.mint("k", name="another").refusal == (409, "idempotency_key_reused")
    first = vendor.finish(running).key
    assert "plaintext_key" in first
    assert vendor.mint("k").key["id"] == first["id"]


@pytest.mark.contract("key-in-progress")
def test_a_request_is_no_longer_running_once_it_took_effect_though_its_answer_is_out() -> None:
    vendor = Vendor()
    running = vendor.begin_mint("k")
    vendor.core.commit(running)
    assert "plaintext_key" not in vendor.mint("k").key


@pytest.mark.contract("key-in-progress")
def test_one_keys_running_request_is_in_nobody_elses_way() -> None:
    vendor = Vendor()
    running = vendor.begin_mint("k")
    other = vendor.another_service_key().plaintext
    assert vendor.mint("another").status == 201
    assert vendor.mint("k", by=other).status == 201
    assert vendor.finish(running).status == 201


@pytest.mark.contract("open-late")
def test_a_request_in_flight_takes_effect_late_and_a_replay_finds_it() -> None:
    vendor = Vendor()
    in_flight = vendor.begin_mint("k")
    vendor.clock.advance(30)
    vendor.core.commit(in_flight)
    vendor.core.abandon(in_flight)
    late = vendor.mint("k")
    assert "plaintext_key" not in late.key
    assert vendor.live_ids() == {late.key["id"]}


@pytest.mark.contract("key-missing")
@pytest.mark.contract("400-missing_idempotency_key")
@pytest.mark.parametrize("key", [None, "", "  "])
def test_mint_and_rotate_need_an_idempotency_key(key: str | None) -> None:
    vendor = Vendor()
    child = vendor.minted()["id"]
    refused = (400, "missing_idempotency_key")
    assert vendor.call("POST", "/v1/keys", {"name": "x"}, key=key).refusal == refused
    assert vendor.call("POST", f"/v1/keys/{child}/rotate", key=key).refusal == refused
    assert vendor.live_ids() == {child}


@pytest.mark.parametrize(
    ("key", "status"), [("x" * 255, 201), ("x" * 256, 422), ("two words", 422), ("schlüssel", 422)]
)
def test_an_idempotency_key_is_at_most_255_visible_characters(key: str, status: int) -> None:
    assert Vendor().mint(key).status == status


@pytest.mark.contract("sticky-402")
@pytest.mark.parametrize("code", ["agent_cap_exceeded", "insufficient_credits", "payment_method_required"])
def test_a_402_sticks_to_its_key_when_the_cause_is_mended(code: str) -> None:
    vendor = Vendor()
    block = vendor.control.block(code)
    first = vendor.mint("k")
    vendor.control.unblock(block.id)
    vendor.clock.advance(12 * HOUR - 1)
    again = vendor.mint("k")
    assert (again.refusal, again.json) == ((402, code), first.json)
    assert vendor.mint("a-new-key").status == 201
    vendor.clock.advance(1)
    assert vendor.mint("k").status == 201


@pytest.mark.contract("sticky-402")
def test_a_402_sticks_to_a_rotates_key_too() -> None:
    vendor = Vendor()
    path = f"/v1/keys/{vendor.minted()['id']}/rotate"
    block = vendor.control.block("insufficient_credits")
    vendor.call("POST", path, key="r")
    vendor.control.unblock(block.id)
    assert vendor.call("POST", path, key="r").refusal == (402, "insufficient_credits")
    assert vendor.call("POST", path, key="r2").status == 201


@pytest.mark.contract("unsticky-404-line")
def test_a_404_for_a_bad_line_does_not_stick() -> None:
    vendor = Vendor()
    vendor.configure(cached_failures=[402, 404])
    body = {"name": "x", "line_id": LINE}
    assert vendor.call("POST", "/v1/keys", body, key="k").refusal == (404, "not_found")
    line = vendor.control.create_line().id
    assert vendor.mint("k", line_id=line).status == 201


@pytest.mark.parametrize(("code", "status"), [("forbidden", 403), ("m3_fraud_block", 403), ("unauthorized", 401)])
def test_other_refusals_stick_only_when_the_settings_say_so(code: str, status: int) -> None:
    vendor = Vendor()
    block = vendor.control.block(code, operations=[Operation.MINT])
    assert vendor.mint("k1").refusal == (status, code)
    vendor.configure(cached_failures=[status])
    assert vendor.mint("k2").refusal == (status, code)
    vendor.control.unblock(block.id)
    assert vendor.mint("k1").status == 201
    assert vendor.mint("k2").refusal == (status, code)


@pytest.mark.contract("idempotency-window")
@pytest.mark.contract("open-window")
@pytest.mark.parametrize("hours", [12, 24])
def test_after_the_window_the_same_key_mints_a_second_unrelated_child(hours: int) -> None:
    vendor = Vendor()
    vendor.configure(idempotency_window_hours=hours)
    first = vendor.minted("k")["id"]
    vendor.clock.advance(hours * HOUR - 1)
    assert vendor.mint("k").key["id"] == first
    vendor.clock.advance(1)
    second = vendor.mint("k", name="another body is fine now")
    assert "plaintext_key" in second.key
    assert second.key["rotated_from"] is None
    assert vendor.live_ids() == {first, second.key["id"]}


@pytest.mark.contract("idempotency-scope")
def test_a_key_is_one_service_keys_own() -> None:
    vendor = Vendor()
    other = vendor.another_service_key().plaintext
    assert vendor.minted("k")["id"] != vendor.minted("k", by=other)["id"]


@pytest.mark.contract("idempotency-scope")
def test_mint_and_rotate_do_not_share_their_keys() -> None:
    vendor = Vendor()
    child = vendor.minted("k")["id"]
    assert vendor.call("POST", f"/v1/keys/{child}/rotate", key="k").status == 201


@pytest.mark.contract("5xx-unknown")
def test_a_5xx_before_the_commit_leaves_nothing_and_the_same_key_mints() -> None:
    vendor = Vendor()
    call = vendor.begin_mint("k")
    vendor.core.fail(call, Response(500, {}, b"{}"))
    assert vendor.core.answer(call).status == 500
    assert vendor.live_ids() == set()
    assert "plaintext_key" in vendor.mint("k").key


@pytest.mark.contract("5xx-unknown")
def test_a_5xx_after_the_commit_leaves_a_key_and_the_replay_is_redacted() -> None:
    vendor = Vendor()
    call = vendor.begin_mint("k")
    vendor.core.commit(call)
    vendor.core.fail(call, Response(500, {}, b"{}"))
    assert vendor.core.answer(call).status == 500
    again = vendor.mint("k")
    assert "plaintext_key" not in again.key
    assert vendor.live_ids() == {again.key["id"]}


@pytest.mark.contract("open-5xx-cached")
@pytest.mark.parametrize(("committed", "live"), [(False, 0), (True, 1)])
def test_a_cached_5xx_is_replayed_for_12_hours_whether_or_not_it_happened(committed: bool, live: int) -> None:
    vendor = Vendor()
    vendor.configure(cached_failures=[402, 500])
    call = vendor.begin_mint("k")
    if committed:
        vendor.core.commit(call)
    vendor.core.fail(call, Response(500, {}, b'{"error": {"code": "boom", "message": ""}}'), "boom")
    vendor.core.answer(call)
    vendor.clock.advance(12 * HOUR - 1)
    assert vendor.mint("k").refusal == (500, "boom")
    assert len(vendor.live_ids()) == live
    vendor.clock.advance(1)
    assert vendor.mint("k").status == 201


def test_an_abandoned_request_lets_go_of_its_key() -> None:
    vendor = Vendor()
    vendor.core.abandon(vendor.begin_mint("k"))
    assert vendor.mint("k").status == 201
    assert [(record.status, record.replayed) for record in vendor.core.calls.records()] == [
        (None, False),
        (201, False),
    ]


def test_a_fault_on_a_refused_duplicate_leaves_no_outcome_under_the_first_requests_key() -> None:
    vendor = Vendor()
    vendor.configure(cached_failures=[500])
    running = vendor.begin_mint("k")
    duplicate = vendor.begin_mint("k")
    vendor.core.fail(duplicate, Response(500, {}, b"{}"))
    vendor.core.abandon(running)
    assert vendor.mint("k").status == 201


def test_a_fault_after_a_refusal_does_not_let_go_of_the_key_that_a_later_request_holds() -> None:
    vendor = Vendor()
    refused = vendor.core.begin(vendor.request("POST", "/v1/keys", {"name": "x", "line_id": LINE}, key="k"))
    vendor.core.commit(refused)
    running = vendor.begin_mint("k")
    vendor.core.fail(refused, Response(500, {}, b"{}"))
    assert vendor.mint("k").refusal == (409, "idempotency_in_progress")
    assert vendor.finish(running).status == 201


def test_a_refused_duplicate_does_not_let_go_of_the_key_that_the_first_request_holds() -> None:
    vendor = Vendor()
    vendor.configure(limits=NO_LIMITS)
    running = vendor.begin_mint("k")
    for _ in range(3):
        assert vendor.mint("k").refusal == (409, "idempotency_in_progress")
    vendor.finish(running)
    assert len(vendor.live_ids()) == 1
