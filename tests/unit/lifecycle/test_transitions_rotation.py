"""What status remembers of rotations in one step: of keys that are dead, and of those that nobody knows."""

from datetime import timedelta

import pytest

from saperly_operator.lifecycle import transitions
from saperly_operator.lifecycle.rollout import is_awaited
from saperly_operator.lifecycle.transitions_rotation import rotation_lost, rotation_refused, successors_adopted
from saperly_operator.resources import reasons
from saperly_operator.resources.findings import RevokedOutside
from saperly_operator.resources.saperly_key_status import (
    FailedRotation,
    Failure,
    Operation,
    RotationStatus,
    SaperlyKeyStatus,
)
from tests.builders import (
    DAY,
    ENTRY,
    HOUR,
    KEPT,
    NOW,
    PROVIDER,
    a_delivered_status,
    a_key,
    a_ref,
    a_retiring,
    an_intent,
)

FAILURE = Failure(code=reasons.OUTCOME_UNKNOWN, count=1, retry_at=NOW)
ZERO = timedelta(0)
ROTATING = an_intent(2, operation=Operation.ROTATE, rotates="key-1", request="", trigger=reasons.ROTATION_REQUESTED)


def failed_rotation(status: SaperlyKeyStatus) -> FailedRotation | None:
    return status.rotation.failed if status.rotation is not None else None


def test_a_rotation_given_up_with_a_successor_leaves_a_dead_key_and_one_without_leaves_a_live_one() -> None:
    before = a_delivered_status(1, intent=ROTATING)
    dead = transitions.intent_abandoned(before, (a_retiring(2),), FAILURE)
    assert failed_rotation(dead) == FailedRotation(id="key-1", dead=True)
    assert dead.current == before.current, "it stays current until another takes its place"
    assert failed_rotation(transitions.intent_abandoned(before, (), FAILURE)) == FailedRotation(
        id="key-1", dead=False
    )


def test_a_rotation_that_nobody_will_ever_tell_of_counts_as_one_that_took_effect() -> None:
    before = a_delivered_status(1, intent=ROTATING)
    replaced = transitions.intent_abandoned(before, (), FAILURE.changed(code=reasons.SERVICE_KEY_REPLACED))
    assert failed_rotation(replaced) == FailedRotation(id="key-1", dead=True)


def test_a_key_that_was_adopted_makes_up_for_nothing() -> None:
    failed = RotationStatus(failed=FailedRotation(id="key-1", dead=True))
    key = a_key(a_delivered_status(1, rotation=failed))
    assert failed_rotation(transitions.key_adopted(key, a_ref(2), KEPT, "installation")) is None


def test_a_mint_given_up_says_nothing_of_the_key_in_the_secret() -> None:
    status = a_delivered_status(1, intent=an_intent(2))
    assert failed_rotation(transitions.intent_abandoned(status, (a_retiring(2),), FAILURE)) is None


def test_a_rotation_that_took_effect_unseen_leaves_a_dead_key_and_keeps_its_place_among_the_hours_mints() -> None:
    before = a_delivered_status(1, intent=ROTATING, recent_intents=(NOW,))
    lost = rotation_lost(before, FAILURE, NOW)
    assert failed_rotation(lost) == FailedRotation(id="key-1", dead=True)
    assert lost.rotation is not None
    (successor,) = lost.rotation.lost
    assert (successor.replaced, successor.provider, successor.service_key) == ("key-1", PROVIDER, ENTRY)
    assert successor.since > NOW, "a list of this very second may have been begun too early"
    found = successors_adopted(lost, "key-1", (a_retiring(2),))
    assert found.rotation is not None
    assert (found.rotation.lost, found.retiring) == ((), (a_retiring(2),))
    assert (lost.intent, lost.failure, lost.recent_intents) == (None, FAILURE, (NOW,))


def test_a_rotation_refused_minted_nothing() -> None:
    before = a_delivered_status(1, intent=ROTATING, recent_intents=(NOW - HOUR, NOW), failure=FAILURE)
    refused = rotation_refused(before)
    assert failed_rotation(refused) == FailedRotation(id="key-1", dead=False)
    assert (refused.intent, refused.failure, refused.recent_intents) == (None, None, (NOW - HOUR,))


@pytest.mark.parametrize(
    ("strategy", "trigger", "rotated_from", "failed", "ends"),
    [
        pytest.param("Overlap", reasons.ROTATION_REQUESTED, None, None, HOUR, id="overlap"),
        pytest.param("Atomic", reasons.ROTATION_REQUESTED, "key-1", None, ZERO, id="replaced in one step"),
        pytest.param("Overlap", reasons.ROTATION_REQUESTED, "key-1", None, ZERO, id="the strategy changed meanwhile"),
        pytest.param("Overlap", reasons.ROTATION_LOST, None, "key-1", ZERO, id="a dead key"),
        pytest.param("Atomic", reasons.ROTATION_SCHEDULED, None, None, ZERO, id="asked for in one step, minted"),
        pytest.param("Atomic", reasons.SECRET_MISSING, None, None, HOUR, id="nobody asked for its end"),
        pytest.param("Atomic", reasons.PROVIDER_CHANGED, None, None, HOUR, id="another provider"),
    ],
)
def test_how_long_the_key_before_lives_on(
    strategy: str, trigger: str, rotated_from: str | None, failed: str | None, ends: timedelta
) -> None:
    rotation = RotationStatus(failed=FailedRotation(id=failed, dead=True) if failed else None)
    before = a_delivered_status(1, intent=an_intent(2, trigger=trigger), rotation=rotation)
    key = a_key(before, rotation={"strategy": strategy})
    status = transitions.key_delivered(key, a_ref(2, rotated_from=rotated_from), KEPT, NOW, None)
    assert [entry.revoke_after for entry in status.retiring] == [NOW + ends]
    assert failed_rotation(status) is None, "made up for"


def test_a_key_that_saperly_did_not_rotate_has_its_overlap_once_nobody_asks_for_its_end_any_more() -> None:
    refused = RotationStatus(failed=FailedRotation(id="key-1", dead=False))
    before = a_delivered_status(1, intent=an_intent(2, trigger=reasons.ROTATION_SCHEDULED), rotation=refused)
    status = transitions.key_delivered(a_key(before), a_ref(2), KEPT, NOW, None)
    assert [entry.revoke_after for entry in status.retiring] == [NOW + HOUR]


WORKLOADS = [{"kind": "Deployment", "name": "agent"}]


@pytest.mark.parametrize(
    ("strategy", "rotated_from", "revoked", "waits"),
    [
        pytest.param("Overlap", None, False, True, id="the old key lives on until everything runs with the new one"),
        pytest.param("Atomic", "key-1", False, False, id="replaced in one step"),
        pytest.param("Atomic", None, False, False, id="asked for in one step, minted"),
        pytest.param("Overlap", None, True, False, id="revoked by somebody else"),
    ],
)
def test_workloads_are_restarted_whether_or_not_an_old_key_waits_for_them(
    strategy: str, rotated_from: str | None, revoked: bool, waits: bool
) -> None:
    before = a_delivered_status(1, intent=an_intent(2, trigger=reasons.ROTATION_REQUESTED))
    if revoked:
        before = before.changed(revoked=RevokedOutside(id="key-1", revoked_at=NOW))
    key = a_key(before, rotation={"strategy": strategy}, restart=WORKLOADS)
    status = transitions.key_delivered(key, a_ref(2, rotated_from=rotated_from), KEPT, NOW, None)
    assert status.restarted is not None
    assert status.restarted.serial == 2
    assert is_awaited(status)
    assert [entry.revoke_after > NOW for entry in status.retiring] == ([] if revoked else [waits])
    finished = status.changed(restarted=status.restarted.changed(finished_at=NOW))
    assert not is_awaited(finished)


def test_a_first_key_restarts_nobody() -> None:
    key = a_key(SaperlyKeyStatus(intent=an_intent(1)), rotation={"strategy": "Atomic"}, restart=WORKLOADS)
    assert transitions.key_delivered(key, a_ref(1), KEPT, NOW + DAY, None).restarted is None
