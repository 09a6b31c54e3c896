"""The record on a Secret: what is written is read, and what anyone may have scribbled there is survived."""

from datetime import UTC, datetime

import pytest

from saperly_operator.resources.secret_record import SecretRecord, fingerprint, plaintext_digest

WHOLE = SecretRecord(
    key_id="k-1",
    key_prefix="sk_test_abc",
    serial=7,
    installation="i-1",
    owner="agents/support",
    minted_at=datetime(2026, 11, 24, 12, 0, tzinfo=UTC),
    handled_request="token",
)


def test_a_record_survives_being_written_and_read() -> None:
    assert SecretRecord.read(WHOLE.write()) == WHOLE


def test_the_annotations_of_others_are_ignored() -> None:
    assert SecretRecord.read({**WHOLE.write(), "example.com/note": "mine"}) == WHOLE


@pytest.mark.parametrize("missing", ["key-id", "serial", "installation", "owner"])
def test_a_record_without_an_essential_part_is_none(missing: str) -> None:
    written = WHOLE.write()
    del written[f"saperly.com/{missing}"]
    assert SecretRecord.read(written) is None


@pytest.mark.parametrize("serial", ["", "-1", "1.0", "one", "²", "٣"])
def test_a_serial_that_is_no_number_makes_it_none(serial: str) -> None:
    assert SecretRecord.read({**WHOLE.write(), "saperly.com/serial": serial}) is None


@pytest.mark.parametrize("moment", ["", "yesterday", "2026-11-24T12:00:00"])
def test_a_time_that_cannot_be_read_is_left_out(moment: str) -> None:
    record = SecretRecord.read({**WHOLE.write(), "saperly.com/minted-at": moment})
    assert record is not None
    assert record.minted_at is None


def test_a_fingerprint_tells_plaintexts_and_objects_apart_in_64_bits() -> None:
    one, other = plaintext_digest(b"sk_test_one"), plaintext_digest(b"sk_test_other")
    marks = {fingerprint("uid-1", one), fingerprint("uid-1", other), fingerprint("uid-2", one)}
    assert len(marks) == 3
    assert {len(bytes.fromhex(mark)) for mark in marks} == {8}
    assert fingerprint("uid-1", one) == fingerprint("uid-1", plaintext_digest(b"sk_test_one"))
