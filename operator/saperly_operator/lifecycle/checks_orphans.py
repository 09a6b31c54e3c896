"""Keys at the vendor with this object's tag that nothing refers to: the unused die, the used are shown first.

The sweep only hints; this object's own worker looks closer and decides (design, section 4, "Sweep"). By then no intent
is open (``intent_open`` comes first), so that no key of a request on its way is judged.
"""

from saperly_operator.lifecycle.case import Case
from saperly_operator.lifecycle.checks_retire import retiring_room
from saperly_operator.lifecycle.naming import Tag
from saperly_operator.lifecycle.observed import SecretOwned, ServiceKeyName
from saperly_operator.lifecycle.references import referenced_ids, retiring
from saperly_operator.lifecycle.steps import AdoptOrphans, Decision, ReadLive
from saperly_operator.lifecycle.sweep_view import SweepView
from saperly_operator.resources import reasons
from saperly_operator.resources.findings import UnownedKey
from saperly_operator.resources.saperly_key_status import KeyRef, RetiringKey
from saperly_operator.saperly.models import ChildKey

_SHOWN_AT_ONCE = 32


def orphan_found(case: Case) -> Decision | None:
    """The last list showed a live key of this very object that nothing refers to, and that may go.

    It is old by the vendor's own clock: a younger one may belong to a request that is still on its way. It was never
    used, or stood idle for long enough, or a person asked for its end by name: else it has a holder somewhere.
    """
    # By id: two providers may hold the same service key, and then each one's list shows the same keys.
    orphans = {
        row.id: retiring(_ref(row, name), reason, case.now)
        for row, name, sweep in _unreferenced(case)
        if (reason := _verdict(row, sweep, case)) is not None
    }
    if not orphans:
        return None
    # A restored Secret may hold one of them: its record counts as a reference, once it was read live.
    if not case.observed.is_live:
        return Decision(ReadLive(), reasons.ORPHANED, "A key at Saperly that nothing refers to: looking closer.")
    chosen = tuple(entry for entry in orphans.values() if entry.id != _held_by_secret(case))[: retiring_room(case)]
    if not chosen:
        return None
    return Decision(AdoptOrphans(chosen), chosen[0].reason, _announcement(chosen))


def keys_in_use(case: Case) -> tuple[UnownedKey, ...]:
    """Those that nothing refers to and that somebody uses all the same: they are shown until they go."""
    found = {
        row.id: UnownedKey(id=row.id, prefix=row.key_prefix, name=row.name[:256])
        for row, _, sweep in _unreferenced(case)
        if row.last_used_at is not None and _verdict(row, sweep, case) is None and row.id != _held_by_secret(case)
    }
    return tuple(found[key_id] for key_id in sorted(found))[:_SHOWN_AT_ONCE]


def _unreferenced(case: Case) -> list[tuple[ChildKey, ServiceKeyName, SweepView]]:
    """The rows of this object's tag, old enough, that neither status nor a managed Secret's record knows."""
    if case.status.installation is None:
        return []
    known, myself, owner = referenced_ids(case.status), case.observed.myself.installation, case.observed.owner
    return [
        (row, name, sweep)
        for name, sweep in case.observed.memory.sweeps.items()
        for row in sweep.rows
        if row.id not in known
        and row.id not in sweep.recorded
        and (tag := Tag.parse(row.name)) is not None
        and tag.belongs_to(myself, owner)
        and sweep.server_time - row.created_at >= case.timings.orphan_age
    ]


def _verdict(row: ChildKey, sweep: SweepView, case: Case) -> str | None:
    """The reason for which an unreferenced key goes; None while it stays."""
    if row.last_used_at is None:
        return reasons.ORPHANED
    if row.id in case.key.orphans_to_revoke:
        return reasons.ORPHAN_REVOKED
    idle = sweep.server_time - row.last_used_at >= case.timings.idle_before_revoke
    return reasons.IN_USE_ORPHAN if idle else None


def _held_by_secret(case: Case) -> str | None:
    secret = case.observed.secret
    return secret.record.key_id if isinstance(secret, SecretOwned) and secret.record else None


def _announcement(chosen: tuple[RetiringKey, ...]) -> str:
    kind = "unused keys" if all(entry.reason == reasons.ORPHANED for entry in chosen) else "keys"
    return f"{len(chosen)} {kind} that nothing refers to are revoked."


def _ref(row: ChildKey, name: ServiceKeyName) -> KeyRef:
    tag = Tag.parse(row.name)
    return KeyRef(
        id=row.id,
        prefix=row.key_prefix,
        serial=tag.serial if tag else 0,
        provider=name[0],
        service_key=name[1],
        created_by=row.created_by_service_key_id,
        minted_at=row.created_at,
    )
