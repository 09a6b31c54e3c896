"""One call through the gate: what each error of the vendor tells the gate, with every class in the table."""

from collections.abc import Awaitable, Callable

import pytest

from saperly_operator.budget.gate import Gate, Granted, WaitReason
from saperly_operator.budget.operation import Operation
from saperly_operator.budget.outcome import Answered, Blocked, Outcome, Scope, Throttled, Unanswered
from saperly_operator.clock import ManualClock
from saperly_operator.controller.vendor import GateShut, ask_vendor, outcome_of
from saperly_operator.saperly import errors
from saperly_operator.saperly import operation as saperly_operation

MINT = saperly_operation.Operation.MINT

OUTCOMES: dict[type[errors.SaperlyError], tuple[errors.SaperlyError, Outcome]] = {
    errors.OutcomeUnknown: (errors.OutcomeUnknown(MINT, errors.Doubt.TIMEOUT), Unanswered()),
    errors.NotSent: (errors.NotSent(MINT), Unanswered()),
    errors.InProgress: (errors.InProgress(MINT, retry_after=1), Answered()),
    errors.IdempotencyKeyReused: (errors.IdempotencyKeyReused(MINT), Answered()),
    errors.Throttled: (errors.Throttled(MINT, retry_after=7), Throttled(7)),
    errors.ServiceKeyRejected: (
        errors.ServiceKeyRejected(MINT, code="invalid_api_key"),
        Blocked("invalid_api_key", Scope.SERVICE_KEY),
    ),
    errors.AccountBlocked: (
        errors.AccountBlocked(MINT, code="insufficient_credits"),
        Blocked("insufficient_credits", Scope.OPERATION),
    ),
    errors.Refused: (errors.Refused(MINT, code="validation_error"), Answered()),
    errors.NotVisible: (errors.NotVisible(MINT, code="not_found"), Answered()),
    errors.Defect: (errors.Defect(MINT, "our mistake"), Unanswered()),
}


def all_errors(base: type[errors.SaperlyError] = errors.SaperlyError) -> set[type[errors.SaperlyError]]:
    return {error for sub in base.__subclasses__() for error in {sub, *all_errors(sub)}}


def test_every_class_of_error_is_in_the_table() -> None:
    assert set(OUTCOMES) == {error for error in all_errors() if error.__module__ == errors.__name__}


@pytest.mark.parametrize(("error", "outcome"), OUTCOMES.values(), ids=[kind.__name__ for kind in OUTCOMES])
def test_what_an_error_tells_of_the_service_key(error: errors.SaperlyError, outcome: Outcome) -> None:
    assert outcome_of(error) == outcome


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (errors.ServiceKeyRejected(MINT), Blocked("unauthorized", Scope.SERVICE_KEY)),
        (errors.AccountBlocked(MINT), Blocked("forbidden", Scope.OPERATION)),
    ],
    ids=["401", "403"],
)
def test_a_block_without_a_code_has_the_code_of_its_status(error: errors.SaperlyError, outcome: Outcome) -> None:
    assert outcome_of(error) == outcome


class Asked:
    """Calls through one gate, in virtual time."""

    def __init__(self) -> None:
        self.gate, self.clock, self.sent = Gate(), ManualClock(), 0

    async def __call__(self, error: errors.SaperlyError | None = None, turn: Granted | None = None) -> str:
        return await ask_vendor(self.gate, Operation.MINT, self.clock, self._call(error), turn=turn)

    def _call(self, error: errors.SaperlyError | None) -> Callable[[], Awaitable[str]]:
        async def call() -> str:
            self.sent += 1
            if error is not None:
                raise error
            return "answer"

        return call

    @property
    def remaining(self) -> int | None:
        return self.gate.remaining(Operation.MINT, self.clock.monotonic())


async def test_an_answer_is_handed_on_and_counted() -> None:
    asked = Asked()
    assert await asked() == "answer"
    assert asked.remaining == 59


async def test_a_turn_reserved_before_is_used_and_not_counted_twice() -> None:
    asked = Asked()
    turn = asked.gate.ask(Operation.MINT, 0.0)
    assert isinstance(turn, Granted)
    assert await asked(turn=turn) == "answer"
    assert asked.remaining == 59


async def test_a_spent_limit_sends_nothing() -> None:
    asked = Asked()
    for _ in range(60):
        await asked()
    with pytest.raises(GateShut) as caught:
        await asked()
    assert caught.value.wait.reason is WaitReason.BUDGET
    assert asked.sent == 60


@pytest.mark.parametrize(
    "kind", [kind for kind in OUTCOMES if kind is not errors.NotSent], ids=lambda kind: kind.__name__
)
async def test_every_request_that_left_counts_whatever_came_of_it(kind: type[errors.SaperlyError]) -> None:
    asked = Asked()
    with pytest.raises(kind):
        await asked(OUTCOMES[kind][0])
    assert asked.remaining == 59


async def test_a_request_that_never_left_counts_for_nothing() -> None:
    asked = Asked()
    with pytest.raises(errors.NotSent):
        await asked(errors.NotSent(MINT))
    assert asked.remaining == 60


async def test_a_429_shuts_the_gate_for_retry_after() -> None:
    asked = Asked()
    with pytest.raises(errors.Throttled):
        await asked(errors.Throttled(MINT, retry_after=7))
    with pytest.raises(GateShut):
        await asked()
    asked.clock.advance(7)
    assert await asked() == "answer"


async def test_a_401_shuts_every_operation_of_the_service_key() -> None:
    asked = Asked()
    with pytest.raises(errors.ServiceKeyRejected):
        await asked(errors.ServiceKeyRejected(MINT, code="invalid_api_key"))
    assert asked.gate.peek(Operation.REVOKE, 0.0) is not None


async def test_a_402_shuts_that_operation_only() -> None:
    asked = Asked()
    with pytest.raises(errors.AccountBlocked):
        await asked(errors.AccountBlocked(MINT, code="insufficient_credits"))
    assert asked.gate.peek(Operation.MINT, 0.0) is not None
    assert asked.gate.peek(Operation.REVOKE, 0.0) is None
