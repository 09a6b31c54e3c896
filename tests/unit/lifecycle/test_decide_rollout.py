"""Workloads to restart: when each is looked at, restarted, and known to run with the new key."""

from datetime import datetime, timedelta

import pytest

from saperly_operator.lifecycle.conditions import Standing, condition
from saperly_operator.lifecycle.decide import decide
from saperly_operator.lifecycle.observed import Observed, ProviderAbsent
from saperly_operator.lifecycle.overlap import overlap_started
from saperly_operator.lifecycle.rotation_conditions import fully_told
from saperly_operator.lifecycle.steps import (
    Done,
    LookAtWorkloads,
    Reschedule,
    Restart,
    Retire,
    RevokeCurrent,
    Stall,
    WaitUntil,
)
from saperly_operator.lifecycle.workloads import WorkloadAbsent, WorkloadState
from saperly_operator.resources import reasons
from saperly_operator.resources.saperly_key_status import Failure
from saperly_operator.resources.workload import RestartMark
from tests.builders import (
    AGENT,
    DAY,
    HOUR,
    MINUTE,
    NOW,
    SECOND,
    UID,
    a_look,
    a_workload,
    an_intent,
    being_deleted,
    changed,
    delivered,
    live,
    myself,
    restarting,
    with_memory,
    with_spec,
    with_status,
)
from tests.unit.lifecycle.table import TIMINGS, Row, rows, verify

OTHER = AGENT.changed(name="other")
LOOK = LookAtWorkloads((AGENT,))
HALFWAY = a_workload(wanted=3, existing=4, updated=1, available=3)
UNMARKED = a_workload(None)
RESTART = Restart(AGENT, UNMARKED, RestartMark.of(UID, 2))
UNANSWERED = Failure(code=reasons.OUTCOME_UNKNOWN, count=1, retry_at=NOW + HOUR)


def begun(given: Observed) -> Observed:
    """Status says that the workload was restarted."""
    restarted = given.key.status.restarted
    assert restarted is not None
    return with_status(given, restarted=restarted.changed(workloads=(str(AGENT),)))


def waiting(state: WorkloadState = HALFWAY, at: datetime = NOW, since: datetime = NOW - MINUTE) -> Observed:
    """Restarted, looked at, not through yet."""
    return begun(restarting(a_look(state, at), since=since))


AT_THE_LIMIT = waiting(since=NOW - 7 * DAY)
(LAST_OF,) = AT_THE_LIMIT.key.status.retiring


def given_up(given: Observed) -> Observed:
    restarted = given.key.status.restarted
    assert restarted is not None
    return with_status(given, restarted=restarted.changed(given_up_at=NOW))


TABLE = {
    "one that was never looked at is looked at": Row(
        restarting(), LOOK, reasons.ROLLOUT_IN_PROGRESS, "Deployment/agent"
    ),
    "one without the mark is restarted": Row(
        restarting(a_look(UNMARKED)), RESTART, reasons.ROLLOUT_IN_PROGRESS, "Restarting Deployment/agent"
    ),
    "one under way is looked at again after a quarter of the time it has taken": Row(
        waiting(at=NOW), Done(NOW + 15 * SECOND), reasons.AVAILABLE, "live"
    ),
    "but not sooner than after the first wait": Row(
        waiting(at=NOW, since=NOW - SECOND), Done(NOW + TIMINGS.rollout_poll_first), reasons.AVAILABLE, "live"
    ),
    "nor later than after the last": Row(
        waiting(at=NOW, since=NOW - HOUR), Done(NOW + TIMINGS.rollout_poll_limit), reasons.AVAILABLE, "live"
    ),
    "a moment before that it is left alone": Row(
        waiting(at=NOW - 9 * SECOND, since=NOW - 49 * SECOND), Done(NOW + SECOND), reasons.AVAILABLE, "live"
    ),
    "then it is looked at": Row(
        waiting(at=NOW - 10 * SECOND, since=NOW - 50 * SECOND), LOOK, reasons.ROLLOUT_IN_PROGRESS, "Looking"
    ),
    "while the API server is away nobody looks": Row(
        with_memory(restarting(), not_before={"look": NOW + SECOND}), Done(NOW + SECOND), reasons.AVAILABLE, "live"
    ),
    "nor restarts": Row(
        with_memory(restarting(a_look(UNMARKED)), not_before={"look": NOW + SECOND}),
        Done(NOW + SECOND),
        reasons.AVAILABLE,
        "live",
    ),
    "a suspended object's rollout is followed": Row(
        with_spec(restarting(), suspend=True), LOOK, reasons.ROLLOUT_IN_PROGRESS, "Looking"
    ),
    "a suspended object rests until its rollout is to be looked at": Row(
        with_spec(waiting(), suspend=True), Done(NOW + 15 * SECOND), reasons.SUSPENDED, "nothing new"
    ),
    "a rollout is followed while a mint waits": Row(
        with_status(restarting(), intent=an_intent(3), failure=UNANSWERED),
        LOOK,
        reasons.ROLLOUT_IN_PROGRESS,
        "Looking",
    ),
    "what waits is looked at again when its rollout is": Row(
        with_status(waiting(), intent=an_intent(3), failure=UNANSWERED),
        WaitUntil(NOW + 15 * SECOND),
        reasons.OUTCOME_UNKNOWN,
        "by itself",
    ),
    "a rollout is followed while a person is waited for": Row(
        changed(restarting(), provider=ProviderAbsent()), LOOK, reasons.ROLLOUT_IN_PROGRESS, "Looking"
    ),
    "in a clone of the cluster nobody is restarted, and no key revoked": Row(
        changed(AT_THE_LIMIT, myself=myself(confirmed=False)), Stall, reasons.INSTALLATION_MOVED, "another cluster"
    ),
    "at maxOverlap the old key goes all the same": Row(
        given_up(AT_THE_LIMIT), Retire(LAST_OF), reasons.REVOKING, "Revoking the old key sk_test_1"
    ),
    "a second before, it does not": Row(
        waiting(since=NOW - 7 * DAY + SECOND), Done(NOW + SECOND), reasons.AVAILABLE, "live"
    ),
    "after that nobody looks any more": Row(
        with_status(given_up(AT_THE_LIMIT), retiring=()), Done(None), reasons.AVAILABLE, "live"
    ),
    "a workload is restarted also when no old key lives: somebody else revoked it": Row(
        with_status(restarting(a_look(UNMARKED)), retiring=()), RESTART, reasons.ROLLOUT_IN_PROGRESS, "Restarting"
    ),
    "an object that never was rotated has nobody to restart": Row(
        with_spec(delivered(), restart=[AGENT.to_api()]), Done(None), reasons.AVAILABLE, "live"
    ),
    "deleted with Revoke it follows no rollout": Row(
        being_deleted(restarting()), Retire, reasons.REVOKING, "Revoking"
    ),
    "deleted with Orphan it follows the rollout": Row(
        being_deleted(restarting(deletionPolicy="Orphan")), LOOK, reasons.ROLLOUT_IN_PROGRESS, "Looking"
    ),
    "deleted with Orphan it waits until the rollout is to be looked at": Row(
        being_deleted(with_spec(waiting(), deletionPolicy="Orphan")),
        WaitUntil(NOW + 15 * SECOND),
        reasons.REVOKING,
        "end of the overlap",
    ),
}


@rows(TABLE)
def test_rollouts(row: Row) -> None:
    verify(row)


def rescheduled(given: Observed) -> Reschedule:
    step = decide(given, NOW, TIMINGS).step
    assert isinstance(step, Reschedule), step
    return step


def test_a_restart_is_noted() -> None:
    step = rescheduled(restarting(a_look(HALFWAY)))
    assert step.restarted is not None
    assert (step.restarted.workloads, step.restarted.finished_at) == ((str(AGENT),), None)
    assert step.retiring == restarting().key.status.retiring


def test_a_finished_rollout_starts_the_overlap_of_every_key_that_waited() -> None:
    given = waiting(a_workload())
    (waited,) = given.key.status.retiring
    in_overlap = overlap_started(waited.changed(id="key-0"), NOW - MINUTE, given.key.spec.rotation)
    unused = waited.changed(id="key-9", replaced_at=None, reason=reasons.PLAINTEXT_LOST, revoke_after=NOW + DAY)
    given = with_status(given, retiring=(in_overlap, waited, unused))
    step = rescheduled(given)
    assert step.restarted is not None
    assert step.restarted.finished_at == NOW
    assert step.retiring == (in_overlap, overlap_started(waited, NOW, given.key.spec.rotation), unused)


def test_one_of_two_that_is_through_is_waited_for_no_more_and_not_looked_at_again() -> None:
    looks = {AGENT: a_look(a_workload()), OTHER: a_look(HALFWAY)}
    given = with_memory(with_spec(waiting(), restart=[AGENT.to_api(), OTHER.to_api()]), workloads=looks)
    step = rescheduled(given)
    assert step.retiring[0].waiting_for == "the rollout of Deployment/other"
    later = with_status(given, restarted=step.restarted, retiring=step.retiring)
    assert decide(later, NOW + HOUR, TIMINGS).step == LookAtWorkloads((OTHER,))


def test_at_max_overlap_a_workload_is_given_up_and_nothing_else_changes() -> None:
    step = rescheduled(AT_THE_LIMIT)
    assert step.restarted is not None
    assert (step.restarted.finished_at, step.restarted.given_up_at) == (None, NOW)
    assert step.retiring == AT_THE_LIMIT.key.status.retiring


def test_a_rollout_that_finishes_at_the_last_moment_is_finished() -> None:
    step = rescheduled(waiting(a_workload(), since=NOW - 7 * DAY))
    assert step.restarted is not None
    assert (step.restarted.finished_at, step.restarted.given_up_at) == (NOW, None)


def test_where_no_old_key_lives_the_condition_says_so() -> None:
    given = with_status(waiting(), retiring=())
    status = fully_told(given.key, given.key.status, Standing.of(given, REST), NOW)
    told = condition(status, reasons.ROLLOUT_PENDING)
    assert told is not None
    assert (
        told.message
        == "Deployment/agent is restarted for the new key. The old key is dead: whatever still runs with it fails."
    )


@pytest.mark.parametrize("state", [WorkloadAbsent(), HALFWAY])
def test_a_list_that_was_emptied_ends_the_wait(state: WorkloadState) -> None:
    step = rescheduled(with_spec(waiting(state), restart=[]))
    assert step.retiring[0].overlap_started_at == NOW


def test_a_new_process_says_nothing_new_before_it_looked_at_all() -> None:
    told = fully_told(waiting().key, waiting().key.status, Standing.of(waiting(WorkloadAbsent()), REST), NOW)
    restarted = with_memory(with_status(waiting(), conditions=told.conditions), workloads={})
    again = fully_told(restarted.key, restarted.key.status, Standing.of(restarted, REST), NOW + HOUR)
    assert again.conditions == told.conditions
    assert condition(again, reasons.ROLLOUT_PENDING) is not None


REST = decide(delivered(), NOW, TIMINGS)


def test_ready_stays_true_and_nothing_is_stalled_while_a_rollout_is() -> None:
    given = waiting(a_workload(updated=0, is_paused=True))
    decision = decide(given, NOW, TIMINGS)
    status = fully_told(given.key, given.key.status, Standing.of(given, decision), NOW)
    assert {each.type: each.reason for each in status.conditions} == {
        "Ready": reasons.AVAILABLE,
        "KeyActive": reasons.AVAILABLE,
        "SecretSynced": reasons.AVAILABLE,
        "RolloutPending": reasons.ROLLOUT_STALLED,
    }
    told = condition(status, reasons.ROLLOUT_PENDING)
    assert told is not None
    limit = NOW - MINUTE + timedelta(days=7)
    assert f"at the longest until {limit:%Y-%m-%dT%H:%M:%SZ}" in told.message


def test_the_current_key_of_a_deleted_object_is_not_awaited_for() -> None:
    gone = live(with_status(being_deleted(restarting()), retiring=()))
    assert isinstance(decide(gone, NOW, TIMINGS).step, RevokeCurrent)
