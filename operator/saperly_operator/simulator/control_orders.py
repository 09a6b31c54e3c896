"""What travels to and from the control surface, apart from the simulator's own records.

Shared by ``control_http`` and ``control_client``.
"""

from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_serializer

from saperly_operator.saperly.models import Environment, Permissions
from saperly_operator.simulator.control import DEFAULT_ACCOUNT
from saperly_operator.simulator.state import Operation, Scope


class _Order(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ServiceKeyOrder(_Order):
    """POST /_control/service-keys."""

    environment: Environment = Environment.TEST
    account_id: str = DEFAULT_ACCOUNT
    name: str = "simulator"


class LineOrder(_Order):
    """POST /_control/lines."""

    environment: Environment = Environment.TEST
    account_id: str = DEFAULT_ACCOUNT


class BlockOrder(_Order):
    """POST /_control/blocks; see ``Control.block``."""

    code: str
    scope: Scope = Scope.ACCOUNT
    scope_id: str = DEFAULT_ACCOUNT
    details: dict[str, str] | None = None
    operations: frozenset[Operation] = frozenset()


class KeyOrder(_Order):
    """POST /_control/keys; see ``Control.plant_key``."""

    service_key_id: str
    name: str
    permissions: Permissions = Permissions.FULL
    age_seconds: float = Field(default=0, ge=0)

    @property
    def age(self) -> timedelta:
        return timedelta(seconds=self.age_seconds)


class UseOrder(_Order):
    """POST /_control/keys/{id}/use."""

    spend_cents: int = Field(default=0, ge=0)


class ClockOrder(_Order):
    """POST /_control/clock."""

    advance_seconds: float


class SettingsOrder(BaseModel):
    """PATCH /_control/settings: any field of ``Settings``, and of its ``limits`` only those that change."""

    model_config = ConfigDict(frozen=True, extra="allow")

    limits: dict[str, int | None] = {}


class ClockView(BaseModel):
    """The vendor's time, and how far it is from the machine's."""

    model_config = ConfigDict(frozen=True)

    now: datetime
    offset_seconds: float


class CallCount(BaseModel):
    """How many calls of one operation ended with one status; None for no answer at all."""

    model_config = ConfigDict(frozen=True)

    operation: Operation
    status: int | None
    count: int


class Credential(BaseModel):
    """A service key or child key made by hand: only these answers of the control surface hold a plaintext."""

    model_config = ConfigDict(frozen=True)

    id: str
    plaintext: SecretStr

    @field_serializer("plaintext", when_used="json")
    def _reveal(self, plaintext: SecretStr) -> str:
        return plaintext.get_secret_value()
