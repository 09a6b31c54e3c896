"""What a list, and a closer look at one key, lead to: absent, revoked, drifted, in use."""

from datetime import datetime

import pytest

from saperly_operator.lifecycle.attributes import listed_attributes
from saperly_operator.lifecycle.decide import decide
from saperly_operator.lifecycle.findings import findings
from saperly_operator.lifecycle.observed import GateClosed, Observed, PreflightPassed, SecretAbsent
from saperly_operator.lifecycle.steps import (
    AdoptOrphans,
    Done,
    InspectKey,
    NoteSweep,
    ReadLive,
    Stall,
    StoreIntent,
    UpdateKey,
)
from saperly_operator.resources import annotations, reasons
from saperly_operator.resources.findings import Drift, RevokedOutside, UnownedKey
from saperly_operator.resources.saperly_key_status import RotationStatus
from saperly_operator.saperly.models import ChildKey
from tests.builders import (
    DAY,
    ENTRY,
    HOUR,
    MINUTE,
    NOW,
    PROVIDER,
    SECOND,
    a_key,
    a_provider,
    a_provider_state,
    a_record,
    a_ref,
    a_retiring,
    a_row,
    a_secret,
    a_service_key,
    a_sweep,
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
REF = a_ref(1)
OWN = a_row(1, created_at=NOW - DAY)


def swept(*listed: ChildKey, base: Observed | None = None, **view: object) -> Observed:
    """Seen after a list that showed these rows of the object."""
    (seen,) = a_sweep(*listed).values()
    return with_memory(base or delivered(), sweeps={(PROVIDER, ENTRY): changed(seen, **view)})


ABSENT = swept(absent=frozenset(["key-1"]))
PUT_OFF = {"inspect:key-1": NOW + SECOND}
SHUT = GateClosed(NOW + HOUR, reasons.WAITING_FOR_BUDGET, "By itself.")

ABSENCE = {
    "a current key that is absent from a list is looked at": Row(
        ABSENT, InspectKey(REF), reasons.KEY_NOT_VISIBLE, "does not show the key sk_test_1…"
    ),
    "it is looked at also while suspended": Row(
        with_spec(ABSENT, suspend=True), InspectKey(REF), reasons.KEY_NOT_VISIBLE, "looking closer"
    ),
    "it is not looked at again too soon": Row(
        with_memory(ABSENT, not_before=PUT_OFF), Done(None), reasons.AVAILABLE, "The key is live"
    ),
    "nobody is asked through a shut gate": Row(
        changed(ABSENT, service_keys={(PROVIDER, ENTRY): a_service_key(manage=SHUT)}),
        Done(None),
        reasons.AVAILABLE,
        "The key is live",
    ),
    "a list of another service key says nothing of it": Row(
        with_memory(ABSENT, sweeps={("SaperlyProvider/twin", ENTRY): ABSENT.memory.sweeps[PROVIDER, ENTRY]}),
        Done(None),
        reasons.AVAILABLE,
        "The key is live",
    ),
    "an absent old key waits for its date": Row(
        swept(
            OWN,
            base=with_status(delivered(), retiring=(a_retiring(7, revoke_after=NOW + HOUR),)),
            absent=frozenset(["key-7"]),
        ),
        Done(NOW + HOUR),
        reasons.AVAILABLE,
        "The key is live",
    ),
}

REVOKED = with_memory(
    with_status(delivered(), revoked=RevokedOutside(id="key-1", revoked_at=NOW - HOUR)),
    preflight=PreflightPassed(NOW),
)
HOLDING = with_spec(REVOKED, onRemoteRevocation="Hold")
REQUESTED = {annotations.ROTATE_REQUESTED_AT: "now"}
WITHIN, AFTER = NOW - DAY + SECOND, NOW - DAY

REVOCATION = {
    "a key that was revoked outside is replaced": Row(REVOKED, StoreIntent, reasons.MINTING, "Minting"),
    "it is not looked at again": Row(
        swept(base=HOLDING, absent=frozenset(["key-1"])), Stall(SOON), reasons.REVOKED_EXTERNALLY, "Hold"
    ),
    "with Hold a person has to ask": Row(HOLDING, Stall(SOON), reasons.REVOKED_EXTERNALLY, "rotate-requested-at"),
    "with Hold not even a lost Secret mints": Row(
        live(changed(HOLDING, secret=SecretAbsent())), Stall(SOON), reasons.REVOKED_EXTERNALLY, "Hold"
    ),
    "with Hold a request mints": Row(
        with_metadata(HOLDING, annotations=REQUESTED), StoreIntent, reasons.MINTING, "Minting"
    ),
    "with Hold a request that was answered does not": Row(
        with_status(
            with_metadata(HOLDING, annotations=REQUESTED), rotation=RotationStatus(last_handled_request="now")
        ),
        Stall(SOON),
        reasons.REVOKED_EXTERNALLY,
        "rotate-requested-at",
    ),
    "a second revocation within 24 h holds": Row(
        with_status(REVOKED, reminted_at=WITHIN), Stall(SOON), reasons.REVOKED_EXTERNALLY, "second time within a day"
    ),
    "a second one 24 h later mints": Row(
        with_status(REVOKED, reminted_at=AFTER), StoreIntent, reasons.MINTING, "Minting"
    ),
    "a suspended object does not mint for it": Row(
        with_spec(REVOKED, suspend=True), Done(None), reasons.SUSPENDED, "nothing new"
    ),
    "a revocation of the key before says nothing of this one": Row(
        with_status(REVOKED, revoked=RevokedOutside(id="key-0", revoked_at=NOW)),
        Done(None),
        reasons.AVAILABLE,
        "live",
    ),
}

CAPPED = delivered(a_key(monthlyCapCents=100))
DRIFTED = a_row(1, created_at=NOW - DAY, monthly_cap_cents=7)
AS_SENT = a_row(1, created_at=NOW - DAY, monthly_cap_cents=100)


def contested(count: int, last_at: datetime, row: ChildKey = DRIFTED) -> Observed:
    current = CAPPED.key.status.current
    assert current is not None
    first = decide(swept(row, base=CAPPED), NOW, TIMINGS).step
    digest = first.drift.digest if isinstance(first, UpdateKey) and first.drift else "none"
    assert listed_attributes(AS_SENT, current.managed_attributes).hash == current.attributes_hash
    drift = Drift(id="key-1", digest=digest, fields=("monthly_cap_cents",), count=count, last_at=last_at)
    return swept(row, base=with_status(CAPPED, drift=(drift,)))


DRIFT = {
    "a cap that somebody changed is put back": Row(
        swept(DRIFTED, base=CAPPED), UpdateKey, reasons.ATTRIBUTES_DRIFTED, "changed monthly_cap_cents of the key"
    ),
    "a cap that somebody took off is put back": Row(
        swept(a_row(1, created_at=NOW - DAY), base=CAPPED), UpdateKey, reasons.ATTRIBUTES_DRIFTED, "monthly_cap_cents"
    ),
    "as it was sent it stays": Row(swept(AS_SENT, base=CAPPED), Done(None), reasons.AVAILABLE, "live"),
    "what is not managed is nobody's business": Row(swept(DRIFTED), Done(None), reasons.AVAILABLE, "live"),
    "a list from before the last PATCH is out of date": Row(
        with_memory(swept(DRIFTED, base=CAPPED), sent_at={"key-1": NOW}), Done(None), reasons.AVAILABLE, "live"
    ),
    "a list begun later is not": Row(
        with_memory(swept(DRIFTED, base=CAPPED), sent_at={"key-1": NOW - SECOND}),
        UpdateKey,
        reasons.ATTRIBUTES_DRIFTED,
        "monthly_cap_cents",
    ),
    "twice put back, it is put back a third time at once": Row(
        contested(2, NOW - MINUTE), UpdateKey, reasons.ATTRIBUTES_DRIFTED, "monthly_cap_cents"
    ),
    "three times put back, it waits for an hour": Row(
        contested(3, NOW - HOUR + SECOND), Done(None), reasons.AVAILABLE, "live"
    ),
    "after the hour it is put back": Row(contested(3, NOW - HOUR), UpdateKey, reasons.ATTRIBUTES_DRIFTED, "cap"),
    "what is contested is sent all the same when the spec changes": Row(
        with_spec(contested(3, NOW), monthlyCapCents=200), UpdateKey, reasons.UPDATING, "Changing"
    ),
    "an old key's drift is put back too": Row(
        swept(
            AS_SENT,
            a_row(7, created_at=NOW - DAY, permissions="full"),
            base=with_status(CAPPED, retiring=(a_retiring(7, revoke_after=NOW + HOUR, key=CAPPED.key),)),
        ),
        UpdateKey,
        reasons.ATTRIBUTES_DRIFTED,
        "permissions",
    ),
    "a policy that narrows reaches an old key": Row(
        changed(
            with_status(delivered(), retiring=(a_retiring(7, revoke_after=NOW + HOUR),)),
            provider=a_provider_state(spec=a_provider(policy={"maxMonthlyCapCents": 50})),
        ),
        UpdateKey,
        reasons.UPDATING,
        "Changing",
    ),
    "a policy of the former provider reaches its old key": Row(
        changed(
            with_status(
                delivered(), retiring=(a_retiring(7, revoke_after=NOW + HOUR, provider="SaperlyProvider/old"),)
            ),
            former_providers={"SaperlyProvider/old": a_provider(policy={"maxMonthlyCapCents": 50})},
            service_keys={(PROVIDER, ENTRY): a_service_key(), ("SaperlyProvider/old", ENTRY): a_service_key()},
        ),
        UpdateKey,
        reasons.UPDATING,
        "Changing",
    ),
    "an old key that nobody shows is not changed": Row(
        changed(
            with_status(delivered(), retiring=(a_retiring(7, revoke_after=NOW + HOUR, hidden_since=NOW),)),
            provider=a_provider_state(),
        ),
        Done(NOW + HOUR),
        reasons.AVAILABLE,
        "live",
    ),
}

USED = a_row(5, created_at=NOW - 2 * DAY, last_used_at=NOW - DAY + SECOND)
IDLE = a_row(5, created_at=NOW - 2 * DAY, last_used_at=NOW - DAY)
SHOWN = (UnownedKey(id="key-5", prefix="sk_test_5", name=USED.name),)

IN_USE = {
    "a used key that nothing refers to is looked at live before it is shown": Row(
        swept(OWN, USED), ReadLive(), reasons.IN_USE_ORPHAN, "looking closer"
    ),
    "then it is shown": Row(
        live(swept(OWN, USED)), NoteSweep(SHOWN, frozenset(), frozenset()), reasons.IN_USE_ORPHAN, "Noting"
    ),
    "shown once, it is not noted again": Row(
        swept(OWN, USED, base=with_status(delivered(), unowned=SHOWN)), Done(None), reasons.AVAILABLE, "live"
    ),
    "gone from the list, it is shown no more": Row(
        swept(OWN, base=with_status(delivered(), unowned=SHOWN)),
        NoteSweep((), frozenset(), frozenset()),
        reasons.IN_USE_ORPHAN,
        "Noting",
    ),
    "idle for 24 h by the vendor's clock, it is revoked": Row(
        live(swept(OWN, IDLE)), AdoptOrphans, reasons.IN_USE_ORPHAN, "1 keys that nothing refers to are revoked."
    ),
    "named by the annotation, it is revoked though it is in use": Row(
        live(with_metadata(swept(OWN, USED), annotations={annotations.REVOKE_ORPHANS: "x, key-5"})),
        AdoptOrphans,
        reasons.ORPHAN_REVOKED,
        "1 keys",
    ),
    "one that some Secret's record names is neither": Row(
        live(swept(OWN, IDLE, recorded=frozenset(["key-5"]))), Done(None), reasons.AVAILABLE, "live"
    ),
    "one that this object's Secret names is neither": Row(
        live(
            swept(OWN, USED, base=with_spec(changed(delivered(), secret=a_secret(record=a_record(5))), suspend=True))
        ),
        Done(None),
        reasons.SUSPENDED,
        "nothing new",
    ),
    "one younger than half an hour is not judged": Row(
        live(swept(OWN, a_row(5, created_at=NOW - 30 * MINUTE + SECOND, last_used_at=NOW))),
        Done(None),
        reasons.AVAILABLE,
        "live",
    ),
}

VISIBLE = {
    "an old key that is shown again is hidden no more": Row(
        swept(
            OWN,
            a_row(7, created_at=NOW - DAY),
            base=with_status(
                delivered(),
                retiring=(a_retiring(7, revoke_after=NOW + HOUR, hidden_since=NOW - HOUR),),
            ),
        ),
        NoteSweep((), frozenset(["key-7"]), frozenset()),
        reasons.IN_USE_ORPHAN,
        "Noting",
    ),
}


@rows({**ABSENCE, **REVOCATION, **DRIFT, **IN_USE, **VISIBLE})
def test_what_a_list_leads_to(row: Row) -> None:
    verify(row)


@pytest.mark.parametrize(("hidden", "begun"), [(10, True), (0, False)])
def test_hidden_old_keys_take_up_no_room(hidden: int, begun: bool) -> None:
    old = tuple(
        a_retiring(n, revoke_after=NOW + HOUR, hidden_since=NOW if n <= 100 + hidden else None)
        for n in range(101, 111)
    )
    base = with_memory(with_status(delivered(), retiring=old), preflight=PreflightPassed(NOW))
    asked = with_metadata(base, annotations=REQUESTED)
    assert isinstance(decide(asked, NOW, TIMINGS).step, StoreIntent) is begun


def test_however_many_are_hidden_status_must_hold_them() -> None:
    old = tuple(a_retiring(n, revoke_after=NOW + HOUR, hidden_since=NOW) for n in range(101, 157))
    base = with_memory(with_status(delivered(), retiring=old), preflight=PreflightPassed(NOW))
    decision = decide(with_metadata(base, annotations=REQUESTED), NOW, TIMINGS)
    assert decision.reason == reasons.RETIRING_FULL


def test_findings_are_said_in_words() -> None:
    status = with_status(
        delivered(),
        retiring=(a_retiring(7, hidden_since=NOW),),
        drift=(Drift(id="key-1", digest="d", fields=("permissions",), count=3, last_at=NOW),),
        unowned=SHOWN,
    ).key.status
    told = {finding.type: finding.message for finding in findings(status)}
    assert "sk_test_7…" in told[reasons.KEY_NOT_VISIBLE]
    assert "permissions" in told[reasons.ATTRIBUTES_CONTESTED]
    assert "sk_test_5… (key-5)" in told[reasons.IN_USE_ORPHAN]
    assert findings(delivered().key.status) == ()
