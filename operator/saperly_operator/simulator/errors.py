"""The vendor's failures, one constructor per line of the contract's error table.

Endpoints raise ``ApiError``; the core turns it into the answer. Nothing else of the simulator chooses a status.
"""

import json
from collections.abc import Mapping

from saperly_operator.simulator.state import KEY_OPERATIONS, Operation

_PAYING = frozenset({Operation.MINT, Operation.ROTATE})
_ATTRIBUTING = _PAYING | {Operation.UPDATE}

BLOCKING_CODES: Mapping[str, tuple[int, str, frozenset[Operation]]] = {
    "unauthorized": (401, "This credential is not authorized.", KEY_OPERATIONS),
    "agent_cap_exceeded": (402, "The monthly cap of the agent is spent.", _PAYING),
    "insufficient_credits": (402, "The account has no credits left.", _PAYING),
    "payment_method_required": (402, "The account has no payment method.", _PAYING),
    "agent_scope_error": (403, "The agent is scoped to another line.", _ATTRIBUTING),
    "agent_permission_denied": (403, "The agent lacks the permission for this.", _ATTRIBUTING),
    "forbidden": (403, "This account may not do that.", KEY_OPERATIONS),
    "m3_fraud_block": (403, "Request blocked.", _PAYING),
}
"""The codes that a ``Block`` can stand for: status, message, and the operations refused unless told otherwise."""


class ApiError(Exception):
    """A failure as the vendor answers it."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        details: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.message = message
        self.details = details or {}
        self.headers = headers or {}

    def body(self) -> bytes:
        """The body as JSON: ``details`` is left out when there are none, as the vendor may."""
        error: dict[str, object] = {"code": self.code, "message": self.message}
        if self.details:
            error["details"] = [{"field": name, "message": text} for name, text in self.details.items()]
        return json.dumps({"error": error}).encode()


class RateLimitedError(ApiError):
    """429; the core writes ``Retry-After`` in the form that the settings ask for."""

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__(429, "rate_limited", "Too many requests in the last hour.")
        self.retry_after_seconds = retry_after_seconds


def unauthorized() -> ApiError:
    """No usable Authorization header at all."""
    return ApiError(401, "unauthorized", "An Authorization header with a Bearer credential is required.")


def invalid_api_key() -> ApiError:
    """Unknown, revoked, or of the tier that this endpoint does not take."""
    return ApiError(401, "invalid_api_key", "The credential is not valid for this endpoint.")


def missing_idempotency_key() -> ApiError:
    return ApiError(400, "missing_idempotency_key", "The Idempotency-Key header is required.")


def idempotency_key_reused() -> ApiError:
    return ApiError(409, "idempotency_key_reused", "The Idempotency-Key was used for another request.")


def idempotency_in_progress() -> ApiError:
    return ApiError(
        409,
        "idempotency_in_progress",
        "The first request under this Idempotency-Key is still running.",
        headers={"Retry-After": "1"},
    )


def not_found(what: str) -> ApiError:
    """``what`` is "key", "line" or "path". A key of another service key is not found either."""
    return ApiError(404, "not_found", f"There is no such {what}.")


def method_not_allowed(allowed: str) -> ApiError:
    """The contract is silent here; the code is the simulator's own."""
    return ApiError(405, "method_not_allowed", "This path does not take that method.", headers={"Allow": allowed})


def validation_error(details: Mapping[str, str]) -> ApiError:
    """``details``: field to what is wrong with it."""
    return ApiError(422, "validation_error", "The request is not valid.", details)
