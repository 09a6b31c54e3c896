"""What the conditions say of rotations: never at the cost of Ready, and only while it is true."""

from datetime import datetime, timedelta

import pytest

from saperly_operator.lifecycle.conditions import Standing, condition
from saperly_operator.lifecycle.decide import decide
from saperly_operator.lifecycle.observed import Observed, ProviderAbsent
from saperly_operator.lifecycle.rotation_conditions import fully_told
from saperly_operator.lifecycle.steps import Decision, Done, Mint, Stall, StoreIntent, WaitUntil
from saperly_operator.resources import annotations, reasons
from saperly_operator.resources.base import ConditionStatus
from saperly_operator.resources.saperly_key_status import RotationStatus, SaperlyKeyStatus
from tests.builders import (
    DAY,
    HOUR,
    MINUTE,
    NOW,
    SECOND,
    an_intent,
    being_deleted,
    changed,
    delivered,
    with_metadata,
    with_spec,
    with_status,
)
from tests.unit.lifecycle.table import TIMINGS

WAITING = Decision(WaitUntil(NOW + HOUR), reasons.WAITING_FOR_BUDGET, "The hourly limit is used up.")
STALLED = Decision(Stall(NOW + HOUR), reasons.PROVIDER_NOT_FOUND, "Create it.")
SUSPENDED = Decision(Done(), reasons.SUSPENDED, "spec.suspend is true.")
BEGUN = Decision(StoreIntent(an_intent(2)), reasons.MINTING, "Minting a key at Saperly.")
REST = Decision(Done(), reasons.AVAILABLE, "All is well.")


def rotated(at: datetime, schedule: str = "1d") -> Observed:
    """A key last rotated then, under a schedule without jitter that was set long ago."""
    base = with_spec(delivered(), rotation={"schedule": schedule, "jitter": "0s"})
    rotation = RotationStatus(last_rotated_at=at, schedule=schedule, schedule_since=NOW - 400 * DAY)
    return with_status(base, rotation=rotation)


def told(given: Observed, decision: Decision, now: datetime = NOW) -> SaperlyKeyStatus:
    return fully_told(given.key, given.key.status, Standing.of(given, decision), now)


def has(status: SaperlyKeyStatus, kind: str) -> bool:
    return condition(status, kind) is not None


@pytest.mark.parametrize("decision", [WAITING, STALLED, SUSPENDED], ids=["waiting", "stalled", "suspended"])
def test_a_rotation_that_has_to_wait_is_overdue_and_the_key_stays_ready(decision: Decision) -> None:
    status = told(rotated(NOW - DAY), decision)
    overdue, ready = condition(status, reasons.ROTATION_OVERDUE), condition(status, reasons.READY)
    assert overdue is not None
    assert ready is not None
    assert (overdue.status, ready.status) == (ConditionStatus.TRUE, ConditionStatus.TRUE)
    assert overdue.reason == decision.reason
    assert overdue.message == f"The rotation was due at 2026-11-24T10:00:00Z. {decision.message}"


def test_a_second_before_it_is_due_it_is_not_overdue() -> None:
    assert not has(told(rotated(NOW - DAY + SECOND), WAITING), reasons.ROTATION_OVERDUE)


def test_a_rotation_begun_in_time_is_not_overdue_while_it_takes_its_seconds() -> None:
    assert not has(told(rotated(NOW - DAY), BEGUN), reasons.ROTATION_OVERDUE)


def test_one_that_had_to_wait_is_overdue_until_it_is_done() -> None:
    given = rotated(NOW - DAY)
    waiting = told(given, WAITING)
    begun = told(with_status(given, conditions=waiting.conditions), BEGUN, NOW + HOUR)
    before, after = condition(waiting, reasons.ROTATION_OVERDUE), condition(begun, reasons.ROTATION_OVERDUE)
    assert before is not None
    assert after is not None
    assert after.last_transition_time == before.last_transition_time == NOW
    done = changed(begun, rotation=RotationStatus(last_rotated_at=NOW + HOUR))
    key = given.key.changed(status=begun)
    delivered_again = fully_told(key, done, Standing.delivered("support"), NOW + HOUR)
    assert not has(delivered_again, reasons.ROTATION_OVERDUE)


def test_an_open_request_of_unknown_outcome_is_a_rotation_that_waits() -> None:
    unknown = Decision(WaitUntil(NOW + MINUTE), reasons.OUTCOME_UNKNOWN, "It is sent again.")
    assert has(told(rotated(NOW - DAY), unknown), reasons.ROTATION_OVERDUE)
    sending = Decision(Mint(an_intent(2)), reasons.MINTING, "Minting.")
    assert not has(told(rotated(NOW - DAY), sending), reasons.ROTATION_OVERDUE)


def test_an_object_on_its_way_out_is_not_rotated_and_not_overdue() -> None:
    status = told(being_deleted(rotated(NOW - DAY)), WAITING)
    assert not has(status, reasons.ROTATION_OVERDUE)
    assert status.rotation is not None
    assert status.rotation.next_rotation_at is None


def test_without_trouble_there_are_no_conditions_of_rotations() -> None:
    status = told(rotated(NOW), REST)
    assert {each.type for each in status.conditions} == {"Ready", "KeyActive", "SecretSynced"}


def test_a_bad_schedule_is_told_whatever_else_goes_on_and_goes_when_it_is_mended() -> None:
    marks = {annotations.ROTATION_SCHEDULE: "0 25 * * *"}
    given = with_metadata(rotated(NOW), annotations=marks)
    for decision in (REST, WAITING, STALLED, BEGUN):
        refused = condition(told(given, decision), reasons.SCHEDULE_REFUSED)
        assert refused is not None
        assert refused.reason == reasons.INVALID_SCHEDULE
        assert "the hour '25'" in refused.message
        ready = condition(told(given, decision), reasons.READY)
        assert ready is not None
        assert ready.status is ConditionStatus.TRUE
    mended = with_status(rotated(NOW), conditions=told(given, REST).conditions)
    assert not has(told(mended, REST), reasons.SCHEDULE_REFUSED)


def test_what_rest_says_is_said_once() -> None:
    given = with_metadata(rotated(NOW), annotations={annotations.ROTATION_SCHEDULE: "often"})
    once = told(given, decide(given, NOW, TIMINGS))
    later = with_status(given, **dict(once))
    assert told(later, decide(later, NOW + MINUTE, TIMINGS), NOW + MINUTE) == once


@pytest.mark.parametrize(
    ("ago", "until"),
    [
        pytest.param(DAY - SECOND, SECOND, id="due in a second: looked at then"),
        pytest.param(DAY, TIMINGS.recheck, id="overdue: as the wait has it"),
    ],
)
def test_a_wait_for_something_else_is_broken_off_when_the_rotation_falls_due(
    ago: timedelta, until: timedelta
) -> None:
    given = changed(rotated(NOW - ago), provider=ProviderAbsent())
    step = decide(given, NOW, TIMINGS).step
    assert step == Stall(NOW + until)


def test_a_suspended_object_is_looked_at_when_its_rotation_falls_due() -> None:
    given = with_spec(rotated(NOW - DAY + SECOND), suspend=True, rotation={"schedule": "1d", "jitter": "0s"})
    assert decide(given, NOW, TIMINGS).step == Done(NOW + SECOND)
