"""The effects that take something out of a Secret, or the Secret away: an old plaintext, what a move left, the end.

Each goes out under the resourceVersion of a live read, so that what was written since is never taken along.
"""

from saperly_operator.controller.act_secret import put_secret_off, read_secret, write_kept
from saperly_operator.controller.secret_states import kept_target, owned_record
from saperly_operator.controller.tools import Tools
from saperly_operator.kube import errors as kube_errors
from saperly_operator.kube.api import SAPERLY_KEYS, SECRETS
from saperly_operator.kube.secrets import SecretView
from saperly_operator.lifecycle.observed import Observed
from saperly_operator.lifecycle.steps import DeleteSecret, DeleteStraySecret, ReleaseSecret, WithdrawPrevious
from saperly_operator.resources import annotations
from saperly_operator.resources.saperly_key import SaperlyKey
from saperly_operator.resources.secret_record import RECORD_ANNOTATIONS, fingerprint


async def withdraw_previous(tools: Tools, observed: Observed, step: WithdrawPrevious) -> None:
    """Take an old plaintext out of the Secret, if it is still what was decided about."""
    key = observed.key
    existing = await read_secret(tools, key.namespace, step.secret)
    if existing is None:
        return
    view = SecretView.of(existing)
    digest = view.digests.get(step.entry)
    if digest is None or fingerprint(key.metadata.uid, digest) != step.fingerprint:
        return  # the next look decides
    metadata = {"uid": view.uid, "resourceVersion": view.version}
    # Crash here: it is out, and status does not say since when. The next look sees it, and counts from then.
    await write_kept(tools, observed, view, {"metadata": metadata, "data": {step.entry: None}})


async def delete_stray_secret(tools: Tools, observed: Observed, step: DeleteStraySecret) -> None:
    """Remove what a move left behind, once more proven to be ours and not in use.

    The Secret is read first and the object afterwards: to one that a watch still shows as it was, another process's move
    to a new name looks like what a move left.
    """
    key = observed.key
    existing = await read_secret(tools, key.namespace, step.name)
    body = await tools.kube.get(SAPERLY_KEYS, key.namespace, key.name)
    tools.cache.put_key(body)
    fresh = SaperlyKey.from_api(body)
    is_used = step.name in (fresh.secret_name, kept_target(fresh).secret)
    if existing is None or is_used or fresh.metadata.uid != key.metadata.uid:
        return
    view = SecretView.of(existing)
    if owned_record(view, fresh, observed.myself.installation) is not None:
        await _delete(tools, observed, view)


async def delete_secret(tools: Tools, observed: Observed, step: DeleteSecret) -> None:
    """The keys are gone; so goes the Secret."""
    view = tools.cache.secret((observed.key.namespace, step.name))
    if view is not None:
        # Crash here: no Secret, the finalizer is left. The next look takes it away.
        await _delete(tools, observed, view)


async def _delete(tools: Tools, observed: Observed, view: SecretView) -> None:
    try:
        await tools.kube.delete(SECRETS, view.namespace, view.name, uid=view.uid, version=view.version)
    except kube_errors.NotFound:
        pass
    except (kube_errors.Refused, kube_errors.Unavailable) as error:
        put_secret_off(tools, observed, error, view.name)
        return
    tools.cache.drop_secret((view.namespace, view.name))


async def release_secret(tools: Tools, observed: Observed, step: ReleaseSecret) -> None:
    """Take our record and label off: from here on the Secret is its user's."""
    view = tools.cache.secret((observed.key.namespace, step.name))
    if view is None:
        return
    gone = dict.fromkeys((*RECORD_ANNOTATIONS, annotations.FENCED_BY, annotations.APPLIED))
    metadata = {
        "uid": view.uid,
        "resourceVersion": view.version,
        "annotations": gone,
        "labels": {annotations.MANAGED_BY_LABEL: None},
    }
    # Crash here: the Secret is released, the finalizer is left. The next look takes it away.
    await write_kept(tools, observed, view, {"metadata": metadata})
