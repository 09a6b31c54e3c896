"""What an endpoint may touch while it takes effect, and what it says."""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from saperly_operator.saperly.models import Environment
from saperly_operator.simulator.settings import Settings
from saperly_operator.simulator.state import Child, Event, Operation
from saperly_operator.simulator.store import Store

Entropy = Callable[[int], bytes]
"""The source of randomness: so many bytes. ``secrets.token_bytes``, or ``random.Random(seed).randbytes``."""


Json = dict[str, object]

EXTRA_FIELDS: Json = {"region": "undocumented"}
"""What ``Settings.extra_fields`` adds to every object: clients must ignore what no document names."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A success: one key object, or (``key`` None) some other payload.

    ``plaintext`` goes into the first answer and is left out of what a replay is told.
    """

    status: int
    key: Json | None = None
    payload: Json = field(default_factory=dict)
    plaintext: str | None = field(default=None, repr=False)

    def redacted(self, extra: Json) -> Json:
        """What may be remembered, and what every later answer is made of."""
        if self.key is None:
            return {**self.payload, **extra}
        return {"key": {**self.key, **extra}, **extra}

    def full(self, extra: Json) -> Json:
        """What the first answer says."""
        if self.plaintext is None:
            return self.redacted(extra)
        assert self.key is not None
        return {"key": {**self.key, **extra, "plaintext_key": self.plaintext}, **extra}


@dataclass(frozen=True, slots=True)
class Turn:
    """One effect: the operation, the moment, the state it works on, and fresh randomness."""

    operation: Operation
    now: datetime
    store: Store
    entropy: Entropy

    @property
    def settings(self) -> Settings:
        return self.store.settings

    def new_id(self) -> str:
        return str(UUID(bytes=self.entropy(16), version=4))

    def new_credential(self, prefix: str) -> str:
        """``prefix`` and 160 random bits."""
        return prefix + base64.b32encode(self.entropy(20)).decode().lower()

    def note(self, name: str, child: Child, **data: str | int | None) -> None:
        """Write a compliance event about one child key."""
        self.write_event(name, child.account_id, child.environment, child.id, data)

    def write_event(
        self,
        name: str,
        account_id: str,
        environment: Environment,
        api_key_id: str | None,
        data: Mapping[str, str | int | None],
    ) -> None:
        self.store.add_event(
            Event(
                id=self.new_id(),
                type="compliance_event",
                created_at=self.now,
                account_id=account_id,
                environment=environment,
                api_key_id=api_key_id,
                data={"name": name, **data},
            )
        )


def rfc3339(moment: datetime | None) -> str | None:
    """A timestamp as the vendor writes it: UTC, milliseconds, ``Z``."""
    return None if moment is None else moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def key_object(child: Child) -> Json:
    """The key object of the contract, without any plaintext."""
    return {
        "id": child.id,
        "key_prefix": child.key_prefix,
        "environment": child.environment.value,
        "name": child.name,
        "agent_label": child.agent_label,
        "line_id": child.line_id,
        "permissions": child.permissions.value,
        "monthly_cap_cents": child.monthly_cap_cents,
        "monthly_spend_cents": child.monthly_spend_cents,
        "created_at": rfc3339(child.created_at),
        "revoked_at": rfc3339(child.revoked_at),
        "last_used_at": rfc3339(child.last_used_at),
        "rotated_from": child.rotated_from,
        "created_by_service_key_id": child.created_by_service_key_id,
    }
