"""The steps that a decision can ask for: a closed union. Each is at most one effect on one API.

``controller/act`` carries them out and ends in ``assert_never``: a step added here does not type-check until it is
handled there.
"""

from dataclasses import dataclass
from datetime import datetime

from saperly_operator.lifecycle.steps_keeping import (
    AdoptKey,
    AdoptOrphans,
    AdoptSuccessors,
    ClaimSecret,
    DeleteStraySecret,
    InspectKey,
    LookAtWorkloads,
    MoveSecret,
    NoteSweep,
    RepairSecret,
    Reschedule,
    Restart,
    UpdateKey,
    WithdrawPrevious,
)
from saperly_operator.resources.saperly_key_status import Intent, KeyRef, Operation, RetiringKey, SecretStatus

# --- rest ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Done:
    """Everything is as the spec asks. Look again at ``until``, or when something changes."""

    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class WaitUntil:
    """Nothing may be done before ``until``; then it goes on by itself."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Stall:
    """A person has to mend something. It is looked at again at ``until`` all the same."""

    until: datetime


@dataclass(frozen=True, slots=True)
class LeaveAlone:
    """The object belongs to another installation: nothing of it is touched, not even its status."""


@dataclass(frozen=True, slots=True)
class AwaitSweep:
    """A complete list begun after ``begun_after`` is needed: ask for one; look again at ``until``."""

    provider: str
    service_key: str
    begun_after: datetime
    until: datetime


# --- looking closer ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ReadLive:
    """Read the Secret and then the SaperlyKey from the API server, and decide again."""


# --- minting -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AddFinalizer:
    """Before the first intent, so that no key can outlive its object unseen."""


@dataclass(frozen=True, slots=True)
class Preflight:
    """Reserve a turn for the operation and prove, by a dry run, that the Secret could be written."""

    provider: str
    service_key: str
    operation: Operation = Operation.MINT


@dataclass(frozen=True, slots=True)
class StoreIntent:
    """Write down what is about to be asked of the vendor."""

    intent: Intent


@dataclass(frozen=True, slots=True)
class TakeOver:
    """Sign another process's intent as ours."""


@dataclass(frozen=True, slots=True)
class Mint:
    """POST the stored request under the stored Idempotency-Key."""

    intent: Intent


@dataclass(frozen=True, slots=True)
class Rotate:
    """POST for a key in the place of the one that the intent names, under the stored Idempotency-Key."""

    intent: Intent


@dataclass(frozen=True, slots=True)
class WriteSecret:
    """Put the plaintext that this process holds into the Secret."""

    intent: Intent


@dataclass(frozen=True, slots=True)
class Record:
    """Note in status what the Secret now holds, and what it replaced."""

    current: KeyRef
    secret: SecretStatus


@dataclass(frozen=True, slots=True)
class Fence:
    """Touch the Secret, so that a write prepared before must fail."""


@dataclass(frozen=True, slots=True)
class AbandonIntent:
    """Give the intent up: retire the keys ``lost`` that it minted, and note why.

    ``gives_turn_back``: a proven list showed no key of it, and it does not count as a mint of this hour."""

    lost: tuple[RetiringKey, ...]
    code: str
    until: datetime
    gives_turn_back: bool = False


# --- retiring and deleting -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Retire:
    """Revoke one key, after a live check that it is not the one in the Secret."""

    entry: RetiringKey


@dataclass(frozen=True, slots=True)
class RevokeCurrent:
    """Revoke the key in the Secret: only ever because the object is being deleted with ``Revoke``."""

    ref: KeyRef


@dataclass(frozen=True, slots=True)
class ReleaseKey:
    """Free the key's name at the vendor of our tag: from then on it is its owner's, not ours (``Orphan``)."""

    ref: KeyRef


@dataclass(frozen=True, slots=True)
class ReleaseSecret:
    """Take our record off a Secret and let it stay (``Orphan``)."""

    name: str


@dataclass(frozen=True, slots=True)
class DeleteSecret:
    """Delete a Secret of an object whose keys are gone."""

    name: str


@dataclass(frozen=True, slots=True)
class RemoveFinalizer:
    """Let the object go. ``forced`` names the keys that a force-delete left to the sweep."""

    forced: tuple[str, ...] | None = None


Resting = Done | WaitUntil | Stall | LeaveAlone | AwaitSweep
Step = (
    Resting
    | ReadLive
    | AddFinalizer
    | Preflight
    | StoreIntent
    | TakeOver
    | Mint
    | Rotate
    | WriteSecret
    | Record
    | Fence
    | AbandonIntent
    | UpdateKey
    | InspectKey
    | NoteSweep
    | ClaimSecret
    | AdoptKey
    | AdoptOrphans
    | AdoptSuccessors
    | RepairSecret
    | MoveSecret
    | DeleteStraySecret
    | WithdrawPrevious
    | LookAtWorkloads
    | Restart
    | Reschedule
    | Retire
    | RevokeCurrent
    | ReleaseKey
    | ReleaseSecret
    | DeleteSecret
    | RemoveFinalizer
)


@dataclass(frozen=True, slots=True)
class Decision:
    """One step, and why: the same ``reason`` and ``message`` go to the condition, the event and the log."""

    step: Step
    reason: str
    message: str


__all__ = [
    "AbandonIntent",
    "AddFinalizer",
    "AdoptKey",
    "AdoptOrphans",
    "AdoptSuccessors",
    "AwaitSweep",
    "ClaimSecret",
    "Decision",
    "DeleteSecret",
    "DeleteStraySecret",
    "Done",
    "Fence",
    "InspectKey",
    "LeaveAlone",
    "LookAtWorkloads",
    "Mint",
    "MoveSecret",
    "NoteSweep",
    "Preflight",
    "ReadLive",
    "Record",
    "ReleaseKey",
    "ReleaseSecret",
    "RemoveFinalizer",
    "RepairSecret",
    "Reschedule",
    "Restart",
    "Resting",
    "Retire",
    "RevokeCurrent",
    "Rotate",
    "Stall",
    "Step",
    "StoreIntent",
    "TakeOver",
    "UpdateKey",
    "WaitUntil",
    "WithdrawPrevious",
    "WriteSecret",
]
