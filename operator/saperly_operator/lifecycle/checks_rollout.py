"""The workloads that ``spec.restart`` names: restarted once for each new key, and awaited (design, section 4, step 6).

While an old key waits for them they are read now and then, and otherwise never: an object at rest costs no request.
Everything is found again after a crash at any line:

* *before a restart*: status says for which serial workloads are to be restarted; a pod template without its mark is
  patched.
* *after a restart*: the template bears the mark, and is not patched again.
* *before the end is stored*: the rollout is seen to be finished once more, a moment later; the overlap counts from
  then.

A new rotation in between takes over: the mark of a later serial covers all earlier ones, and every old key that still
waits then waits for the newest rollout.
"""

from datetime import datetime

from saperly_operator.lifecycle.case import Case
from saperly_operator.lifecycle.overlap import awaits_rollout, longest, overlap_started, waiting_for
from saperly_operator.lifecycle.rollout import (
    NotRestarted,
    RolledOut,
    is_awaited,
    is_restarted,
    looked_at,
    rollouts,
    wanted_mark,
)
from saperly_operator.lifecycle.steps import Decision, LookAtWorkloads, Restart
from saperly_operator.resources import reasons
from saperly_operator.resources.saperly_key_status import RestartStatus, RetiringKey
from saperly_operator.resources.workload import WorkloadRef

LOOK_WORK = "look"
"""The name under which looking at workloads is put off when the API server is away."""


def workload_unread(case: Case) -> Decision | None:
    """A workload is awaited, and it is time to look how far it is."""
    if not is_awaited(case.status) or case.not_before(LOOK_WORK) is not None:
        return None
    due = tuple(ref for ref, at in _next_looks(case).items() if at <= case.now)
    if not due:
        return None
    message = f"Looking at {', '.join(map(str, due))}."
    return Decision(LookAtWorkloads(due), reasons.ROLLOUT_IN_PROGRESS, message)


def workload_not_restarted(case: Case) -> Decision | None:
    """A workload's pods may have begun with an old key."""
    restarted = case.status.restarted
    if restarted is None or not is_awaited(case.status) or case.not_before(LOOK_WORK) is not None:
        return None
    for ref, rollout in rollouts(case.observed).items():
        if isinstance(rollout, NotRestarted):
            step = Restart(ref, rollout.seen, wanted_mark(case.key, restarted))
            return Decision(step, reasons.ROLLOUT_IN_PROGRESS, f"Restarting {ref} for the new key.")
    return None


def next_look(case: Case) -> datetime | None:
    """When a workload that is awaited is to be looked at next; None when none is."""
    if not is_awaited(case.status):
        return None
    put_off = case.not_before(LOOK_WORK)
    look = put_off or min(_next_looks(case).values(), default=None)
    given_up = _given_up_at(case)
    return look if look is None or given_up is None else min(look, given_up)


def _given_up_at(case: Case) -> datetime | None:
    restarted = case.status.restarted
    return None if restarted is None else case.happened_at(restarted.started_at) + longest(case.key.spec.rotation)


def _next_looks(case: Case) -> dict[WorkloadRef, datetime]:
    """When each workload that is not known to be finished is due. A rollout is watched closely at first: then, the
    longer it has taken, the less does a little more matter."""
    restarted, timings = case.status.restarted, case.timings
    looks = {ref: looked_at(case.observed, ref) for ref in case.key.spec.restart}
    found = rollouts(case.observed)
    due: dict[WorkloadRef, datetime] = {}
    for ref, at in looks.items():
        if at is None or restarted is None:
            due[ref] = case.now
        elif not isinstance(found.get(ref), RolledOut):
            wait = (at - case.happened_at(restarted.started_at)) / 4
            due[ref] = at + min(max(wait, timings.rollout_poll_first), timings.rollout_poll_limit)
    return due


def rollout_recorded(case: Case) -> tuple[RestartStatus | None, tuple[RetiringKey, ...]]:
    """What status is to say of the restarts and of the keys that wait for them."""
    status, restarted = case.status, case.status.restarted
    if restarted is None or not is_awaited(status):
        return restarted, status.retiring
    found = rollouts(case.observed)
    left = tuple(ref for ref, rollout in found.items() if not isinstance(rollout, RolledOut))
    given_up = _given_up_at(case)
    if left and given_up is not None and given_up <= case.now:
        return restarted.changed(given_up_at=case.now), status.retiring
    if None in found.values():
        return restarted, status.retiring  # nothing can be said before all of them were looked at
    names = tuple(str(ref) for ref in found if is_restarted(case.observed, ref, restarted))
    if left:
        text = waiting_for(left)
        waiting = (entry.changed(waiting_for=text) if awaits_rollout(entry) else entry for entry in status.retiring)
        return restarted.changed(workloads=names), tuple(waiting)
    rotation = case.key.spec.rotation
    ended = (
        overlap_started(entry, case.now, rotation) if awaits_rollout(entry) else entry for entry in status.retiring
    )
    return restarted.changed(workloads=names, finished_at=case.now), tuple(ended)
