"""The effects on keys that exist at the vendor and are to end: revoke, release; and the end of the finalizer.

A revoke cannot be undone, so it is the most guarded line of the operator: status named the key before, the object and
its Secrets are read live, and a key that nobody should have used is looked at once more at the vendor.
"""

from dataclasses import replace
from datetime import timedelta
from enum import Enum

from saperly_operator.budget.operation import Operation
from saperly_operator.controller.act_idle import is_put_off_by_use
from saperly_operator.controller.secret_states import kept_target, previous_places
from saperly_operator.controller.service_keys import Handle
from saperly_operator.controller.tools import Tools
from saperly_operator.controller.vendor import GateShut, ask_vendor, look_at_key
from saperly_operator.kube import errors as kube_errors
from saperly_operator.kube.api import PLAIN, SAPERLY_KEYS
from saperly_operator.kube.events import EventType, Occurrence
from saperly_operator.kube.secrets import SecretView
from saperly_operator.lifecycle.checks_retire import UNUSED_REASONS, retire_work
from saperly_operator.lifecycle.conditions import Standing
from saperly_operator.lifecycle.naming import Owner, Tag, released_name
from saperly_operator.lifecycle.observed import Observed
from saperly_operator.lifecycle.references import rotated_away
from saperly_operator.lifecycle.steps import Decision, ReleaseKey, RemoveFinalizer, Retire, RevokeCurrent
from saperly_operator.lifecycle.transitions import key_gone, key_hidden, retirement_held
from saperly_operator.resources import annotations, reasons
from saperly_operator.resources.saperly_key import DeletionPolicy, SaperlyKey
from saperly_operator.resources.saperly_key_status import KeyRef, RetiringKey, SaperlyKeyStatus
from saperly_operator.resources.secret_record import fingerprint
from saperly_operator.saperly import errors
from saperly_operator.saperly.models import UpdateRequest


async def retire(tools: Tools, observed: Observed, step: Retire, decision: Decision) -> None:
    """Revoke an old key, unless a live look shows that it is still the one in a Secret, or in use after all."""
    key = observed.key
    live = await tools.observer.live((key.namespace, key.name))
    if live is None or live.key.metadata.uid != key.metadata.uid:
        return
    entry = next((each for each in live.key.status.retiring if each.id == step.entry.id), None)
    handle = tools.handle(live.key, step.entry.provider, step.entry.service_key)
    if entry is None or handle is None:
        return
    held = _held_by_secret(tools, live, entry)
    if held is not None:
        await _hold(tools, live, entry, decision, held)
    else:
        await _revoke(tools, live, handle, entry, decision)


def _held_by_secret(tools: Tools, observed: Observed, entry: RetiringKey) -> str | None:
    """I5: the key in the Secret is not revoked, whatever status says, except by deletion."""
    key = observed.key
    if _may_revoke_all(observed):
        return None
    for name in sorted({key.secret_name, kept_target(key).secret, *observed.stray_secrets}):
        view = tools.cache.secret((key.namespace, name))
        if view is not None and _names_what_it_holds(view, entry):
            return f"it is the key in the Secret {name}"
        if view is not None and entry.fingerprint in _marks(view, key, entry):
            return f"its plaintext is in the Secret {name}"
    return None


def _names_what_it_holds(view: SecretView, entry: RetiringKey) -> bool:
    """The record names the key, and the data is what was written with the record: not something else by now."""
    record = view.record
    if record is None or record.key_id != entry.id:
        return False
    return not record.digest or any(record.fits(digest) for digest in view.digests.values())


def _marks(view: SecretView, key: SaperlyKey, entry: RetiringKey) -> set[str]:
    """Of what is where workloads may read this old key: a watch may have shown the Secret without it before.

    Where old plaintexts are kept, and where the current one belongs: somebody (a GitOps tool, a restored backup) may have
    put the old one back there, and then workloads live on it until a new key is delivered, however long that is
    contested. Not so a key that is to go at once because somebody else may have it: the Secret does not save that one.
    """
    is_spared = entry.replaced_at is not None
    main = (key.spec.secret.key, kept_target(key).entry) if is_spared else ()
    places = {*previous_places(key), *main}
    return {fingerprint(key.metadata.uid, view.digests[at]) for at in places if at in view.digests}


def _may_revoke_all(observed: Observed) -> bool:
    """Somebody asked for the end of every key of this object: no key is spared for being in use."""
    return observed.key.is_being_deleted and observed.key.spec.deletion_policy is DeletionPolicy.REVOKE


async def revoke_current(tools: Tools, observed: Observed, step: RevokeCurrent, decision: Decision) -> None:
    """The object is being deleted with ``Revoke``: the deletionTimestamp is the stored intent."""
    handle = tools.handle(observed.key, step.ref.provider, step.ref.service_key)
    if handle is not None:
        await _revoke(tools, observed, handle, step.ref, decision)


async def _revoke(tools: Tools, observed: Observed, handle: Handle, ref: KeyRef, decision: Decision) -> None:
    """DELETE, then forget the key; or note what stands in the way."""
    try:
        finding = await _closer_look(tools, observed, handle, ref)
        if finding is _Finding.NOT_OURS:
            await _let_go(tools, observed, ref, decision)
            return
        if finding is _Finding.IN_USE:
            await _hold(tools, observed, ref, decision, _USED)
            return
        if not _may_revoke_all(observed) and await is_put_off_by_use(tools, observed, handle, ref, decision):
            return
        # Crash here: revoked, and status still lists it. The next DELETE answers 404, GET shows revoked_at: done.
        gone = await _is_dead_already(tools, observed, handle, ref) or await _is_revoked_now(tools, handle, ref)
    except GateShut as shut:
        put_off(tools, observed, retire_work(ref), shut)
        return
    except errors.NotVisible:
        await _hold(tools, observed, ref, decision, _HIDDEN)
        return
    except errors.SaperlyError as error:
        tools.scratch(observed).failed(retire_work(ref), tools.clock.now(), tools.timings, error.retry_after)
        return
    if gone:
        await _forget(tools, observed, ref, decision)
    else:
        tools.scratch(observed).failed(retire_work(ref), tools.clock.now(), tools.timings)


_HIDDEN = "this service key cannot see it; look in the Saperly portal"
_USED = "it has been used although nobody should hold it: it is revoked after 24 idle hours, or by you in the portal"


class _Finding(Enum):
    """What a closer look at an entry says against its end."""

    NOTHING = "nothing"
    IN_USE = "somebody uses it"
    NOT_OURS = "its name does not bear this object's tag any more"


async def _closer_look(tools: Tools, observed: Observed, handle: Handle, ref: KeyRef) -> _Finding:
    """A key whose plaintext nobody should have, or that only a list told of, is looked at before it goes.

    It may be in use: whoever read a Secret that was deleted before its key was recorded goes on with it. And it may have
    been released (``Orphan``) while the list that told of it was under way: then it is its user's.
    """
    if not isinstance(ref, RetiringKey) or ref.reason not in UNUSED_REASONS:
        return _Finding.NOTHING
    is_hearsay = ref.reason in (reasons.ORPHANED, reasons.OUTCOME_UNKNOWN)
    if _may_revoke_all(observed) and not is_hearsay:
        return _Finding.NOTHING
    row = await look_at_key(handle, ref.id, tools.clock)
    if row.revoked_at is not None:
        return _Finding.NOTHING
    tag = Tag.parse(row.name)
    owner = Owner(observed.key.namespace, observed.key.name)
    if is_hearsay and not (tag and tag.belongs_to(observed.myself.installation, owner)):
        return _Finding.NOT_OURS
    if row.last_used_at is None or _may_revoke_all(observed):
        return _Finding.NOTHING
    idle = tools.clock.now() - row.last_used_at
    return _Finding.IN_USE if idle < tools.timings.idle_before_revoke else _Finding.NOTHING


async def _is_dead_already(tools: Tools, observed: Observed, handle: Handle, ref: KeyRef) -> bool:
    """A key that was replaced in one step needs no revoke, and the vendor's own row says so."""
    if not rotated_away(observed.key.status, ref.id):
        return False
    row = await look_at_key(handle, ref.id, tools.clock)
    return row.revoked_at is not None


async def _is_revoked_now(tools: Tools, handle: Handle, ref: KeyRef) -> bool:
    """Revoke; True once the key is certainly revoked. A 404 proves nothing by itself: GET tells.

    Raises GateShut; SaperlyError, of which NotVisible says that nothing can be said of this key.
    """
    try:
        await ask_vendor(handle.gate, Operation.REVOKE, tools.clock, lambda: handle.api.revoke_key(ref.id))
    except errors.NotVisible:
        row = await look_at_key(handle, ref.id, tools.clock)
        return row.revoked_at is not None
    return True


async def _hold(tools: Tools, observed: Observed, ref: KeyRef, decision: Decision, waiting_for: str) -> None:
    """The key stays for now, and status says why. Looked at again rarely: nothing here goes away by itself soon."""
    tools.scratch(observed).put_off(retire_work(ref), tools.clock.now() + tools.timings.held_recheck)
    status = retirement_held(observed.key.status, ref.id, waiting_for)
    if waiting_for == _HIDDEN:
        status = key_hidden(status, ref.id, tools.clock.now())
    if status == observed.key.status and not observed.key.is_being_deleted:
        return
    message = f"The key {ref.prefix}… is not revoked: {waiting_for}."
    standing = Standing.beside(observed, decision)
    if not standing.stalled:
        standing = replace(standing, reason=reasons.REVOCATION_FAILED, message=message)
    announcement = Occurrence(EventType.WARNING, reasons.REVOCATION_FAILED, "Revoke", message)
    await tools.statuses.store(observed.key, status, standing, announcement)


async def _forget(tools: Tools, observed: Observed, ref: KeyRef, decision: Decision) -> None:
    """The key is dead at the vendor, and status lets it go."""
    scratch = tools.scratch(observed)
    scratch.succeeded(retire_work(ref))
    scratch.sweeps.clear()  # it was listed before this, and would look like an orphan
    reason = ref.reason if isinstance(ref, RetiringKey) else "Deleted"
    note = f"The key {ref.prefix}… was revoked at Saperly. Cause: {reason}."
    announcement = Occurrence(EventType.NORMAL, reasons.REVOKED, "Revoke", note)
    status = key_gone(observed.key.status, ref.id)
    await tools.statuses.store(observed.key, status, _standing_without(observed, decision, status), announcement)


async def _let_go(tools: Tools, observed: Observed, ref: KeyRef, decision: Decision) -> None:
    """Status forgets a key that is not this object's after all; nothing is done to it."""
    tools.scratch(observed).sweeps.clear()  # the list that told of it knows no better
    note = f"The key {ref.prefix}… does not bear this object's tag at Saperly: it is not revoked, and not ours."
    announcement = Occurrence(EventType.WARNING, reasons.RELEASED, "Release", note)
    status = key_gone(observed.key.status, ref.id)
    await tools.statuses.store(observed.key, status, _standing_without(observed, decision, status), announcement)


def _standing_without(observed: Observed, decision: Decision, status: SaperlyKeyStatus) -> Standing:
    """How things stand when ``status`` has one key less."""
    active = status.current is not None
    of = Standing.beside if observed.key.is_being_deleted else Standing.unchanged
    standing = of(observed, decision)
    return replace(
        standing,
        key_active=active,
        key_in_place=standing.key_in_place and active,
        secret_synced=standing.secret_synced and active,
    )


def put_off(tools: Tools, observed: Observed, work: str, shut: GateShut) -> None:
    """The gate is shut for this call though another was let through: wait as long as it says."""
    wait = max(1.0, shut.wait.until - tools.clock.monotonic())
    tools.scratch(observed).put_off(work, tools.clock.now() + timedelta(seconds=min(wait, 3600.0)))


async def release_key(tools: Tools, observed: Observed, step: ReleaseKey, decision: Decision) -> None:
    """Free the name of our tag, so that no sweep of this installation ever takes the key for its own."""
    scratch, work = tools.scratch(observed), retire_work(step.ref)
    handle = tools.handle(observed.key, step.ref.provider, step.ref.service_key)
    if handle is None:
        return
    key_id = step.ref.id
    try:
        row = await look_at_key(handle, key_id, tools.clock)
        if row.revoked_at is None:
            update = UpdateRequest(name=released_name(row.name))
            # Crash here: released, and status still names it. Released again, which changes nothing.
            await ask_vendor(
                handle.gate, Operation.UPDATE, tools.clock, lambda: handle.api.update_key(key_id, update)
            )
    except GateShut as shut:
        put_off(tools, observed, work, shut)
        return
    except errors.SaperlyError as error:
        scratch.failed(work, tools.clock.now(), tools.timings, error.retry_after)
        return
    fate = "lives on" if row.revoked_at is None else "was revoked already"
    note = f"The key {step.ref.prefix}… {fate}, and is no longer the operator's."
    announcement = Occurrence(EventType.NORMAL, reasons.RELEASED, "Release", note)
    status = key_gone(observed.key.status, key_id)
    await tools.statuses.store(observed.key, status, _standing_without(observed, decision, status), announcement)


async def remove_finalizer(tools: Tools, observed: Observed, step: RemoveFinalizer, decision: Decision) -> None:
    """Let the object go. What it still owned is gone, released, or (forced) left to the sweep with an event."""
    key = observed.key
    metadata = key.metadata
    if step.forced is not None:
        note = f"{decision.message} Left: {', '.join(step.forced) or 'none'}."
        await tools.statuses.announce(key, Occurrence(EventType.WARNING, decision.reason, "Delete", note))
    patch = {
        "metadata": {
            "uid": metadata.uid,
            "resourceVersion": metadata.resource_version,
            "finalizers": [each for each in metadata.finalizers if each != annotations.FINALIZER],
        }
    }
    try:
        body = await tools.kube.patch(SAPERLY_KEYS, key.namespace, key.name, patch, options=PLAIN)
    except kube_errors.NotFound:
        body = None
    tools.scratchpads.drop(metadata.uid)
    if body is not None and body["metadata"].get("finalizers"):
        tools.cache.put_key(body)  # another's finalizer holds it
    else:
        tools.cache.drop_key((key.namespace, key.name))
