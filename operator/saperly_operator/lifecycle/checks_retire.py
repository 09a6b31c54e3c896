"""Keys on their way out: the one way in which any key dies (design, section 4, "Retire").

An entry of ``retiring`` was stored first; its date comes; ``act`` proves by live reads that the Secret holds another
key; then DELETE. Everything here runs also while the object is suspended: it finishes what is open.
"""

from datetime import datetime

from saperly_operator.lifecycle.case import Case
from saperly_operator.lifecycle.observed import ServiceKeyUsable
from saperly_operator.lifecycle.overlap import redated, used_again
from saperly_operator.lifecycle.steps import Decision, Retire
from saperly_operator.resources import reasons
from saperly_operator.resources.saperly_key_status import KeyRef, RetiringKey

RETIRING_LIMIT = 10
"""Old keys that can be revoked and that one object may have at once."""

RETIRING_IN_ALL = 56
"""Old keys at once, with those that nothing can be done to; the schema has room for a few more that a crash may add."""

UNUSED_REASONS = frozenset({reasons.PLAINTEXT_LOST, reasons.OUTCOME_UNKNOWN, reasons.ORPHANED, reasons.IN_USE_ORPHAN})
"""Entries for keys that nobody should hold: revoked only if the vendor never saw them used, or no more for long."""


def due_at(entry: RetiringKey, case: Case) -> datetime:
    """When an old key goes. A wait that was counted under a clock that ran ahead is as long as it was to be, and counts
    from when this process saw that; a key that was to go at once was never to wait."""
    if entry.replaced_at is None:
        return case.happened_at(entry.revoke_after)
    noted = {name: getattr(entry, name) for name in ("replaced_at", "overlap_started_at", "withdrawn_at")}
    righted = entry.changed(**{name: case.happened_at(at) for name, at in noted.items() if at is not None})
    if righted == entry:
        return entry.revoke_after
    return redated(righted, case.key.spec.rotation, case.timings.previous_key_lead).revoke_after


def put_off_by_use(entry: RetiringKey, last_used_at: datetime | None, case: Case) -> RetiringKey | None:
    """The entry with a later date, because Saperly saw the key used at ``last_used_at``; None where it may go now."""
    later = used_again(entry, last_used_at, case.key.spec.rotation)
    return later if later is not None and due_at(later, case) > case.now else None


def retiring_key_due(case: Case) -> Decision | None:
    """A key's date has come and nothing puts its revocation off."""
    due = (entry for entry in case.status.retiring if due_at(entry, case) <= case.now and entry.previous_key is None)
    for entry in due:
        access = case.manage_access(entry.provider, entry.service_key, "The old key cannot be revoked yet")
        if access is None and case.not_before(retire_work(entry)) is None:
            return Decision(Retire(entry), reasons.REVOKING, f"Revoking the old key {entry.prefix}…")
    return None


def retire_work(entry: KeyRef) -> str:
    """The name under which this revocation is put off after it failed."""
    return f"retire:{entry.id}"


def retiring_room(case: Case, spare: int = 0) -> int:
    """How many more keys may be put on their way out; ``spare`` more for what must not wait for room. Those that Saperly
    does not show, or whose service key is gone, do not take up any: they may stay for ever, and a rotation must not wait
    for them."""
    waiting = [entry for entry in case.status.retiring if entry.hidden_since is None and _is_reachable(case, entry)]
    return max(0, min(RETIRING_LIMIT + spare - len(waiting), RETIRING_IN_ALL - len(case.status.retiring)))


def _is_reachable(case: Case, entry: KeyRef) -> bool:
    return isinstance(case.observed.service_key(entry.provider, entry.service_key), ServiceKeyUsable)


def next_retirement(case: Case) -> datetime | None:
    """When the next old key is due, or may be tried again."""
    moments = []
    for entry in case.status.retiring:
        work = case.not_before(retire_work(entry))
        usable = _is_reachable(case, entry)
        due = due_at(entry, case)
        at = max(due, work or due)
        moments.append(at if usable and at > case.now else max(at, case.now + case.timings.recheck))
    return min(moments, default=None)
