"""Deletion: what has to end before the object may go, under each policy."""

import pytest

from saperly_operator.lifecycle.checks_retire import UNUSED_REASONS
from saperly_operator.lifecycle.decide import decide
from saperly_operator.lifecycle.observed import (
    GateClosed,
    HeldKey,
    Observed,
    PreflightRefused,
    SecretAbsent,
    SecretForeign,
    ServiceKeyUnusable,
)
from saperly_operator.lifecycle.references import minted_ref, retiring
from saperly_operator.lifecycle.steps import (
    AbandonIntent,
    AwaitSweep,
    DeleteSecret,
    Done,
    ReadLive,
    Record,
    ReleaseKey,
    ReleaseSecret,
    RemoveFinalizer,
    Retire,
    RevokeCurrent,
    Stall,
    WaitUntil,
)
from saperly_operator.resources import reasons
from saperly_operator.resources.saperly_key_status import Failure
from tests.builders import (
    ENTRY,
    HOUR,
    KEPT,
    MINUTE,
    NOW,
    OTHER_HOLDER,
    PROVIDER,
    SECOND,
    a_record,
    a_ref,
    a_retiring,
    a_row,
    a_secret,
    a_service_key,
    a_sweep,
    an_intent,
    being_deleted,
    changed,
    delivered,
    live,
    minting,
    myself,
    observed,
    with_intent,
    with_memory,
    with_metadata,
    with_spec,
    with_status,
)
from tests.unit.lifecycle.table import TIMINGS, Row, rows, verify

SOON = NOW + TIMINGS.recheck
REF = a_ref(1)
REFUSED = PreflightRefused(NOW, reasons.SECRET_WRITE_REFUSED, "RBAC says no.")
GONE = being_deleted(delivered())
ORPHANED = with_spec(GONE, deletionPolicy="Orphan")
MINTED = minted_ref(a_row(), an_intent(), None)


def keyless(base: Observed) -> Observed:
    """Its keys are revoked or released."""
    return with_status(base, current=None)


def closed(until: object) -> dict[object, object]:
    gate = GateClosed(until, reasons.WAITING_FOR_BUDGET, "By itself.")  # type: ignore[arg-type]
    return {(PROVIDER, ENTRY): a_service_key(manage=gate)}


REVOKE = {
    "before the key goes, the object is read once more, since its policy may have been changed": Row(
        GONE, ReadLive(), reasons.REVOKING, "how the object is to end"
    ),
    "the key goes first": Row(live(GONE), RevokeCurrent(REF), reasons.REVOKING, "Revoking the key sk_test_1…"),
    "then its Secret is looked for live, since its label may be stripped": Row(
        keyless(GONE), ReadLive(), reasons.REVOKING, "Looking for the Secret."
    ),
    "then the Secret is deleted": Row(
        live(keyless(GONE)), DeleteSecret("support"), reasons.REVOKING, "Deleting the Secret support."
    ),
    "a Secret that is gone needs nothing": Row(
        live(keyless(changed(GONE, secret=SecretAbsent()))),
        RemoveFinalizer(),
        reasons.REVOKING,
        "Everything is revoked or released.",
    ),
    "a deletion that was not answered waits": Row(
        live(with_memory(keyless(GONE), not_before={"write": NOW + SECOND})),
        WaitUntil(NOW + SECOND),
        reasons.BACKING_OFF,
        "The Secret support cannot be changed. The Kubernetes API did not answer; it is tried again by itself.",
    ),
    "a deletion that Kubernetes refused stalls": Row(
        live(with_memory(keyless(GONE), not_before={"write": NOW + SECOND}, write_refused=REFUSED)),
        Stall(NOW + SECOND),
        reasons.SECRET_WRITE_REFUSED,
        "The Secret support cannot be changed. RBAC says no.",
    ),
    "the plaintext is deleted where status says that it is, when the spec names another Secret": Row(
        live(
            with_spec(
                keyless(changed(GONE, secret=SecretAbsent(), former_secret=a_secret())), secret={"name": "renamed"}
            )
        ),
        DeleteSecret("support"),
        reasons.REVOKING,
        "Deleting",
    ),
    "a Secret that a move left behind is deleted too": Row(
        live(keyless(changed(GONE, secret=SecretAbsent(), stray_secrets=("old",)))),
        DeleteSecret("old"),
        reasons.REVOKING,
        "Deleting the Secret old.",
    ),
    "a foreign Secret is left alone": Row(
        live(keyless(changed(GONE, secret=SecretForeign(None)))), RemoveFinalizer(), reasons.REVOKING, "Everything"
    ),
    "without our finalizer there is nothing to do": Row(
        with_metadata(GONE, finalizers=()), Done(None), reasons.REVOKING, "Nothing of ours is left."
    ),
    "another's finalizer is not ours": Row(
        with_metadata(GONE, finalizers=("example.com/theirs",)), Done(None), reasons.REVOKING, "Nothing of ours"
    ),
    "old keys go whatever their date": Row(
        with_status(GONE, retiring=(a_retiring(2, revoke_after=NOW + HOUR),)),
        Retire(a_retiring(2, revoke_after=NOW + HOUR)),
        reasons.REVOKING,
        "Revoking the key sk_test_2…",
    ),
    "a revoke that failed waits, and the object stays": Row(
        with_memory(GONE, not_before={"retire:key-1": NOW + SECOND}),
        WaitUntil(NOW + SECOND),
        reasons.REVOCATION_FAILED,
        "the object stays until it is (or has the annotation force-delete); it is tried again by itself.",
    ),
    "an old key's revoke that failed waits likewise": Row(
        with_memory(with_status(GONE, retiring=(a_retiring(2),)), not_before={"retire:key-2": NOW + SECOND}),
        WaitUntil(NOW + SECOND),
        reasons.REVOCATION_FAILED,
        "the object stays",
    ),
    "a shut gate is waited for": Row(
        changed(GONE, service_keys=closed(NOW + SECOND)),
        WaitUntil(NOW + SECOND),
        reasons.WAITING_FOR_BUDGET,
        "The key cannot be revoked",
    ),
    "a service key that was never known stalls": Row(
        changed(GONE, service_keys={(PROVIDER, ENTRY): ServiceKeyUnusable("ServiceKeyMalformed", "It is none.")}),
        Stall(SOON),
        "ServiceKeyMalformed",
        "It is none.",
    ),
    "a suspended object is deleted all the same": Row(
        live(with_spec(GONE, suspend=True)), RevokeCurrent(REF), reasons.REVOKING, "Revoking"
    ),
    "an object that was never minted for goes at once": Row(
        live(being_deleted(observed())), RemoveFinalizer(), reasons.REVOKING, "Everything"
    ),
}

ORPHAN = {
    "the key is released, not revoked": Row(
        live(ORPHANED), ReleaseKey(REF), reasons.RELEASING, "Releasing the key sk_test_1…"
    ),
    "then the Secret's record is taken off": Row(
        live(keyless(ORPHANED)), ReleaseSecret("support"), reasons.RELEASING, "The Secret support stays"
    ),
    "a Secret without our record is released already": Row(
        live(keyless(changed(ORPHANED, secret=a_secret(record=None)))),
        RemoveFinalizer(),
        reasons.REVOKING,
        "Everything",
    ),
    "a Secret that a rename left behind is released too": Row(
        live(keyless(changed(ORPHANED, secret=SecretAbsent(), stray_secrets=("old",)))),
        ReleaseSecret("old"),
        reasons.RELEASING,
        "The Secret old stays",
    ),
    "an old key that may be in use keeps its overlap": Row(
        with_status(ORPHANED, retiring=(a_retiring(2, revoke_after=NOW + SECOND),)),
        WaitUntil(NOW + SECOND),
        reasons.REVOKING,
        "Waiting for the end of the overlap of the old key sk_test_2…",
    ),
    "an old key that the Secret holds after all is released, or nothing would ever end": Row(
        changed(with_status(ORPHANED, retiring=(a_retiring(2),)), secret=a_secret(2, intact=False)),
        ReleaseKey(a_retiring(2)),
        reasons.RELEASING,
        "Releasing the key sk_test_2…",
    ),
    "an old key whose overlap is over is revoked": Row(
        with_status(ORPHANED, retiring=(a_retiring(2),)), Retire(a_retiring(2)), reasons.REVOKING, "sk_test_2…"
    ),
}


def forced(base: Observed) -> Observed:
    """With the annotation force-delete, its Secret gone already."""
    return live(being_deleted(changed(base, secret=SecretAbsent()), force=True))


FORCED = {
    "a force-delete makes no call and names what it leaves": Row(
        forced(with_status(delivered(), retiring=(a_retiring(2),))),
        RemoveFinalizer(forced=("key-1", "key-2")),
        reasons.FORCE_DELETED,
        "2 keys are left to the sweep",
    ),
    "a force-delete looks for the Secret, whose record would protect the key from the sweep": Row(
        being_deleted(delivered(), force=True), ReadLive(), reasons.REVOKING, "Looking for the Secret."
    ),
    "a force-delete deletes the Secret first": Row(
        live(being_deleted(delivered(), force=True)), DeleteSecret("support"), reasons.REVOKING, "Deleting"
    ),
    "a force-delete does not wait for a Secret that cannot be deleted": Row(
        with_memory(being_deleted(delivered(), force=True), not_before={"write": NOW + SECOND}),
        RemoveFinalizer(forced=("key-1",)),
        reasons.FORCE_DELETED,
        "1 keys",
    ),
    "a force-delete beats Orphan": Row(
        with_spec(forced(delivered()), deletionPolicy="Orphan"),
        RemoveFinalizer(forced=("key-1",)),
        reasons.FORCE_DELETED,
        "1 keys",
    ),
    "a force-delete beats an open intent": Row(
        forced(minting()), RemoveFinalizer(forced=()), reasons.FORCE_DELETED, "0 keys"
    ),
    "a force-delete beats a service key that is gone": Row(
        changed(forced(delivered()), service_keys={}),
        RemoveFinalizer(forced=("key-1",)),
        reasons.FORCE_DELETED,
        "1 keys",
    ),
}

OPEN = being_deleted(with_intent(minting(), started_at=NOW - HOUR))
"""Deleted an hour ago, an intent an hour old: all requests have landed by now."""
SETTLED = NOW - HOUR + TIMINGS.delivery_settle
SWEPT = with_memory(OPEN, sweeps=a_sweep(a_row(), begun_at=SETTLED))

INTENT = {
    "an open intent is not posted any more: a list will tell": Row(
        OPEN, AwaitSweep(PROVIDER, ENTRY, SETTLED, SOON), reasons.REVOKING, "to revoke what it may have minted"
    ),
    "a request of a moment ago settles first": Row(
        being_deleted(minting()), WaitUntil(NOW + 2 * MINUTE), reasons.REVOKING, "to settle"
    ),
    "requests settle from the deletion on": Row(
        being_deleted(with_intent(minting(), started_at=NOW - HOUR), since=NOW - MINUTE),
        WaitUntil(NOW + MINUTE),
        reasons.REVOKING,
        "to settle",
    ),
    "requests of another process settle from our start on": Row(
        with_intent(changed(OPEN, myself=myself(started_at=NOW - MINUTE)), holder=OTHER_HOLDER),
        WaitUntil(NOW + MINUTE),
        reasons.REVOKING,
        "to settle",
    ),
    "requests settle from the last failure on": Row(
        with_status(
            OPEN, failure=Failure(code=reasons.OUTCOME_UNKNOWN, count=1, retry_at=NOW - MINUTE, generation=1)
        ),
        WaitUntil(NOW + MINUTE),
        reasons.REVOKING,
        "to settle",
    ),
    "a list begun one second too early does not count": Row(
        with_memory(OPEN, sweeps=a_sweep(a_row(), begun_at=SETTLED - SECOND)),
        AwaitSweep,
        reasons.REVOKING,
        "to settle",
    ),
    "a list begun late enough asks whether the Secret holds the key": Row(
        SWEPT, ReadLive(), reasons.REVOKING, "Looking whether the Secret holds the key of an unfinished mint."
    ),
    "a key of the list that the Secret holds is recorded first": Row(
        changed(live(SWEPT), secret=a_secret()), Record, reasons.AVAILABLE, "is in Secret support"
    ),
    "what the list shows is retired": Row(
        live(SWEPT),
        AbandonIntent((retiring(MINTED, reasons.OUTCOME_UNKNOWN, NOW),), reasons.OUTCOME_UNKNOWN, NOW),
        reasons.REVOKING,
        "1 keys of an unfinished mint are revoked.",
    ),
    "an empty list means that nothing happened": Row(
        live(with_memory(OPEN, sweeps=a_sweep(begun_at=SETTLED))),
        AbandonIntent((), reasons.OUTCOME_UNKNOWN, NOW),
        reasons.REVOKING,
        "0 keys",
    ),
    "a shut gate delays the list": Row(
        changed(OPEN, service_keys=closed(NOW + SECOND)),
        WaitUntil(NOW + SECOND),
        reasons.WAITING_FOR_BUDGET,
        "cannot be listed",
    ),
    "another service key in the entry closes the intent, for its list would prove nothing": Row(
        changed(OPEN, service_keys={(PROVIDER, ENTRY): a_service_key(material="another")}),
        AbandonIntent((), reasons.SERVICE_KEY_REPLACED, NOW),
        reasons.SERVICE_KEY_REPLACED,
        "look in the Saperly portal",
    ),
    "a key in hand needs no list": Row(
        with_memory(being_deleted(minting()), held=HeldKey(1, a_row())),
        AbandonIntent((retiring(MINTED, reasons.PLAINTEXT_LOST, NOW),), reasons.PLAINTEXT_LOST, NOW),
        reasons.REVOKING,
        "Revoking a new key.",
    ),
    "a key in hand that the Secret has is recorded first": Row(
        with_memory(being_deleted(minting()), held=HeldKey(1, a_row(), written=KEPT)),
        Record(MINTED, KEPT),
        reasons.REVOKING,
        "Recording a new key.",
    ),
    "a key in hand of another serial needs the list": Row(
        with_memory(OPEN, held=HeldKey(2, a_row(2))), AwaitSweep, reasons.REVOKING, "to settle"
    ),
}


@rows({**REVOKE, **ORPHAN, **FORCED, **INTENT})
def test_being_deleted(row: Row) -> None:
    verify(row)


@pytest.mark.parametrize("reason", sorted(UNUSED_REASONS))
def test_with_orphan_a_key_that_nobody_can_have_has_no_overlap(reason: str) -> None:
    entry = a_retiring(2, reason=reason, revoke_after=NOW + HOUR)
    assert decide(with_status(ORPHANED, retiring=(entry,)), NOW, TIMINGS).step == Retire(entry)


def test_a_record_of_another_object_does_not_make_a_secret_ours_to_delete() -> None:
    foreign = changed(GONE, secret=SecretForeign(a_record(1).owner))
    assert decide(live(keyless(foreign)), NOW, TIMINGS).step == RemoveFinalizer()
