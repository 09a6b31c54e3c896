"""Standing refusals: the 401, 402 and 403 that a person has to mend, set through the control surface."""

from saperly_operator.simulator.errors import BLOCKING_CODES, ApiError
from saperly_operator.simulator.state import Block, Child, Scope, ServiceKey
from saperly_operator.simulator.turn import Turn


def refuse_if_blocked(
    turn: Turn, service_key: ServiceKey, child: Child | None = None, line_id: str | None = None
) -> None:
    """Raise the first block's error that stands for this operation on what it touches.

    ``line_id`` is the line that the request names; the line of ``child`` counts as well.
    """
    touched = {
        (Scope.ACCOUNT, service_key.account_id),
        (Scope.SERVICE_KEY, service_key.id),
        (Scope.LINE, line_id),
    }
    if child is not None:
        touched |= {(Scope.KEY, child.id), (Scope.LINE, child.line_id)}
    for block in turn.store.blocks():
        if turn.operation in block.operations and (block.scope, block.scope_id) in touched:
            raise error_of(block)


def error_of(block: Block) -> ApiError:
    """What the vendor answers because of ``block``."""
    status, message, _ = BLOCKING_CODES[block.code]
    return ApiError(status, block.code, message, block.details)
