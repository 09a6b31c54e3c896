"""The old plaintext in the Secret (``spec.secret.previousKey``): taken out in time, and never put back.

It is written together with the new plaintext, from the Secret as it was read live at that moment. From then on the
operator only ever takes it away: some time before its key is revoked, so that nobody reads a key that is about to die,
or at once when the spec names another place for it, or none. Status learns of both from the Secret itself, so a crash in
between is made up for by the next look, and no key is revoked while its plaintext is there.
"""

from datetime import datetime

from saperly_operator.lifecycle.case import Case
from saperly_operator.lifecycle.checks_retire import due_at
from saperly_operator.lifecycle.observed import SecretOwned
from saperly_operator.lifecycle.steps import Decision, WithdrawPrevious
from saperly_operator.resources import reasons
from saperly_operator.resources.saperly_key_status import RetiringKey


def previous_key_expiring(case: Case) -> Decision | None:
    """An old plaintext in the Secret has had its time, or is not where the spec wants it, or is nobody's."""
    secret, kept = case.observed.kept_secret, case.status.secret
    if kept is None or not isinstance(secret, SecretOwned) or case.not_before("write") is not None:
        return None
    for entry, fingerprint in secret.previous.items():
        if not _may_stay(case, entry, fingerprint):
            message = f"Taking the old plaintext {entry} out of the Secret {kept.name}."
            return Decision(WithdrawPrevious(kept.name, entry, fingerprint), reasons.WRITING_SECRET, message)
    return None


def _may_stay(case: Case, entry: str, fingerprint: str) -> bool:
    wanted = case.key.spec.secret.previous_key
    owner = next((old for old in case.status.retiring if old.fingerprint == fingerprint), None)
    if owner is not None:
        return entry == wanted and case.now < _until(owner, case)
    # Nobody's: altered by hand, or left by a restore. While a mint is open it may be the current key's, which is about
    # to be replaced by what the Secret holds already.
    return entry != wanted or case.status.intent is not None


def next_withdrawal(case: Case) -> datetime | None:
    """When the next old plaintext has to leave the Secret."""
    moments = [_until(old, case) for old in case.status.retiring if old.previous_key is not None]
    put_off = case.not_before("write")
    due = min(moments, default=None)
    if due is None or due > case.now:
        return due
    return put_off or case.now + case.timings.recheck


def _until(old: RetiringKey, case: Case) -> datetime:
    return due_at(old, case) - case.timings.previous_key_lead
