"""The refusals that a person has to mend: each code of the error table, by a block that stands for it."""

from typing import Any

import pytest

from saperly_operator.simulator.errors import BLOCKING_CODES
from saperly_operator.simulator.openapi_schemas import ERROR_CODES
from saperly_operator.simulator.state import KEY_OPERATIONS, Operation, Scope
from tests.unit.simulator.vendor import Vendor


@pytest.mark.parametrize(
    ("code", "status", "details"),
    [
        pytest.param("unauthorized", 401, set(), marks=pytest.mark.contract("401-unauthorized")),
        pytest.param(
            "agent_cap_exceeded",
            402,
            {"spent_cents", "cap_cents", "cycle_reset_at"},
            marks=pytest.mark.contract("402-agent_cap_exceeded"),
        ),
        pytest.param("insufficient_credits", 402, set(), marks=pytest.mark.contract("402-insufficient_credits")),
        pytest.param(
            "payment_method_required", 402, set(), marks=pytest.mark.contract("402-payment_method_required")
        ),
        pytest.param("agent_scope_error", 403, {"line_id"}, marks=pytest.mark.contract("403-agent_scope_error")),
        pytest.param(
            "agent_permission_denied", 403, {"permissions"}, marks=pytest.mark.contract("403-agent_permission_denied")
        ),
        pytest.param("forbidden", 403, set(), marks=pytest.mark.contract("403-forbidden")),
        pytest.param("m3_fraud_block", 403, set(), marks=pytest.mark.contract("403-m3_fraud_block")),
    ],
)
def test_a_block_refuses_a_mint_with_its_code_and_details(code: str, status: int, details: set[str]) -> None:
    vendor = Vendor()
    vendor.control.block(code)
    refused = vendor.mint()
    assert (refused.refusal, set(refused.details)) == ((status, code), details)
    assert vendor.live_ids() == set()


@pytest.mark.contract("402-agent_cap_exceeded")
def test_the_cap_cycle_is_reset_on_the_first_of_the_next_month() -> None:
    vendor = Vendor()
    vendor.control.block("agent_cap_exceeded")
    assert vendor.mint().details["cycle_reset_at"] == "2026-12-01T00:00:00.000Z"


def test_details_can_be_given() -> None:
    vendor = Vendor()
    vendor.control.block("agent_cap_exceeded", details={"spent_cents": "700", "cap_cents": "500"})
    assert vendor.mint().details == {"spent_cents": "700", "cap_cents": "500"}


@pytest.mark.contract("error-envelope")
def test_every_failure_has_the_envelope() -> None:
    vendor = Vendor()
    failures = [
        vendor.mint(by=""),
        vendor.mint(by="sk_svc_test_nobody"),
        vendor.call("POST", "/v1/keys", {"name": "x"}),
        vendor.mint(name=""),
        vendor.call("GET", "/v1/keys/nobody"),
    ]
    for failure in failures:
        assert list(failure.json) == ["error"]
        error: dict[str, Any] = failure.json["error"]
        assert {"code", "message"} <= set(error) <= {"code", "message", "details"}
        assert failure.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("code", BLOCKING_CODES)
def test_a_block_is_lifted_when_the_cause_is_mended(code: str) -> None:
    vendor = Vendor()
    block = vendor.control.block(code)
    vendor.mint("k1")
    vendor.control.unblock(block.id)
    assert vendor.mint("k2").status == 201


@pytest.mark.parametrize("scope", list(Scope))
def test_a_block_stands_for_what_it_hangs_on_and_nothing_else(scope: Scope) -> None:
    vendor = Vendor()
    line = vendor.control.create_line().id
    key = vendor.minted(line_id=line)["id"]
    other_credential = vendor.another_service_key(account_id="another").plaintext
    other = vendor.minted(by=other_credential)["id"]
    scope_id = {
        Scope.ACCOUNT: "default",
        Scope.SERVICE_KEY: vendor.service_key.service_key.id,
        Scope.LINE: line,
        Scope.KEY: key,
    }[scope]
    vendor.control.block("forbidden", scope, scope_id)
    assert vendor.call("GET", f"/v1/keys/{key}").refusal == (403, "forbidden")
    assert vendor.call("GET", f"/v1/keys/{other}", by=other_credential).status == 200
    assert vendor.mint("k2").status == (201 if scope in (Scope.LINE, Scope.KEY) else 403)


def test_a_line_can_be_refused_to_the_key_that_would_get_it() -> None:
    vendor = Vendor()
    line = vendor.control.create_line().id
    vendor.control.block("agent_scope_error", Scope.LINE, line)
    refused = vendor.mint(line_id=line)
    assert (refused.refusal, refused.details) == ((403, "agent_scope_error"), {"line_id": line})
    assert vendor.mint("k2").status == 201


@pytest.mark.parametrize(
    ("operation", "method", "suffix", "body"),
    [
        (Operation.MINT, "POST", None, {"name": "x"}),
        (Operation.LIST, "GET", None, None),
        (Operation.GET, "GET", "", None),
        (Operation.UPDATE, "PATCH", "", {"name": "x"}),
        (Operation.REVOKE, "DELETE", "", None),
        (Operation.ROTATE, "POST", "/rotate", None),
    ],
)
def test_a_block_refuses_the_operations_it_was_given_and_no_other(
    operation: Operation, method: str, suffix: str | None, body: object
) -> None:
    vendor = Vendor()
    key = vendor.minted()["id"]
    path = "/v1/keys" if suffix is None else f"/v1/keys/{key}{suffix}"
    blocked = vendor.control.block("m3_fraud_block", operations=[operation])
    assert vendor.call(method, path, body, key="k").refusal == (403, "m3_fraud_block")
    vendor.control.unblock(blocked.id)
    vendor.control.block("forbidden", operations=KEY_OPERATIONS - {operation})
    assert vendor.call(method, path, body, key="k").status in (200, 201)


def test_a_block_must_have_a_code_of_the_contract_and_operations_on_keys() -> None:
    vendor = Vendor()
    with pytest.raises(ValueError, match="code must be one of"):
        vendor.control.block("teapot")
    with pytest.raises(ValueError, match="only operations on keys"):
        vendor.control.block("forbidden", operations=[Operation.AUDIT])


def test_every_code_that_can_be_blocked_is_in_the_error_table_under_its_status() -> None:
    assert {code: status for code, (status, _, _) in BLOCKING_CODES.items()}.items() <= {
        code: status for status, codes in ERROR_CODES.items() for code in codes
    }.items()
