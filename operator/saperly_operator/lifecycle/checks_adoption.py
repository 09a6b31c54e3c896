"""There is no current key, but the Secret may hold one: taken over in place of a mint, or refused in words.

After a restore (Secrets first, then SaperlyKeys with new uids and no status) the Secret's record names the key, and the
plaintext is what was written with it. What the vendor's row then does not bear out is no key of this object: another is
minted, unless a closer look may still change that (the key is hidden, or somebody else's). A key that a person names
(``saperly.com/adopt-key-id``) is first recorded in its Secret, which protects it from every sweep, then tagged at the
vendor, then taken over in the same way.
"""

from saperly_operator.lifecycle.adoption import AdoptionRefused
from saperly_operator.lifecycle.case import Case
from saperly_operator.lifecycle.checks_mint import next_serial, provider_unfit
from saperly_operator.lifecycle.observed import ProviderPresent, SecretAbsent, SecretForeign, SecretOwned
from saperly_operator.lifecycle.steps import AddFinalizer, AdoptKey, ClaimSecret, Decision, ReadLive, Stall, WaitUntil
from saperly_operator.resources import annotations, reasons
from saperly_operator.resources.secret_record import SecretRecord

ADOPT = "adopt"
"""The name under which adoption is put off after it failed."""

_MAY_CHANGE = frozenset({reasons.KEY_NOT_VISIBLE, reasons.ADOPTION_KEY_TAKEN})
"""Refusals after which the Secret is not written over: nothing says that its plaintext is not in use."""

_LOOKING = "The Secret holds a key already: looking whether it is this object's."


def key_recorded(case: Case) -> Decision | None:
    """The Secret's record names a key, and its plaintext is what was written with it; status knows of none."""
    record = recorded_key(case)
    if record is None:
        return None
    refused = _refused(case, record.key_id)
    if refused is not None:
        is_final = refused.reason not in _MAY_CHANGE and record.key_id != case.key.key_to_adopt
        return None if is_final else _stalled(case, refused)
    if not case.observed.is_live:
        return Decision(ReadLive(), reasons.ADOPTING, _LOOKING)
    blocked = _blocked(case)
    if blocked is not None:
        return blocked
    provider, entries = _service_keys(case)
    return Decision(AdoptKey(record, provider, entries), reasons.ADOPTING, _LOOKING)


def recorded_key(case: Case) -> SecretRecord | None:
    """The record of the key that this object may take over, by what its Secret says."""
    status, secret = case.status, case.observed.secret
    if status.current is not None or status.intent is not None or not isinstance(secret, SecretOwned):
        return None
    return secret.record if secret.intact else None


def key_named(case: Case) -> Decision | None:
    """The annotation names a key whose plaintext is to be in the Secret already."""
    wanted, status = case.key.key_to_adopt, case.status
    if wanted is None or status.current is not None or isinstance(case.observed.secret, SecretOwned):
        return None
    if not case.observed.is_live:
        # Nothing watches a Secret that is not ours: only a live look sees it.
        return Decision(ReadLive(), reasons.ADOPTING, _LOOKING)
    unclaimable = _unclaimable(case)
    if unclaimable is not None:
        return unclaimable
    refused = _refused(case, wanted)
    if refused is not None:
        return _stalled(case, refused)
    blocked = _blocked(case)
    if blocked is not None:
        return blocked
    provider, entries = _service_keys(case)
    return Decision(ClaimSecret(wanted, next_serial(case), provider, entries), reasons.ADOPTING, _LOOKING)


def _unclaimable(case: Case) -> Decision | None:
    """The Secret is missing, somebody else's, or nobody who may edit it has said that it may be taken over."""
    name, key, secret = case.key.secret_name, case.key.spec.secret.key, case.observed.secret
    match secret:
        case SecretAbsent() | SecretForeign(has_entry=False):
            message = f"There is no Secret {name} with the plaintext under {key} to adopt: create it."
            return case.stall(reasons.ADOPTION_SECRET_MISSING, message)
        case SecretForeign(owner=owner, is_dependent=dependent) if owner is not None or dependent:
            whose = f"the SaperlyKey {owner}" if owner is not None else "another object"
            return case.stall(reasons.ADOPTION_SECRET_OWNED, f"The Secret {name} belongs to {whose}.")
        case SecretForeign(adoptable=False):
            message = (
                f"Annotate the Secret {name} with {annotations.ADOPT_FOR}: {case.key.name} to have it taken over."
            )
            return case.stall(reasons.ADOPTION_SECRET_UNMARKED, message)
        case SecretForeign(immutable=True):
            return case.stall(reasons.SECRET_IMMUTABLE, f"The Secret {name} is immutable: it cannot be taken over.")
        case _:
            return None


def _blocked(case: Case) -> Decision | None:
    """What has to be there before anybody is asked about a key."""
    provider = case.observed.provider
    if not isinstance(provider, ProviderPresent) or not provider.admits:
        return provider_unfit(case)
    if case.observed.older_claimant is not None:
        message = f"The SaperlyKey {case.observed.older_claimant} delivers into the Secret {case.key.secret_name}."
        return case.stall(reasons.SECRET_CLAIMED, message)
    for entry in provider.spec.service_keys:
        access = case.manage_access(provider.ref, entry.name, "The key cannot be adopted yet")
        if access is not None:
            return access
    until = case.not_before(ADOPT)
    if until is not None:
        return Decision(WaitUntil(until), reasons.ADOPTING, "The key is adopted as soon as Saperly answers.")
    if not case.key.has_finalizer and not case.key.is_being_deleted:
        return Decision(AddFinalizer(), reasons.ADOPTING, _LOOKING)
    return None


def _service_keys(case: Case) -> tuple[str, tuple[str, ...]]:
    provider = case.observed.provider
    assert isinstance(provider, ProviderPresent), "_blocked said that it is there"
    return provider.ref, tuple(entry.name for entry in provider.spec.service_keys)


def _refused(case: Case, key_id: str) -> AdoptionRefused | None:
    """The last refusal, while it speaks of this key and of things as they are now."""
    refused, secret = case.observed.memory.adoption, case.observed.secret
    mark = secret.fingerprint if isinstance(secret, SecretOwned | SecretForeign) else None
    if refused is None or (refused.key_id, refused.fingerprint, refused.bound) != (key_id, mark, case.observed.bound):
        return None
    return refused if case.now < refused.at + case.timings.held_recheck else None


def _stalled(case: Case, refused: AdoptionRefused) -> Decision:
    return Decision(Stall(refused.at + case.timings.held_recheck), refused.reason, refused.message)
