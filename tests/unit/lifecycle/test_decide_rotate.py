"""A rotation in one step: when it is begun instead of a mint, how its intent is followed, how its loss is made up for."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from saperly_operator.lifecycle.decide import decide
from saperly_operator.lifecycle.naming import idempotency_key
from saperly_operator.lifecycle.observed import (
    GateClosed,
    HeldKey,
    Observed,
    PreflightPassed,
    ProviderAbsent,
    RedactedKey,
    SecretAbsent,
)
from saperly_operator.lifecycle.references import listed_ref, minted_ref, retiring, rotated_away
from saperly_operator.lifecycle.steps import (
    AbandonIntent,
    AdoptSuccessors,
    AwaitSweep,
    Done,
    Fence,
    Preflight,
    ReadLive,
    Record,
    RevokeCurrent,
    Rotate,
    Stall,
    StoreIntent,
    TakeOver,
    WaitUntil,
    WriteSecret,
)
from saperly_operator.resources import annotations, reasons
from saperly_operator.resources.saperly_key_status import (
    FailedRotation,
    Failure,
    Intent,
    LostSuccessor,
    Operation,
    RetiringKey,
    RotationStatus,
)
from saperly_operator.resources.secret_record import SecretRecord
from tests.builders import (
    DAY,
    ENTRY,
    HOLDER,
    HOUR,
    INSTALLATION,
    KEPT,
    MATERIAL,
    MINUTE,
    NOW,
    OTHER_HOLDER,
    OWNER,
    PROVIDER,
    SECOND,
    a_record,
    a_ref,
    a_retiring,
    a_row,
    a_secret,
    a_service_key,
    a_sweep,
    being_deleted,
    changed,
    delivered,
    live,
    with_memory,
    with_metadata,
    with_spec,
    with_status,
)
from tests.unit.lifecycle.table import TIMINGS, Row, rows, verify

SOON = NOW + TIMINGS.recheck
ATOMIC = with_spec(delivered(), rotation={"strategy": "Atomic"})
ASKED = with_metadata(ATOMIC, annotations={annotations.ROTATE_REQUESTED_AT: "now"})
PROVEN = with_memory(ASKED, preflight=PreflightPassed(NOW, Operation.ROTATE))
OLD = a_ref()
INTENT = Intent(
    operation=Operation.ROTATE,
    rotates=OLD.id,
    serial=2,
    started_at=NOW,
    idempotency_key=idempotency_key(INSTALLATION, OWNER, 2, NOW, OLD.id),
    request="",
    service_key=ENTRY,
    provider=PROVIDER,
    material=MATERIAL,
    holder=HOLDER,
    trigger=reasons.ROTATION_REQUESTED,
    rotate_request="now",
)
ROW = a_row(1, id="key-2", key_prefix="sk_test_2", rotated_from=OLD.id)
"""The successor: it bears the old one's name, serial and all."""
REF = minted_ref(ROW, INTENT, OLD)


def names(key_id: str) -> SecretRecord:
    """A record that names that key."""
    return replace(a_record(2), key_id=key_id)


def because(entry: RetiringKey, reason: str) -> RetiringKey:
    return entry.changed(reason=reason)


def closed(**gates: datetime) -> dict[Any, Any]:
    """A service key with these gates shut until then."""
    shut = {name: GateClosed(until, reasons.WAITING_FOR_BUDGET, "By itself.") for name, until in gates.items()}
    return {(PROVIDER, ENTRY): a_service_key(**shut)}


def recent(base: Observed, *ago: Any) -> Observed:
    return with_status(base, recent_intents=tuple(NOW - each for each in ago))


def failed(base: Observed, *, dead: bool, key_id: str = OLD.id) -> Observed:
    rotation = RotationStatus(last_rotated_at=NOW - DAY, failed=FailedRotation(id=key_id, dead=dead))
    return with_status(base, rotation=rotation)


BEGINNING = {
    "asked for in one step, a turn to rotate is reserved first": Row(
        ASKED, Preflight(PROVIDER, ENTRY, Operation.ROTATE), reasons.MINTING, "Preparing"
    ),
    "a turn to mint is none to rotate": Row(
        with_memory(ASKED, preflight=PreflightPassed(NOW)),
        Preflight(PROVIDER, ENTRY, Operation.ROTATE),
        reasons.MINTING,
        "Preparing",
    ),
    "and then the intent names the key that it replaces": Row(
        PROVEN, StoreIntent(INTENT), reasons.MINTING, "Replacing the key at Saperly in one step."
    ),
    "rotations wait for their own limit": Row(
        changed(ASKED, service_keys=closed(rotate=NOW + HOUR)),
        WaitUntil(NOW + HOUR),
        reasons.WAITING_FOR_BUDGET,
        "By itself.",
    ),
    "and not for that of mints": Row(
        changed(ASKED, service_keys=closed(mint=NOW + HOUR)), Preflight, reasons.MINTING, "Preparing"
    ),
    "with one of the hour's mints left to make up for it, it is begun": Row(
        recent(PROVEN, 10 * MINUTE), StoreIntent, reasons.MINTING, "in one step"
    ),
    "with none left it is a mint": Row(
        recent(ASKED, 20 * MINUTE, 10 * MINUTE), Preflight(PROVIDER, ENTRY), reasons.MINTING, "Preparing"
    ),
    "with all three spent it waits like a mint": Row(
        recent(ASKED, 30 * MINUTE, 20 * MINUTE, 10 * MINUTE),
        WaitUntil(NOW + 30 * MINUTE),
        reasons.MINT_LIMIT_REACHED,
        "3 mints within the hour",
    ),
    "a full list of old keys does not hold it up": Row(
        with_status(PROVEN, retiring=tuple(a_retiring(n, revoke_after=NOW + HOUR) for n in range(10, 20))),
        StoreIntent,
        reasons.MINTING,
        "in one step",
    ),
    "unless there is no room for what might be lost": Row(
        with_status(PROVEN, retiring=tuple(a_retiring(n, revoke_after=NOW + HOUR) for n in range(10, 24))),
        WaitUntil(SOON),
        reasons.RETIRING_FULL,
        "14 old keys",
    ),
    "a key that Saperly would not rotate is minted for": Row(
        failed(ASKED, dead=False), Preflight(PROVIDER, ENTRY), reasons.MINTING, "Preparing"
    ),
    "what failed for another key is of no matter": Row(
        failed(PROVEN, dead=True, key_id="key-0"), StoreIntent, reasons.MINTING, "in one step"
    ),
    "where the service key that made it is gone, a mint does it": Row(
        with_status(ASKED, current=a_ref(service_key="former")),
        Preflight(PROVIDER, ENTRY),
        reasons.MINTING,
        "Preparing",
    ),
    "a lost Secret is minted for, whatever the strategy": Row(
        live(changed(with_memory(ATOMIC, preflight=PreflightPassed(NOW)), secret=SecretAbsent())),
        StoreIntent,
        reasons.MINTING,
        "Minting",
    ),
    "the provider has to permit it": Row(
        changed(ASKED, provider=ProviderAbsent()), Stall(SOON), reasons.PROVIDER_NOT_FOUND, "There is no"
    ),
}

OPEN = with_status(ASKED, intent=INTENT, serial=2, recent_intents=(NOW,))
HELD = with_memory(OPEN, held=HeldKey(2, ROW))
REDACTED = with_memory(OPEN, redacted=RedactedKey(2, ROW))
FENCED = live(with_memory(OPEN, redacted=RedactedKey(2, ROW, fenced=True)))
LOST = retiring(REF, reasons.PLAINTEXT_LOST, NOW)
UNKNOWN = Failure(code=reasons.OUTCOME_UNKNOWN, count=3, retry_at=NOW - 3 * MINUTE, message="Sent again.")
STALE = with_status(
    OPEN, intent=INTENT.changed(started_at=NOW - 6 * MINUTE), failure=UNKNOWN, recent_intents=(NOW - 6 * MINUTE,)
)

FOLLOWING = {
    "an intent that was not answered is sent": Row(OPEN, Rotate(INTENT), reasons.MINTING, "in one step"),
    "its gate is that of rotations": Row(
        changed(OPEN, service_keys=closed(rotate=NOW + 2 * MINUTE)),
        WaitUntil(NOW + 2 * MINUTE),
        reasons.WAITING_FOR_BUDGET,
        "By itself.",
    ),
    "that of mints is of no matter": Row(
        changed(OPEN, service_keys=closed(mint=NOW + HOUR)), Rotate(INTENT), reasons.MINTING, "in one step"
    ),
    "another process's is taken over first": Row(
        with_status(OPEN, intent=INTENT.changed(holder=OTHER_HOLDER, started_at=NOW - HOUR)),
        TakeOver(),
        reasons.RESUMING,
        "Taking over",
    ),
    "a change of the strategy does not change what was begun": Row(
        with_spec(OPEN, rotation={"strategy": "Overlap"}), Rotate(INTENT), reasons.MINTING, "in one step"
    ),
    "the plaintext goes into the Secret": Row(HELD, WriteSecret(INTENT), reasons.WRITING_SECRET, "Writing"),
    "a successor without plaintext is looked for in the Secret, read live": Row(
        REDACTED, ReadLive(), reasons.PLAINTEXT_LOST, "looking"
    ),
    "behind a fence": Row(live(REDACTED), Fence(), reasons.PLAINTEXT_LOST, "looking"),
    "and recorded where it is there": Row(
        changed(FENCED, secret=a_secret(record=names("key-2"), fingerprint="new")),
        Record(REF, KEPT.changed(fingerprint="new")),
        reasons.AVAILABLE,
        "The key sk_test_2… is in Secret support.",
    ),
    "also where it was written before the spec named another Secret": Row(
        changed(
            with_spec(FENCED, secret={"name": "renamed"}),
            secret=SecretAbsent(),
            former_secret=a_secret(record=names("key-2"), fingerprint="new"),
        ),
        Record(REF, KEPT.changed(fingerprint="new")),
        reasons.AVAILABLE,
        "is in Secret support.",
    ),
    "not where somebody wrote its id beside the old plaintext": Row(
        changed(FENCED, secret=a_secret(record=names("key-2"))),
        AbandonIntent((LOST,), reasons.PLAINTEXT_LOST, NOW),
        reasons.PLAINTEXT_LOST,
        "never arrived",
    ),
    "else it is lost, and the next try is due at once": Row(
        FENCED, AbandonIntent((LOST,), reasons.PLAINTEXT_LOST, NOW), reasons.PLAINTEXT_LOST, "never arrived"
    ),
    "however many were begun within the hour": Row(
        recent(FENCED, 30 * MINUTE, 0 * MINUTE),
        AbandonIntent((LOST,), reasons.PLAINTEXT_LOST, NOW),
        reasons.PLAINTEXT_LOST,
        "never arrived",
    ),
    "a successor of another key is nobody's to touch": Row(
        live(with_memory(OPEN, redacted=RedactedKey(2, a_row(1, id="key-9", rotated_from="key-7"), fenced=True))),
        Stall(SOON),
        reasons.IDENTITY_CONFLICT,
        "not this request's",
    ),
    "a successor that somebody uses is nobody's to touch": Row(
        live(with_memory(OPEN, redacted=RedactedKey(2, ROW.model_copy(update={"last_used_at": NOW}), fenced=True))),
        Stall(SOON),
        reasons.IDENTITY_CONFLICT,
        "not this request's",
    ),
    "unknown for too long, the list is asked": Row(
        STALE, AwaitSweep, reasons.OUTCOME_UNKNOWN, "the list of keys at Saperly will tell"
    ),
    "which tells the successor by whose place it took, not by the serial in its name": Row(
        live(with_memory(STALE, sweeps=a_sweep(ROW, a_row(7, id="key-7")))),
        AbandonIntent((because(LOST, reasons.OUTCOME_UNKNOWN),), reasons.OUTCOME_UNRESOLVED, NOW),
        reasons.OUTCOME_UNRESOLVED,
        "1 keys of a request",
    ),
    "or that there is none": Row(
        live(with_memory(STALE, sweeps=a_sweep(a_row(1)))),
        AbandonIntent((), reasons.OUTCOME_UNRESOLVED, NOW),
        reasons.OUTCOME_UNRESOLVED,
        "0 keys of a request",
    ),
    "under another service key the person is told the serial in its name": Row(
        changed(OPEN, service_keys={(PROVIDER, ENTRY): a_service_key(material="another")}),
        AbandonIntent((), reasons.SERVICE_KEY_REPLACED, NOW),
        reasons.SERVICE_KEY_REPLACED,
        "whose name ends in .1].",
    ),
}

DEAD = failed(ASKED, dead=True)
MAKING_UP = {
    "a dead key in the Secret is minted for at once": Row(
        with_memory(DEAD, preflight=PreflightPassed(NOW)), StoreIntent, reasons.MINTING, "Minting"
    ),
    "also where nobody asks any more": Row(
        failed(ATOMIC, dead=True), Preflight(PROVIDER, ENTRY), reasons.MINTING, "Preparing"
    ),
    "also while the object is suspended": Row(
        with_spec(DEAD, suspend=True), Preflight(PROVIDER, ENTRY), reasons.MINTING, "Preparing"
    ),
    "before any old key is revoked": Row(
        with_status(DEAD, retiring=(a_retiring(9),)), Preflight(PROVIDER, ENTRY), reasons.MINTING, "Preparing"
    ),
    "and though their list is full": Row(
        with_status(DEAD, retiring=tuple(a_retiring(n, revoke_after=NOW + HOUR) for n in range(10, 20))),
        Preflight(PROVIDER, ENTRY),
        reasons.MINTING,
        "Preparing",
    ),
    "a key that lives is not": Row(failed(ATOMIC, dead=False), Done(None), reasons.AVAILABLE, "live"),
}

SINCE = NOW - MINUTE
UNKNOWN_SUCCESSOR = LostSuccessor(replaced="key-0", provider=PROVIDER, service_key=ENTRY, since=SINCE)
UNLISTED = with_status(ATOMIC, rotation=RotationStatus(last_rotated_at=NOW - DAY, lost=(UNKNOWN_SUCCESSOR,)))
SUCCESSOR = a_row(1, id="key-5", rotated_from="key-0", created_at=NOW - MINUTE)
FOUND = retiring(listed_ref(SUCCESSOR, PROVIDER, ENTRY), reasons.PLAINTEXT_LOST, NOW)

LISTED = {
    "no list is asked for: the next one will show it": Row(UNLISTED, Done(None), reasons.AVAILABLE, "live"),
    "a list begun too early shows nothing": Row(
        with_memory(UNLISTED, sweeps=a_sweep(SUCCESSOR, begun_at=SINCE - SECOND)),
        Done(None),
        reasons.AVAILABLE,
        "live",
    ),
    "what took the place of another is on its way out, however young it is": Row(
        with_memory(UNLISTED, sweeps=a_sweep(SUCCESSOR, a_row(1), begun_at=SINCE)),
        AdoptSuccessors("key-0", (FOUND,)),
        reasons.PLAINTEXT_LOST,
        "1 keys that nobody knew",
    ),
    "where nothing did, nothing is looked for any more": Row(
        with_memory(UNLISTED, sweeps=a_sweep(a_row(1), begun_at=SINCE)),
        AdoptSuccessors("key-0", ()),
        reasons.PLAINTEXT_LOST,
        "0 keys",
    ),
    "what is known already is not adopted twice": Row(
        with_memory(
            with_status(UNLISTED, retiring=(FOUND.changed(revoke_after=NOW + MINUTE),)), sweeps=a_sweep(SUCCESSOR)
        ),
        AdoptSuccessors("key-0", ()),
        reasons.PLAINTEXT_LOST,
        "0 keys",
    ),
    "without room for it, it stays remembered": Row(
        with_memory(
            with_status(UNLISTED, retiring=tuple(a_retiring(n, revoke_after=NOW + HOUR) for n in range(10, 24))),
            sweeps=a_sweep(SUCCESSOR),
        ),
        Done(NOW + HOUR),
        reasons.AVAILABLE,
        "live",
    ),
    "also while the object is suspended": Row(
        with_memory(with_spec(UNLISTED, suspend=True), sweeps=a_sweep(SUCCESSOR)),
        AdoptSuccessors,
        reasons.PLAINTEXT_LOST,
        "1 keys",
    ),
    "also while the mint that makes up for it waits": Row(
        with_memory(
            with_status(
                changed(UNLISTED, service_keys=closed(mint=NOW + HOUR)),
                rotation=RotationStatus(
                    lost=(UNKNOWN_SUCCESSOR,), failed=FailedRotation(id="key-1", dead=True), last_rotated_at=NOW - DAY
                ),
            ),
            sweeps=a_sweep(SUCCESSOR),
        ),
        AdoptSuccessors("key-0", (FOUND,)),
        reasons.PLAINTEXT_LOST,
        "1 keys",
    ),
    "an object that goes asks for the list": Row(
        being_deleted(UNLISTED), AwaitSweep(PROVIDER, ENTRY, SINCE, SOON), reasons.REVOKING, "Waiting for the list"
    ),
    "and waits where there is none": Row(
        being_deleted(changed(UNLISTED, service_keys=closed(manage=NOW + HOUR))),
        WaitUntil(NOW + HOUR),
        reasons.WAITING_FOR_BUDGET,
        "cannot be listed",
    ),
    "and then goes on": Row(
        with_memory(being_deleted(UNLISTED), sweeps=a_sweep(SUCCESSOR)),
        AdoptSuccessors("key-0", (FOUND,)),
        reasons.PLAINTEXT_LOST,
        "1 keys",
    ),
    "no more is risked than status has room for": Row(
        with_status(
            ASKED,
            rotation=RotationStatus(
                lost=tuple(UNKNOWN_SUCCESSOR.changed(replaced=f"key-{n}") for n in range(50, 58))
            ),
        ),
        Preflight(PROVIDER, ENTRY),
        reasons.MINTING,
        "Preparing",
    ),
}

DELETING = {
    "deleted with Revoke, the key in hand is revoked": Row(
        being_deleted(HELD),
        AbandonIntent((LOST,), reasons.PLAINTEXT_LOST, NOW),
        reasons.REVOKING,
        "Revoking a new key.",
    ),
    "deleted with Orphan, it is written first: the one in the Secret is dead": Row(
        being_deleted(with_spec(HELD, deletionPolicy="Orphan")), WriteSecret(INTENT), reasons.RELEASING, "Writing"
    ),
    "once Kubernetes answers": Row(
        with_memory(being_deleted(with_spec(HELD, deletionPolicy="Orphan")), not_before={"write": NOW + SECOND}),
        WaitUntil(NOW + SECOND),
        reasons.RELEASING,
        "Writing",
    ),
    "and given up where it refuses": Row(
        with_memory(being_deleted(with_spec(HELD, deletionPolicy="Orphan")), held=HeldKey(2, ROW, refused_since=NOW)),
        AbandonIntent((LOST,), reasons.PLAINTEXT_LOST, NOW),
        reasons.REVOKING,
        "Revoking a new key.",
    ),
    "a dead key is revoked like any other: its row tells": Row(
        live(being_deleted(DEAD)), RevokeCurrent(OLD), reasons.REVOKING, "Revoking the key"
    ),
}


@rows({**BEGINNING, **FOLLOWING, **MAKING_UP, **LISTED, **DELETING})
def test_a_rotation_in_one_step(row: Row) -> None:
    verify(row)


def test_the_successor_inherits_what_is_known_of_the_old_one_but_for_the_serial() -> None:
    assert (REF.id, REF.rotated_from, REF.serial) == ("key-2", OLD.id, 2)
    assert (REF.attributes_hash, REF.managed_attributes) == (OLD.attributes_hash, OLD.managed_attributes)


def test_where_nothing_is_known_of_the_old_one_all_attributes_are_sent_again() -> None:
    for before in (None, a_ref(7)):
        assert minted_ref(ROW, INTENT, before).attributes_hash == ""


def test_the_name_of_the_successor_is_put_right_by_the_next_step() -> None:
    status = ASKED.key.status.changed(current=REF, rotation=RotationStatus(last_handled_request="now"))
    given = changed(ASKED, key=ASKED.key.changed(status=status), secret=a_secret(2, record=names("key-2")))
    decision = decide(given, NOW, TIMINGS)
    assert decision.reason == reasons.UPDATING


def test_whose_place_was_taken_is_told_by_the_lineage() -> None:
    status = ASKED.key.status.changed(current=REF, retiring=(a_retiring(),))
    assert rotated_away(status, OLD.id)
    assert not rotated_away(status, REF.id)
    assert rotated_away(status.changed(current=None, retiring=(LOST,)), OLD.id)


@pytest.mark.parametrize(
    ("given", "dead"),
    [
        pytest.param(ATOMIC, False, id="at rest"),
        pytest.param(OPEN, False, id="asked for, not answered: nobody knows"),
        pytest.param(HELD, True, id="the successor is in hand"),
        pytest.param(REDACTED, True, id="the successor's plaintext is lost"),
        pytest.param(with_memory(OPEN, held=HeldKey(1, a_row(1))), False, id="a plaintext of another intent"),
        pytest.param(DEAD, True, id="noted as dead"),
        pytest.param(failed(ASKED, dead=False), False, id="noted as not rotated"),
        pytest.param(failed(ASKED, dead=True, key_id="key-0"), False, id="another was noted as dead"),
        pytest.param(with_status(DEAD, current=None, secret=None), False, id="there is no key at all"),
    ],
)
def test_whether_the_secret_holds_a_dead_key(given: Observed, dead: bool) -> None:
    assert given.current_is_dead is dead
