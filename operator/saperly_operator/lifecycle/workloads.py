"""What a look at a workload shows: the little that tells how far its rollout is. Filled by ``controller/workloads``."""

from dataclasses import dataclass
from datetime import datetime

from saperly_operator.resources.workload import RestartMark


@dataclass(frozen=True, slots=True)
class WorkloadAbsent:
    """There is no workload of that kind and name."""


@dataclass(frozen=True, slots=True)
class WorkloadRefused:
    """Kubernetes refuses to show it to the operator, or to let it be patched; ``why`` in a few words."""

    why: str


@dataclass(frozen=True, slots=True)
class Workload:
    """A workload. The counts are of pods, as its controller last noted them.

    ``wanted`` pods are to run; ``existing`` ones are there, ``updated`` of them from the present template, and
    ``available`` ones serve. ``version`` is the resourceVersion that a patch has to meet. ``partition`` and
    ``is_on_delete`` are update strategies that leave pods as they are; ``has_failed``: the progress deadline passed.
    """

    uid: str
    version: str
    mark: RestartMark | None
    generation: int
    observed_generation: int
    wanted: int
    existing: int
    updated: int
    available: int
    is_paused: bool = False
    is_on_delete: bool = False
    partition: int = 0
    has_failed: bool = False


WorkloadState = Workload | WorkloadAbsent | WorkloadRefused


@dataclass(frozen=True, slots=True)
class WorkloadLook:
    """One look at one workload. ``is_overdue``: its rollout had been awaited for very long by then."""

    at: datetime
    state: WorkloadState
    is_overdue: bool = False
