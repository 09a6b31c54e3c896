"""Each line of the vendor's table of errors, and what stands in no table, as the caller will meet it."""

import json
from typing import Any

import pytest

from saperly_operator.saperly import classify
from saperly_operator.saperly.classify import error_for
from saperly_operator.saperly.errors import (
    AccountBlocked,
    Defect,
    Detail,
    Doubt,
    IdempotencyKeyReused,
    InProgress,
    NotVisible,
    OutcomeUnknown,
    Refused,
    SaperlyError,
    ServiceKeyRejected,
    Throttled,
)
from saperly_operator.saperly.models import UpdateRequest
from saperly_operator.saperly.operation import Operation
from tests.unit.saperly.builders import KEY_ID, PLAINTEXT, SERVICE_KEY, a_client, a_failure, a_key
from tests.unit.saperly.wire import answering, wire

# The table of the contract, line by line.
DOCUMENTED: list[tuple[int, str, type[SaperlyError]]] = [
    (400, "missing_idempotency_key", Defect),
    (401, "invalid_api_key", ServiceKeyRejected),
    (401, "unauthorized", ServiceKeyRejected),
    (402, "agent_cap_exceeded", Refused),
    (402, "insufficient_credits", AccountBlocked),
    (402, "payment_method_required", AccountBlocked),
    (403, "agent_scope_error", Refused),
    (403, "agent_permission_denied", Refused),
    (403, "forbidden", AccountBlocked),
    (403, "m3_fraud_block", AccountBlocked),
    (404, "not_found", NotVisible),
    (409, "idempotency_key_reused", IdempotencyKeyReused),
    (409, "idempotency_in_progress", InProgress),
    (422, "validation_error", Refused),
    (429, "rate_limited", Throttled),
    (500, "internal_error", OutcomeUnknown),
    (503, "rate_limited", OutcomeUnknown),
]


def body(failure: Any) -> bytes:
    return json.dumps(failure).encode()


@pytest.mark.contract(
    "key-reused-rotate",
    "400-missing_idempotency_key",
    "401-invalid_api_key",
    "401-unauthorized",
    "402-agent_cap_exceeded",
    "402-insufficient_credits",
    "402-payment_method_required",
    "403-agent_scope_error",
    "403-agent_permission_denied",
    "403-forbidden",
    "403-m3_fraud_block",
    "409-idempotency_key_reused",
    "409-idempotency_in_progress",
    "429-rate_limited",
)
@pytest.mark.parametrize(("status", "code", "kind"), DOCUMENTED, ids=[f"{s} {c}" for s, c, _ in DOCUMENTED])
async def test_a_documented_failure_is_raised_as_the_decision_it_asks_for(
    status: int, code: str, kind: type[SaperlyError]
) -> None:
    async with wire(answering(status, a_failure(code))) as server, a_client(server.url) as client:
        with pytest.raises(SaperlyError) as caught:
            await client.rotate(KEY_ID, "k-1")
    assert type(caught.value) is kind
    assert (caught.value.http_status, caught.value.code) == (status, code)
    assert caught.value.operation is Operation.ROTATE
    assert str(status) in str(caught.value)
    assert code in str(caught.value)


def test_no_documented_code_is_without_a_row_here() -> None:
    assert set(classify.CLASS_OF_CODE) == {code for status, code, _ in DOCUMENTED if status < 500}


@pytest.mark.contract("open-revoked")
@pytest.mark.parametrize(
    ("status", "failure", "kind"),
    [
        pytest.param(418, a_failure("new_code"), Refused, id="an unlisted 4xx is a definite no"),
        pytest.param(402, a_failure("new_code"), Refused, id="an unlisted 402 concerns the object"),
        pytest.param(403, a_failure("new_code"), Refused, id="an unlisted 403 concerns the object"),
        pytest.param(401, a_failure("new_code"), ServiceKeyRejected, id="any 401 is the credential"),
        pytest.param(404, a_failure("key_not_found"), NotVisible, id="any 404 with a code is the vendor's"),
        pytest.param(409, a_failure("new_code"), OutcomeUnknown, id="an unlisted conflict proves nothing"),
        pytest.param(408, a_failure("timeout"), OutcomeUnknown, id="a server that gave up may have acted"),
        pytest.param(425, a_failure("too_early"), OutcomeUnknown, id="too early proves nothing"),
        pytest.param(429, a_failure("new_code"), Throttled, id="any 429 is a limit"),
        pytest.param(400, a_failure("validation_error"), Refused, id="the code counts, not the status beside it"),
        pytest.param(401, "<html>", ServiceKeyRejected, id="a 401 without a code"),
        pytest.param(402, "<html>", AccountBlocked, id="a 402 without a code"),
        pytest.param(403, "<html>", AccountBlocked, id="a 403 without a code, as of a firewall, is not hammered"),
        pytest.param(429, "<html>", Throttled, id="a 429 without a code, as of a proxy"),
        pytest.param(404, "<html>", OutcomeUnknown, id="a 404 without a code is a proxy's and proves nothing"),
        pytest.param(409, {}, OutcomeUnknown, id="a 409 without a code"),
        pytest.param(422, {"error": "text"}, OutcomeUnknown, id="a 422 without a code"),
        pytest.param(404, a_failure(None), OutcomeUnknown, id="a null code is no code"),
        pytest.param(404, a_failure("Not found!"), OutcomeUnknown, id="free text is no code"),
        pytest.param(404, a_failure("not_found" * 20), OutcomeUnknown, id="an endless code is no code"),
        pytest.param(301, a_failure("not_found"), OutcomeUnknown, id="a redirect is no answer, whatever it says"),
        pytest.param(599, a_failure("not_found"), OutcomeUnknown, id="a 5xx is unknown, whatever it says"),
        pytest.param(666, a_failure("not_found"), OutcomeUnknown, id="a status that HTTP does not have"),
    ],
)
def test_what_no_table_lists_is_classified_on_the_safe_side(
    status: int, failure: Any, kind: type[SaperlyError]
) -> None:
    assert type(error_for(Operation.GET, status, body(failure))) is kind


@pytest.mark.contract("open-malformed-line")
@pytest.mark.parametrize("operation", [Operation.MINT, Operation.LIST, Operation.READ_AUDIT])
def test_where_the_path_names_no_key_a_404_is_a_definite_no(operation: Operation) -> None:
    assert type(error_for(operation, 404, body(a_failure("not_found")))) is Refused


@pytest.mark.contract("404-not_found")
@pytest.mark.parametrize("operation", [Operation.GET, Operation.UPDATE, Operation.REVOKE, Operation.ROTATE], ids=str)
def test_where_the_path_names_a_key_a_404_says_that_it_is_not_visible(operation: Operation) -> None:
    error = error_for(operation, 404, body(a_failure("not_found")))
    assert isinstance(error, NotVisible)
    assert not error.may_be_line


@pytest.mark.parametrize(
    ("changes", "may_be_line"),
    [
        pytest.param({"line_id": "line-1"}, True, id="a line that is set may be what was not found"),
        pytest.param({"line_id": None}, False, id="a line that is cleared cannot"),
        pytest.param({"name": "other"}, False, id="no line, no doubt"),
    ],
)
async def test_a_404_to_an_update_says_whether_it_may_be_the_line(changes: dict[str, Any], may_be_line: bool) -> None:
    async with wire(answering(404, a_failure("not_found"))) as server, a_client(server.url) as client:
        with pytest.raises(NotVisible) as caught:
            await client.update_key(KEY_ID, UpdateRequest(**changes))
    assert caught.value.may_be_line is may_be_line


@pytest.mark.parametrize(
    ("status", "doubt"),
    [(500, Doubt.SERVER_ERROR), (408, Doubt.SERVER_ERROR), (302, Doubt.UNREADABLE), (404, Doubt.UNREADABLE)],
)
def test_an_unknown_outcome_says_why_it_is_unknown(status: int, doubt: Doubt) -> None:
    error = error_for(Operation.GET, status, b"")
    assert isinstance(error, OutcomeUnknown)
    assert error.doubt is doubt


@pytest.mark.contract("error-envelope")
@pytest.mark.parametrize(
    ("details", "expected"),
    [
        pytest.param([{"field": "name", "message": "too long"}], (Detail("name", "too long"),), id="as documented"),
        pytest.param(None, (), id="missing"),
        pytest.param([], (), id="empty"),
        pytest.param("text", (), id="no list"),
        pytest.param([1, None, ["x"]], (), id="a list of other things"),
        pytest.param({"spent_cents": 7}, (Detail("spent_cents", "7"),), id="an object is read as pairs"),
        pytest.param([{"field": 3, "message": {"a": 1}}], (Detail("3", ""),), id="other types inside"),
        pytest.param([{"message": "a\r\n\x1b[2J\u2028b"}], (Detail("", "a [2J b"),), id="control characters"),
        pytest.param(
            [{"field": "key", "message": f"bad {SERVICE_KEY} and {PLAINTEXT}."}],
            (Detail("key", "bad sk_… and sk_…."),),
            id="echoed credentials",
        ),
        pytest.param(
            [{"field": "f" * 65, "message": "m" * 201}], (Detail("f" * 63 + "…", "m" * 199 + "…"),), id="too long"
        ),
        pytest.param(
            [{"field": "f" * 64, "message": "m" * 200}], (Detail("f" * 64, "m" * 200),), id="just short enough"
        ),
        pytest.param([{"field": str(n)} for n in range(99)], tuple(Detail(str(n), "") for n in range(16)), id="many"),
    ],
)
def test_details_are_kept_within_bounds_and_without_secrets(details: Any, expected: tuple[Detail, ...]) -> None:
    assert error_for(Operation.MINT, 422, body(a_failure("validation_error", details))).details == expected


def test_the_code_cannot_smuggle_a_credential_into_a_message() -> None:
    error = error_for(Operation.MINT, 422, body(a_failure("sk_svc_test_abc")))
    assert error.code is None
    assert "sk_svc" not in str(error)


def test_the_vendors_message_is_not_shown() -> None:
    error = error_for(Operation.MINT, 422, body(a_failure("validation_error", message="<b>shown</b>")))
    assert "shown" not in f"{error}{error!r}{error.args}{vars(error)}"


@pytest.mark.contract("rotate-limit")
async def test_retry_after_reaches_the_caller_of_a_throttled_call() -> None:
    throttling = answering(429, a_failure("rate_limited"), Retry_After="120")
    async with wire(throttling) as server, a_client(server.url) as client:
        with pytest.raises(Throttled) as caught:
            await client.rotate(KEY_ID, "k-1")
    assert caught.value.retry_after == 120


@pytest.mark.contract("key-in-progress", "open-clock-skew")
async def test_a_date_in_retry_after_counts_from_the_vendors_own_clock() -> None:
    running = answering(
        409,
        a_failure("idempotency_in_progress"),
        Date="Tue, 24 Nov 2026 08:00:00 GMT",
        Retry_After="Tue, 24 Nov 2026 08:00:30 GMT",
    )
    async with wire(running) as server, a_client(server.url) as client:  # whose own clock says 10:00
        with pytest.raises(InProgress) as caught:
            await client.rotate(KEY_ID, "k-1")
    assert caught.value.retry_after == 30


def test_a_row_of_a_key_is_no_failure() -> None:
    error = error_for(Operation.GET, 404, body({"key": a_key()}))
    assert type(error) is OutcomeUnknown
