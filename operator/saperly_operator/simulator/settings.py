"""How the simulated vendor behaves: its limits, and a switch for each thing that its documents leave open.

Changed through the control surface, remembered in the store, read by the core at each call.
"""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from saperly_operator.simulator.state import Operation

HourlyLimit = Annotated[int, Field(ge=1)] | None


class Limits(BaseModel):
    """Requests per rolling hour; None lifts the limit. Per service key, ``audit`` per account.

    The published values are the defaults; for the endpoints left out of the documents there is none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mint: HourlyLimit = 60
    rotate: HourlyLimit = 30
    list: HourlyLimit = 600
    audit: HourlyLimit = 60
    get: HourlyLimit = None
    update: HourlyLimit = None
    revoke: HourlyLimit = None

    def of(self, operation: Operation) -> int | None:
        limit: int | None = getattr(self, operation.value, None)
        return limit


class ListOrder(StrEnum):
    """The order of ``GET /v1/keys``, which nobody may rely on.

    ``id`` is stable, but a new key lands anywhere in it; ``shuffled`` is another order at each call.
    """

    ID = "id"
    OLDEST_FIRST = "oldest_first"
    NEWEST_FIRST = "newest_first"
    SHUFFLED = "shuffled"


class RetryAfter(StrEnum):
    """How a 429 says when to come back."""

    SECONDS = "seconds"
    DATE = "date"
    MISSING = "missing"


class Settings(BaseModel):
    """Everything about the vendor that can be set. The defaults follow the API reference."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    limits: Limits = Limits()
    idempotency_window_hours: float = Field(default=12, gt=0)
    cached_failures: frozenset[Annotated[int, Field(ge=400, le=599)]] = frozenset({402})
    """Statuses replayed under their Idempotency-Key. A 404 never is; add 500, 502 … for a vendor that caches them."""
    list_order: ListOrder = ListOrder.ID
    retry_after: RetryAfter = RetryAfter.SECONDS
    revoked_key_status: Literal[404, 422] = 404
    """What PATCH and rotate of a revoked key answer."""
    malformed_line_status: Literal[404, 422] = 404
    """What a ``line_id`` that is no UUID answers."""
    agent_label_max: Literal[64, 128] = 128
    audit_time_field: Literal["created_at", "createdAt"] = "created_at"
    extra_fields: bool = False
    """Whether answers carry fields that no document names."""
    clock_offset_seconds: float = 0
    """How far the vendor's clock is from the injected one."""

    @property
    def clock_offset(self) -> timedelta:
        return timedelta(seconds=self.clock_offset_seconds)

    @property
    def idempotency_window(self) -> timedelta:
        return timedelta(hours=self.idempotency_window_hours)
