"""Requests as bytes that never vary: the same request is always the same string.

The controller stores this string with its intent and every replay sends it as it stands, since the vendor answers
409 to the same Idempotency-Key with another body.
"""

import json

from saperly_operator.saperly.errors import Defect
from saperly_operator.saperly.models import MintRequest, UpdateRequest
from saperly_operator.saperly.operation import Operation

_CLEARABLE = frozenset({"agent_label", "line_id", "monthly_cap_cents"})


def mint_body(request: MintRequest) -> str:
    """The body of a mint: fields that are None are left out. Pure ASCII, so that nothing on its way re-encodes it."""
    return _canonical(request.model_dump(mode="json", exclude_none=True))


def update_body(request: UpdateRequest) -> str:
    """The body of a PATCH: the fields that were set, where None clears. Raises ``Defect`` for one that says nothing
    or that clears what cannot be cleared."""
    fields = request.model_dump(mode="json", exclude_unset=True)
    if not fields:
        raise Defect(Operation.UPDATE, "an update must set at least one field")
    if uncleared := {name for name, value in fields.items() if value is None} - _CLEARABLE:
        raise Defect(Operation.UPDATE, f"{', '.join(sorted(uncleared))} cannot be cleared")
    return _canonical(fields)


def _canonical(fields: dict[str, object]) -> str:
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
