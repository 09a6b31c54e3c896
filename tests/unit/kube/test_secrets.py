"""Secrets as the operator keeps them: without their data."""

from base64 import b64encode
from typing import Any

import pytest

from saperly_operator.kube.secrets import SecretView, encoded, entry
from saperly_operator.resources.secret_record import fingerprint, plaintext_digest
from tests.builders import a_record

PLAINTEXT = b"sk_test_1NEVERSHOWTHIS"


def a_secret(**more: Any) -> dict[str, Any]:
    metadata = {"namespace": "agents", "name": "support", "uid": "uid-s", "resourceVersion": "7"}
    return {"metadata": metadata, "data": {"TOKEN": encoded(PLAINTEXT)}, **more}


def test_a_view_holds_digests_in_the_place_of_data() -> None:
    view = SecretView.of(a_secret())
    assert view.digests == {"TOKEN": plaintext_digest(PLAINTEXT)}
    assert "NEVERSHOWTHIS" not in repr(view)
    assert b64encode(PLAINTEXT).decode() not in repr(view)


def test_what_a_secret_leaves_out_has_its_default() -> None:
    view = SecretView.of({"metadata": a_secret()["metadata"]})
    assert (view.labels, view.annotations, view.record, view.digests) == ({}, {}, None, {})
    assert (view.immutable, view.type) == (False, "Opaque")


def test_a_view_reads_the_record() -> None:
    secret = a_secret(immutable=True, type="Other")
    secret["metadata"]["annotations"] = a_record().write()
    view = SecretView.of(secret)
    assert view.record == a_record()
    assert (view.immutable, view.type) == (True, "Other")


@pytest.mark.parametrize("value", ["not base64!", "YQ", "é"], ids=["text", "no padding", "no ASCII"])
def test_data_that_is_no_base64_is_nothing(value: str) -> None:
    view = SecretView.of(a_secret(data={"TOKEN": value}))
    assert view.digests == {"TOKEN": plaintext_digest(b"")}


def test_an_entry_is_read_back_as_it_was_encoded() -> None:
    assert entry(a_secret(), "TOKEN") == PLAINTEXT
    assert entry(a_secret(), "OTHER") is None
    assert entry({"metadata": {}}, "TOKEN") is None


def test_a_fingerprint_ties_a_plaintext_to_one_object_and_gives_neither_away() -> None:
    mark = fingerprint("uid-1", plaintext_digest(PLAINTEXT))
    assert len(mark) == 16
    assert mark != fingerprint("uid-2", plaintext_digest(PLAINTEXT))
    assert mark != fingerprint("uid-1", plaintext_digest(PLAINTEXT + b"x"))


def managed(manager: str, time: str, *entries: str) -> dict[str, Any]:
    """One entry of ``managedFields``, as the API server writes it."""
    fields: dict[str, Any] = {"f:data": {".": {}, **{f"f:{entry}": {} for entry in entries}}}
    return {"manager": manager, "operation": "Update", "time": time, "fieldsV1": fields}


def test_a_view_knows_who_else_wrote_an_entry_last() -> None:
    secret = a_secret()
    secret["metadata"]["managedFields"] = [
        managed("vault", "2026-11-24T10:00:02Z", "TOKEN", "OTHER"),
        managed("kubectl-edit", "2026-11-24T10:00:01Z", "TOKEN"),
        managed("saperly-operator", "2026-11-24T10:00:03Z", "OTHER"),
        {"manager": "labeller", "time": "2026-11-24T10:00:04Z", "fieldsV1": {"f:metadata": {"f:labels": {}}}},
    ]
    assert SecretView.of(secret).writers == {"TOKEN": "vault"}


def test_a_writers_name_is_no_longer_than_the_api_server_allows() -> None:
    secret = a_secret()
    secret["metadata"]["managedFields"] = [managed("x" * 1000, "2026-11-24T10:00:00Z", "TOKEN"), {}]
    assert SecretView.of(secret).writers == {"TOKEN": "x" * 128}
