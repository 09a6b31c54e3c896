"""Old keys between their replacement and their end: dates that change, plaintexts to take out, keys still in use."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from saperly_operator.lifecycle.decide import decide
from saperly_operator.lifecycle.observed import Observed, SecretAbsent, SecretForeign
from saperly_operator.lifecycle.steps import Done, Reschedule, Retire, WaitUntil, WithdrawPrevious
from saperly_operator.resources import reasons
from saperly_operator.resources.saperly_key_status import Failure, RetiringKey
from tests.builders import (
    DAY,
    HOUR,
    KEPT,
    MINUTE,
    NOW,
    SECOND,
    a_delivered_status,
    a_key,
    a_retiring,
    a_row,
    a_secret,
    a_sweep,
    an_intent,
    being_deleted,
    changed,
    live,
    observed,
    with_memory,
    with_spec,
    with_status,
)
from tests.unit.lifecycle.table import TIMINGS, Row, rows, verify

LEAD = TIMINGS.previous_key_lead
MARK = "0ld0ld0ld0ld0ld0"


def old_key(due: datetime, *, shown: bool = True) -> RetiringKey:
    """The first key, replaced by the second; its overlap of an hour ends at ``due``."""
    since = due - HOUR
    entry = a_retiring(1, revoke_after=due).changed(replaced_at=since, overlap_started_at=since, fingerprint=MARK)
    return entry.changed(previous_key="OLD" if shown else None)


def keeping(due: datetime, *, previous: dict[str, str] | None = None, shown: bool = True, **spec: Any) -> Observed:
    """The second key is in the Secret, the plaintext of the first beside it under OLD (or what ``previous`` says)."""
    key = a_key(secret={"previousKey": "OLD"}, **spec)
    status = a_delivered_status(2, key=key, retiring=(old_key(due, shown=shown),))
    secret = a_secret(2, previous={"OLD": MARK} if previous is None else previous)
    return observed(key.changed(status=status), secret=secret)


OUT = WithdrawPrevious(KEPT.name, "OLD", MARK)
REFUSED = {"write": NOW + HOUR}
UNANSWERED = Failure(code=reasons.OUTCOME_UNKNOWN, count=1, retry_at=NOW + HOUR)

PREVIOUS = {
    "an old plaintext stays until two minutes before its key goes": Row(
        keeping(NOW + LEAD + SECOND), Done(NOW + SECOND), reasons.AVAILABLE, "live"
    ),
    "then it is taken out": Row(keeping(NOW + LEAD), OUT, reasons.WRITING_SECRET, "Taking the old plaintext OLD out"),
    "also while the object is suspended": Row(
        with_spec(keeping(NOW + LEAD), suspend=True), OUT, reasons.WRITING_SECRET, "Taking"
    ),
    "also while a mint waits": Row(
        with_status(keeping(NOW + LEAD), intent=an_intent(3), failure=UNANSWERED),
        OUT,
        reasons.WRITING_SECRET,
        "Taking",
    ),
    "also of an object that is deleted with Orphan": Row(
        being_deleted(keeping(NOW + LEAD, deletionPolicy="Orphan")), OUT, reasons.WRITING_SECRET, "Taking"
    ),
    "deleted with Orphan it waits until the old plaintext has to go": Row(
        being_deleted(keeping(NOW + LEAD + SECOND, deletionPolicy="Orphan")),
        WaitUntil(NOW + SECOND),
        reasons.REVOKING,
        "end of the overlap",
    ),
    "a key whose plaintext is in the Secret is not revoked, however late it is": Row(
        with_memory(keeping(NOW - DAY), not_before=REFUSED), Done(NOW + TIMINGS.recheck), reasons.AVAILABLE, "live"
    ),
    "where the spec names another place, it is taken out at once": Row(
        with_spec(keeping(NOW + HOUR), secret={"previousKey": "ELSEWHERE"}), OUT, reasons.WRITING_SECRET, "Taking"
    ),
    "where the spec names none, it is taken out at once": Row(
        with_spec(keeping(NOW + HOUR), secret={}), OUT, reasons.WRITING_SECRET, "Taking"
    ),
    "what is in its place and nobody's is taken out": Row(
        keeping(NOW + HOUR, previous={"OLD": "another"}, shown=False),
        WithdrawPrevious(KEPT.name, "OLD", "another"),
        reasons.WRITING_SECRET,
        "Taking",
    ),
    "but not while a mint is open, whose Secret may be written already": Row(
        with_status(
            keeping(NOW + HOUR, previous={"OLD": "another"}, shown=False), intent=an_intent(3), failure=UNANSWERED
        ),
        WaitUntil(NOW + HOUR),
        reasons.OUTCOME_UNKNOWN,
        "again by itself",
    ),
    "what is under a name that the spec never gave is nobody's business": Row(
        with_spec(keeping(NOW + HOUR, previous={"MINE": "another"}, shown=False), secret={}),
        Done(NOW + HOUR),
        reasons.AVAILABLE,
        "live",
    ),
}


@rows(PREVIOUS)
def test_old_plaintexts(row: Row) -> None:
    verify(row)


def rescheduled(given: Observed) -> RetiringKey:
    step = decide(given, NOW, TIMINGS).step
    assert isinstance(step, Reschedule), step
    (entry,) = step.retiring
    return entry


GONE = keeping(NOW + HOUR, previous={})


@pytest.mark.parametrize(
    "given",
    [pytest.param(GONE, id="the Secret lacks it"), pytest.param(live(GONE), id="the Secret read live lacks it")],
)
def test_that_it_is_out_is_noted_and_leaves_its_key_two_minutes(given: Observed) -> None:
    entry = rescheduled(given)
    assert (entry.previous_key, entry.withdrawn_at) == (None, NOW)
    assert entry.revoke_after == NOW + HOUR


def test_one_that_is_out_late_makes_its_key_live_longer() -> None:
    assert rescheduled(keeping(NOW - DAY, previous={})).revoke_after == NOW + LEAD


@pytest.mark.parametrize("secret", [SecretAbsent(), SecretForeign(None)])
def test_a_secret_that_a_cached_look_does_not_show_says_nothing_of_it(secret: object) -> None:
    step = decide(changed(keeping(NOW + HOUR), secret=secret), NOW, TIMINGS).step
    assert not isinstance(step, Reschedule)


def test_one_that_status_does_not_know_to_be_there_is_noted() -> None:
    entry = rescheduled(keeping(NOW + HOUR, shown=False))
    assert (entry.previous_key, entry.withdrawn_at) == ("OLD", None)


# --- dates -----------------------------------------------------------------------------------------------------------


def in_overlap(due: datetime = NOW + 30 * MINUTE, **rotation: Any) -> Observed:
    """The first key was replaced by the second, and is to go at ``due``."""
    key = a_key(rotation={"overlap": "1h", **rotation})
    entry = old_key(due, shown=False)
    return observed(key.changed(status=a_delivered_status(2, key=key, retiring=(entry,))), secret=a_secret(2))


@pytest.mark.parametrize(("overlap", "later"), [("2h", 90 * MINUTE), ("45m", 15 * MINUTE), ("0s", -30 * MINUTE)])
def test_another_overlap_is_another_date(overlap: str, later: timedelta) -> None:
    given = with_spec(in_overlap(), rotation={"overlap": overlap})
    assert rescheduled(given).revoke_after == NOW + later


def used(given: Observed, at: datetime) -> Observed:
    """The last list showed when the old key was used last."""
    return with_memory(given, sweeps=a_sweep(a_row(1, created_at=NOW - DAY, last_used_at=at)))


DUE = in_overlap(NOW, requireIdle=True)
(ENTRY,) = DUE.key.status.retiring
IDLE = {
    "a key that was never seen used goes": Row(DUE, Retire(ENTRY), reasons.REVOKING, "Revoking"),
    "a key that stood idle for the overlap goes": Row(
        used(DUE, NOW - HOUR), Retire(ENTRY), reasons.REVOKING, "Revoking"
    ),
    "a use is no matter before the key is due": Row(
        used(in_overlap(requireIdle=True), NOW), Done(NOW + 30 * MINUTE), reasons.AVAILABLE, "live"
    ),
    "nor where nobody asks for idleness": Row(
        used(in_overlap(NOW), NOW), Retire(in_overlap(NOW).key.status.retiring[0]), reasons.REVOKING, "Revoking"
    ),
}


@rows(IDLE)
def test_idle_keys(row: Row) -> None:
    verify(row)


def test_a_key_used_since_is_put_off_by_the_overlap_from_then() -> None:
    entry = rescheduled(used(DUE, NOW - HOUR + SECOND))
    assert (entry.revoke_after, entry.last_used_at) == (NOW + SECOND, NOW - HOUR + SECOND)
    assert entry.waiting_for == "1h without use; it was last used at 2026-11-24T09:00:01Z"


def test_a_key_in_use_goes_at_max_overlap() -> None:
    given = with_spec(used(DUE, NOW), rotation={"overlap": "1h", "requireIdle": True, "maxOverlap": "1h"})
    assert decide(given, NOW, TIMINGS).step == Retire(ENTRY)
