"""What the budget needs to know of an answer: less than the error tree tells, and in its own words.

Answered     the vendor dealt with this request: a success, or a refusal that concerns one object only
Unanswered   nothing is known: neither good news of the service key nor bad
Throttled    429
Blocked      the service key or its account is the trouble, whatever object asked
"""

from dataclasses import dataclass
from enum import StrEnum


class Scope(StrEnum):
    """How far a block reaches."""

    SERVICE_KEY = "service_key"
    """Every call of the service key: it is wrong or revoked (401)."""
    OPERATION = "operation"
    """This operation only. A mint that lacks credits says nothing about a revoke, which must not wait for money;
    and a list that succeeds says nothing about the credits."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The vendor dealt with the request."""


@dataclass(frozen=True, slots=True)
class Unanswered:
    """No answer, or none that could be read."""


@dataclass(frozen=True, slots=True)
class Throttled:
    """429, with the vendor's ``Retry-After`` in seconds, unclamped, or None."""

    retry_after: float | None


@dataclass(frozen=True, slots=True)
class Blocked:
    """401, or a 402 or 403 about the account. ``reason`` is the vendor's code, to be shown."""

    reason: str
    scope: Scope


Outcome = Answered | Unanswered | Throttled | Blocked
