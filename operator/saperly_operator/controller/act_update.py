"""The effects on keys that stay: their attributes are sent, and one that a list did not show is looked at.

The spec is the stored intent of a PATCH; a GET changes nothing. What either shows of the key goes into status.
"""

from dataclasses import replace

from saperly_operator.budget.operation import Operation
from saperly_operator.controller.act_failures import refused_failure
from saperly_operator.controller.act_retire import put_off
from saperly_operator.controller.service_keys import Handle
from saperly_operator.controller.tools import Tools
from saperly_operator.controller.vendor import GateShut, ask_vendor, look_at_key
from saperly_operator.kube.events import EventType, Occurrence
from saperly_operator.lifecycle.attributes import claims, given_up, sparing
from saperly_operator.lifecycle.checks_attributes import update_work
from saperly_operator.lifecycle.checks_sweep import inspect_work
from saperly_operator.lifecycle.conditions import Standing
from saperly_operator.lifecycle.observed import Observed
from saperly_operator.lifecycle.steps import Decision, InspectKey, NoteSweep, UpdateKey
from saperly_operator.lifecycle.transitions import (
    attributes_claimed,
    attributes_sent,
    failed,
    key_hidden,
    key_revoked_outside,
    sweep_noted,
)
from saperly_operator.resources import annotations, reasons
from saperly_operator.resources.findings import RevokedOutside
from saperly_operator.resources.saperly_key_status import KeyRef, SaperlyKeyStatus
from saperly_operator.saperly import errors
from saperly_operator.saperly.models import ChildKey, UpdateRequest


async def update_key(tools: Tools, observed: Observed, step: UpdateKey, decision: Decision) -> None:
    """PATCH the key's attributes; the spec is the stored intent, and the same PATCH may be sent twice."""
    scratch, key_id, work = tools.scratch(observed), step.ref.id, update_work(step.ref)
    handle = tools.handle(observed.key, step.ref.provider, step.ref.service_key)
    if handle is None:
        return
    claimed = claims(step.ref, step.update, step.managed)
    if claimed != step.ref.claimed_values:
        # What is set for the first time is remembered first: sent before, and taken out of the spec before status could
        # say so, it would stay at the vendor for ever. Crash here: the vendor's row tells that it was never set.
        status = attributes_claimed(observed.key.status, step.ref, step.managed, claimed)
        await tools.statuses.store(observed.key, status, Standing.of(observed, decision))
        return
    try:
        update = await _spared(tools, handle, step)
        # Crash here: changed at the vendor, unknown here. The same PATCH is sent once more.
        await ask_vendor(handle.gate, Operation.UPDATE, tools.clock, lambda: handle.api.update_key(key_id, update))
    except GateShut as shut:
        put_off(tools, observed, work, shut)
        return
    except errors.NotVisible as error:
        await _update_not_visible(tools, observed, step, decision, error)
        return
    except (errors.Refused, errors.Defect) as error:
        await _update_refused(tools, observed, step.ref, decision, error)
        return
    except errors.SaperlyError as error:
        scratch.failed(work, tools.clock.now(), tools.timings, error.retry_after)
        return
    scratch.succeeded(work)
    scratch.sent_at[key_id] = tools.clock.now()
    status = attributes_sent(observed.key.status, step.ref, step.attributes_hash, step.managed, step.drift)
    await tools.statuses.store(observed.key, status, Standing.of(observed, decision), _announcement(step, decision))


async def _spared(tools: Tools, handle: Handle, step: UpdateKey) -> UpdateRequest:
    """The PATCH. Where it would clear what was perhaps never set, a look at the vendor's row first: a person may have set
    another value there, which nobody asked to take away. Raises GateShut, SaperlyError."""
    if not given_up(step.ref, step.managed):
        return step.update
    row = await look_at_key(handle, step.ref.id, tools.clock)
    return sparing(step.update, step.ref, step.managed, row)


def _announcement(step: UpdateKey, decision: Decision) -> Occurrence:
    if step.drift is None:
        return Occurrence(EventType.NORMAL, reasons.UPDATED, "Update", "The key's attributes were changed.")
    return Occurrence(EventType.WARNING, decision.reason, "Update", decision.message)


async def _update_not_visible(
    tools: Tools, observed: Observed, step: UpdateKey, decision: Decision, error: errors.NotVisible
) -> None:
    """The key, or its line: GET tells. A key that is gone cannot be changed, and must not block what replaces it."""
    found = await _look(tools, observed, step.ref, update_work(step.ref))
    if isinstance(found, ChildKey) and found.revoked_at is None:
        await _update_refused(tools, observed, step.ref, decision, error)
    elif found is not None:
        # Its attributes are past mending: noted as sent, so that a rotation is not kept waiting for them.
        status = attributes_sent(observed.key.status, step.ref, step.attributes_hash, step.managed)
        await _note_gone(tools, observed, step.ref, decision, found, status)


async def inspect_key(tools: Tools, observed: Observed, step: InspectKey, decision: Decision) -> None:
    """GET the current key, and note what became of it."""
    scratch, work = tools.scratch(observed), inspect_work(step.ref.id)
    found = await _look(tools, observed, step.ref, work)
    if isinstance(found, ChildKey) and found.revoked_at is None:
        # It lives: the list was made while keys came and went, and the next one will show it.
        scratch.forget_absence(step.ref.id)
        scratch.succeeded(work)
    elif found is not None:
        scratch.put_off(work, tools.clock.now() + tools.timings.held_recheck)
        await _note_gone(tools, observed, step.ref, decision, found, observed.key.status)


async def _look(tools: Tools, observed: Observed, ref: KeyRef, work: str) -> ChildKey | errors.NotVisible | None:
    """GET the key; None when there is no answer now, and ``work`` is put off."""
    handle = tools.handle(observed.key, ref.provider, ref.service_key)
    if handle is None:
        return None
    try:
        return await look_at_key(handle, ref.id, tools.clock)
    except GateShut as shut:
        put_off(tools, observed, work, shut)
    except errors.NotVisible as error:
        return error
    except errors.SaperlyError as error:
        tools.scratch(observed).failed(work, tools.clock.now(), tools.timings, error.retry_after)
    return None


async def _note_gone(
    tools: Tools,
    observed: Observed,
    ref: KeyRef,
    decision: Decision,
    found: ChildKey | errors.NotVisible,
    status: SaperlyKeyStatus,
) -> None:
    """Status says that the key is revoked, or not visible; of an old key only the latter is news."""
    standing, before = Standing.of(observed, decision), status
    is_current = status.current is not None and status.current.id == ref.id
    if isinstance(found, errors.NotVisible):
        status, reason = key_hidden(status, ref.id, tools.clock.now()), reasons.KEY_NOT_VISIBLE
        message = (
            f"Saperly does not show the key {ref.prefix}… to its service key: look for it in the Saperly portal."
        )
        is_news = status != before
    else:
        reason, message = (
            reasons.REVOKED_EXTERNALLY,
            f"The key {ref.prefix}… was revoked at Saperly by somebody else.",
        )
        is_news = is_current
        if is_current and found.revoked_at is not None:
            status = key_revoked_outside(status, RevokedOutside(id=ref.id, revoked_at=found.revoked_at))
            standing = replace(standing, key_active=False, reason=reason, message=message)
    announcement = Occurrence(EventType.WARNING, reason, "Sweep", message) if is_news else None
    if is_news or status != observed.key.status:
        await tools.statuses.store(observed.key, status, standing, announcement)


async def _update_refused(
    tools: Tools, observed: Observed, ref: KeyRef, decision: Decision, error: errors.SaperlyError
) -> None:
    """The key goes on as it was; what is wrong with the change is shown, and tried again rarely."""
    timings, current = tools.timings, observed.key.status.current
    failure = refused_failure(observed, error, tools.clock.now(), timings.backoff_first, timings.backoff_limit)
    if current is None or current.id != ref.id:
        tools.scratch(observed).put_off(update_work(ref), failure.retry_at)
        return  # an old key: the current one meets the same, and shows it
    standing = replace(
        Standing.of(observed, decision), reason=failure.code, message=failure.message or "", stalled=True
    )
    await tools.statuses.store(observed.key, failed(observed.key.status, failure), standing)


async def note_sweep(tools: Tools, observed: Observed, step: NoteSweep, decision: Decision) -> None:
    """Show what the last list showed; a key in use that nothing refers to is announced once."""
    before = observed.key.status
    known = {each.id for each in before.unowned}
    new = [each for each in step.unowned if each.id not in known]
    announcement = None
    if new:
        shown = ", ".join(f"{each.prefix}… ({each.id})" for each in new)
        note = (
            f"In use, though nothing here refers to it: {shown}. It is revoked after 24 idle hours, or at once by the "
            f"annotation {annotations.REVOKE_ORPHANS}."
        )
        announcement = Occurrence(EventType.WARNING, reasons.IN_USE_ORPHAN, "Sweep", note)
    status = sweep_noted(before, step.unowned, step.visible, step.calm)
    await tools.statuses.store(observed.key, status, Standing.beside(observed, decision), announcement)
