"""Conditions as ``kubectl wait`` and kstatus read them."""

import pytest

from saperly_operator.lifecycle.conditions import Standing, condition, with_conditions
from saperly_operator.lifecycle.decide import decide
from saperly_operator.lifecycle.observed import Observed, SecretAbsent
from saperly_operator.lifecycle.steps import Decision, Done, ReadLive, Stall, StoreIntent, WaitUntil
from saperly_operator.lifecycle.timings import Timings
from saperly_operator.resources import reasons
from saperly_operator.resources.base import Condition, ConditionStatus
from saperly_operator.resources.saperly_key_status import FailedRotation, RotationStatus, SaperlyKeyStatus
from tests.builders import HOUR, NOW, a_ref, a_secret, an_intent, changed, delivered, observed, with_spec, with_status

REST = Decision(Done(), reasons.AVAILABLE, "All is well.")
WAITING = Decision(WaitUntil(NOW), reasons.WAITING_FOR_BUDGET, "It goes on by itself.")
STALLED = Decision(Stall(NOW), reasons.PROVIDER_NOT_FOUND, "Create it.")


def status_for(given: Observed, decision: Decision, generation: int = 1) -> SaperlyKeyStatus:
    return with_conditions(given.key.status, Standing.of(given, decision), generation, NOW)


def holds(status: SaperlyKeyStatus) -> dict[str, str]:
    return {each.type: each.status.value for each in status.conditions}


@pytest.mark.parametrize(
    ("given", "decision", "expected"),
    [
        pytest.param(delivered(), REST, {"Ready": "True", "KeyActive": "True", "SecretSynced": "True"}, id="at rest"),
        pytest.param(
            observed(),
            STALLED,
            {"Ready": "False", "KeyActive": "False", "SecretSynced": "False", "Stalled": "True"},
            id="stalled before the first key",
        ),
        pytest.param(
            observed(),
            WAITING,
            {"Ready": "False", "KeyActive": "False", "SecretSynced": "False", "Reconciling": "True"},
            id="on its way to the first key",
        ),
        pytest.param(
            delivered(),
            STALLED,
            {"Ready": "True", "KeyActive": "True", "SecretSynced": "True", "Stalled": "True"},
            id="a working key stays ready whatever is stalled beside it",
        ),
        pytest.param(
            with_status(delivered(), rotation=RotationStatus(failed=FailedRotation(id=a_ref().id, dead=True))),
            WAITING,
            {"Ready": "False", "KeyActive": "False", "SecretSynced": "True", "Reconciling": "True"},
            id="the Secret holds a key that was rotated away",
        ),
        pytest.param(
            changed(delivered(), secret=SecretAbsent()),
            WAITING,
            {"Ready": "False", "KeyActive": "True", "SecretSynced": "False", "Reconciling": "True"},
            id="the Secret is gone",
        ),
        pytest.param(
            changed(delivered(), secret=a_secret(metadata_in_sync=False)),
            WAITING,
            {"Ready": "True", "KeyActive": "True", "SecretSynced": "False", "Reconciling": "True"},
            id="its labels are stripped: the key works",
        ),
        pytest.param(
            changed(with_spec(delivered(), secret={"name": "new"}), secret=SecretAbsent(), former_secret=a_secret()),
            WAITING,
            {"Ready": "True", "KeyActive": "True", "SecretSynced": "False", "Reconciling": "True"},
            id="on its way to another Secret: the old one works",
        ),
    ],
)
def test_what_holds(given: Observed, decision: Decision, expected: dict[str, str]) -> None:
    assert holds(status_for(given, decision)) == expected


def test_reason_message_and_generation_are_the_same_everywhere() -> None:
    status = status_for(delivered(), STALLED, generation=7)
    assert status.observed_generation == 7
    said = {(each.reason, each.message, each.observed_generation) for each in status.conditions}
    assert said == {(reasons.PROVIDER_NOT_FOUND, "Create it.", 7)}


def test_transition_times_move_only_with_a_status() -> None:
    before = status_for(delivered(), REST)
    given = changed(with_status(delivered(), conditions=before.conditions), secret=SecretAbsent())
    later = with_conditions(given.key.status, Standing.of(given, WAITING), 2, NOW + HOUR)
    times = {each.type: each.last_transition_time for each in later.conditions}
    assert times == {"Ready": NOW + HOUR, "KeyActive": NOW, "SecretSynced": NOW + HOUR, "Reconciling": NOW + HOUR}


def test_saying_the_same_again_changes_nothing() -> None:
    once = status_for(delivered(), REST)
    again = with_conditions(once, Standing.of(delivered(), REST), 1, NOW + HOUR)
    assert again == once, "so that an object at rest costs no write"


def test_a_recorded_delivery_says_already_what_rest_will_say() -> None:
    given = delivered()
    recorded = with_conditions(given.key.status, Standing.delivered("support"), 1, NOW)
    rest = decide(given, NOW, Timings())
    assert with_conditions(recorded, Standing.of(given, rest), 1, NOW + HOUR) == recorded


def refused_before(reason: str, *, generation: int = 1) -> Observed:
    stalled = Condition(
        type=reasons.STALLED,
        status=ConditionStatus.TRUE,
        observed_generation=generation,
        last_transition_time=NOW,
        reason=reason,
        message="Correct it.",
    )
    return with_status(observed(), conditions=(stalled,))


MINT = Decision(StoreIntent(an_intent()), reasons.MINTING, "Minting a key at Saperly.")


def test_a_refused_mint_tried_again_stays_stalled_until_it_succeeds() -> None:
    standing = Standing.trying(refused_before(reasons.LINE_NOT_FOUND), MINT)
    assert (standing.stalled, standing.reason, standing.message) == (True, reasons.LINE_NOT_FOUND, "Correct it.")


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(observed(), id="nothing before"),
        pytest.param(refused_before(reasons.LINE_NOT_FOUND, generation=0), id="before an edit of the spec"),
        pytest.param(refused_before(reasons.PROVIDER_NOT_FOUND), id="a cause that was seen to be gone"),
    ],
)
def test_a_mint_tried_for_another_reason_is_progress(given: Observed) -> None:
    standing = Standing.trying(given, MINT)
    assert (standing.stalled, standing.reason) == (False, reasons.MINTING)


def test_looking_closer_is_no_rest() -> None:
    looking = Decision(ReadLive(), reasons.SECRET_MISSING, "The Secret is gone.")
    assert condition(status_for(delivered(), looking), reasons.RECONCILING) is not None
    assert condition(status_for(delivered(), REST), reasons.RECONCILING) is None
