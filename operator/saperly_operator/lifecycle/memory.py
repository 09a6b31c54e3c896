"""What this process knows of one object and no API does. Losing it is always safe; decisions rest on it all the same.

``controller/scratch.py`` keeps it; ``observed`` makes it a part of each observation.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from saperly_operator.lifecycle.adoption import AdoptionRefused
from saperly_operator.lifecycle.sweep_view import SweepView
from saperly_operator.lifecycle.workloads import WorkloadLook
from saperly_operator.resources.saperly_key_status import Operation, SecretStatus
from saperly_operator.resources.workload import WorkloadRef
from saperly_operator.saperly.models import ChildKey

ServiceKeyName = tuple[str, str]
"""A provider as ``Kind/name``, as the object's own namespace sees it, and the name of an entry in it."""


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
    """The dry run, or another write of a Secret, was refused at ``at``."""

    at: datetime
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Memory:
    """What this process knows of the object and no API does. Losing it is always safe.

    ``not_before`` holds, by the kind of work, when it may be tried again after it failed. ``sent_at`` is when a key's
    attributes were last sent: an older list says nothing about them. ``has_turn``: a mint's turn
    is reserved, which may have been the gate's last. ``listed_serial`` is the highest serial that any list ever showed
    under this object's tag, ``adoption`` why a key was last not adopted. ``intent_seen_at`` is since when
    this process has seen the open intent under its present holder's name. ``workloads``: the last look at each that
    is awaited. ``ahead_since``: of each moment in status that has not come yet, since when this process has known of it.
    ``write_refused`` is why a Secret whose plaintext is safe where it is could last not be changed; None when
    the API server only did not answer. ``may_be_rotated``: the open intent's request to replace a key may have
    been sent by now, by this process or by another."""

    held: HeldKey | None = None
    redacted: RedactedKey | None = None
    preflight: PreflightPassed | PreflightRefused | None = None
    sweeps: Mapping[ServiceKeyName, SweepView] = field(default_factory=dict)
    not_before: Mapping[str, datetime] = field(default_factory=dict)
    sent_at: Mapping[str, datetime] = field(default_factory=dict)
    has_turn: bool = False
    workloads: Mapping[WorkloadRef, WorkloadLook] = field(default_factory=dict)
    ahead_since: Mapping[datetime, datetime] = field(default_factory=dict)
    listed_serial: int = 0
    adoption: AdoptionRefused | None = None
    intent_seen_at: datetime | None = None
    write_refused: PreflightRefused | None = None
    may_be_rotated: bool = False
