"""The two books that outlive every crash: no key id gets lost, and the serial never falls; and what each change says."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saperly_operator.lifecycle import transitions
from saperly_operator.lifecycle.references import minted_ref, referenced_ids
from saperly_operator.resources import annotations, reasons
from saperly_operator.resources.saperly_key_status import (
    Failure,
    KeyAttribute,
    RotationStatus,
    SaperlyKeyStatus,
)
from tests.builders import (
    HOUR,
    INSTALLATION,
    KEPT,
    MINUTE,
    NOW,
    OTHER_HOLDER,
    a_delivered_status,
    a_key,
    a_ref,
    a_retiring,
    a_row,
    an_intent,
)

Change = Callable[[SaperlyKeyStatus], SaperlyKeyStatus]

FAILURE = Failure(code=reasons.OUTCOME_UNKNOWN, count=1, retry_at=NOW)


def delivering(serial: int) -> Change:
    def change(status: SaperlyKeyStatus) -> SaperlyKeyStatus:
        return transitions.key_delivered(a_key(status), a_ref(serial), KEPT, NOW, None)

    return change


def storing(_: int) -> Change:
    def change(status: SaperlyKeyStatus) -> SaperlyKeyStatus:
        return transitions.intent_stored(status, an_intent((status.serial or 0) + 1), INSTALLATION)

    return change


def abandoning(serial: int) -> Change:
    return lambda status: transitions.intent_abandoned(status, (a_retiring(serial),), FAILURE)


def adopting(serial: int) -> Change:
    return lambda status: transitions.orphans_adopted(status, (a_retiring(serial),))


def refusing(_: int) -> Change:
    return lambda status: transitions.mint_refused(status, FAILURE)


def failing(_: int) -> Change:
    return lambda status: transitions.failed(status, FAILURE)


def sending(serial: int) -> Change:
    return lambda status: transitions.attributes_sent(status, a_ref(serial), "1:other", ())


def holding(serial: int) -> Change:
    return lambda status: transitions.retirement_held(status, f"key-{serial}", "why")


CHANGES = [storing, delivering, abandoning, adopting, refusing, failing, sending, holding]


@given(st.lists(st.tuples(st.sampled_from(CHANGES), st.integers(min_value=1, max_value=5)), max_size=15))
def test_no_change_but_key_gone_loses_an_id_and_none_lowers_the_serial(
    history: list[tuple[Callable[[int], Change], int]],
) -> None:
    status = SaperlyKeyStatus()
    for make, serial in history:
        after = make(serial)(status)
        assert referenced_ids(status) <= referenced_ids(after)
        assert (after.serial or 0) >= (status.serial or 0)
        assert len(after.recent_intents) <= 3
        ids = [entry.id for entry in after.retiring]
        assert len(ids) == len(set(ids)), "the list is a map by id"
        status = after


@given(st.sets(st.integers(min_value=1, max_value=5), min_size=1), st.integers(min_value=1, max_value=6))
def test_key_gone_takes_exactly_that_id_away(retiring: set[int], gone: int) -> None:
    status = a_delivered_status(6, retiring=tuple(a_retiring(serial) for serial in sorted(retiring)))
    after = transitions.key_gone(status, f"key-{gone}")
    assert referenced_ids(after) == referenced_ids(status) - {f"key-{gone}"}


def test_an_intent_is_stored_with_its_serial_its_installation_and_its_time() -> None:
    status = transitions.intent_stored(SaperlyKeyStatus(recent_intents=(NOW - HOUR,)), an_intent(4), INSTALLATION)
    assert status.intent == an_intent(4)
    assert (status.serial, status.installation) == (4, INSTALLATION)
    assert status.recent_intents == (NOW - HOUR, NOW)


def test_a_takeover_changes_the_holder_and_nothing_else() -> None:
    status = SaperlyKeyStatus(intent=an_intent(), serial=1)
    assert transitions.intent_taken_over(status, OTHER_HOLDER) == status.changed(
        intent=an_intent(holder=OTHER_HOLDER)
    )


def test_a_definite_refusal_closes_the_intent_and_does_not_count_against_the_objects_mints() -> None:
    status = transitions.intent_stored(SaperlyKeyStatus(recent_intents=(NOW - HOUR,)), an_intent(4), INSTALLATION)
    refused = transitions.mint_refused(status, FAILURE)
    assert refused.intent is None
    assert refused.failure == FAILURE
    assert refused.recent_intents == (NOW - HOUR,)
    assert refused.serial == 4, "a 402 sticks to its Idempotency-Key: the next try needs another"


def test_what_an_abandoned_intent_minted_is_on_its_way_out_in_the_same_change() -> None:
    status = SaperlyKeyStatus(intent=an_intent(2), retiring=(a_retiring(1),))
    after = transitions.intent_abandoned(status, (a_retiring(2), a_retiring(1, reason="Twice")), FAILURE)
    assert after.intent is None
    assert after.retiring == (a_retiring(1), a_retiring(2))


def test_the_same_key_found_twice_is_retired_once() -> None:
    after = transitions.orphans_adopted(SaperlyKeyStatus(), (a_retiring(1), a_retiring(1)))
    assert after.retiring == (a_retiring(1),)


def test_a_first_delivery_retires_nothing() -> None:
    status = transitions.key_delivered(
        a_key(SaperlyKeyStatus(intent=an_intent(), serial=1, failure=FAILURE)), a_ref(1), KEPT, NOW, None
    )
    assert (status.current, status.secret, status.retiring) == (a_ref(1), KEPT, ())
    assert (status.intent, status.failure) == (None, None)
    assert status.rotation is not None
    assert status.rotation.last_rotated_at == NOW


def test_a_replacement_retires_the_old_key_for_the_overlap_and_says_why() -> None:
    before = a_delivered_status(1, intent=an_intent(2, trigger=reasons.ROTATION_REQUESTED, rotate_request="now"))
    marks = {"annotations": {annotations.ROTATE_REQUESTED_AT: "now"}}
    key = a_key(before, marks, rotation={"overlap": "90m"})
    status = transitions.key_delivered(key, a_ref(2), KEPT, NOW, None)
    assert status.current == a_ref(2)
    (old,) = status.retiring
    assert (old.id, old.reason, old.revoke_after) == ("key-1", reasons.ROTATION_REQUESTED, NOW + 90 * MINUTE)
    assert status.rotation is not None
    assert status.rotation.last_handled_request == "now"


@pytest.mark.parametrize(
    ("answered", "asked", "handled", "expected"),
    [
        pytest.param("a", "a", None, "a", id="the request that the mint was begun for"),
        pytest.param("a", "b", None, "a", id="another came meanwhile: it gets a key of its own"),
        pytest.param("a", None, None, "a", id="it was taken away meanwhile"),
        pytest.param(None, "b", "a", "a", id="minted by schedule, a request came meanwhile"),
        pytest.param(None, None, "a", "a", id="taken away before: put back, the same value rotates nothing"),
        pytest.param(None, None, None, None, id="never asked"),
    ],
)
def test_a_delivery_answers_the_request_that_was_there_when_it_was_begun(
    answered: str | None, asked: str | None, handled: str | None, expected: str | None
) -> None:
    rotation = RotationStatus(last_handled_request=handled)
    before = a_delivered_status(1, intent=an_intent(2, rotate_request=answered), rotation=rotation)
    marks = {annotations.ROTATE_REQUESTED_AT: asked} if asked is not None else {}
    status = transitions.key_delivered(a_key(before, {"annotations": marks}), a_ref(2), KEPT, NOW, None)
    assert status.rotation is not None
    assert status.rotation.last_handled_request == expected


def test_a_key_that_was_given_up_and_is_found_in_its_secret_is_on_its_way_out_no_more() -> None:
    before = SaperlyKeyStatus(serial=2, retiring=(a_retiring(1), a_retiring(2, reason=reasons.PLAINTEXT_LOST)))
    after = transitions.key_adopted(a_key(before), a_ref(2), KEPT, INSTALLATION)
    assert (after.current, after.secret) == (a_ref(2), KEPT)
    assert after.retiring == (a_retiring(1),)


def test_a_move_changes_only_where_the_key_is() -> None:
    before = a_delivered_status(1)
    elsewhere = KEPT.changed(name="renamed")
    assert transitions.key_delivered(a_key(before), a_ref(1), elsewhere, NOW, None) == before.changed(
        secret=elsewhere
    )


def test_attributes_sent_are_noted_for_the_key_that_they_were_sent_for_only() -> None:
    status = a_delivered_status(2, failure=FAILURE)
    sent = transitions.attributes_sent(status, a_ref(2), "1:new", (KeyAttribute.LINE_ID,))
    assert sent.current == a_ref(2).changed(attributes_hash="1:new", managed_attributes=(KeyAttribute.LINE_ID,))
    assert sent.failure is None
    assert transitions.attributes_sent(status, a_ref(1), "1:new", ()) == status


def test_what_holds_a_retirement_is_said_of_that_key_only() -> None:
    status = SaperlyKeyStatus(retiring=(a_retiring(1), a_retiring(2)))
    held = transitions.retirement_held(status, "key-2", "it is the key in the Secret support")
    assert [entry.waiting_for for entry in held.retiring] == [None, "it is the key in the Secret support"]


@pytest.mark.parametrize(
    ("before", "count"),
    [
        pytest.param(None, 1, id="the first"),
        pytest.param(FAILURE.changed(count=4), 5, id="the same again"),
        pytest.param(FAILURE.changed(code=reasons.LINE_NOT_FOUND, count=4), 1, id="after another one"),
    ],
)
def test_failures_are_counted_in_a_row(before: Failure | None, count: int) -> None:
    failure = transitions.next_failure(
        SaperlyKeyStatus(failure=before), reasons.OUTCOME_UNKNOWN, NOW + HOUR, message="why", generation=3
    )
    assert failure == Failure(
        code=reasons.OUTCOME_UNKNOWN, count=count, retry_at=NOW + HOUR, message="why", generation=3
    )


@pytest.mark.parametrize(("length", "shown"), [(1024, "x" * 1024), (1025, "x" * 1023 + "…")])
def test_a_failure_can_be_stored_however_long_its_message_is(length: int, shown: str) -> None:
    failure = transitions.next_failure(SaperlyKeyStatus(), reasons.SECRET_WRITE_REFUSED, NOW, message="x" * length)
    assert failure.message == shown


@pytest.mark.parametrize(("length", "shown"), [(64, "x" * 64), (65, "x" * 63 + "…")])
def test_a_key_can_be_remembered_however_long_a_prefix_it_is_shown_with(length: int, shown: str) -> None:
    assert minted_ref(a_row(key_prefix="x" * length), an_intent(), None).prefix == shown


@pytest.mark.parametrize(
    ("before", "after", "count"),
    [
        (reasons.OUTCOME_UNKNOWN, reasons.OUTCOME_UNKNOWN, 2),
        (reasons.OUTCOME_UNKNOWN, reasons.SAPERLY_UNREACHABLE, 2),
        (reasons.SAPERLY_UNREACHABLE, reasons.OUTCOME_UNKNOWN, 2),
        (reasons.OUTCOME_UNKNOWN, reasons.LINE_NOT_FOUND, 1),
        (reasons.LINE_NOT_FOUND, reasons.OUTCOME_UNKNOWN, 1),
    ],
    ids=["the same", "unknown, then unreachable", "unreachable, then unknown", "then refused", "after a refusal"],
)
def test_failures_of_one_request_count_as_one_row(before: str, after: str, count: int) -> None:
    status = SaperlyKeyStatus(failure=Failure(code=before, count=1, retry_at=NOW))
    assert transitions.next_failure(status, after, NOW).count == count
