"""What travels to and from the Saperly API, as frozen pydantic models.

Shared by the client and the simulator. Unknown fields of an answer are ignored: the vendor may add some at any time.
Source of every field: the Saperly key-management API, release 0.5.7.0.
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator


class Environment(StrEnum):
    """The two worlds of an account; a service key and its children live in one of them."""

    TEST = "test"
    LIVE = "live"


class Permissions(StrEnum):
    """What a child key may do. ``legacy_full`` is only ever returned, for keys older than 0.5.7.0."""

    FULL = "full"
    CALL_ONLY = "call_only"
    SMS_ONLY = "sms_only"
    READ_ONLY = "read_only"
    LEGACY_FULL = "legacy_full"


def _in_utc(time: datetime) -> datetime:
    """A time without a zone is UTC, as all the vendor's are; a naive one would not compare with ours."""
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


Timestamp = Annotated[datetime, AfterValidator(_in_utc)]


class _Answer(BaseModel):
    # What an answer held may be a plaintext: a ValidationError must not quote it.
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


VendorId = Annotated[str, Field(min_length=1, max_length=253)]
"""An id that the vendor gives: a UUID in practice. Status could not remember a longer one, so that no key may have it:
an answer with one counts as unreadable."""


class ChildKey(_Answer):
    """A child API key as every endpoint returns it; the plaintext is kept apart (see ``MintedKey``)."""

    id: VendorId
    key_prefix: str
    environment: Environment
    name: str
    agent_label: str | None = None
    line_id: str | None = None
    # A permission that we do not know yet must not make a row, and with it a whole page, unreadable.
    permissions: Permissions | str = Field(union_mode="left_to_right")
    monthly_cap_cents: int | None = None
    monthly_spend_cents: int = 0
    created_at: Timestamp
    revoked_at: Timestamp | None = None
    last_used_at: Timestamp | None = None
    rotated_from: str | None = None
    created_by_service_key_id: VendorId | None = None


class MintedKey(ChildKey):
    """The answer to a mint or a rotate. ``plaintext_key`` is there on the first answer only, never on a replay."""

    plaintext_key: SecretStr | None = Field(default=None, repr=False)


class KeyPage(_Answer):
    """One page of ``GET /v1/keys``: live keys of one service key, in no reliable order."""

    keys: tuple[ChildKey, ...]
    total: int = Field(ge=0)


AgentLabel = Annotated[str, Field(min_length=1, max_length=128)]
CapCents = Annotated[int, Field(ge=1)]


class MintRequest(BaseModel):
    """The body of ``POST /v1/keys``. Fields left None are not sent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=64)
    agent_label: AgentLabel | None = None
    line_id: str | None = None
    permissions: Permissions | None = None
    monthly_cap_cents: CapCents | None = None
    environment: Environment | None = None


class UpdateRequest(BaseModel):
    """The body of ``PATCH /v1/keys/{id}``. Only fields that were set are sent; an explicit None clears the three
    fields that can be cleared (``agent_label``, ``line_id``, ``monthly_cap_cents``)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str | None = Field(default=None, min_length=1, max_length=64)
    agent_label: AgentLabel | None = None
    line_id: str | None = None
    permissions: Permissions | None = None
    monthly_cap_cents: CapCents | None = None


class AuditEvent(_Answer):
    """One entry of ``GET /v1/audit``. The reference spells its time both ``created_at`` and ``createdAt``."""

    type: str
    id: str
    created_at: Timestamp
    data: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _either_spelling_of_the_time(cls, fields: Any) -> Any:
        if isinstance(fields, dict) and "createdAt" in fields:
            return {"created_at": fields["createdAt"], **fields}
        return fields


class AuditPage(_Answer):
    """The answer of ``GET /v1/audit``, newest first."""

    events: tuple[AuditEvent, ...]
    limit: int | None = None
    api_key_id: str | None = None
