"""The steps that keep what was delivered as it should be, at the vendor, in the Secret, in workloads: see ``steps``."""

from dataclasses import dataclass

from saperly_operator.lifecycle.workloads import Workload
from saperly_operator.resources.findings import Drift, UnownedKey
from saperly_operator.resources.saperly_key_status import KeyAttribute, KeyRef, RestartStatus, RetiringKey
from saperly_operator.resources.secret_record import SecretRecord
from saperly_operator.resources.workload import RestartMark, WorkloadRef
from saperly_operator.saperly.models import UpdateRequest

# --- keeping -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class UpdateKey:
    """PATCH the attributes of a key; ``drift`` when that puts right what somebody else changed there."""

    ref: KeyRef
    update: UpdateRequest
    attributes_hash: str
    managed: tuple[KeyAttribute, ...]
    drift: Drift | None = None


@dataclass(frozen=True, slots=True)
class InspectKey:
    """GET the current key, which a list did not show: only that tells whether it was revoked."""

    ref: KeyRef


@dataclass(frozen=True, slots=True)
class ClaimSecret:
    """Prove that a key which a person named may be taken over, and write its record into its Secret."""

    key_id: str
    serial: int
    provider: str
    entries: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AdoptKey:
    """Prove that the key which the Secret's record names is this object's, and make it the current one."""

    record: SecretRecord
    provider: str
    entries: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NoteSweep:
    """Store what a list showed: the keys in use that nothing refers to, those ``visible`` again that were hidden, and
    those ``calm`` whose attributes were left alone for long enough."""

    unowned: tuple[UnownedKey, ...]
    visible: frozenset[str]
    calm: frozenset[str]


@dataclass(frozen=True, slots=True)
class AdoptOrphans:
    """Write keys that the sweep found for this object, and nothing refers to, into ``retiring``."""

    orphans: tuple[RetiringKey, ...]


@dataclass(frozen=True, slots=True)
class AdoptSuccessors:
    """Write the keys that a list shows in the place of the key ``replaced`` into ``retiring``: nobody knew them."""

    replaced: str
    found: tuple[RetiringKey, ...]


@dataclass(frozen=True, slots=True)
class RepairSecret:
    """Put labels and annotations of the Secret back."""


@dataclass(frozen=True, slots=True)
class MoveSecret:
    """Write the key from the Secret ``source`` (entry ``source_key``) to where the spec wants it now."""

    source: str
    source_key: str


@dataclass(frozen=True, slots=True)
class DeleteStraySecret:
    """Remove a Secret of ours that the move left behind."""

    name: str


@dataclass(frozen=True, slots=True)
class WithdrawPrevious:
    """Take an old plaintext out of the Secret ``secret``: what is under ``entry``, if it has that fingerprint."""

    secret: str
    entry: str
    fingerprint: str


# --- restarting ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LookAtWorkloads:
    """Read workloads whose rollout is awaited."""

    workloads: tuple[WorkloadRef, ...]


@dataclass(frozen=True, slots=True)
class Restart:
    """Put ``mark`` on the pod template of a workload, in exactly the state in which it was ``seen``."""

    workload: WorkloadRef
    seen: Workload
    mark: RestartMark


@dataclass(frozen=True, slots=True)
class Reschedule:
    """Store how far the restarts are, and the dates that old keys have now."""

    restarted: RestartStatus | None
    retiring: tuple[RetiringKey, ...]
