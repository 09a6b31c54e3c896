"""A Secret that somebody else rewrites after each delivery: three keys at once, then more and more rarely."""

from datetime import timedelta

import pytest

from saperly_operator.lifecycle.decide import decide
from saperly_operator.lifecycle.observed import Observed, PreflightPassed, SecretAbsent
from saperly_operator.lifecycle.redelivery import redelivered
from saperly_operator.lifecycle.steps import Stall, StoreIntent
from saperly_operator.resources import annotations, reasons
from saperly_operator.resources.findings import Redelivery
from saperly_operator.resources.saperly_key_status import SaperlyKeyStatus
from tests.builders import (
    DAY,
    HOUR,
    NOW,
    SECOND,
    a_secret,
    an_intent,
    changed,
    delivered,
    live,
    with_memory,
    with_metadata,
    with_status,
)
from tests.unit.lifecycle.table import TIMINGS, Row, rows, verify


def rewritten(count: int, ago: timedelta, *, by: str | None = None) -> Observed:
    """The plaintext was changed after so many keys were delivered for that, the last one so long ago."""
    base = changed(delivered(), secret=a_secret(fingerprint="theirs", intact=False, written_by=by))
    counted = with_status(base, redelivered=Redelivery(count=count, last_at=NOW - ago))
    return live(with_memory(counted, preflight=PreflightPassed(NOW)))


def deleted(base: Observed) -> Observed:
    return changed(base, secret=SecretAbsent())


def asked(base: Observed) -> Observed:
    return with_metadata(base, annotations={annotations.ROTATE_REQUESTED_AT: "now"})


TABLE = {
    "the second time it is put right at once": Row(rewritten(2, SECOND), StoreIntent, reasons.MINTING, "Minting"),
    "after the third time it waits for an hour": Row(
        rewritten(3, HOUR - SECOND), Stall(NOW + SECOND), reasons.SECRET_CONTESTED, "--show-managed-fields"
    ),
    "and is put right then": Row(rewritten(3, HOUR), StoreIntent, reasons.MINTING, "Minting"),
    "after the fourth for two": Row(
        rewritten(4, 2 * HOUR - SECOND), Stall(NOW + SECOND), reasons.SECRET_CONTESTED, "again and again"
    ),
    "and no longer": Row(rewritten(4, 2 * HOUR), StoreIntent, reasons.MINTING, "Minting"),
    "at the longest for a day": Row(
        rewritten(1000, DAY - SECOND), Stall(NOW + SECOND), reasons.SECRET_CONTESTED, "again and again"
    ),
    "and not for more than that": Row(rewritten(1000, DAY), StoreIntent, reasons.MINTING, "Minting"),
    "the other writer is named, where the API server knows it": Row(
        rewritten(3, SECOND, by="vault"), Stall, reasons.SECRET_CONTESTED, "Another writer (vault) changes"
    ),
    "a Secret that is deleted again and again waits as well": Row(
        deleted(rewritten(3, HOUR - SECOND)), Stall(NOW + SECOND), reasons.SECRET_CONTESTED, "deletes the Secret"
    ),
    "a person who asks gets a key at once": Row(asked(rewritten(9, SECOND)), StoreIntent, reasons.MINTING, "Minting"),
}


@rows(TABLE)
def test_what_waits(row: Row) -> None:
    verify(row)


def test_a_key_that_a_person_asks_for_is_minted_for_that_and_not_for_the_loss() -> None:
    step = decide(asked(rewritten(9, SECOND)), NOW, TIMINGS).step
    assert isinstance(step, StoreIntent)
    assert step.intent.trigger == reasons.ROTATION_REQUESTED


def counted(trigger: str, before: Redelivery | None) -> Redelivery | None:
    status = SaperlyKeyStatus(intent=an_intent(2, trigger=trigger), redelivered=before)
    return redelivered(status, NOW, TIMINGS)


@pytest.mark.parametrize("trigger", [reasons.SECRET_ALTERED, reasons.SECRET_MISSING])
def test_a_delivery_that_makes_up_for_a_loss_counts(trigger: str) -> None:
    assert counted(trigger, None) == Redelivery(count=1, last_at=NOW)
    assert counted(trigger, Redelivery(count=4, last_at=NOW - HOUR)) == Redelivery(count=5, last_at=NOW)


def test_another_delivery_leaves_the_count_as_it_is() -> None:
    before = Redelivery(count=4, last_at=NOW - HOUR)
    assert counted(reasons.ROTATION_SCHEDULED, before) == before
    assert counted(reasons.ROTATION_SCHEDULED, None) is None


def test_two_days_of_calm_are_forgotten_about() -> None:
    calm = 2 * DAY
    assert counted(reasons.SECRET_ALTERED, Redelivery(count=4, last_at=NOW - calm + SECOND)) == Redelivery(
        count=5, last_at=NOW
    )
    assert counted(reasons.SECRET_ALTERED, Redelivery(count=4, last_at=NOW - calm)) == Redelivery(
        count=1, last_at=NOW
    )
    assert counted(reasons.ROTATION_SCHEDULED, Redelivery(count=4, last_at=NOW - calm)) is None
