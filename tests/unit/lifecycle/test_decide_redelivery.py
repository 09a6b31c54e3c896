"""A Secret that somebody else rewrites after each delivery: three keys at once, then more and more rarely."""

from datetime import datetime, timedelta

import pytest

from saperly_operator.lifecycle.decide import decide
from saperly_operator.lifecycle.observed import Observed, PreflightPassed, SecretAbsent
from saperly_operator.lifecycle.redelivery import redelivered
from saperly_operator.lifecycle.steps import Stall, StoreIntent, UpdateKey
from saperly_operator.resources import annotations, reasons
from saperly_operator.resources.findings import Redelivery
from saperly_operator.resources.saperly_key_status import SaperlyKeyStatus
from tests.builders import (
    DAY,
    HOUR,
    NOW,
    SECOND,
    a_key,
    a_secret,
    an_intent,
    changed,
    delivered,
    live,
    with_memory,
    with_metadata,
    with_spec,
    with_status,
)
from tests.unit.lifecycle.table import TIMINGS, Row, rows, verify

NAME = "support"


def rewritten(count: int, ago: timedelta, *, by: str | None = None) -> Observed:
    """The plaintext was changed after so many keys were delivered for that, the last one so long ago."""
    base = changed(delivered(), secret=a_secret(fingerprint="theirs", intact=False, written_by=by))
    counted = with_status(base, redelivered=Redelivery(count=count, last_at=NOW - ago, secret=NAME))
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
    "another Secret than the one that somebody changes is not waited for": Row(
        with_spec(rewritten(9, SECOND), secret={"name": "another"}), StoreIntent, reasons.MINTING, "Minting"
    ),
    "what the spec asks of the key that lives on reaches it meanwhile": Row(
        with_spec(rewritten(9, SECOND), permissions="read_only"), UpdateKey, reasons.UPDATING, "Changing"
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


def a_count(count: int, last_at: datetime, secret: str = NAME) -> Redelivery:
    return Redelivery(count=count, last_at=last_at, secret=secret)


def counted(trigger: str, before: Redelivery | None) -> Redelivery | None:
    status = SaperlyKeyStatus(intent=an_intent(2, trigger=trigger), redelivered=before)
    return redelivered(a_key().changed(status=status), NOW, TIMINGS)


@pytest.mark.parametrize("trigger", [reasons.SECRET_ALTERED, reasons.SECRET_MISSING])
def test_a_delivery_that_makes_up_for_a_loss_counts(trigger: str) -> None:
    assert counted(trigger, None) == a_count(1, NOW)
    assert counted(trigger, a_count(4, NOW - HOUR)) == a_count(5, NOW)


def test_another_delivery_leaves_the_count_as_it_is() -> None:
    before = a_count(4, NOW - HOUR)
    assert counted(reasons.ROTATION_SCHEDULED, before) == before
    assert counted(reasons.ROTATION_SCHEDULED, None) is None


def test_two_days_of_calm_are_forgotten_about() -> None:
    calm = 2 * DAY
    assert counted(reasons.SECRET_ALTERED, a_count(4, NOW - calm + SECOND)) == a_count(5, NOW)
    assert counted(reasons.SECRET_ALTERED, a_count(4, NOW - calm)) == a_count(1, NOW)
    assert counted(reasons.ROTATION_SCHEDULED, a_count(4, NOW - calm)) is None


@pytest.mark.parametrize("trigger", [reasons.SECRET_ALTERED, reasons.ROTATION_SCHEDULED])
def test_what_befell_another_secret_is_forgotten_with_it(trigger: str) -> None:
    is_loss = trigger == reasons.SECRET_ALTERED
    assert counted(trigger, a_count(4, NOW - HOUR, "former")) == (a_count(1, NOW) if is_loss else None)
