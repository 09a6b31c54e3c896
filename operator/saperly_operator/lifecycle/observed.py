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

from saperly_operator.lifecycle.naming import Owner, Tag
from saperly_operator.resources.provider import ProviderSpec
from saperly_operator.resources.saperly_key import SaperlyKey
from saperly_operator.resources.saperly_key_status import Intent, Operation, SecretStatus
from saperly_operator.resources.secret_record import SecretRecord
from saperly_operator.saperly.models import ChildKey


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
    """A Secret of that name exists and is not this object's. ``owner`` is the SaperlyKey that its record names."""

    owner: str | None


@dataclass(frozen=True, slots=True)
class SecretOwned:
    """This object's Secret.

    ``fingerprint`` is that of the data under the wanted key, or None when that entry is missing.
    ``record`` is None when it was stripped but the data still fits the fingerprint in status, which proves it ours.
    ``intact`` says whether the data is what was written together with the record, so that the record speaks of it.
    ``metadata_in_sync`` says whether the labels and annotations that the spec asks for, and ours, are all there.
    """

    record: SecretRecord | None
    fingerprint: str | None
    metadata_in_sync: bool
    intact: bool = True
    immutable: bool = False


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

ServiceKeyName = tuple[str, str]
"""A provider as ``Kind/name``, as the object's own namespace sees it, and the name of an entry in it."""


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


ProviderState = ProviderAbsent | ProviderPresent


# --- what this process remembers -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HeldKey:
    """A key whose plaintext this process holds.

    ``refused_since`` is when the API server first refused definitely to store it, ``refusal`` why, for people.
    ``written`` is where it was delivered; then only the record is missing."""

    serial: int
    key: ChildKey
    refused_since: datetime | None = None
    refusal: str | None = None
    written: SecretStatus | None = None


@dataclass(frozen=True, slots=True)
class RedactedKey:
    """The vendor answered our intent's replay without a plaintext: somebody else got the first answer, or nobody.

    ``fenced`` says that the Secret, where it exists, was touched since, so that a stalled writer must fail."""

    serial: int
    key: ChildKey
    fenced: bool = False


@dataclass(frozen=True, slots=True)
class PreflightPassed:
    """The Secret's write was proven by a dry run at ``at``, and a turn for the operation is reserved."""

    at: datetime
    operation: Operation = Operation.MINT


@dataclass(frozen=True, slots=True)
class PreflightRefused:
    """The dry run was refused at ``at``."""

    at: datetime
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class SweepView:
    """What the last complete list of one service key showed of this object: the rows that carry its tag.

    A hint. ``begun_at`` is when its first page was asked for; ``server_time`` the vendor's clock then."""

    begun_at: datetime
    server_time: datetime
    rows: tuple[ChildKey, ...]

    def tagged(self, serial: int) -> tuple[ChildKey, ...]:
        """The rows minted under ``serial``."""
        return tuple(row for row in self.rows if (tag := Tag.parse(row.name)) and tag.serial == serial)

    def brought_about(self, intent: Intent) -> tuple[ChildKey, ...]:
        """The rows that exist because of ``intent``. A rotated key bears the name, and so the tag, of the one before
        it until that is put right: what tells it is whose place it took."""
        if intent.operation is Operation.ROTATE:
            return tuple(row for row in self.rows if row.rotated_from == intent.rotates)
        return self.tagged(intent.serial)


@dataclass(frozen=True, slots=True)
class Memory:
    """What this process knows of the object and no API does. Losing it is always safe.

    ``not_before`` holds, by the kind of work, when it may be tried again after it failed. ``has_turn``: a mint's turn
    is reserved, which may have been the gate's last."""

    held: HeldKey | None = None
    redacted: RedactedKey | None = None
    preflight: PreflightPassed | PreflightRefused | None = None
    sweeps: Mapping[ServiceKeyName, SweepView] = field(default_factory=dict)
    not_before: Mapping[str, datetime] = field(default_factory=dict)
    has_turn: bool = False


@dataclass(frozen=True, slots=True)
class Observed:
    """One look at one SaperlyKey and all that bears on it.

    ``former_secret`` is where status says that the plaintext is, when the spec now wants it elsewhere.
    ``older_claimant`` is another SaperlyKey that named the same Secret first; ``stray_secrets`` are Secrets
    under other names that hold this object's record (left by a move).
    """

    key: SaperlyKey
    freshness: Freshness
    myself: Myself
    secret: SecretState
    provider: ProviderState
    service_keys: Mapping[ServiceKeyName, ServiceKeyState] = field(default_factory=dict)
    memory: Memory = Memory()
    former_secret: SecretState | None = None
    older_claimant: str | None = None
    stray_secrets: tuple[str, ...] = ()

    @property
    def owner(self) -> Owner:
        return Owner(self.key.namespace, self.key.name)

    @property
    def key_in_place(self) -> bool:
        """Whether a Secret holds the current key's plaintext, where the spec wants it or where it was before."""
        current, kept = self.key.status.current, self.key.status.secret
        if current is None or kept is None:
            return False
        return holds(self.former_secret or self.secret, kept)

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
    def is_live(self) -> bool:
        return self.freshness is Freshness.LIVE

    def service_key(self, provider: str, name: str) -> ServiceKeyState:
        """The state of one service key, also when its provider is gone."""
        unknown = ServiceKeyUnusable(
            "ServiceKeyMissing", f"The service key {name} of {provider} is not known any more."
        )
        return self.service_keys.get((provider, name), unknown)


def holds(secret: SecretState | None, kept: SecretStatus) -> bool:
    """Whether the Secret holds the plaintext that status knows. Data that fits the fingerprint is never minted anew.

    The record is no part of it: whoever may edit the Secret may write any id there, and it is put right.
    """
    return isinstance(secret, SecretOwned) and secret.fingerprint == kept.fingerprint
