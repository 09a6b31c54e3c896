"""The effects on Secrets, and the record that follows them (design, section 4, steps 4 and 5).

Every write of a Secret is preceded by live reads, first of the Secret and then of the SaperlyKey, and goes out under
that Secret's resourceVersion. Whoever reads in this order and finds the intent its own knows that any other process's
write either is in the Secret it read, or will fail.
"""

from collections.abc import Mapping
from dataclasses import replace

from saperly_operator.controller.refusals import Refusal, altered_refusal, foreign_refusal, refusal_of
from saperly_operator.controller.secret_body import (
    carried_previous,
    create_body,
    plaintext_data,
    previous_data,
    record_of,
    update_patch,
)
from saperly_operator.controller.secret_states import Target, kept_target, owned_record, secret_state
from saperly_operator.controller.tools import Tools
from saperly_operator.kube import errors as kube_errors
from saperly_operator.kube.api import PLAIN, SAPERLY_KEYS, SECRETS, Object
from saperly_operator.kube.secrets import SecretView, entry
from saperly_operator.lifecycle.observed import (
    HeldKey,
    Observed,
    PreflightRefused,
    SecretForeign,
    SecretOwned,
    SecretState,
)
from saperly_operator.lifecycle.references import minted_ref
from saperly_operator.lifecycle.steps import (
    MoveSecret,
    WriteSecret,
)
from saperly_operator.lifecycle.transitions_rotation import ends_at_once
from saperly_operator.resources import annotations
from saperly_operator.resources.saperly_key import DeletionPolicy, SaperlyKey
from saperly_operator.resources.saperly_key_status import Intent, SecretStatus
from saperly_operator.resources.secret_record import fingerprint, plaintext_digest
from saperly_operator.saperly.concealed import Plaintext


async def write_secret(tools: Tools, observed: Observed, step: WriteSecret) -> None:
    """Deliver the plaintext in hand. Whatever goes wrong, it stays in hand until the Secret has it or it is given up.

    Raises Conflict: somebody wrote in between, and everything is read again.
    """
    scratch = tools.scratch(observed)
    held, plaintext = scratch.held, scratch.plaintext
    if held is None or plaintext is None:
        return
    try:
        refusal = await _deliver(tools, observed, step.intent, held, plaintext)
    except kube_errors.Conflict:
        raise
    except (kube_errors.Refused, kube_errors.NotFound) as error:
        refusal = refusal_of(error, observed.key.secret_name)
    except kube_errors.KubeError:
        # Nobody refuses it now: the patience with a refusal begins anew when there is an answer again.
        scratch.held = replace(held, refused_since=None, refusal=None)
        scratch.failed("write", tools.clock.now(), tools.timings)
        return
    if refusal is not None:
        now = tools.clock.now()
        scratch.failed("write", now, tools.timings)
        scratch.held = replace(held, refused_since=held.refused_since or now, refusal=refusal.message)


async def _deliver(
    tools: Tools, observed: Observed, intent: Intent, held: HeldKey, plaintext: Plaintext
) -> Refusal | None:
    scratch, key = tools.scratch(observed), observed.key
    existing = await read_secret(tools, key.namespace, key.secret_name)
    body = await tools.kube.get(SAPERLY_KEYS, key.namespace, key.name)
    tools.cache.put_key(body)
    fresh = SaperlyKey.from_api(body)
    if not _is_ours(fresh, key, intent):
        # Taken over, or recreated: the other process declares this key lost and retires it. Never write it now.
        scratch.close_intent()
        return None
    if _is_ending(fresh, intent) or fresh.secret_name != key.secret_name:
        return None  # the next look decides anew, with the plaintext still in hand
    view = SecretView.of(existing) if existing is not None else None
    if view is not None:
        target = Target(fresh.secret_name, fresh.spec.secret.key)
        if isinstance(secret_state(view, fresh, target, observed.myself.installation), SecretForeign):
            return foreign_refusal(fresh.secret_name)
    ref = minted_ref(held.key, intent, fresh.status.current)
    digest = plaintext_digest(plaintext.reveal().encode())
    record = record_of(fresh, ref, observed.myself.installation, digest).write()
    # Crash here: the Secret may hold the key, status does not say so. The next process replays, gets the id without a
    # plaintext, finds that id in the Secret, and records it.
    data = plaintext_data(fresh, plaintext)
    if not ends_at_once(fresh, ref):
        data |= previous_data(fresh, existing)
    written = SecretView.of(await _put(tools, fresh, view, record, data))
    tools.cache.put_secret(written)
    if written.digests.get(fresh.spec.secret.key) != digest:
        return altered_refusal(fresh.secret_name)
    scratch.succeeded("write")
    mark = fingerprint(fresh.metadata.uid, digest)
    kept = SecretStatus(name=fresh.secret_name, key=fresh.spec.secret.key, fingerprint=mark)
    scratch.held, scratch.plaintext = replace(held, written=kept), None
    return None


def _is_ending(fresh: SaperlyKey, intent: Intent) -> bool:
    """Nothing is delivered any more; but with ``Orphan`` a Secret is not left with a key that was rotated away, be it by
    this intent or by one whose lost plaintext this one makes up for."""
    current, rotation = fresh.status.current, fresh.status.rotation
    failed = rotation.failed if rotation is not None else None
    is_dead = current is not None and failed is not None and failed.dead and failed.id == current.id
    keeps = fresh.spec.deletion_policy is DeletionPolicy.ORPHAN and (intent.rotates is not None or is_dead)
    return fresh.is_being_deleted and not keeps


def _is_ours(fresh: SaperlyKey, key: SaperlyKey, intent: Intent) -> bool:
    """Whether the stored intent is still exactly the one that this plaintext answers, in this process's name."""
    stored = fresh.status.intent
    same = stored is not None and (stored.holder, stored.serial) == (intent.holder, intent.serial)
    return same and fresh.metadata.uid == key.metadata.uid


async def _put(
    tools: Tools, key: SaperlyKey, view: SecretView | None, record: Mapping[str, str], data: Mapping[str, str]
) -> Object:
    if view is None:
        return await tools.kube.create(SECRETS, key.namespace, create_body(key, record, data))
    patch = update_patch(key, view, record=record, data=data)
    return await tools.kube.patch(SECRETS, key.namespace, view.name, patch, options=PLAIN)


async def read_secret(tools: Tools, namespace: str, name: str) -> Object | None:
    """A live read; None when there is no such Secret. The cache learns of it."""
    try:
        secret = await tools.kube.get(SECRETS, namespace, name)
    except kube_errors.NotFound:
        tools.cache.drop_secret((namespace, name))
        return None
    tools.cache.put_secret(SecretView.of(secret))
    return secret


async def fence(tools: Tools, observed: Observed) -> None:
    """Touch the Secret: a write that another process prepared under the version before must fail from now on.

    Also the one where the plaintext was wanted before the spec named another place.
    """
    key, scratch = observed.key, tools.scratch(observed)
    intent = key.status.intent
    if intent is None or scratch.redacted is None:
        return
    mark = {annotations.FENCED_BY: f"{intent.serial}.{intent.holder}"}
    for name, state in _places(observed).items():
        view = tools.cache.secret((key.namespace, name))
        if view is None or not isinstance(state, SecretOwned):
            continue
        patch = {"metadata": {"uid": view.uid, "resourceVersion": view.version, "annotations": mark}}
        # Crash here: a Secret with one more annotation. The next process fences again, under its own name.
        body = await tools.kube.patch(SECRETS, key.namespace, view.name, patch, options=PLAIN)
        tools.cache.put_secret(SecretView.of(body))
    scratch.redacted = replace(scratch.redacted, fenced=True)


def _places(observed: Observed) -> dict[str, SecretState | None]:
    """The Secrets that may hold this object's plaintext, and what each is to it; two entries of one Secret once."""
    before = kept_target(observed.key).secret
    return {before: observed.former_secret, observed.key.secret_name: observed.secret}


async def repair_secret(tools: Tools, observed: Observed) -> None:
    """Put labels, annotations and the record back; the plaintext is not touched, and nothing is minted."""
    key, current, kept = observed.key, observed.key.status.current, observed.key.status.secret
    existing = await read_secret(tools, key.namespace, key.secret_name)
    if existing is None or current is None or kept is None:
        return
    view = SecretView.of(existing)
    digest = view.digests.get(kept.key)
    if digest is None or fingerprint(key.metadata.uid, digest) != kept.fingerprint:
        return  # not the plaintext that status knows: nothing is claimed, the next look decides
    record = record_of(key, current, observed.myself.installation, digest).write()
    patch = update_patch(key, view, record=record, data={})
    # Crash here: put right. Somebody may take it off again, at admission or later: each time in a row waits longer.
    await write_kept(tools, observed, view, patch)
    tools.scratch(observed).contested("repair", tools.clock.now(), tools.timings)


async def move_secret(tools: Tools, observed: Observed, step: MoveSecret) -> None:
    """Copy the plaintext to where the spec wants it now.

    Another Secret that held it is deleted once status names the new one. Within one Secret it moves in one write: where
    the spec is changed back before status was, it is found under the other entry by its fingerprint.
    """
    key, current, kept = observed.key, observed.key.status.current, observed.key.status.secret
    source = await read_secret(tools, key.namespace, step.source)
    target = source if step.source == key.secret_name else await read_secret(tools, key.namespace, key.secret_name)
    plaintext = entry(source, step.source_key) if source is not None else None
    if source is None or plaintext is None or current is None or kept is None:
        return
    if fingerprint(key.metadata.uid, plaintext_digest(plaintext)) != kept.fingerprint:
        return  # altered meanwhile: the next look sees that, and mints
    record = record_of(key, current, observed.myself.installation, plaintext_digest(plaintext)).write()
    data = plaintext_data(key, plaintext) | carried_previous(key, source)
    if target is None:
        await _create_moved(tools, observed, create_body(key, record, data))
        return
    view = SecretView.of(target)
    if view.name != step.source and owned_record(view, key, observed.myself.installation) is None:
        return  # somebody's: the next look says so
    left = step.source_key if view.name == step.source else None
    await write_kept(tools, observed, view, update_patch(key, view, record=record, data=data, left=left))


async def _create_moved(tools: Tools, observed: Observed, body: Object) -> None:
    # Crash here: the plaintext is in two places, and status names the first. The next look finds it in the second.
    try:
        written = await tools.kube.create(SECRETS, observed.key.namespace, body)
    except (kube_errors.Refused, kube_errors.Unavailable, kube_errors.NotFound) as error:
        put_secret_off(tools, observed, error, observed.key.secret_name)
        return
    tools.cache.put_secret(SecretView.of(written))
    tools.scratch(observed).succeeded("write")


async def write_kept(tools: Tools, observed: Observed, view: SecretView, patch: Object) -> None:
    """Patch a Secret whose plaintext is safe where it is: a refusal only puts the work off."""
    try:
        body = await tools.kube.patch(SECRETS, view.namespace, view.name, patch, options=PLAIN)
    except (kube_errors.Refused, kube_errors.Unavailable) as error:
        put_secret_off(tools, observed, error, view.name)
        return
    tools.cache.put_secret(SecretView.of(body))
    tools.scratch(observed).succeeded("write")


def put_secret_off(tools: Tools, observed: Observed, error: kube_errors.KubeError, name: str) -> None:
    """A Secret cannot be changed for now; what is refused is shown with its reason."""
    scratch, now = tools.scratch(observed), tools.clock.now()
    is_refused = not isinstance(error, kube_errors.Unavailable)
    refusal = refusal_of(error, name)
    scratch.write_refused = PreflightRefused(now, refusal.reason, refusal.message) if is_refused else None
    scratch.failed("write", now, tools.timings)
