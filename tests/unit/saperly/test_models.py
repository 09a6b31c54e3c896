"""Answers are read with tolerance where the vendor may change, and strictly where a mistake would cost a key."""

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from saperly_operator.saperly.models import AuditEvent, ChildKey, KeyPage, MintedKey, Permissions
from tests.unit.saperly.builders import PLAINTEXT, a_key


@pytest.mark.contract("key-extra-fields")
def test_unknown_fields_are_ignored() -> None:
    assert ChildKey.model_validate(a_key(tomorrow={"x": 1})) == ChildKey.model_validate(a_key())


@pytest.mark.contract("key-permissions")
@pytest.mark.parametrize("known", Permissions, ids=str)
def test_a_known_permission_is_read_as_itself(known: Permissions) -> None:
    assert (
        ChildKey.model_validate_json(ChildKey.model_validate(a_key(permissions=known)).model_dump_json()).permissions
        is known
    )


def test_a_permission_of_tomorrow_does_not_make_the_page_unreadable() -> None:
    page = KeyPage.model_validate({"keys": [a_key(permissions="fax_only")], "total": 1})
    assert page.keys[0].permissions == "fax_only"


@pytest.mark.contract("timestamps")
@pytest.mark.parametrize(
    "written",
    ["2026-11-24T10:00:00Z", "2026-11-24T10:00:00.000000+00:00", "2026-11-24T12:00:00+02:00", "2026-11-24T10:00:00"],
)
def test_every_time_compares_with_ours(written: str) -> None:
    assert ChildKey.model_validate(a_key(created_at=written)).created_at == datetime(2026, 11, 24, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    "changes",
    [
        {"id": ""},
        {"id": None},
        {"id": "x" * 254},
        {"environment": "prod"},
        {"created_at": None},
        {"revoked_at": "soon"},
    ],
    ids=str,
)
def test_what_a_verdict_hangs_on_must_be_readable(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ChildKey.model_validate(a_key(**changes))


def test_the_longest_id_that_status_can_remember_is_read() -> None:
    assert len(ChildKey.model_validate(a_key(id="x" * 253)).id) == 253


def test_a_validation_error_does_not_quote_the_plaintext() -> None:
    with pytest.raises(ValidationError) as caught:
        MintedKey.model_validate(a_key(plaintext_key=[PLAINTEXT], id=[PLAINTEXT]))
    assert PLAINTEXT not in str(caught.value)


@pytest.mark.contract("open-audit-spelling")
@pytest.mark.parametrize(
    "times",
    [{"created_at": "2026-11-24T10:00:00Z"}, {"createdAt": "2026-11-24T10:00:00Z"}],
    ids=["snake case", "camel case"],
)
def test_an_audit_event_tells_its_time_in_either_spelling(times: dict[str, str]) -> None:
    event = AuditEvent.model_validate({"type": "call", "id": "e-1", "data": {"x": 1}, **times})
    assert event.created_at == datetime(2026, 11, 24, 10, tzinfo=UTC)


def test_of_two_spellings_the_documented_one_wins() -> None:
    both = {"created_at": "2026-11-24T10:00:00Z", "createdAt": "2020-01-01T00:00:00Z"}
    assert AuditEvent.model_validate({"type": "call", "id": "e-1", **both}).created_at.year == 2026


def test_an_audit_event_without_a_time_is_unreadable() -> None:
    with pytest.raises(ValidationError):
        AuditEvent.model_validate({"type": "call", "id": "e-1"})
