"""Keys on their way out: the one way in which any key dies (design, section 4, "Retire").

An entry of ``retiring`` was stored first; its date comes; ``act`` proves by live reads that the Secret holds another
key; then DELETE. Everything here runs also while the object is suspended: it finishes what is open.
"""

from datetime import datetime

from saperly_operator.lifecycle.case import Case
from saperly_operator.lifecycle.naming import Tag
from saperly_operator.lifecycle.observed import SecretOwned, ServiceKeyUsable, SweepView
from saperly_operator.lifecycle.references import referenced_ids, retiring
from saperly_operator.lifecycle.steps import AdoptOrphans, Decision, ReadLive, Retire
from saperly_operator.resources import reasons
from saperly_operator.resources.saperly_key_status import KeyRef
from saperly_operator.saperly.models import ChildKey

RETIRING_LIMIT = 10
"""Old keys that one object may have at once; the schema has room for a few more that a crash may add."""

UNUSED_REASONS = frozenset({reasons.PLAINTEXT_LOST, reasons.OUTCOME_UNKNOWN, reasons.ORPHANED})
"""Entries for keys whose plaintext nobody can have: revoked only if the vendor never saw them used."""


def retiring_key_due(case: Case) -> Decision | None:
    """A key's date has come and nothing puts its revocation off."""
    due = (entry for entry in case.status.retiring if entry.revoke_after <= case.now and entry.previous_key is None)
    for entry in due:
        access = case.manage_access(entry.provider, entry.service_key, "The old key cannot be revoked yet")
        if access is None and case.not_before(retire_work(entry)) is None:
            return Decision(Retire(entry), reasons.REVOKING, f"Revoking the old key {entry.prefix}…")
    return None


def retire_work(entry: KeyRef) -> str:
    """The name under which this revocation is put off after it failed."""
    return f"retire:{entry.id}"


def orphan_found(case: Case) -> Decision | None:
    """The last sweep showed a live key of this very object that nothing refers to.

    Only keys that were never used, and are old by the vendor's own clock: a younger one may belong to a request that
    is still on its way, a used one has a holder somewhere (it is shown, and revoked by a person).
    """
    # By id: two providers may hold the same service key, and then each one's list shows the same keys.
    orphans = {
        row.id: retiring(_ref(row, provider, service_key), reasons.ORPHANED, case.now)
        for (provider, service_key), sweep in case.observed.memory.sweeps.items()
        for row in sweep.rows
        if _is_orphan(row, sweep, case)
    }
    if not orphans or case.status.installation is None:
        return None
    # A restored Secret may hold one of them: its record counts as a reference, once it was read live.
    if not case.observed.is_live:
        return Decision(ReadLive(), reasons.ORPHANED, "A key at Saperly that nothing refers to: looking closer.")
    secret = case.observed.secret
    held = secret.record.key_id if isinstance(secret, SecretOwned) and secret.record else None
    room = max(0, RETIRING_LIMIT - len(case.status.retiring))
    chosen = tuple(entry for entry in orphans.values() if entry.id != held)[:room]
    if not chosen:
        return None
    return Decision(
        AdoptOrphans(chosen), reasons.ORPHANED, f"{len(chosen)} unused keys that nothing refers to are revoked."
    )


def _is_orphan(row: ChildKey, sweep: SweepView, case: Case) -> bool:
    tag = Tag.parse(row.name)
    intent = case.status.intent
    if tag is None or not tag.belongs_to(case.observed.myself.installation, case.observed.owner):
        return False
    if row.id in referenced_ids(case.status) or (intent is not None and intent.serial == tag.serial):
        return False
    return row.last_used_at is None and sweep.server_time - row.created_at >= case.timings.orphan_age


def _ref(row: ChildKey, provider: str, service_key: str) -> KeyRef:
    tag = Tag.parse(row.name)
    return KeyRef(
        id=row.id,
        prefix=row.key_prefix,
        serial=tag.serial if tag else 0,
        provider=provider,
        service_key=service_key,
        created_by=row.created_by_service_key_id,
        minted_at=row.created_at,
    )


def swept_refs(rows: tuple[ChildKey, ...], provider: str, service_key: str) -> tuple[KeyRef, ...]:
    """References to rows that a sweep found under our tag."""
    return tuple(_ref(row, provider, service_key) for row in rows)


def next_retirement(case: Case) -> datetime | None:
    """When the next old key is due, or may be tried again."""
    moments = []
    for entry in case.status.retiring:
        work = case.not_before(retire_work(entry))
        usable = isinstance(case.observed.service_key(entry.provider, entry.service_key), ServiceKeyUsable)
        at = max(entry.revoke_after, work or entry.revoke_after)
        moments.append(at if usable and at > case.now else max(at, case.now + case.timings.recheck))
    return min(moments, default=None)
