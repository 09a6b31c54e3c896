"""Whether a workload runs with the new key yet: from what the API server said of it to one of three answers. Pure.

The rules are those of ``kubectl rollout status`` (kubectl, pkg/polymorphichelpers/rollout_status.go), with one more
scruple: here a rollout that ends with some pods left as they were is not finished, since those hold the old key. So
a partition of a StatefulSet and the update strategy ``OnDelete`` are waited out, and shown.
"""

from dataclasses import dataclass
from datetime import datetime

from saperly_operator.lifecycle.observed import Observed
from saperly_operator.lifecycle.overlap import awaits_rollout
from saperly_operator.lifecycle.workloads import Workload, WorkloadAbsent, WorkloadLook, WorkloadRefused
from saperly_operator.resources import reasons
from saperly_operator.resources.saperly_key import SaperlyKey
from saperly_operator.resources.saperly_key_status import RestartStatus, SaperlyKeyStatus
from saperly_operator.resources.workload import RestartMark, WorkloadRef


@dataclass(frozen=True, slots=True)
class RolledOut:
    """No pod of it began before the new key was in the Secret."""


@dataclass(frozen=True, slots=True)
class NotRestarted:
    """Its pod template does not bear the mark yet; ``seen`` is the state to patch."""

    seen: Workload


@dataclass(frozen=True, slots=True)
class Awaited:
    """It is waited for; ``reason`` and ``message`` say why, and what to do about it."""

    reason: str
    message: str


Rollout = RolledOut | NotRestarted | Awaited


def is_awaited(status: SaperlyKeyStatus) -> bool:
    """Whether workloads are brought to run with the new key: an old one lives on for them, or is dead and they fail."""
    restarted = status.restarted
    if restarted is None or restarted.finished_at is not None:
        return False
    return restarted.old_key_is_dead or any(map(awaits_rollout, status.retiring))


def wanted_mark(key: SaperlyKey, restarted: RestartStatus) -> RestartMark:
    """The mark of the restart for the key that is in the Secret now."""
    return RestartMark.of(key.metadata.uid, restarted.serial)


def rollouts(observed: Observed) -> dict[WorkloadRef, Rollout | None]:
    """How far each workload of ``spec.restart`` is; None for one that this process has not looked at yet."""
    key, restarted = observed.key, observed.key.status.restarted
    if restarted is None:
        return {}
    looks, mark = observed.memory.workloads, wanted_mark(key, restarted)
    return {
        ref: None if ref not in looks else _rollout(ref, looks[ref], mark, is_known=str(ref) in restarted.workloads)
        for ref in key.spec.restart
    }


def looked_at(observed: Observed, ref: WorkloadRef) -> datetime | None:
    """When this process last looked at a workload."""
    look = observed.memory.workloads.get(ref)
    return None if look is None else look.at


def is_restarted(observed: Observed, ref: WorkloadRef, restarted: RestartStatus) -> bool:
    """Whether the workload was restarted for the key that is in the Secret now, as status or its template says."""
    look = observed.memory.workloads.get(ref)
    mark = look.state.mark if look is not None and isinstance(look.state, Workload) else None
    return str(ref) in restarted.workloads or (mark is not None and mark.covers(wanted_mark(observed.key, restarted)))


def _rollout(ref: WorkloadRef, look: WorkloadLook, mark: RestartMark, *, is_known: bool) -> Rollout:
    match look.state:
        case WorkloadAbsent():
            return Awaited(
                reasons.WORKLOAD_NOT_FOUND,
                f"There is no {ref.kind} named {ref.name}: create it, or take it out of spec.restart.",
            )
        case WorkloadRefused(why):
            return Awaited(
                reasons.RESTART_REFUSED,
                f"Kubernetes does not let the operator read and patch {ref} ({why}): permit it, or restart {ref} "
                "yourself and take it out of spec.restart.",
            )
        case Workload() as seen if seen.mark is None or not seen.mark.covers(mark):
            return _unmarked(ref, seen, is_known=is_known)
        case Workload() as seen:
            return _marked(ref, seen, is_overdue=look.is_overdue)


def _unmarked(ref: WorkloadRef, seen: Workload, *, is_known: bool) -> Rollout:
    """Restarted once for each key and no more: else it and a tool that takes the mark away would go on for ever."""
    if not is_known:
        return NotRestarted(seen)
    return Awaited(
        reasons.ROLLOUT_STALLED,
        f"{ref} was restarted, but its pod template was changed back since, so that its pods may hold the old key: "
        "restart it, and take it out of spec.restart or request another rotation.",
    )


def _marked(ref: WorkloadRef, seen: Workload, *, is_overdue: bool) -> Rollout:
    if seen.generation > seen.observed_generation:
        return _late(ref) if is_overdue else _in_progress(ref)
    # Nothing runs at all (scaled to zero): whatever starts later starts with the new key.
    if seen.existing <= seen.updated and seen.updated >= seen.wanted and seen.available >= seen.wanted:
        return RolledOut()
    hint = _hint(ref, seen)
    if hint is not None:
        return Awaited(reasons.ROLLOUT_STALLED, hint)
    return _late(ref) if is_overdue else _in_progress(ref)


def _hint(ref: WorkloadRef, seen: Workload) -> str | None:
    """What keeps the rollout from ever finishing by itself, with what to do."""
    if seen.is_paused:
        return f"{ref} is paused: resume its rollout."
    if seen.is_on_delete:
        return f"{ref} has the update strategy OnDelete: delete its pods, so that they start with the new key."
    if seen.partition:
        return f"The partition {seen.partition} of {ref} leaves pods as they were: lower it."
    if seen.has_failed:
        return f"The rollout of {ref} exceeded its progress deadline: look at its pods."
    return None


def _in_progress(ref: WorkloadRef) -> Awaited:
    return Awaited(reasons.ROLLOUT_IN_PROGRESS, f"{ref} is restarted for the new key.")


def _late(ref: WorkloadRef) -> Awaited:
    return Awaited(reasons.ROLLOUT_STALLED, f"The rollout of {ref} takes very long: look at its pods.")


def pending(observed: Observed) -> Awaited | None:
    """What the rollouts that are awaited look like together, for people; None before all of them were looked at."""
    found = rollouts(observed)
    if None in found.values():
        return None
    open_ones = {ref: each for ref, each in found.items() if not isinstance(each, RolledOut)}
    awaited = [each if isinstance(each, Awaited) else _in_progress(ref) for ref, each in open_ones.items() if each]
    if not awaited:
        return None
    worst = next((each for each in awaited if each.reason != reasons.ROLLOUT_IN_PROGRESS), awaited[0])
    return Awaited(worst.reason, " ".join(each.message for each in awaited))


def unread(key: SaperlyKey) -> Awaited:
    """What is said of rollouts that are about to begin, or that this process has not looked at yet."""
    named = " ".join(_in_progress(ref).message for ref in key.spec.restart)
    return Awaited(reasons.ROLLOUT_IN_PROGRESS, named or "No workload is waited for any more.")
