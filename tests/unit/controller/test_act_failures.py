"""What each failure of a mint means for the object: the table of the design, with every class of error in it."""

from dataclasses import dataclass

import pytest

from saperly_operator.controller.act_failures import refusal_text
from saperly_operator.kube.api import EVENTS
from saperly_operator.resources import reasons
from saperly_operator.saperly import errors
from saperly_operator.saperly.errors import Detail, Doubt, SaperlyError
from saperly_operator.saperly.operation import Operation
from tests.builders import MINUTE, NOW
from tests.unit.controller.test_vendor import all_errors
from tests.unit.controller.world import World

MINT = Operation.MINT


@dataclass(frozen=True)
class Row:
    """After the error: is the intent kept, which condition says why, and how long until the next POST?"""

    error: SaperlyError
    keeps_intent: bool
    condition: tuple[str, str]
    seconds: int


TABLE: dict[str, Row] = {
    "an answer that did not come": Row(
        errors.OutcomeUnknown(MINT, Doubt.TIMEOUT), True, (reasons.RECONCILING, reasons.OUTCOME_UNKNOWN), 5
    ),
    "an answer that did not come, with a Retry-After": Row(
        errors.OutcomeUnknown(MINT, Doubt.SERVER_ERROR, http_status=503, retry_after=40),
        True,
        (reasons.RECONCILING, reasons.OUTCOME_UNKNOWN),
        40,
    ),
    "a request that never left": Row(
        errors.NotSent(MINT), True, (reasons.RECONCILING, reasons.SAPERLY_UNREACHABLE), 5
    ),
    "a first request that still runs": Row(
        errors.InProgress(MINT, retry_after=1), True, (reasons.RECONCILING, reasons.OUTCOME_UNKNOWN), 5
    ),
    "a key that was used with another body": Row(
        errors.IdempotencyKeyReused(MINT), True, (reasons.RECONCILING, reasons.OUTCOME_UNKNOWN), 5
    ),
    "429": Row(errors.Throttled(MINT, retry_after=7), True, (reasons.RECONCILING, reasons.WAITING_FOR_BUDGET), 7),
    "401": Row(
        errors.ServiceKeyRejected(MINT, code="invalid_api_key"),
        False,
        (reasons.STALLED, reasons.SERVICE_KEY_REJECTED),
        30,
    ),
    "402 of the account": Row(
        errors.AccountBlocked(MINT, code="insufficient_credits"),
        False,
        (reasons.STALLED, reasons.INSUFFICIENT_CREDITS),
        30,
    ),
    "422": Row(
        errors.Refused(MINT, code="validation_error"), False, (reasons.STALLED, reasons.VALIDATION_FAILED), 300
    ),
    "404 of the line": Row(
        errors.Refused(MINT, code="not_found"), False, (reasons.STALLED, reasons.LINE_NOT_FOUND), 300
    ),
    "a key that is not visible": Row(
        errors.NotVisible(MINT, code="not_found"), False, (reasons.STALLED, reasons.LINE_NOT_FOUND), 300
    ),
    "a mistake of ours": Row(errors.Defect(MINT, "mistake"), False, (reasons.STALLED, reasons.REQUEST_REFUSED), 300),
}
rows = pytest.mark.parametrize("row", TABLE.values(), ids=list(TABLE))


def test_every_class_of_error_is_in_the_table() -> None:
    known = {error for error in all_errors() if error.__module__ == errors.__name__}
    assert {type(row.error) for row in TABLE.values()} == known


@rows
async def test_what_is_stored_and_shown(world: World, row: Row) -> None:
    world.mint_errors.append(row.error)
    await world.apply()
    await world.reconcile()
    status = (await world.key()).status
    assert (status.intent is not None) is row.keeps_intent
    kind, reason = row.condition
    assert (await world.reasons()).get(kind) == reason
    assert world.mint_errors == []
    assert world.minted() == 0, "not a second time at once"
    assert await world.digest() is None


@rows
async def test_when_it_is_tried_again_and_that_it_then_succeeds(world: World, row: Row) -> None:
    world.mint_errors.append(row.error)
    await world.apply()
    await world.reconcile()
    serial = (await world.key()).status.serial
    await world.reconcile_after(row.seconds - 1)
    assert world.minted() == 0
    await world.reconcile_after(1)
    await world.reconcile_after(1)
    assert world.minted() == 1
    status = (await world.key()).status
    assert (await world.reasons())["Ready"] == reasons.AVAILABLE
    assert status.serial == (serial if row.keeps_intent else 2), "a definite refusal sticks to its Idempotency-Key"
    assert status.failure is None
    assert len(world.live()) == 1


async def test_a_refusal_is_tried_again_at_once_after_an_edit(world: World) -> None:
    world.mint_errors.append(errors.Refused(MINT, code="not_found"))
    await world.apply(lineId="6f1f0a52-0001-4000-8000-000000000001")
    await world.reconcile()
    assert world.minted() == 0
    await world.apply(lineId=None)
    await world.reconcile()
    assert world.minted() == 1


async def test_repeated_refusals_back_off_and_survive_a_restart(world: World) -> None:
    world.mint_errors += [errors.Refused(MINT, code="not_found") for _ in range(3)]
    await world.apply()
    await world.reconcile()
    for minutes in (5, 10):
        await world.restart()
        await world.reconcile_after(minutes * 60 - 1)
        await world.reconcile_after(1)
    failure = (await world.key()).status.failure
    assert failure is not None
    assert failure.count == 3
    assert failure.retry_at - world.clock.now() == 20 * MINUTE
    assert world.clock.now() == NOW + 15 * MINUTE


async def test_a_rejected_service_key_keeps_other_objects_from_beginning(world: World) -> None:
    world.mint_errors.append(errors.ServiceKeyRejected(MINT, code="invalid_api_key"))
    await world.apply()
    await world.reconcile()
    await world.apply("other")
    await world.reconcile("other")
    assert (await world.key("other")).status.intent is None
    assert (await world.reasons("other"))["Stalled"] == reasons.SERVICE_KEY_REJECTED
    assert world.minted() == 0


async def test_three_unknown_outcomes_ask_the_list_instead(world: World) -> None:
    world.mint_errors += [errors.OutcomeUnknown(MINT, Doubt.TIMEOUT) for _ in range(20)]
    await world.apply()
    await world.reconcile()
    await world.reconcile_after(60, times=6)
    tried = 20 - len(world.mint_errors)
    assert tried >= 3
    await world.reconcile_after(60, times=4)
    assert 20 - len(world.mint_errors) == tried, "not sent again before the list was seen"
    world.mint_errors.clear()
    await world.sweep()
    await world.reconcile()
    assert (await world.reasons())["Ready"] == reasons.AVAILABLE
    assert (await world.key()).status.serial == 2
    assert len(world.live()) == 1


async def test_a_first_request_that_never_ends_is_asked_about_ever_more_rarely_and_then_the_list_is(
    world: World,
) -> None:
    world.mint_errors += [errors.InProgress(MINT, retry_after=1) for _ in range(200)]
    await world.apply()
    await world.reconcile()
    await world.reconcile_after(1, times=120)
    assert 200 - len(world.mint_errors) <= 5
    await world.reconcile_after(60, times=6)
    tried = len(world.mint_errors)
    await world.reconcile_after(60, times=4)
    assert len(world.mint_errors) == tried, "not asked again before the list was seen"
    world.mint_errors.clear()
    await world.sweep()
    await world.reconcile()
    assert (await world.reasons())["Ready"] == reasons.AVAILABLE
    assert (await world.key()).status.serial == 2


async def test_a_vendor_that_is_away_in_turns_is_tried_ever_more_rarely_and_told_of_once(world: World) -> None:
    for _ in range(100):
        world.mint_errors += [errors.NotSent(MINT), errors.OutcomeUnknown(MINT, Doubt.SERVER_ERROR, http_status=502)]
    await world.apply()
    await world.reconcile()
    await world.reconcile_after(5, times=12 * 60)
    assert 200 - len(world.mint_errors) <= 20
    events = [event["reason"] for event in await world.memory.list(EVENTS)]
    assert len(events) == 1
    world.mint_errors.clear()
    await world.sweep()
    await world.reconcile()
    assert (await world.reasons())["Ready"] == reasons.AVAILABLE
    assert (await world.key()).status.serial == 2, "the list was asked"


@pytest.mark.parametrize(
    ("error", "reason", "says"),
    [
        (errors.Refused(MINT, code="agent_cap_exceeded"), reasons.AGENT_CAP_EXCEEDED, "spending cap is used up"),
        (errors.Refused(MINT, code="agent_scope_error"), reasons.AGENT_SCOPE_ERROR, "Correct spec.lineId."),
        (errors.Refused(MINT, code="agent_permission_denied"), reasons.AGENT_PERMISSION_DENIED, "spec.permissions"),
        (errors.Refused(MINT, code="next_years_code"), reasons.REQUEST_REFUSED, "(next_years_code)"),
        (errors.Refused(MINT, http_status=418), reasons.REQUEST_REFUSED, "(HTTP 418)"),
        (errors.Refused(MINT), reasons.REQUEST_REFUSED, "(unlisted)"),
    ],
    ids=["cap", "scope", "permission", "an unknown code", "no code", "nothing"],
)
def test_a_refusal_in_words(error: SaperlyError, reason: str, says: str) -> None:
    assert refusal_text(error)[0] == reason
    assert says in refusal_text(error)[1]


def test_of_the_vendors_own_words_only_the_fields_that_were_sent_are_shown() -> None:
    details = (Detail("line_id", "NEVERSHOWTHIS"), Detail("NEVERSHOWTHIS", "x"), Detail("agent_label", "x"))
    _, message = refusal_text(errors.Refused(MINT, code="validation_error", details=details))
    assert "agent_label, line_id:" in message
    assert "NEVERSHOWTHIS" not in message


async def test_a_refusal_with_more_words_than_status_holds_closes_the_intent_and_is_shown(world: World) -> None:
    details = tuple(Detail(f"{'x' * 60}{number:04}", "no") for number in range(16))
    world.mint_errors.append(errors.Refused(MINT, code="validation_error", details=details))
    await world.apply()
    await world.reconcile()
    assert (await world.key()).status.intent is None
    assert (await world.reasons())["Stalled"] == reasons.VALIDATION_FAILED
