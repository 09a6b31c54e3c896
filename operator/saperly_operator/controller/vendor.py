"""One call to the vendor: through the gate, and its outcome told to the gate.

Every call of the controller goes through ``ask_vendor``; nothing else touches a ``VendorApi``.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from saperly_operator.budget.gate import Gate, Granted, Wait
from saperly_operator.budget.operation import Operation
from saperly_operator.budget.outcome import Answered, Blocked, Outcome, Scope, Throttled, Unanswered
from saperly_operator.clock import Clock
from saperly_operator.controller.service_keys import Handle
from saperly_operator.saperly import errors
from saperly_operator.saperly.models import ChildKey

Result = TypeVar("Result")


class GateShut(Exception):
    """The gate does not let the request through now; nothing was sent. ``wait`` says for how long and why."""

    def __init__(self, wait: Wait) -> None:
        super().__init__(wait.reason.value)
        self.wait = wait


async def ask_vendor(
    gate: Gate,
    operation: Operation,
    clock: Clock,
    call: Callable[[], Awaitable[Result]],
    *,
    turn: Granted | None = None,
) -> Result:
    """Send one request; ``turn`` is a grant reserved before, else one is asked for.

    Raises GateShut when there is none, SaperlyError as the call does.
    """
    now = clock.monotonic()
    granted = turn or gate.ask(operation, now)
    if isinstance(granted, Wait):
        raise GateShut(granted)
    try:
        result = await call()
    except errors.NotSent:
        # Nothing reached the vendor, so nothing was spent; the breaker's probe, if it was one, may go again.
        gate.give_back(granted, clock.monotonic())
        raise
    except errors.SaperlyError as error:
        gate.record(granted, outcome_of(error), clock.monotonic())
        raise
    gate.record(granted, Answered(), clock.monotonic())
    return result


async def look_at_key(handle: Handle, key_id: str, clock: Clock) -> ChildKey:
    """GET one key, revoked or not, with the service key of ``handle``. Raises GateShut, SaperlyError."""
    return await ask_vendor(handle.gate, Operation.GET, clock, lambda: handle.api.get_key(key_id))


def outcome_of(error: errors.SaperlyError) -> Outcome:
    """What an error tells about the service key, as opposed to the object it was made for."""
    match error:
        case errors.Throttled():
            return Throttled(error.retry_after)
        case errors.ServiceKeyRejected():
            return Blocked(error.code or "unauthorized", Scope.SERVICE_KEY)
        case errors.AccountBlocked():
            return Blocked(error.code or "forbidden", Scope.OPERATION)
        case errors.OutcomeUnknown() | errors.Defect():
            return Unanswered()
        case _:
            return Answered()
