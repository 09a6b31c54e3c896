"""Schemathesis drives the simulator by its own OpenAPI document, valid and invalid, and judges every answer.

In process, on ASGI, with limits lifted and derandomized: the same cases at each run.
"""

import random
from collections import Counter
from itertools import cycle
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case, GenerationMode

from saperly_operator.clock import SystemClock
from saperly_operator.simulator.openapi import document
from saperly_operator.simulator.openapi_schemas import ERROR_CODES
from saperly_operator.simulator.server import Simulator
from saperly_operator.simulator.settings import Limits, Settings
from saperly_operator.simulator.store import Store
from tests.contract.simulator.contract_lines import LINES

_vendor = Simulator(Store(), SystemClock(), random.Random(1).randbytes, None)
_vendor.control.configure(Settings(limits=Limits(mint=None, rotate=None, list=None, audit=None)))
_service_key = _vendor.control.create_service_key()
_reader = _vendor.control.plant_key(_service_key.service_key.id, "reader")
_answers: Counter[tuple[str, int]] = Counter()
_aims = cycle([True, False])

schema = schemathesis.openapi.from_asgi("/openapi.json", _vendor)


def _answers_to(method: str, path: str) -> Any:
    """A test of one operation. (One for all would have the same name for each, and be run once among many workers.)"""

    @schema.include(method=method, path=path).parametrize()
    @settings(
        max_examples=100, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    def every_answer_is_what_the_document_says(case: Case[Any]) -> None:
        _make_it_meet_the_world(case)
        credential = _reader.plaintext if case.path == "/v1/audit" else _service_key.plaintext
        response = case.call_and_validate(headers={"Authorization": f"Bearer {credential}"})
        _answers[f"{case.method.upper()} {case.path}", response.status_code] += 1

    return every_answer_is_what_the_document_says


test_every_answer_to_a_mint_is_what_the_document_says = _answers_to("POST", "/v1/keys")
test_every_answer_to_a_list_is_what_the_document_says = _answers_to("GET", "/v1/keys")
test_every_answer_to_a_get_is_what_the_document_says = _answers_to("GET", "/v1/keys/{id}")
test_every_answer_to_an_update_is_what_the_document_says = _answers_to("PATCH", "/v1/keys/{id}")
test_every_answer_to_a_revoke_is_what_the_document_says = _answers_to("DELETE", "/v1/keys/{id}")
test_every_answer_to_a_rotate_is_what_the_document_says = _answers_to("POST", "/v1/keys/{id}/rotate")
test_every_answer_to_an_audit_is_what_the_document_says = _answers_to("GET", "/v1/audit")


def _make_it_meet_the_world(case: Case[Any]) -> None:
    """What no document can say: which keys there are, and the environment of the credential."""
    if case.meta is not None and case.meta.generation.mode is GenerationMode.POSITIVE:
        if "id" in case.path_parameters and next(_aims):
            case.path_parameters["id"] = _some_live_key()
        if case.path == "/v1/audit" and "api_key_id" in case.query and next(_aims):
            case.query["api_key_id"] = "self"
    if isinstance(case.body, dict):
        if case.body.get("environment") == "live":
            case.body["environment"] = "test"
        cap = case.body.get("monthly_cap_cents")
        if isinstance(cap, float) and cap.is_integer():
            case.body["monthly_cap_cents"] = int(cap)  # 5.0 is a JSON Schema integer, and refused all the same


def _some_live_key() -> str:
    """A key that is not the reader's own, or the audit trail could not be read any more."""
    live = [child.id for child in _vendor.control.live_keys() if child.id != _reader.child.id]
    return live[0] if live else _vendor.control.plant_key(_service_key.service_key.id, "target").child.id


def test_the_cases_met_successes_and_refusals_of_every_operation() -> None:
    """Runs after the cases above, in the order of this file; guards against a run that only ever met 404."""
    if not _answers:
        pytest.skip("the cases were not run")
    for name in _operations():
        met = {status for met_name, status in _answers if met_name == name}
        assert met & {200, 201}, f"{name} never succeeded: {met}"
        assert met & {404, 422, 400}, f"{name} was never refused: {met}"


def _operations() -> dict[str, Any]:
    paths = document()["paths"]
    assert isinstance(paths, dict)
    return {
        f"{method.upper()} {path}": operation
        for path, item in paths.items()
        for method, operation in item.items()
        if method != "parameters"
    }


def test_the_document_knows_every_code_of_the_contract() -> None:
    contract = {line.partition("-")[2] for line in LINES if line[:3].isdecimal()}
    assert {code for codes in ERROR_CODES.values() for code in codes} == contract


@pytest.mark.contract("error-envelope")
def test_every_operation_documents_its_failures() -> None:
    assert len(_operations()) == 7
    for operation in _operations().values():
        assert {"401", "403", "429"} <= set(operation["responses"])
