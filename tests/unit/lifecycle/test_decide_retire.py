"""Old keys and orphans: when each is revoked, and when the object is looked at again."""

import pytest

from saperly_operator.lifecycle.decide import decide
from saperly_operator.lifecycle.naming import Owner, Tag, vendor_name
from saperly_operator.lifecycle.observed import GateClosed, Observed, PreflightPassed, ProviderAbsent, SecretAbsent
from saperly_operator.lifecycle.steps import AdoptOrphans, Done, ReadLive, Retire, Stall, StoreIntent, WaitUntil
from saperly_operator.resources import reasons
from saperly_operator.resources.saperly_key_status import Failure
from tests.builders import (
    DAY,
    ENTRY,
    HOUR,
    INSTALLATION,
    MINUTE,
    NOW,
    OTHER_INSTALLATION,
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
    an_intent,
    changed,
    delivered,
    live,
    observed,
    with_memory,
    with_spec,
    with_status,
)
from tests.unit.lifecycle.table import TIMINGS, Row, rows, verify

SOON = NOW + TIMINGS.recheck


def with_old(*entries: object) -> Observed:
    """The second key is in the Secret, these are on their way out."""
    return with_status(delivered(secret=a_secret(2)), serial=2, current=a_ref(2), retiring=entries)


DUE, LATER = a_retiring(1), a_retiring(1, revoke_after=NOW + SECOND)
UNANSWERED = Failure(code=reasons.OUTCOME_UNKNOWN, count=1, retry_at=NOW + HOUR)
SUSPENDED = with_spec(with_old(DUE), suspend=True)


def closed(until: object) -> dict[object, object]:
    gate = GateClosed(until, reasons.WAITING_FOR_BUDGET, "By itself.")  # type: ignore[arg-type]
    return {(PROVIDER, ENTRY): a_service_key(manage=gate)}


RETIRING = {
    "an old key whose date has come is revoked": Row(
        with_old(DUE), Retire(DUE), reasons.REVOKING, "Revoking the old key sk_test_1…"
    ),
    "an old key a second before its date is left alone, and looked at then": Row(
        with_old(LATER), Done(NOW + SECOND), reasons.AVAILABLE, "live"
    ),
    "the first of several that is due goes first": Row(
        with_old(LATER, a_retiring(3), a_retiring(4)), Retire(a_retiring(3)), reasons.REVOKING, "sk_test_3…"
    ),
    "one that is put off does not hold up the next": Row(
        with_memory(with_old(DUE, a_retiring(3)), not_before={"retire:key-1": NOW + SECOND}),
        Retire(a_retiring(3)),
        reasons.REVOKING,
        "sk_test_3…",
    ),
    "one that is put off rests until then": Row(
        with_memory(with_old(DUE), not_before={"retire:key-1": NOW + SECOND}),
        Done(NOW + SECOND),
        reasons.AVAILABLE,
        "live",
    ),
    "one that was put off until now is tried again": Row(
        with_memory(with_old(DUE), not_before={"retire:key-1": NOW}), Retire(DUE), reasons.REVOKING, "Revoking"
    ),
    "behind a shut gate the old key waits and the object stays available": Row(
        changed(with_old(DUE), service_keys=closed(NOW + HOUR)), Done(SOON), reasons.AVAILABLE, "live"
    ),
    "an old key dies on its date also while a mint waits": Row(
        with_status(with_old(DUE), intent=an_intent(3), failure=UNANSWERED), Retire(DUE), reasons.REVOKING, "Revoking"
    ),
    "an old key dies on its date also while a person is waited for": Row(
        changed(with_old(DUE), provider=ProviderAbsent()), Retire(DUE), reasons.REVOKING, "Revoking"
    ),
    "what is stalled is looked at again when its next old key is due": Row(
        changed(with_old(LATER), provider=ProviderAbsent()),
        Stall(NOW + SECOND),
        reasons.PROVIDER_NOT_FOUND,
        "There is no",
    ),
    "what waits is looked at again when its next old key is due": Row(
        with_status(with_old(LATER), intent=an_intent(3), failure=UNANSWERED),
        WaitUntil(NOW + SECOND),
        reasons.OUTCOME_UNKNOWN,
        "again by itself",
    ),
    "what waits for less is looked at then": Row(
        with_status(with_old(a_retiring(1, revoke_after=NOW + HOUR)), intent=an_intent(3), failure=UNANSWERED),
        WaitUntil(NOW + HOUR),
        reasons.OUTCOME_UNKNOWN,
        "again by itself",
    ),
    "a suspended object still loses its old keys": Row(SUSPENDED, Retire(DUE), reasons.REVOKING, "Revoking"),
    "a suspended object rests until its next old key is due": Row(
        with_spec(with_old(LATER), suspend=True), Done(NOW + SECOND), reasons.SUSPENDED, "nothing new is begun"
    ),
    "the sooner of rotation and revocation is when it is looked at": Row(
        with_spec(with_old(a_retiring(1, revoke_after=NOW + HOUR)), rotation={"schedule": "1470m", "jitter": "0s"}),
        Done(NOW + 30 * MINUTE),
        reasons.AVAILABLE,
        "live",
    ),
}

OLD_ROW = a_row(5, created_at=NOW - 30 * MINUTE)


def swept(*rows: object, base: Observed | None = None) -> Observed:
    return live(with_memory(base or delivered(), sweeps=a_sweep(*rows)))  # type: ignore[arg-type]


NO_ORPHANS = {
    "one that status accounts for": swept(a_row(1, created_at=NOW - DAY)),
    "one on its way out": swept(
        OLD_ROW, base=with_status(delivered(), retiring=(a_retiring(5, revoke_after=NOW + HOUR),))
    ),
    "one a second too young by the vendor's clock": swept(a_row(5, created_at=NOW - 30 * MINUTE + SECOND)),
    "one that was used": swept(a_row(5, created_at=NOW - DAY, last_used_at=NOW - HOUR)),
    "one without a tag": swept(a_row(5, created_at=NOW - DAY, name="support")),
    "one of another object": swept(
        a_row(
            5,
            created_at=NOW - DAY,
            name=vendor_name("x", Tag.of(INSTALLATION, Owner("agents", "other"), 5)),
        )
    ),
    "one of another installation": swept(
        a_row(5, created_at=NOW - DAY, name=vendor_name("x", Tag.of(OTHER_INSTALLATION, OWNER, 5)))
    ),
    "one whose tag is not at the end": swept(
        a_row(5, created_at=NOW - DAY, name=f"{Tag.of(INSTALLATION, OWNER, 5)} released")
    ),
    "one that the Secret's record names": swept(
        OLD_ROW,
        base=with_spec(changed(delivered(), secret=a_secret(record=a_record(1, key_id="key-5"))), suspend=True),
    ),
}


@pytest.mark.parametrize("given", [pytest.param(given, id=sentence) for sentence, given in NO_ORPHANS.items()])
def test_no_orphan(given: Observed) -> None:
    assert not isinstance(decide(given, NOW, TIMINGS).step, AdoptOrphans | ReadLive)


ORPHANS = {
    "an orphan of the cached look is looked at live": Row(
        with_memory(delivered(), sweeps=a_sweep(OLD_ROW)), ReadLive(), reasons.ORPHANED, "looking closer"
    ),
    "an unused key of ours that is 30 min old and unknown is adopted": Row(
        swept(OLD_ROW), AdoptOrphans, reasons.ORPHANED, "1 unused keys that nothing refers to are revoked."
    ),
    "its age is by the vendor's clock, whatever ours says": Row(
        live(
            with_memory(
                delivered(),
                sweeps=a_sweep(a_row(5, created_at=NOW + DAY), server_time=NOW + DAY + 30 * MINUTE),
            )
        ),
        AdoptOrphans,
        reasons.ORPHANED,
        "1 unused keys",
    ),
    "an orphan is adopted also while suspended": Row(
        with_spec(swept(OLD_ROW), suspend=True), AdoptOrphans, reasons.ORPHANED, "1 unused keys"
    ),
    "an orphan is dealt with before a new mint": Row(
        with_memory(swept(OLD_ROW, base=changed(delivered(), secret=SecretAbsent())), preflight=PreflightPassed(NOW)),
        AdoptOrphans,
        reasons.ORPHANED,
        "1 unused keys",
    ),
    "an object that was never minted for takes nothing from a list": Row(
        with_memory(observed(), sweeps=a_sweep(OLD_ROW), preflight=PreflightPassed(NOW)),
        StoreIntent,
        reasons.MINTING,
        "Minting",
    ),
}


@rows({**RETIRING, **ORPHANS})
def test_old_keys_and_orphans(row: Row) -> None:
    verify(row)


def test_an_orphan_is_due_at_once_and_names_who_can_see_it() -> None:
    step = decide(swept(OLD_ROW), NOW, TIMINGS).step
    assert isinstance(step, AdoptOrphans)
    (entry,) = step.orphans
    assert (entry.id, entry.serial, entry.reason, entry.revoke_after) == ("key-5", 5, reasons.ORPHANED, NOW)
    assert (entry.provider, entry.service_key, entry.created_by) == (PROVIDER, ENTRY, "svc-1")


@pytest.mark.parametrize(("retiring", "adopted"), [(0, 10), (8, 2), (9, 1)])
def test_no_more_orphans_are_adopted_than_there_is_room_for(retiring: int, adopted: int) -> None:
    waiting = tuple(a_retiring(n, revoke_after=NOW + HOUR) for n in range(101, 101 + retiring))
    found = [a_row(n, created_at=NOW - DAY) for n in range(201, 214)]
    step = decide(swept(*found, base=with_status(delivered(), retiring=waiting)), NOW, TIMINGS).step
    assert isinstance(step, AdoptOrphans)
    assert len(step.orphans) == adopted


def test_a_key_that_two_providers_with_one_service_key_list_is_adopted_once() -> None:
    (view,) = a_sweep(OLD_ROW).values()
    sweeps = {(PROVIDER, ENTRY): view, ("SaperlyProvider/twin", ENTRY): view}
    step = decide(live(with_memory(delivered(), sweeps=sweeps)), NOW, TIMINGS).step
    assert isinstance(step, AdoptOrphans)
    assert [entry.id for entry in step.orphans] == ["key-5"]
