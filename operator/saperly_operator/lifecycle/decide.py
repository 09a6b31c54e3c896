"""What to do next for one SaperlyKey: the table of contents of the whole lifecycle.

``decide`` is a pure function of one ``Observed``, the present and the waits that apply. It asks an ordered tuple of
checks, each named by what is wrong (or due); the first that has a decision is followed, one step is carried out, and
the object is observed again. So a crash between any two steps leaves a state that these same checks know how to go on
from, and there is no other recovery code. Every cause (an event, a timer, a sweep, a restart) leads here.

Which history each rule closes is told where the rule stands: ``checks_intent`` for the protocol of minting,
``checks_rollout`` for the restarts before an old key's overlap, ``checks_retire`` for how a key dies,
``checks_deletion`` for the end of an object.
"""

from dataclasses import replace
from datetime import datetime

from saperly_operator.lifecycle.case import Case, Check, first_of
from saperly_operator.lifecycle.checks_adoption import key_named, key_recorded
from saperly_operator.lifecycle.checks_attributes import attributes_changed, old_attributes_changed
from saperly_operator.lifecycle.checks_deletion import being_deleted
from saperly_operator.lifecycle.checks_intent import intent_open
from saperly_operator.lifecycle.checks_keep import (
    never_minted,
    provider_changed,
    rotation_due,
    rotation_requested,
    schedule_refused,
    secret_lost,
    secret_metadata_contested,
    secret_metadata_stripped,
    secret_moved,
    stray_secret,
)
from saperly_operator.lifecycle.checks_mint import provider_unfit
from saperly_operator.lifecycle.checks_orphans import orphan_found
from saperly_operator.lifecycle.checks_overlap import dates_changed
from saperly_operator.lifecycle.checks_previous import next_withdrawal, previous_key_expiring
from saperly_operator.lifecycle.checks_retire import next_retirement, retiring_key_due
from saperly_operator.lifecycle.checks_rollout import (
    next_look,
    workload_not_restarted,
    workload_unread,
)
from saperly_operator.lifecycle.checks_rotate import rotation_lost, successor_listed
from saperly_operator.lifecycle.checks_sweep import current_absent, revoked_outside, sweep_unnoted
from saperly_operator.lifecycle.conditions import available_message
from saperly_operator.lifecycle.observed import Observed
from saperly_operator.lifecycle.rotation import plan_of
from saperly_operator.lifecycle.steps import AddFinalizer, AwaitSweep, Decision, Done, LeaveAlone, Stall, WaitUntil
from saperly_operator.lifecycle.timings import Timings
from saperly_operator.resources import reasons


def decide(observed: Observed, now: datetime, timings: Timings) -> Decision:
    """The next step for what was observed. Total: there is always a decision, ``Done`` at the last."""
    case = Case(observed, now, timings)
    decision = first_of(CHECKS, case) or _all_as_asked(case)
    if case.key.is_being_deleted:
        return decision
    return _awake_when_due(case, _with_open_ends(case, decision))


def _awake_when_due(case: Case, decision: Decision) -> Decision:
    """Whatever else is waited for, the moment at which a rotation falls due is looked at: from then on it is overdue."""
    step = decision.step
    due = plan_of(case.key, case.status, case.now).due
    if due is None or due <= case.now or not isinstance(step, Done | WaitUntil | Stall | AwaitSweep):
        return decision
    until = due if step.until is None else min(step.until, due)
    return replace(decision, step=replace(step, until=until))


def _with_open_ends(case: Case, decision: Decision) -> Decision:
    """Rollouts are followed and old keys die on their date, whatever else waits: for a person, a turn, an answer."""
    if not isinstance(decision.step, WaitUntil | Stall) or not case.observed.myself.confirmed:
        return decision
    open_end, later = first_of(OPEN_ENDS, case), _next_open_end(case)
    if open_end is not None:
        return open_end
    if later is None or later >= decision.step.until:
        return decision
    return replace(decision, step=replace(decision.step, until=later))


def _next_open_end(case: Case) -> datetime | None:
    """When a rollout is to be looked at, an old plaintext has to go, or an old key is due."""
    moments = (next_look(case), next_withdrawal(case), next_retirement(case))
    return min((moment for moment in moments if moment is not None), default=None)


def _foreign_installation(case: Case) -> Decision | None:
    """Another installation of the operator began with this object; two must never act on one."""
    theirs = case.status.installation
    if case.key.is_being_deleted and case.key.is_force_deleted:
        return None  # no call to the vendor is made, so no two can act on one key
    if theirs is None or theirs == case.observed.myself.installation:
        return None
    message = (
        f"This object belongs to the installation {theirs} of the operator, which alone acts on it. If that is gone for "
        'good, annotate the object with saperly.com/force-delete: "true", delete it and its Secret, and apply it again.'
    )
    return Decision(LeaveAlone(), reasons.FOREIGN_INSTALLATION, message)


def _installation_unconfirmed(case: Case) -> Decision | None:
    """The cluster was cloned or restored elsewhere: two worlds may hold the same service key now."""
    if case.observed.myself.confirmed or (case.key.is_being_deleted and case.key.is_force_deleted):
        return None
    message = (
        "The operator's installation id was made in another cluster. An administrator has to decide: 'saperly-operator "
        "installation move' when that cluster is gone and this one takes its place, 'installation new' when both live."
    )
    return case.stall(reasons.INSTALLATION_MOVED, message)


def _finalizer_stripped(case: Case) -> Decision | None:
    """Somebody took the finalizer off (``kubectl replace``): deleted like that, the object would leave its keys live."""
    status = case.status
    if case.key.has_finalizer or not (status.current or status.retiring or status.intent):
        return None
    return Decision(
        AddFinalizer(), reasons.RESUMING, "Putting the finalizer back that holds the object for its keys."
    )


def _suspended(case: Case) -> Decision | None:
    """Nothing new is begun. What was open has been finished by the checks before this one."""
    if not case.key.spec.suspend:
        return None
    return Decision(Done(_next_open_end(case)), reasons.SUSPENDED, "spec.suspend is true: nothing new is begun.")


def _all_as_asked(case: Case) -> Decision:
    due = (_next_open_end(case), case.not_before("write"))
    moments = [moment for moment in due if moment is not None]
    return Decision(Done(min(moments, default=None)), reasons.AVAILABLE, available_message(case.key.secret_name))


OPEN_ENDS: tuple[Check, ...] = (
    workload_unread,
    workload_not_restarted,
    dates_changed,
    previous_key_expiring,
    retiring_key_due,
    successor_listed,
)

CHECKS: tuple[Check, ...] = (
    _foreign_installation,
    _installation_unconfirmed,
    being_deleted,
    _finalizer_stripped,
    intent_open,
    rotation_lost,
    *OPEN_ENDS,
    orphan_found,
    sweep_unnoted,
    current_absent,
    key_recorded,
    _suspended,
    key_named,
    never_minted,
    revoked_outside,
    secret_moved,
    secret_lost,
    secret_metadata_stripped,
    stray_secret,
    old_attributes_changed,
    provider_unfit,
    attributes_changed,
    provider_changed,
    rotation_requested,
    rotation_due,
    schedule_refused,
    secret_metadata_contested,
)
