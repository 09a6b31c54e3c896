"""Moments in status that have not come yet: how far ahead is believed, and what holds of those that are not."""

from datetime import datetime, timedelta

import pytest

from saperly_operator.lifecycle.case import Case, recent_intents
from saperly_operator.lifecycle.checks_intent import begun_after
from saperly_operator.lifecycle.checks_retire import due_at
from saperly_operator.lifecycle.decide import decide
from saperly_operator.lifecycle.moments import noted_moments
from saperly_operator.lifecycle.observed import Observed, PreflightPassed
from saperly_operator.lifecycle.steps import (
    AbandonIntent,
    AdoptSuccessors,
    AwaitSweep,
    LookAtWorkloads,
    Mint,
    Reschedule,
    Retire,
    Stall,
    StoreIntent,
    TakeOver,
    UpdateKey,
    WaitUntil,
)
from saperly_operator.resources import reasons
from saperly_operator.resources.findings import Drift, Redelivery, RevokedOutside
from saperly_operator.resources.saperly_key_status import (
    Failure,
    LostSuccessor,
    RestartStatus,
    RotationStatus,
    SaperlyKeyStatus,
)
from tests.builders import (
    AGENT,
    DAY,
    ENTRY,
    HOUR,
    MINUTE,
    NOW,
    OTHER_HOLDER,
    PROVIDER,
    SECOND,
    a_look,
    a_ref,
    a_retiring,
    a_row,
    a_sweep,
    a_workload,
    an_intent,
    changed,
    delivered,
    live,
    minting,
    myself,
    observed,
    restarting,
    with_intent,
    with_memory,
    with_spec,
    with_status,
)
from tests.unit.lifecycle.table import TIMINGS, Row, rows, verify

TOLERANCE, SETTLE = TIMINGS.clock_tolerance, TIMINGS.delivery_settle
YEAR = 365 * DAY
READY = with_memory(observed(), preflight=PreflightPassed(NOW))
REVOKED = with_memory(
    with_status(
        live(delivered()), revoked=RevokedOutside(id="key-1", revoked_at=NOW - MINUTE), reminted_at=NOW + YEAR
    ),
    preflight=PreflightPassed(NOW),
)


def seen(base: Observed, moment: datetime, ago: timedelta) -> Observed:
    """This process first saw ``moment`` in status so long ago."""
    return with_memory(base, ahead_since={**base.memory.ahead_since, moment: NOW - ago})


def begun(*ahead: timedelta, ago: timedelta = timedelta(0)) -> Observed:
    """Ready for a mint, after others that were begun so far ahead by status, which this process saw so long ago."""
    moments = tuple(NOW + each for each in ahead)
    return with_memory(with_status(READY, recent_intents=moments), ahead_since=dict.fromkeys(moments, NOW - ago))


def refused(code: str, ahead: timedelta) -> Observed:
    """A mint that failed, to be tried again so far ahead."""
    return with_status(READY, failure=Failure(code=code, count=1, retry_at=NOW + ahead, **READY.bound._asdict()))


def unanswered(ahead: timedelta) -> Observed:
    """An open intent whose request was not answered, to be sent again so far ahead."""
    return with_status(live(minting()), failure=Failure(code=reasons.OUTCOME_UNKNOWN, count=1, retry_at=NOW + ahead))


LONGEST, LONGEST_UNKNOWN = TIMINGS.backoff_limit + TOLERANCE, TIMINGS.retry_after_limit + TOLERANCE

BLOCKED = {
    "mints that seem to come from within the tolerance count by their own dates": Row(
        begun(TOLERANCE, TOLERANCE, TOLERANCE, ago=HOUR),
        WaitUntil(NOW + TOLERANCE + HOUR),
        reasons.MINT_LIMIT_REACHED,
        "3 mints within the hour",
    ),
    "those from further ahead count from when they were first seen": Row(
        begun(TOLERANCE + SECOND, DAY, YEAR, ago=HOUR - SECOND),
        WaitUntil(NOW + SECOND),
        reasons.MINT_LIMIT_REACHED,
        "3 mints within the hour",
    ),
    "and no longer than that": Row(
        begun(TOLERANCE + SECOND, DAY, YEAR, ago=HOUR), StoreIntent, reasons.MINTING, "Minting"
    ),
    "a process that has just seen them waits for an hour": Row(
        begun(DAY, DAY, DAY), WaitUntil(NOW + HOUR), reasons.MINT_LIMIT_REACHED, "3 mints within the hour"
    ),
    "a refusal holds for as long as any does": Row(
        refused(reasons.VALIDATION_FAILED, LONGEST),
        Stall(NOW + LONGEST),
        reasons.VALIDATION_FAILED,
        "again by itself",
    ),
    "and not for longer": Row(
        refused(reasons.VALIDATION_FAILED, LONGEST + SECOND), StoreIntent, reasons.MINTING, "Minting"
    ),
    "a request of unknown outcome waits for as long as Saperly may ask": Row(
        unanswered(LONGEST_UNKNOWN), WaitUntil(NOW + LONGEST_UNKNOWN), reasons.OUTCOME_UNKNOWN, "again by itself"
    ),
    "and is sent again when it seems to have to wait for longer": Row(
        unanswered(LONGEST_UNKNOWN + SECOND), Mint, reasons.MINTING, "Minting"
    ),
    "a revocation after one in the future stalls for a day from when that was seen": Row(
        seen(REVOKED, NOW + YEAR, DAY - SECOND), Stall, reasons.REVOKED_EXTERNALLY, "for the second time within a day"
    ),
    "and no longer": Row(seen(REVOKED, NOW + YEAR, DAY), StoreIntent, reasons.MINTING, "Minting"),
    "a process that seems to begin later than now takes an intent over all the same": Row(
        with_memory(
            with_intent(changed(minting(), myself=myself(started_at=NOW + DAY)), holder=OTHER_HOLDER),
            intent_seen_at=NOW - MINUTE,
            ahead_since={NOW + DAY: NOW - HOUR},
        ),
        TakeOver(),
        reasons.RESUMING,
        "Taking over",
    ),
}


@rows(BLOCKED)
def test_a_moment_far_ahead_blocks_for_no_longer_than_the_rule_itself(row: Row) -> None:
    verify(row)


# --- an intent from the future ------------------------------------------------------------------------------------------


def from_ahead(ahead: timedelta, ago: timedelta = MINUTE) -> Observed:
    return seen(with_intent(live(minting()), started_at=NOW + ahead), NOW + ahead, ago)


def test_an_intent_from_the_future_is_resolved_by_a_list_begun_after_this_process_saw_it() -> None:
    early, late = from_ahead(DAY, ago=SETTLE - SECOND), from_ahead(DAY, ago=SETTLE)
    assert decide(early, NOW, TIMINGS).step == WaitUntil(NOW + SECOND)
    assert decide(late, NOW, TIMINGS).step == AwaitSweep(PROVIDER, ENTRY, NOW, NOW + TIMINGS.recheck)
    listed = with_memory(late, sweeps=a_sweep(a_row(1), begun_at=NOW))
    step = decide(listed, NOW, TIMINGS).step
    assert isinstance(step, AbandonIntent)
    assert [entry.id for entry in step.lost] == ["key-1"]


@pytest.mark.parametrize(
    ("ahead", "after"),
    [
        pytest.param(TOLERANCE, NOW + TOLERANCE, id="as it says, within the tolerance"),
        pytest.param(TOLERANCE + SECOND, NOW - MINUTE, id="when it was first seen, beyond"),
    ],
)
def test_a_list_is_late_enough_after_what_an_intent_says_or_after_it_was_seen(
    ahead: timedelta, after: datetime
) -> None:
    assert begun_after(Case(from_ahead(ahead), NOW, TIMINGS)) == after + SETTLE


@pytest.mark.parametrize(
    ("ahead", "after"),
    [
        pytest.param(LONGEST_UNKNOWN, NOW + LONGEST_UNKNOWN, id="as it says, while any wait reaches so far"),
        pytest.param(LONGEST_UNKNOWN + SECOND, NOW - MINUTE, id="when it was first seen, beyond"),
    ],
)
def test_a_list_is_late_enough_after_what_a_failure_says_or_after_it_was_seen(
    ahead: timedelta, after: datetime
) -> None:
    given = with_intent(seen(unanswered(ahead), NOW + ahead, MINUTE), started_at=NOW - HOUR)
    assert begun_after(Case(given, NOW, TIMINGS)) == after + SETTLE


def test_what_was_first_seen_later_than_now_counts_from_now() -> None:
    """The clock was set back between two looks."""
    given = seen(begun(DAY), NOW + DAY, -HOUR)
    assert recent_intents(Case(given, NOW, TIMINGS)) == (NOW,)


def lost_at(since: datetime) -> LostSuccessor:
    return LostSuccessor(replaced="key-0", provider=PROVIDER, service_key=ENTRY, since=since)


@pytest.mark.parametrize(("begun_at", "is_late_enough"), [(NOW - MINUTE - SECOND, False), (NOW - MINUTE, True)])
def test_a_key_lost_in_the_future_is_looked_for_on_a_list_begun_after_that_was_seen(
    begun_at: datetime, *, is_late_enough: bool
) -> None:
    base = with_status(delivered(), rotation=RotationStatus(last_rotated_at=NOW - DAY, lost=(lost_at(NOW + YEAR),)))
    listed = with_memory(seen(base, NOW + YEAR, MINUTE), sweeps=a_sweep(a_row(1), begun_at=begun_at))
    assert isinstance(decide(listed, NOW, TIMINGS).step, AdoptSuccessors) is is_late_enough


# --- attributes and old keys --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ago", "is_left"), [(HOUR - SECOND, True), (HOUR, False)])
def test_a_contest_from_the_future_is_left_alone_for_as_long_as_any(ago: timedelta, *, is_left: bool) -> None:
    drift = Drift(id="key-1", digest="d", count=3, last_at=NOW + YEAR)
    base = with_status(live(delivered()), drift=(drift,))
    listed = with_memory(base, sweeps=a_sweep(a_row(1, permissions="full", created_at=NOW - DAY)))
    step = decide(seen(listed, NOW + YEAR, ago), NOW, TIMINGS).step
    assert isinstance(step, UpdateKey) is not is_left


@pytest.mark.parametrize(("ago", "is_due"), [(HOUR - SECOND, False), (HOUR, True)])
def test_an_old_key_replaced_in_the_future_has_its_overlap_and_no_more(ago: timedelta, *, is_due: bool) -> None:
    began = NOW + YEAR
    entry = a_retiring(1, revoke_after=began + HOUR).changed(replaced_at=began, overlap_started_at=began)
    base = seen(with_status(delivered(), current=a_ref(2), retiring=(entry,)), began, ago)
    assert due_at(entry, Case(base, NOW, TIMINGS)) == NOW - ago + HOUR
    assert isinstance(decide(base, NOW, TIMINGS).step, Retire) is is_due


def test_an_overlap_that_began_under_the_right_clock_is_not_shortened() -> None:
    entry = a_retiring(1, revoke_after=NOW + HOUR).changed(replaced_at=NOW + YEAR, overlap_started_at=NOW)
    base = seen(with_status(delivered(), retiring=(entry,)), NOW + YEAR, DAY)
    assert due_at(entry, Case(base, NOW, TIMINGS)) == NOW + HOUR


@pytest.mark.parametrize(
    "reason",
    [
        pytest.param(reasons.PLAINTEXT_LOST, id="nobody should hold it"),
        pytest.param(reasons.ROTATION_REQUESTED, id="somebody else may hold it"),
        pytest.param(reasons.ENVIRONMENT_MISMATCH, id="it is of the wrong environment"),
    ],
)
def test_a_key_that_was_to_go_at_once_does_not_wait_for_a_clock(reason: str) -> None:
    lost = a_retiring(1, reason=reason, revoke_after=NOW + YEAR)
    given = with_status(delivered(), retiring=(lost,))
    assert decide(given, NOW, TIMINGS).step == Retire(lost)


@pytest.mark.parametrize(("ago", "is_due"), [(2 * MINUTE - SECOND, False), (2 * MINUTE, True)])
def test_an_old_plaintext_withdrawn_in_the_future_is_out_of_the_secret_for_two_minutes_and_no_more(
    ago: timedelta, *, is_due: bool
) -> None:
    withdrawn = NOW + YEAR
    entry = a_retiring(1, revoke_after=withdrawn + 2 * MINUTE).changed(
        replaced_at=NOW - DAY, overlap_started_at=NOW - DAY, withdrawn_at=withdrawn
    )
    base = seen(with_status(delivered(), current=a_ref(2), retiring=(entry,)), withdrawn, ago)
    assert due_at(entry, Case(base, NOW, TIMINGS)) == NOW - ago + 2 * MINUTE
    assert isinstance(decide(base, NOW, TIMINGS).step, Retire) is is_due


def test_a_workload_restarted_in_the_future_is_awaited_for_as_long_as_any() -> None:
    base = with_status(restarting(), restarted=RestartStatus(serial=2, started_at=NOW + YEAR))
    looked = with_memory(
        with_spec(base, rotation={"maxOverlap": "2h"}),
        workloads={AGENT: a_look(a_workload(available=0), NOW)},
        ahead_since={NOW + YEAR: NOW - 2 * HOUR},
    )
    step = decide(looked, NOW, TIMINGS).step
    assert isinstance(step, Reschedule)
    assert step.restarted is not None
    assert step.restarted.given_up_at == NOW


def test_a_workload_restarted_in_the_future_is_looked_at_no_more_often_than_any() -> None:
    base = with_status(restarting(), restarted=RestartStatus(serial=2, started_at=NOW + YEAR))
    for ago, is_due in ((59 * SECOND, False), (MINUTE, True)):
        looked = with_memory(
            base,
            workloads={AGENT: a_look(a_workload(available=0), NOW - ago)},
            ahead_since={NOW + YEAR: NOW - 5 * HOUR},
        )
        assert isinstance(decide(looked, NOW, TIMINGS).step, LookAtWorkloads) is is_due


# --- none is forgotten --------------------------------------------------------------------------------------------------


def test_every_moment_that_something_is_counted_from_is_among_those_that_are_watched() -> None:
    moments = [NOW + number * SECOND for number in range(12)]
    status = SaperlyKeyStatus(
        recent_intents=tuple(moments[:2]),
        intent=an_intent(1, started_at=moments[2]),
        failure=Failure(code="Any", count=1, retry_at=moments[3]),
        reminted_at=moments[4],
        drift=(Drift(id="key-1", digest="d", count=1, last_at=moments[5]),),
        retiring=(
            a_retiring(1).changed(replaced_at=moments[6], overlap_started_at=moments[7], withdrawn_at=moments[11]),
        ),
        restarted=RestartStatus(serial=1, started_at=moments[8]),
        redelivered=Redelivery(count=1, last_at=moments[9]),
        rotation=RotationStatus(lost=(lost_at(moments[10]),)),
    )
    assert sorted(noted_moments(status)) == moments
    assert list(noted_moments(SaperlyKeyStatus())) == []
