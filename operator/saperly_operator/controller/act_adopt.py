"""The effects of adoption: a key that is in a Secret already becomes an object's current one, without a mint.

Everything is read live again right before it is written: the Secret with its plaintext, then the vendor's row. A crash
between any two lines leaves a Secret with a record, which no sweep takes for an orphan's, and the same is done again.
"""

from saperly_operator.budget.operation import Operation
from saperly_operator.controller.act_retire import put_off
from saperly_operator.controller.act_secret import read_secret, write_kept
from saperly_operator.controller.secret_body import update_patch
from saperly_operator.controller.secret_states import Target, secret_state
from saperly_operator.controller.service_keys import Handle
from saperly_operator.controller.tools import Tools
from saperly_operator.controller.vendor import GateShut, ask_vendor, look_at_key
from saperly_operator.kube.api import Object
from saperly_operator.kube.events import EventType, Occurrence
from saperly_operator.kube.secrets import SecretView, entry
from saperly_operator.lifecycle.adoption import AdoptionRefused, Candidate, adopted_ref, misfit
from saperly_operator.lifecycle.checks_adoption import ADOPT
from saperly_operator.lifecycle.conditions import Standing
from saperly_operator.lifecycle.naming import Tag, vendor_name
from saperly_operator.lifecycle.observed import Observed, ProviderPresent, SecretForeign, SecretOwned
from saperly_operator.lifecycle.steps import AdoptKey, ClaimSecret
from saperly_operator.lifecycle.transitions import answered_request, key_adopted
from saperly_operator.resources import reasons
from saperly_operator.resources.saperly_key_status import SecretStatus
from saperly_operator.resources.secret_record import SecretRecord, fingerprint, plaintext_digest, short_digest
from saperly_operator.saperly import errors
from saperly_operator.saperly.models import ChildKey, UpdateRequest

Found = tuple[ChildKey, str, Handle]
"""A row, and the entry of the provider whose service key shows it."""

_SHORTEST_PREFIX = len("sk_live_")
"""A prefix that says no more than the environment proves nothing of a plaintext."""


async def claim_secret(tools: Tools, observed: Observed, step: ClaimSecret) -> None:
    """Write the record of a key that a person named into its Secret, once every proof holds."""
    key = observed.key
    secret = await read_secret(tools, key.namespace, key.secret_name)
    if secret is None or not _is_claimable(SecretView.of(secret), observed):
        return  # it changed since it was observed: the next look says what is the matter
    found = await _proven(tools, observed, secret, step.key_id, (step.provider, step.entries))
    if found is None:
        return
    row, _, _ = found
    plaintext = entry(secret, key.spec.secret.key)
    assert plaintext is not None, "_is_claimable said that it is there"
    record = SecretRecord(
        key_id=row.id,
        key_prefix=row.key_prefix,
        serial=step.serial,
        installation=observed.myself.installation,
        owner=str(observed.owner),
        minted_at=row.created_at,
        handled_request=answered_request(key),
        digest=short_digest(plaintext_digest(plaintext)),
    )
    view = SecretView.of(secret)
    # Crash here: the Secret says what it holds, and is this object's from now on. The next look goes on from there.
    await write_kept(tools, observed, view, update_patch(key, view, record=record.write(), data={}))


def _is_claimable(view: SecretView, observed: Observed) -> bool:
    target = Target(observed.key.secret_name, observed.key.spec.secret.key)
    match secret_state(view, observed.key, target, observed.myself.installation):
        case SecretForeign(owner=None, adoptable=True, is_dependent=False, has_entry=True, immutable=False):
            return True
        case _:
            return False


async def adopt_key(tools: Tools, observed: Observed, step: AdoptKey) -> None:
    """Make the key that the Secret's record names the current one, once every proof holds."""
    key, record, provider = observed.key, step.record, observed.provider
    secret = await read_secret(tools, key.namespace, key.secret_name)
    if secret is None or not isinstance(provider, ProviderPresent):
        return
    digest = SecretView.of(secret).digests.get(key.spec.secret.key)
    target = Target(key.secret_name, key.spec.secret.key)
    state = secret_state(SecretView.of(secret), key, target, observed.myself.installation)
    if digest is None or not isinstance(state, SecretOwned) or state.record != record or not state.intact:
        return  # it changed since it was observed: the next look decides anew
    found = await _proven(tools, observed, secret, record.key_id, (step.provider, step.entries))
    if found is not None and Tag.parse(found[0].name) is None:
        found = await _tagged(tools, observed, found, record)
    if found is None:
        return
    row, service_key, _ = found
    ref = adopted_ref(row, key, (provider.ref, provider.spec), service_key, observed.myself.installation)
    kept = SecretStatus(
        name=key.secret_name, key=key.spec.secret.key, fingerprint=fingerprint(key.metadata.uid, digest)
    )
    note = f"The key {ref.prefix}… that is in the Secret {kept.name} was taken over; nothing was minted."
    # Crash here: nothing is lost, since the Secret's record still says all this.
    await tools.statuses.store(
        key,
        key_adopted(key, ref, kept, observed.myself.installation),
        Standing.delivered(kept.name),
        Occurrence(EventType.NORMAL, reasons.ADOPTED, "Adopt", note),
    )
    tools.scratch(observed).adoption = None


async def _proven(
    tools: Tools, observed: Observed, secret: Object, key_id: str, where: tuple[str, tuple[str, ...]]
) -> Found | None:
    """The vendor's row of ``key_id`` when every proof holds; else None, and why is remembered."""
    key, provider = observed.key, observed.provider
    try:
        found = await _look(tools, observed, key_id, where)
    except errors.NotVisible:
        message = "Saperly does not show the key that is to be adopted to the provider's service key."
        _refuse(tools, observed, key_id, reasons.KEY_NOT_VISIBLE, message)
        return None
    if found is None or not isinstance(provider, ProviderPresent):
        return None
    row, plaintext = found[0], entry(secret, key.spec.secret.key) or b""
    others = [holder for holder in tools.cache.holders(row.id) if holder != (key.namespace, key.name)]
    candidate = Candidate(
        row=row,
        plaintext_fits=len(row.key_prefix) > _SHORTEST_PREFIX and plaintext.startswith(row.key_prefix.encode()),
        taken_by="/".join(others[0]) if others else None,
        named=key.key_to_adopt == row.id,
    )
    problem = misfit(candidate, observed.owner, observed.myself.installation, provider.spec.environment.value)
    if problem is None:
        return found
    _refuse(tools, observed, key_id, *problem)
    return None


async def _look(tools: Tools, observed: Observed, key_id: str, where: tuple[str, tuple[str, ...]]) -> Found | None:
    """GET the key with each service key of the provider in turn; None when there is no answer now.

    Raises NotVisible when none of them shows it.
    """
    provider, entries = where
    hidden: errors.NotVisible | None = None
    for name in entries:
        handle = tools.handle(observed.key, provider, name)
        if handle is None:
            return None
        try:
            row = await look_at_key(handle, key_id, tools.clock)
        except errors.NotVisible as error:
            hidden = error
        except GateShut as shut:
            put_off(tools, observed, ADOPT, shut)
            return None
        except errors.SaperlyError as error:
            tools.scratch(observed).failed(ADOPT, tools.clock.now(), tools.timings, error.retry_after)
            return None
        else:
            tools.scratch(observed).succeeded(ADOPT)
            return row, name, handle
    if hidden is not None:
        raise hidden
    return None


async def _tagged(tools: Tools, observed: Observed, found: Found, record: SecretRecord) -> Found | None:
    """Give the key this object's tag, which its annotation asks for. The record in the Secret was stored before."""
    row, service_key, handle = found
    tag = Tag.of(observed.myself.installation, observed.owner, record.serial)
    name = vendor_name(observed.key.spec.display_name or str(observed.owner), tag)
    try:
        # Crash here: tagged, and in no status yet; the Secret's record refers to it. The next look finds the tag.
        tagged = await ask_vendor(
            handle.gate,
            Operation.UPDATE,
            tools.clock,
            lambda: handle.api.update_key(row.id, UpdateRequest(name=name)),
        )
    except GateShut as shut:
        put_off(tools, observed, ADOPT, shut)
        return None
    except errors.SaperlyError as error:
        tools.scratch(observed).failed(ADOPT, tools.clock.now(), tools.timings, error.retry_after)
        return None
    return tagged, service_key, handle


def _refuse(tools: Tools, observed: Observed, key_id: str, reason: str, message: str) -> None:
    """Remember what spoke against it, for as long as things are as they are."""
    secret = observed.secret
    mark = secret.fingerprint if isinstance(secret, SecretOwned | SecretForeign) else None
    tools.scratch(observed).adoption = AdoptionRefused(
        key_id, mark, observed.bound, tools.clock.now(), reason, message
    )
