"""Which check speaks first: an object in every kind of trouble at once, freed of one after another."""

import pytest

from saperly_operator.lifecycle.decide import decide
from saperly_operator.lifecycle.observed import Observed, PreflightPassed, ProviderAbsent, SecretAbsent
from saperly_operator.lifecycle.steps import (
    Done,
    LeaveAlone,
    Mint,
    ReadLive,
    RemoveFinalizer,
    Retire,
    RevokeCurrent,
    Stall,
)
from saperly_operator.resources import annotations, reasons
from tests.builders import (
    DAY,
    NOW,
    OTHER_INSTALLATION,
    a_retiring,
    a_row,
    a_secret,
    a_sweep,
    an_intent,
    being_deleted,
    changed,
    delivered,
    live,
    minting,
    myself,
    observed,
    with_memory,
    with_metadata,
    with_spec,
    with_status,
)
from tests.unit.lifecycle.table import TIMINGS, Row, rows, verify


def in_all_trouble() -> Observed:
    """Of another installation, unconfirmed, being deleted, with an intent, a due key, an orphan, suspended, …"""
    base = with_status(
        delivered(), installation=OTHER_INSTALLATION, intent=an_intent(2), retiring=(a_retiring(3),), serial=3
    )
    asked = with_metadata(base, annotations={annotations.ROTATE_REQUESTED_AT: "now"})
    swept = with_memory(asked, sweeps=a_sweep(a_row(9, created_at=NOW - DAY)))
    without = changed(swept, secret=SecretAbsent(), provider=ProviderAbsent(), myself=myself(confirmed=False))
    return being_deleted(with_spec(without, suspend=True, monthlyCapCents=1))


FOREIGN = in_all_trouble()
UNCONFIRMED = with_status(FOREIGN, installation="installation-1")
DELETED = changed(UNCONFIRMED, myself=myself())
OPEN = with_metadata(DELETED, deletion_timestamp=None)
DUE = with_status(OPEN, intent=None)
ORPHAN = with_status(DUE, retiring=())
SUSPENDED = with_memory(ORPHAN, sweeps={})
GOING = with_spec(SUSPENDED, suspend=False)

ONE_AFTER_ANOTHER = {
    "another installation's object is left alone whatever its state": Row(
        FOREIGN, LeaveAlone(), reasons.FOREIGN_INSTALLATION, f"belongs to the installation {OTHER_INSTALLATION}"
    ),
    "a moved installation acts on nothing": Row(
        with_metadata(UNCONFIRMED, deletion_timestamp=None), Stall, reasons.INSTALLATION_MOVED, "has to decide"
    ),
    "and ends nothing that is being deleted": Row(
        UNCONFIRMED, Stall, reasons.INSTALLATION_MOVED, "An administrator has to decide"
    ),
    "deletion beats an open intent, suspension and everything below": Row(
        live(with_status(DELETED, intent=None, retiring=())), RevokeCurrent, reasons.REVOKING, "Revoking"
    ),
    "an open intent beats an old key, an orphan and suspension": Row(OPEN, Mint, reasons.MINTING, "Minting"),
    "an old key beats an orphan and suspension": Row(DUE, Retire, reasons.REVOKING, "Revoking the old key"),
    "an orphan beats suspension": Row(ORPHAN, ReadLive(), reasons.ORPHANED, "looking closer"),
    "suspension beats a Secret that is gone": Row(SUSPENDED, Done(None), reasons.SUSPENDED, "nothing new is begun"),
    "a Secret that is gone beats the provider's trouble, and is looked at live": Row(
        GOING, ReadLive(), reasons.SECRET_MISSING, "is gone"
    ),
    "a provider that is gone is told before a change of attributes and a request": Row(
        changed(GOING, secret=a_secret()), Stall, reasons.PROVIDER_NOT_FOUND, "There is no"
    ),
}


@rows(ONE_AFTER_ANOTHER)
def test_one_trouble_after_another(row: Row) -> None:
    verify(row)


def test_a_force_delete_needs_no_confirmed_installation_since_it_makes_no_call() -> None:
    gone = changed(delivered(), myself=myself(confirmed=False), secret=SecretAbsent())
    given = live(being_deleted(gone, force=True))
    assert decide(given, NOW, TIMINGS).step == RemoveFinalizer(forced=("key-1",))


def test_the_annotation_force_delete_means_nothing_before_deletion() -> None:
    given = with_metadata(delivered(), annotations={annotations.FORCE_DELETE: "true"})
    assert decide(given, NOW, TIMINGS).step == Done(None)


@pytest.mark.parametrize("base", [observed(), minting(), delivered()], ids=["new", "minting", "delivered"])
def test_an_object_of_this_installation_is_not_foreign(base: Observed) -> None:
    assert not isinstance(decide(base, NOW, TIMINGS).step, LeaveAlone)


@pytest.mark.parametrize(
    "secret", [pytest.param(SecretAbsent(), id="absent"), pytest.param(a_secret(fingerprint=None), id="emptied")]
)
def test_a_cached_look_never_mints_for_what_a_secret_lacks(secret: SecretAbsent) -> None:
    proven = with_memory(changed(delivered(), secret=secret), preflight=PreflightPassed(NOW))
    assert decide(proven, NOW, TIMINGS).step == ReadLive()
    assert decide(live(proven), NOW, TIMINGS).step != ReadLive()
