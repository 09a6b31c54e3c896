"""From an answer that is no success to the error that the caller decides by. Pure; the table of codes is here.

The vendor says: branch on ``code``, never on ``message``. So it is done for every readable 4xx. Where an answer has
no code, something between us and the vendor spoke (a proxy, a firewall), and its 404 or 409 proves nothing.
"""

import re
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from saperly_operator.saperly.errors import (
    AccountBlocked,
    Defect,
    Detail,
    Doubt,
    IdempotencyKeyReused,
    InProgress,
    NotVisible,
    OutcomeUnknown,
    Refused,
    SaperlyError,
    ServiceKeyRejected,
    Throttled,
)
from saperly_operator.saperly.operation import Operation

CLASS_OF_CODE: dict[str, type[SaperlyError]] = {
    "missing_idempotency_key": Defect,
    "invalid_api_key": ServiceKeyRejected,
    "unauthorized": ServiceKeyRejected,
    "agent_cap_exceeded": Refused,
    "insufficient_credits": AccountBlocked,
    "payment_method_required": AccountBlocked,
    "agent_scope_error": Refused,
    "agent_permission_denied": Refused,
    "forbidden": AccountBlocked,
    "m3_fraud_block": AccountBlocked,
    "not_found": NotVisible,
    "idempotency_key_reused": IdempotencyKeyReused,
    "idempotency_in_progress": InProgress,
    "validation_error": Refused,
    "rate_limited": Throttled,
}
"""The codes that the vendor documents."""

CLASS_OF_UNLISTED: dict[int, type[SaperlyError]] = {
    401: ServiceKeyRejected,
    404: NotVisible,
    408: OutcomeUnknown,
    409: OutcomeUnknown,
    425: OutcomeUnknown,
    429: Throttled,
}
"""By status, a 4xx whose code the documents do not list; any other of them is ``Refused``."""

CLASS_WITHOUT_CODE: dict[int, type[SaperlyError]] = {
    401: ServiceKeyRejected,
    402: AccountBlocked,
    403: AccountBlocked,
    429: Throttled,
}
"""By status, a 4xx without a readable code; any other of them is ``OutcomeUnknown``."""

_ABOUT_ONE_KEY = frozenset({Operation.GET, Operation.UPDATE, Operation.REVOKE, Operation.ROTATE})

_CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")
_LOOKS_LIKE_A_KEY = re.compile(r"sk_[A-Za-z0-9_\-]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_MAX_DETAILS, _MAX_FIELD, _MAX_MESSAGE = 16, 64, 200


class _Failure(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    code: Any = None
    details: Any = None


class _Envelope(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    error: _Failure


def error_for(
    operation: Operation, status: int, body: bytes, *, retry_after: float | None = None, names_line: bool = False
) -> SaperlyError:
    """The error that an answer with a status other than 2xx stands for. ``names_line``: the request named a line."""
    failure = _failure_in(body)
    code = _code_in(failure)
    kind = _class_for(operation, status, code)
    if kind is OutcomeUnknown:
        return OutcomeUnknown(operation, _doubt_of(status), http_status=status, code=code, retry_after=retry_after)
    if kind is NotVisible:
        return NotVisible(
            operation, http_status=status, code=code, details=_details_in(failure), may_be_line=names_line
        )
    if kind is Defect:
        return Defect(operation, http_status=status, code=code)
    return kind(operation, http_status=status, code=code, retry_after=retry_after, details=_details_in(failure))


def _class_for(operation: Operation, status: int, code: str | None) -> type[SaperlyError]:
    if not 400 <= status < 500:
        return OutcomeUnknown
    if code is None:
        return CLASS_WITHOUT_CODE.get(status, OutcomeUnknown)
    kind = CLASS_OF_CODE.get(code) or CLASS_OF_UNLISTED.get(status, Refused)
    # The path of a mint or a list names no key: what was not found there is what the request names, a line.
    return Refused if kind is NotVisible and operation not in _ABOUT_ONE_KEY else kind


def _doubt_of(status: int) -> Doubt:
    return Doubt.SERVER_ERROR if status >= 500 or status in {408, 425} else Doubt.UNREADABLE


def _failure_in(body: bytes) -> _Failure | None:
    try:
        return _Envelope.model_validate_json(body).error
    except ValidationError:
        return None


def _code_in(failure: _Failure | None) -> str | None:
    """The code when it is an identifier. An answer that echoes a credential must not name it this way either."""
    code = None if failure is None else failure.code
    if isinstance(code, str) and _CODE.fullmatch(code) and not code.startswith("sk_"):
        return code
    return None


def _details_in(failure: _Failure | None) -> tuple[Detail, ...]:
    """The documented list of field and message; an object is read as such pairs; anything else is dropped."""
    details = None if failure is None else failure.details
    if isinstance(details, dict):
        details = [{"field": field, "message": message} for field, message in details.items()]
    if not isinstance(details, list):
        return ()
    pairs = (entry for entry in details[:_MAX_DETAILS] if isinstance(entry, dict))
    return tuple(
        Detail(_tame(entry.get("field"), _MAX_FIELD), _tame(entry.get("message"), _MAX_MESSAGE)) for entry in pairs
    )


def _tame(value: object, length: int) -> str:
    """Text from outside: on one line, without anything like a key, and cut to length."""
    if not isinstance(value, str | int | float):
        return ""
    text = _LOOKS_LIKE_A_KEY.sub("sk_…", _CONTROL.sub(" ", str(value)))
    return text if len(text) <= length else f"{text[: length - 1]}…"
