"""The effects of following a new key to the workloads that use it: look, restart, note how far they are.

The only code that reads or writes a workload. Of one it writes a single annotation of the pod template, in the
SaperlyKey's own namespace.
"""

from saperly_operator.controller.tools import Tools
from saperly_operator.controller.workloads import RESOURCES, restart_patch, workload_of
from saperly_operator.kube import errors as kube_errors
from saperly_operator.kube.api import PLAIN
from saperly_operator.kube.events import EventType, Occurrence
from saperly_operator.lifecycle.checks_rollout import LOOK_WORK
from saperly_operator.lifecycle.conditions import Standing
from saperly_operator.lifecycle.observed import Observed
from saperly_operator.lifecycle.steps import Decision, LookAtWorkloads, Reschedule, Restart
from saperly_operator.lifecycle.transitions import rescheduled
from saperly_operator.lifecycle.workloads import WorkloadAbsent, WorkloadLook, WorkloadRefused, WorkloadState
from saperly_operator.resources import reasons
from saperly_operator.resources.saperly_key_status import RestartStatus
from saperly_operator.resources.workload import WorkloadRef

_MARK_TAKEN = "something takes the annotation off its pod template at once"


async def look_at_workloads(tools: Tools, observed: Observed, step: LookAtWorkloads) -> None:
    """Read workloads, and remember what was seen. A crash loses nothing but that."""
    for ref in step.workloads:
        try:
            body = await tools.kube.get(RESOURCES[ref.kind], observed.key.namespace, ref.name)
        except kube_errors.NotFound:
            _remember(tools, observed, ref, WorkloadAbsent())
        except kube_errors.Refused as error:
            _remember(tools, observed, ref, _refused(error))
        except kube_errors.KubeError:
            tools.scratch(observed).failed(LOOK_WORK, tools.clock.now(), tools.timings)
            return
        else:
            _remember(tools, observed, ref, workload_of(ref.kind, body, observed.key.name))
    tools.scratch(observed).succeeded(LOOK_WORK)


async def restart(tools: Tools, observed: Observed, step: Restart) -> None:
    """Change the pod template, as ``kubectl rollout restart`` does: the workload's controller does the rest."""
    key, ref = observed.key, step.workload
    patch = restart_patch(step.seen, step.mark, key.name)
    try:
        # Crash here: restarted, and status does not say so. The next look finds the mark on the template.
        body = await tools.kube.patch(RESOURCES[ref.kind], key.namespace, ref.name, patch, options=PLAIN)
    except (kube_errors.Conflict, kube_errors.NotFound):
        tools.scratch(observed).workloads.pop(ref, None)  # somebody was quicker: look again
    except kube_errors.Refused as error:
        _remember(tools, observed, ref, _refused(error))
    except kube_errors.KubeError:
        tools.scratch(observed).workloads.pop(ref, None)  # it may have happened
        tools.scratch(observed).failed(LOOK_WORK, tools.clock.now(), tools.timings)
    else:
        state = workload_of(ref.kind, body, key.name)
        kept = state.mark is not None and state.mark.covers(step.mark)
        _remember(tools, observed, ref, state if kept else WorkloadRefused(_MARK_TAKEN))


async def reschedule(tools: Tools, observed: Observed, step: Reschedule, decision: Decision) -> None:
    """Store how far the restarts are, and the dates that follow."""
    status = observed.key.status
    # Crash here: nothing was stored, and the same is found again from the workloads themselves.
    await tools.statuses.store(
        observed.key,
        rescheduled(status, step.restarted, step.retiring),
        Standing.unchanged(observed, decision),
        _announcement(observed, status.restarted, step.restarted),
    )


def _announcement(observed: Observed, before: RestartStatus | None, after: RestartStatus | None) -> Occurrence | None:
    """What is news for people: the restarts, and their end. That a date moved is not."""
    if after is None or not after.workloads:
        return None
    if after.finished_at is not None and (before is None or before.finished_at is None):
        note = f"{', '.join(after.workloads)} run with the new key; the overlap begins."
        return Occurrence(EventType.NORMAL, reasons.ROLLED_OUT, "Restart", note)
    begun = [name for name in after.workloads if before is None or name not in before.workloads]
    if not begun:
        return None
    current = observed.key.status.current
    note = f"{', '.join(begun)} restarted for the key {current.prefix if current else ''}…"
    return Occurrence(EventType.NORMAL, reasons.RESTARTED, "Restart", note)


def _refused(error: kube_errors.Refused) -> WorkloadRefused:
    return WorkloadRefused(f"{error.status} {error.reason}")


def _remember(tools: Tools, observed: Observed, ref: WorkloadRef, state: WorkloadState) -> None:
    now, restarted = tools.clock.now(), observed.key.status.restarted
    is_overdue = restarted is not None and now - restarted.started_at >= tools.timings.rollout_patience
    tools.scratch(observed).workloads[ref] = WorkloadLook(now, state, is_overdue=is_overdue)
