"""What a person does in the vendor's portal, and what only the master of a simulation may: the control surface.

``Control`` is sans-I/O like the core that it steers; ``control_http`` puts it on HTTP. Nothing here counts as a call
of the vendor's API.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from saperly_operator.saperly.models import Environment, Permissions
from saperly_operator.simulator.core import Core
from saperly_operator.simulator.errors import BLOCKING_CODES
from saperly_operator.simulator.settings import Settings
from saperly_operator.simulator.state import (
    KEY_OPERATIONS,
    Block,
    Child,
    Line,
    Operation,
    Scope,
    ServiceKey,
    digest_of,
)
from saperly_operator.simulator.turn import rfc3339

DEFAULT_ACCOUNT = "default"
_PREFIX_LENGTH = {"service": len("sk_svc_live_abc"), "child": len("sk_live_abc")}


class UnknownIdError(LookupError):
    """There is no record of that id; the message names its kind."""


@dataclass(frozen=True, slots=True)
class NewServiceKey:
    """A service key and its plaintext, which is told this once."""

    service_key: ServiceKey
    plaintext: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class NewChild:
    """A child key made by hand and its plaintext, which is told this once."""

    child: Child
    plaintext: str = field(repr=False)


class Control:
    """The levers of one core. Every method takes effect at once and is durable when it returns."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._store = core.store

    def create_service_key(
        self, environment: Environment = Environment.TEST, account_id: str = DEFAULT_ACCOUNT, name: str = "simulator"
    ) -> NewServiceKey:
        """A new service key of an account; accounts exist by being named."""
        turn = self._core.turn(Operation.OTHER)
        plaintext = turn.new_credential(f"sk_svc_{environment.value}_")
        prefix = plaintext[: _PREFIX_LENGTH["service"]]
        service_key = ServiceKey(turn.new_id(), account_id, environment, name, prefix, digest_of(plaintext), turn.now)
        self._store.put_service_key(service_key)
        self._store.flush()
        return NewServiceKey(service_key, plaintext)

    def revoke_service_key(self, service_key_id: str) -> ServiceKey:
        """Its children live on, as they do at the vendor."""
        service_key = replace(self._service_key(service_key_id), revoked_at=self._core.now())
        self._store.put_service_key(service_key)
        self._store.flush()
        return service_key

    def create_line(self, environment: Environment = Environment.TEST, account_id: str = DEFAULT_ACCOUNT) -> Line:
        line = Line(self._core.turn(Operation.OTHER).new_id(), account_id, environment)
        self._store.put_line(line)
        self._store.flush()
        return line

    def release_line(self, line_id: str) -> Line:
        line = self._store.line(line_id)
        if line is None:
            raise UnknownIdError("line")
        released = replace(line, released_at=self._core.now())
        self._store.put_line(released)
        self._store.flush()
        return released

    def block(
        self,
        code: str,
        scope: Scope = Scope.ACCOUNT,
        scope_id: str = DEFAULT_ACCOUNT,
        details: Mapping[str, str] | None = None,
        operations: Iterable[Operation] = (),
    ) -> Block:
        """Refuse with ``code`` from now on, until ``unblock``.

        ``code`` is one of ``BLOCKING_CODES``, else ValueError. Without ``details`` those of the contract are made up;
        without ``operations`` those that the code is about are refused. Only key operations can be blocked.
        """
        if code not in BLOCKING_CODES:
            raise ValueError(f"code must be one of {', '.join(BLOCKING_CODES)}")
        refused = frozenset(operations) or BLOCKING_CODES[code][2]
        if not refused <= KEY_OPERATIONS:
            raise ValueError("only operations on keys can be blocked")
        turn = self._core.turn(Operation.OTHER)
        shown = _details(code, scope, scope_id, turn.now) if details is None else details
        block = Block(turn.new_id(), scope, scope_id, code, shown, refused)
        self._store.put_block(block)
        self._store.flush()
        return block

    def unblock(self, block_id: str) -> None:
        if not self._store.drop_block(block_id):
            raise UnknownIdError("block")
        self._store.flush()

    def configure(self, settings: Settings) -> None:
        """Replace the vendor's settings."""
        self._store.put_settings(settings)
        self._store.flush()

    def advance_clock(self, seconds: float) -> datetime:
        """Move the vendor's clock, which then runs on from there; returns its new time. Negative steps it back."""
        settings = self._store.settings
        offset = settings.clock_offset_seconds + seconds
        self.configure(settings.model_copy(update={"clock_offset_seconds": offset}))
        return self._core.now()

    def plant_key(
        self,
        service_key_id: str,
        name: str,
        permissions: Permissions = Permissions.FULL,
        age: timedelta = timedelta(0),
    ) -> NewChild:
        """A child key that somebody else made through this service key, ``age`` ago; ``legacy_full`` is possible."""
        service_key = self._service_key(service_key_id)
        turn = self._core.turn(Operation.OTHER)
        plaintext = turn.new_credential(f"sk_{service_key.environment.value}_")
        child = Child(
            id=turn.new_id(),
            account_id=service_key.account_id,
            created_by_service_key_id=service_key.id,
            key_prefix=plaintext[: _PREFIX_LENGTH["child"]],
            digest=digest_of(plaintext),
            environment=service_key.environment,
            name=name,
            agent_label=None,
            line_id=None,
            permissions=permissions,
            monthly_cap_cents=None,
            created_at=turn.now - age,
        )
        self._put_child(child)
        return NewChild(child, plaintext)

    def revoke_key(self, key_id: str) -> Child:
        """A person revokes a child key in the portal; a key revoked before keeps its date."""
        child = self._child(key_id)
        return self._put_child(replace(child, revoked_at=child.revoked_at or self._core.now()))

    def use_key(self, key_id: str, spend_cents: int = 0) -> Child:
        """Somebody places a call with a child key, which sets ``last_used_at``."""
        child = self._child(key_id)
        return self._put_child(
            replace(
                child,
                last_used_at=self._core.now(),
                monthly_spend_cents=child.monthly_spend_cents + spend_cents,
            )
        )

    def ledger(self) -> list[Child]:
        """Every key ever minted, oldest first, whoever minted it."""
        return list(self._store.children())

    def live_keys(self) -> list[Child]:
        return [child for child in self._store.children() if child.is_live]

    def _put_child(self, child: Child) -> Child:
        self._store.put_child(child)
        self._store.flush()
        return child

    def _service_key(self, service_key_id: str) -> ServiceKey:
        service_key = self._store.service_key(service_key_id)
        if service_key is None:
            raise UnknownIdError("service key")
        return service_key

    def _child(self, key_id: str) -> Child:
        child = self._store.child(key_id)
        if child is None:
            raise UnknownIdError("key")
        return child


def _details(code: str, scope: Scope, scope_id: str, now: datetime) -> dict[str, str]:
    """The details that the contract names for ``code``."""
    match code:
        case "agent_cap_exceeded":
            next_month = (now.replace(day=1) + timedelta(days=32)).replace(day=1, hour=0, minute=0, second=0)
            reset = rfc3339(next_month.replace(microsecond=0)) or ""
            return {"spent_cents": "5000", "cap_cents": "5000", "cycle_reset_at": reset}
        case "agent_scope_error":
            return {"line_id": scope_id if scope is Scope.LINE else "00000000-0000-4000-8000-000000000000"}
        case "agent_permission_denied":
            return {"permissions": Permissions.READ_ONLY.value}
        case _:
            return {}
