"""Every line of the vendor's contract, with the tests of the *client* that cover it.

``tests/contract/simulator`` holds the simulator to the same lines.
"""

import ast
from pathlib import Path

import pytest

from tests.contract.simulator.contract_lines import LINES

_FOLDER = Path(__file__).parent

DOCUMENTED = "test_classify.py::test_a_documented_failure_is_raised_as_the_decision_it_asks_for"

COVERED_BY: dict[str, str] = {
    "tier-service-key": "test_concealed.py::test_what_is_no_service_key_is_refused_with_a_reason_and_without_an_echo",
    "tier-api-key": "test_audit.py::test_the_log_is_read_with_the_child_key",
    "tier-environment": "test_client.py::test_a_minted_key_that_is_not_the_one_asked_for_is_told",
    "tier-visibility": "test_against_simulator.py::test_another_service_keys_child_is_not_visible",
    "timestamps": "test_models.py::test_every_time_compares_with_ours",
    "key-object": "test_against_simulator.py::test_a_minted_key_has_what_was_asked_for_and_fits_its_plaintext",
    "key-plaintext-first": "test_client.py::test_a_mint_sends_the_stored_body_byte_for_byte_under_its_key",
    "key-permissions": "test_models.py::test_a_known_permission_is_read_as_itself",
    "key-extra-fields": "test_models.py::test_unknown_fields_are_ignored",
    "mint": "test_client.py::test_a_mint_sends_the_stored_body_byte_for_byte_under_its_key",
    "mint-limit": "test_against_simulator.py::test_a_spent_limit_is_told_with_the_time_to_wait_whatever_the_clocks",
    "list": "test_client.py::test_a_list_tells_the_vendors_own_time",
    "get": "test_client.py::test_a_get_returns_a_revoked_key_too",
    "update": "test_client.py::test_an_update_sends_what_was_set_and_clears_with_null",
    "update-line": "test_against_simulator.py::test_an_unknown_line_is_a_refusal_of_the_mint_and_a_doubt_of_the_update",
    "revoke": "test_against_simulator.py::test_a_key_goes_through_its_life",
    "rotate": "test_client.py::test_a_rotate_sends_no_body",
    "rotate-limit": "test_classify.py::test_retry_after_reaches_the_caller_of_a_throttled_call",
    "audit": "test_audit.py::test_the_log_is_read_with_the_child_key",
    "audit-line-scoped": "test_audit.py::test_its_failures_are_those_of_every_call",
    "path-encoding": "test_client.py::test_an_id_cannot_leave_its_place_in_the_path",
    "idempotency-window": "test_against_simulator.py::test_a_replay_is_redacted_for_twelve_hours_and_then_mints_again",
    "replay-redacted": "test_client.py::test_a_replay_brings_the_row_without_the_plaintext",
    "key-reused": "test_against_simulator.py::test_the_same_key_with_another_body_is_told",
    "key-reused-rotate": DOCUMENTED,
    "key-in-progress": "test_classify.py::test_a_date_in_retry_after_counts_from_the_vendors_own_clock",
    "key-missing": "test_client.py::test_an_idempotency_key_that_cannot_stand_in_a_header_is_never_sent",
    "error-envelope": "test_classify.py::test_details_are_kept_within_bounds_and_without_secrets",
    "404-not_found": "test_classify.py::test_where_the_path_names_a_key_a_404_says_that_it_is_not_visible",
    "422-validation_error": "test_against_simulator.py::test_a_line_of_the_other_environment_is_refused_by_field",
    "5xx-unknown": "test_transport.py::test_after_an_odd_answer_to_a_mint_the_outcome_is_unknown",
    "open-retry-after": "test_retry_after.py::test_retry_after_is_read_as",
    "open-clock-skew": "test_classify.py::test_a_date_in_retry_after_counts_from_the_vendors_own_clock",
    "open-audit-spelling": "test_models.py::test_an_audit_event_tells_its_time_in_either_spelling",
    "open-revoked": "test_classify.py::test_what_no_table_lists_is_classified_on_the_safe_side",
    "open-malformed-line": "test_classify.py::test_where_the_path_names_no_key_a_404_is_a_definite_no",
    **{line: DOCUMENTED for line in LINES if line[:3] in {"400", "401", "402", "403", "409", "429"}},
}

NOTHING_TO_DO_FOR_A_CLIENT: dict[str, str] = {
    "list-limit": "the gate in budget/ holds it",
    "list-event": "written by the vendor",
    "update-environment": "UpdateRequest has no such field",
    "audit-limit": "the operator does not read the audit log",
    "audit-event": "written by the vendor",
    "idempotency-scope": "kept by the vendor; the controller makes the keys",
    "sticky-402": "the controller takes a new key",
    "unsticky-404-line": "the controller takes a new key all the same",
    "open-limits": "any call's 429 is Throttled; the gate pauses its operation",
    "open-5xx-cached": "the controller gives up a key after some unknown outcomes",
    "open-late": "the controller waits before it judges",
    "open-list-order": "the controller pages until total and keeps no order",
    "open-label-length": "the resource's schema allows 64",
    "open-window": "the controller never replays after 11 h",
}


def test_every_line_is_covered_or_is_not_the_clients() -> None:
    assert set(COVERED_BY) | set(NOTHING_TO_DO_FOR_A_CLIENT) == set(LINES)
    assert set(COVERED_BY) & set(NOTHING_TO_DO_FOR_A_CLIENT) == set()


@pytest.mark.parametrize("line", COVERED_BY)
def test_the_test_that_is_named_exists(line: str) -> None:
    file, name = COVERED_BY[line].split("::")
    functions = ast.walk(ast.parse((_FOLDER / file).read_text()))
    assert name in {node.name for node in functions if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
