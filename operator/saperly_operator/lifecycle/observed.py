"""Everything that one decision may rest on, as one frozen value.

``controller/observe.py`` gathers it, ``decide`` reads it. What is not there cannot be touched: the states of the
Secret, of the provider and of the service key are unions, so that a check can only use what its case holds.

Two kinds of observation exist. A CACHED one comes from watches and memory and costs nothing; it may be stale, so it
may lead only to rest, to a guarded status patch, or to a closer look. A LIVE one was read from the API server a
moment ago, first the Secret and then the SaperlyKey, in this order: whatever replaces a key in a Secret or mints
because of what a Secret lacks rests on a LIVE one (design, section 4, "Reads").
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from saperly_operator.lifecycle.memory import (
    HeldKey,
    Memory,
    PreflightPassed,
    PreflightRefused,
    RedactedKey,
    ServiceKeyName,
)
from saperly_operator.lifecycle.naming import Owner, Tag
from saperly_operator.lifecycle.sweep_view import SweepView
from saperly_operator.resources import reasons
from saperly_operator.resources.provider import ProviderSpec
from saperly_operator.resources.saperly_key import SaperlyKey
from saperly_operator.resources.saperly_key_status import Bound, Operation, SecretStatus
from saperly_operator.resources.secret_record import SecretRecord


class Freshness(Enum):
    """How an observation was made."""

    CACHED = "cached"
    LIVE = "live"


@dataclass(frozen=True, slots=True)
class Myself:
    """This process: the name it signs intents with, since when it runs, and the installation that it acts for.

    ``confirmed`` is False while the installation's id is known to have been made in another cluster."""

    holder: str
    started_at: datetime
    installation: str
    confirmed: bool = True


# --- the Secret ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SecretAbsent:
    """There is no Secret of that name (as far as this observation could see)."""


@dataclass(frozen=True, slots=True)
class SecretForeign:
    """A Secret of that name exists and is not this object's. ``owner`` is the SaperlyKey that its record names.

    The rest is for adoption: ``adoptable`` says that the Secret itself names this object for it, ``is_dependent`` that
    it has an ownerReference, ``has_entry`` that there is something under the wanted key, of that ``fingerprint``.
    """

    owner: str | None
    adoptable: bool = False
    is_dependent: bool = False
    has_entry: bool = False
    fingerprint: str | None = None
    immutable: bool = False


@dataclass(frozen=True, slots=True)
class SecretOwned:
    """This object's Secret.

    ``fingerprint`` is that of the data under the wanted key, or None when that entry is missing.
    ``record`` is None when it was stripped but the data still fits the fingerprint in status, which proves it ours.
    ``intact`` says whether the data is what was written together with the record, so that the record speaks of it.
    ``metadata_in_sync`` says whether the labels and annotations that the spec asks for, and ours, are all there.
    ``elsewhere`` is another entry that holds the plaintext that status knows, where the wanted one does not.
    ``misplaced`` is an entry with what was written together with the record, and its fingerprint, where that is not under
    the wanted key: the spec named another entry before it was recorded.
    ``previous`` has the fingerprints of what is under the keys of its data that may hold an old plaintext.
    ``written_by`` is the field manager, other than ours, that last wrote the wanted entry.
    """

    record: SecretRecord | None
    fingerprint: str | None
    metadata_in_sync: bool
    intact: bool = True
    immutable: bool = False
    elsewhere: str | None = None
    misplaced: tuple[str, str] | None = None
    previous: Mapping[str, str] = field(default_factory=dict)
    written_by: str | None = None


SecretState = SecretAbsent | SecretForeign | SecretOwned


# --- the provider and its service key -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class GateClosed:
    """The vendor must not be asked before ``until``; ``reason`` and ``message`` say why, for people.

    ``needs_person`` tells a breaker (somebody has to mend the service key or the account) from a limit."""

    until: datetime
    reason: str
    message: str
    needs_person: bool = False


@dataclass(frozen=True, slots=True)
class ServiceKeyUsable:
    """A service key that may be used now, except where a gate is closed.

    ``material`` tells it from another. ``mint`` and ``rotate`` are its gates for the two POSTs, ``manage`` for all
    other calls of one key."""

    prefix: str
    material: str = ""
    mint: GateClosed | None = None
    manage: GateClosed | None = None
    rotate: GateClosed | None = None

    def gate(self, operation: Operation) -> GateClosed | None:
        """The gate for beginning that operation."""
        return self.mint if operation is Operation.MINT else self.rotate


@dataclass(frozen=True, slots=True)
class ServiceKeyUnusable:
    """There is no service key to use: its Secret is missing, malformed, or of the other environment."""

    reason: str
    message: str


ServiceKeyState = ServiceKeyUsable | ServiceKeyUnusable


@dataclass(frozen=True, slots=True)
class ProviderAbsent:
    """The provider that the spec names does not exist."""


@dataclass(frozen=True, slots=True)
class ProviderPresent:
    """A provider. ``admits`` says whether it lets this object's namespace in."""

    ref: str
    spec: ProviderSpec
    generation: int
    admits: bool
    uid: str = ""


ProviderState = ProviderAbsent | ProviderPresent


@dataclass(frozen=True, slots=True)
class Observed:
    """One look at one SaperlyKey and all that bears on it.

    ``former_secret`` is where status says that the plaintext is, when the spec now wants it elsewhere.
    ``former_providers`` are those other than the spec's that minted keys which still live.
    ``older_claimant`` is another SaperlyKey that named the same Secret first; ``stray_secrets`` are Secrets
    under other names that hold this object's record (left by a move).
    """

    key: SaperlyKey
    freshness: Freshness
    myself: Myself
    secret: SecretState
    provider: ProviderState
    service_keys: Mapping[ServiceKeyName, ServiceKeyState] = field(default_factory=dict)
    memory: Memory = field(default_factory=Memory)
    former_secret: SecretState | None = None
    former_providers: Mapping[str, ProviderSpec] = field(default_factory=dict)
    older_claimant: str | None = None
    stray_secrets: tuple[str, ...] = ()

    @property
    def owner(self) -> Owner:
        return Owner(self.key.namespace, self.key.name)

    @property
    def swept_serial(self) -> int:
        """The highest serial under this object's own tag on the lists at hand; 0 when there is none."""
        rows = (row for sweep in self.memory.sweeps.values() for row in sweep.rows)
        tags = (tag for row in rows if (tag := Tag.parse(row.name)) is not None)
        return max((tag.serial for tag in tags if tag.belongs_to(self.myself.installation, self.owner)), default=0)

    @property
    def key_in_place(self) -> bool:
        """Whether a Secret holds the current key's plaintext, where the spec wants it or where it was before."""
        current, kept = self.key.status.current, self.key.status.secret
        if current is None or kept is None:
            return False
        return holds(self.kept_secret, kept)

    @property
    def kept_secret(self) -> SecretState:
        """The Secret in which status says that the plaintext is."""
        return self.former_secret or self.secret

    @property
    def current_is_dead(self) -> bool:
        """Whether the current key was replaced at Saperly in one step, and its successor is not in the Secret."""
        status, memory = self.key.status, self.memory
        current, intent = status.current, status.intent
        failed = status.rotation.failed if status.rotation is not None else None
        if current is None:
            return False
        if failed is not None and failed.id == current.id:
            return failed.dead
        answers = (answer.serial for answer in (memory.held, memory.redacted) if answer is not None)
        return intent is not None and intent.rotates == current.id and intent.serial in answers

    @property
    def current_is_gone(self) -> bool:
        """Whether the current key is known to be dead, whoever ended it."""
        return self.current_is_revoked or self.current_is_dead

    @property
    def is_live(self) -> bool:
        return self.freshness is Freshness.LIVE

    @property
    def bound(self) -> Bound:
        """What a failure of this moment is bound to: a change of any of it is tried at once."""
        generation, provider = self.key.metadata.generation, self.provider
        if isinstance(provider, ProviderAbsent):
            return Bound(generation)
        service_key = self.service_key(provider.ref, provider.spec.service_keys[0].name)
        material = service_key.material if isinstance(service_key, ServiceKeyUsable) else None
        return Bound(generation, provider.generation, provider.uid or None, material or None)

    @property
    def current_is_revoked(self) -> bool:
        """Whether somebody else is known to have revoked the current key."""
        current, revoked = self.key.status.current, self.key.status.revoked
        return current is not None and revoked is not None and revoked.id == current.id

    def provider_spec(self, ref: str) -> ProviderSpec | None:
        """The provider that status calls ``ref``, while it is there."""
        if isinstance(self.provider, ProviderPresent) and self.provider.ref == ref:
            return self.provider.spec
        return self.former_providers.get(ref)

    def service_key(self, provider: str, name: str) -> ServiceKeyState:
        """The state of one service key, also when its provider is gone."""
        unknown = ServiceKeyUnusable(
            reasons.SERVICE_KEY_MISSING, f"The service key {name} of {provider} is not known any more."
        )
        return self.service_keys.get((provider, name), unknown)


def holds(secret: SecretState | None, kept: SecretStatus) -> bool:
    """Whether the Secret holds the plaintext that status knows. Data that fits the fingerprint is never minted anew.

    The record is no part of it: whoever may edit the Secret may write any id there, and it is put right.
    """
    return isinstance(secret, SecretOwned) and secret.fingerprint == kept.fingerprint


__all__ = [
    "Freshness",
    "GateClosed",
    "HeldKey",
    "Memory",
    "Myself",
    "Observed",
    "PreflightPassed",
    "PreflightRefused",
    "ProviderAbsent",
    "ProviderPresent",
    "ProviderState",
    "RedactedKey",
    "SecretAbsent",
    "SecretForeign",
    "SecretOwned",
    "SecretState",
    "ServiceKeyName",
    "ServiceKeyState",
    "ServiceKeyUnusable",
    "ServiceKeyUsable",
    "SweepView",
    "holds",
]
