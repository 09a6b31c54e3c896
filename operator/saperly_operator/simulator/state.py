"""What the simulated vendor remembers, as frozen records.

A change is a new record put into the ``Store`` under the same id. The field names of ``Child`` are the vendor's own.
Plaintext credentials are never remembered, only their SHA-256.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256

from saperly_operator.saperly.models import Environment, Permissions


class Operation(StrEnum):
    """The vendor's endpoints by what they do; ``other`` is every path that this simulator does not serve."""

    MINT = "mint"
    LIST = "list"
    GET = "get"
    UPDATE = "update"
    REVOKE = "revoke"
    ROTATE = "rotate"
    AUDIT = "audit"
    OTHER = "other"


KEY_OPERATIONS = frozenset(Operation) - {Operation.AUDIT, Operation.OTHER}
"""The six endpoints under ``/v1/keys``: all that a service key may call."""


@dataclass(frozen=True, slots=True)
class ServiceKey:
    """A service key; in the portal a person creates and revokes it, here the control surface does."""

    id: str
    account_id: str
    environment: Environment
    name: str
    key_prefix: str
    digest: str
    created_at: datetime
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A telephone line that a key can be scoped to, until it is released."""

    id: str
    account_id: str
    environment: Environment
    released_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Child:
    """A child API key. Rows are never deleted: a revoked one stays, with ``revoked_at``."""

    id: str
    account_id: str
    created_by_service_key_id: str
    key_prefix: str
    digest: str
    environment: Environment
    name: str
    agent_label: str | None
    line_id: str | None
    permissions: Permissions
    monthly_cap_cents: int | None
    created_at: datetime
    monthly_spend_cents: int = 0
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None
    rotated_from: str | None = None

    @property
    def is_live(self) -> bool:
        return self.revoked_at is None


class Scope(StrEnum):
    """What a ``Block`` hangs on."""

    ACCOUNT = "account"
    SERVICE_KEY = "service_key"
    LINE = "line"
    KEY = "key"


@dataclass(frozen=True, slots=True)
class Block:
    """A standing reason why the vendor refuses ``operations`` that touch one account, service key, line or key.

    ``code`` is one of the vendor's error codes (see ``errors.BLOCKING_CODES``).
    """

    id: str
    scope: Scope
    scope_id: str
    code: str
    details: Mapping[str, str]
    operations: frozenset[Operation]


@dataclass(frozen=True, slots=True)
class IdempotentAnswer:
    """The remembered outcome of a mint or rotate: what a replay of the same request is answered.

    ``id`` names the idempotency key in its scope, ``fingerprint`` the request made under it. The body is redacted.
    """

    id: str
    fingerprint: str
    started_at: datetime
    status: int
    body: str


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of the audit trail."""

    id: str
    type: str
    created_at: datetime
    account_id: str
    environment: Environment
    api_key_id: str | None
    data: Mapping[str, str | int | None]


def digest_of(plaintext: str) -> str:
    """The only form in which a credential is remembered. Credentials are random, so no salt is needed."""
    return sha256(plaintext.encode("utf-8", "surrogatepass")).hexdigest()
