"""A key was delivered: does the Secret still hold it, does it look as asked, is it time for another?

None of these mints for anything cosmetic (I8): a renamed Secret, a renamed entry, a stripped label are put right with
the plaintext that is there. Only a plaintext that is gone, a schedule, a request or another provider mint.
"""

from saperly_operator.lifecycle.case import Case
from saperly_operator.lifecycle.checks_mint import begin_mint
from saperly_operator.lifecycle.checks_rotate import begin_rotation
from saperly_operator.lifecycle.observed import ProviderPresent, SecretAbsent, SecretForeign, SecretOwned, holds
from saperly_operator.lifecycle.redelivery import deliver_again
from saperly_operator.lifecycle.rotation import plan_of
from saperly_operator.lifecycle.steps import (
    Decision,
    DeleteStraySecret,
    MoveSecret,
    ReadLive,
    Record,
    RepairSecret,
    WaitUntil,
)
from saperly_operator.resources import reasons
from saperly_operator.resources.provider import Environment
from saperly_operator.resources.saperly_key_status import SecretStatus


def never_minted(case: Case) -> Decision | None:
    """There is no key yet."""
    return begin_mint(case, reasons.FIRST_SYNC) if case.status.current is None else None


def secret_moved(case: Case) -> Decision | None:
    """The spec wants the plaintext under another name, or under another entry of the same Secret."""
    current, kept, key = case.status.current, case.status.secret, case.key
    if current is None or kept is None or (kept.name, kept.key) == (key.secret_name, key.spec.secret.key):
        return None
    moving = f"Moving the key to {key.spec.secret.key} of the Secret {key.secret_name}."
    if not case.observed.is_live:
        return Decision(ReadLive(), reasons.WRITING_SECRET, moving)
    target, source = case.observed.secret, case.observed.former_secret
    if holds(target, kept):
        moved = SecretStatus(name=key.secret_name, key=key.spec.secret.key, fingerprint=kept.fingerprint)
        return Decision(Record(current, moved), reasons.AVAILABLE, _in_place(case))
    if isinstance(target, SecretForeign) or case.observed.older_claimant is not None:
        message = f"The Secret {key.secret_name} is not this object's; the key stays in {kept.name} until it is free."
        return case.stall(reasons.SECRET_NOT_OWNED, message)
    if holds(source, kept):
        return _move(case, kept, kept.key, moving)
    if isinstance(source, SecretOwned) and source.elsewhere is not None:
        return _move(case, kept, source.elsewhere, moving)
    return deliver_again(case, reasons.SECRET_MISSING)


def _move(case: Case, kept: SecretStatus, entry: str, moving: str) -> Decision:
    move = Decision(MoveSecret(kept.name, entry), reasons.WRITING_SECRET, moving)
    return case.write_put_off(moving) or move


def secret_lost(case: Case) -> Decision | None:
    """The plaintext is not where it was put: deleted, or changed by somebody."""
    current, kept = case.status.current, case.status.secret
    if current is None or kept is None or holds(case.observed.secret, kept):
        return None
    match case.observed.secret:
        case SecretForeign() if not case.observed.is_live:
            # Nothing watches a Secret that is not ours: only a live look sees it go.
            return Decision(ReadLive(), reasons.SECRET_NOT_OWNED, f"The Secret {kept.name} is not the operator's.")
        case SecretForeign():
            message = (
                f"The Secret {kept.name} was replaced by one that is not the operator's: delete it to get a new key."
            )
            return case.stall(reasons.SECRET_NOT_OWNED, message)
        case SecretAbsent():
            reason, message = reasons.SECRET_MISSING, f"The Secret {kept.name} is gone."
        case SecretOwned(elsewhere=str() as entry) if case.observed.is_live:
            return _move(case, kept, entry, f"Moving the key back to {kept.key} of the Secret {kept.name}.")
        case SecretOwned():
            reason, message = reasons.SECRET_ALTERED, f"The plaintext in the Secret {kept.name} was changed."
    # A watch may lag behind, or have lost sight of a Secret whose label was stripped: only a live read costs a key.
    return deliver_again(case, reason) if case.observed.is_live else Decision(ReadLive(), reason, message)


def provider_changed(case: Case) -> Decision | None:
    """The spec names another provider than the one that minted the key, or that one is of another environment now."""
    current, provider = case.status.current, case.observed.provider
    if current is None or not isinstance(provider, ProviderPresent):
        return None
    if current.provider == provider.ref and not _is_of_another_environment(current.prefix, provider.spec.environment):
        return None
    return begin_mint(case, reasons.PROVIDER_CHANGED)


def _is_of_another_environment(prefix: str, environment: Environment) -> bool:
    """As the key's own prefix says (``sk_test_…``, ``sk_live_…``); of one that says neither, nothing is concluded."""
    others = (each for each in Environment if each is not environment)
    return any(prefix.startswith(f"sk_{other.value}_") for other in others)


def rotation_requested(case: Case) -> Decision | None:
    """The annotation ``rotate-requested-at`` has a value that was not answered yet."""
    handled = case.status.rotation.last_handled_request if case.status.rotation else None
    request = case.key.rotate_request
    if case.status.current is None or request is None or request == handled:
        return None
    return begin_rotation(case, reasons.ROTATION_REQUESTED)


def rotation_due(case: Case) -> Decision | None:
    """The schedule's moment has come. However many were missed, one rotation follows."""
    due = plan_of(case.key, case.status, case.now).due
    return begin_rotation(case, reasons.ROTATION_SCHEDULED) if due is not None and due <= case.now else None


def schedule_refused(case: Case) -> Decision | None:
    """The schedule that is asked for cannot be followed. Asked last: it holds nothing else up."""
    refusal = plan_of(case.key, case.status, case.now).refusal
    return None if refusal is None else case.stall(refusal.reason, refusal.message)


def secret_metadata_stripped(case: Case) -> Decision | None:
    """Labels or annotations of the Secret are not as asked for; the plaintext is fine.

    Whatever takes them off again and again (an admission webhook does so for ever) holds nothing else up: rotations go
    on between two attempts, and ``secret_metadata_contested`` tells of it once nothing else is to be done.
    """
    if not _is_stripped(case) or case.not_before("repair") is not None:
        return None
    message = f"Putting labels and annotations of the Secret {case.key.secret_name} right."
    return case.write_put_off(message) or Decision(RepairSecret(), reasons.WRITING_SECRET, message)


def secret_metadata_contested(case: Case) -> Decision | None:
    """They were put right in vain. Asked after everything that is to be done."""
    until = case.not_before("repair")
    if until is None or not _is_stripped(case):
        return None
    message = (
        f"Something takes labels or annotations off the Secret {case.key.secret_name} again and again (an admission "
        "webhook, a GitOps tool?): let it leave them. They are put back more and more rarely."
    )
    return Decision(WaitUntil(until), reasons.SECRET_CONTESTED, message)


def _is_stripped(case: Case) -> bool:
    secret = case.observed.secret
    return isinstance(secret, SecretOwned) and not secret.metadata_in_sync


def stray_secret(case: Case) -> Decision | None:
    """A move left the Secret under its old name behind."""
    if not case.observed.stray_secrets or case.not_before("write") is not None:
        return None
    name = case.observed.stray_secrets[0]
    return Decision(DeleteStraySecret(name), reasons.WRITING_SECRET, f"Deleting the Secret {name}, which was moved.")


def _in_place(case: Case) -> str:
    return f"The key is in the Secret {case.key.secret_name}."
