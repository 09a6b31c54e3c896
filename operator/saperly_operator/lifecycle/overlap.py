"""How long a key that was replaced lives on: the dates of ``status.retiring``. Pure.

A date is never only remembered. It follows at every look from what the entry records (when the key was replaced, when
everything ran with the new one) and from the spec as it is now, so a longer or shorter overlap reaches the keys that
are alive, and a crash before a date was stored loses nothing: an entry that waits for a rollout bears the latest date
of all, ``maxOverlap``, until the rollout is known to be finished.
"""

from datetime import datetime, timedelta

from saperly_operator.lifecycle.references import retiring
from saperly_operator.resources.durations import parse_duration
from saperly_operator.resources.saperly_key import RotationSpec, SaperlyKeySpec
from saperly_operator.resources.saperly_key_status import KeyRef, RetiringKey
from saperly_operator.resources.workload import WorkloadRef

_WAITING_LIMIT = 1000
"""Characters; the schema's limit for ``waitingFor`` is a little higher."""


def replaced(ref: KeyRef, reason: str, now: datetime, spec: SaperlyKeySpec) -> RetiringKey:
    """The entry of a key whose place in the Secret another one took at ``now``."""
    entry = retiring(ref, reason, now).changed(replaced_at=now)
    if spec.restart:
        return _dated(entry.changed(waiting_for=waiting_for(spec.restart)), spec.rotation)
    return overlap_started(entry, now, spec.rotation)


def overlap_started(entry: RetiringKey, now: datetime, rotation: RotationSpec) -> RetiringKey:
    """Everything that was awaited runs with the new key: from ``now`` on its overlap counts."""
    return _dated(entry.changed(overlap_started_at=now, waiting_for=None), rotation)


def redated(entry: RetiringKey, rotation: RotationSpec, lead: timedelta) -> RetiringKey:
    """The entry with the date that ``rotation`` gives it now, and at least ``lead`` after its plaintext was withdrawn.
    One that was never in use keeps its own date."""
    if entry.replaced_at is None:
        return entry
    dated = _dated(entry, rotation)
    if dated.withdrawn_at is None:
        return dated
    return dated.changed(revoke_after=max(dated.revoke_after, dated.withdrawn_at + lead))


def seen_in_secret(entry: RetiringKey, place: str | None, now: datetime) -> RetiringKey:
    """The entry after a look at the Secret, whose data holds its plaintext under ``place`` (None: nowhere)."""
    if place is not None:
        return entry.changed(previous_key=place, withdrawn_at=None)
    return entry if entry.previous_key is None else entry.changed(previous_key=None, withdrawn_at=now)


def awaits_rollout(entry: RetiringKey) -> bool:
    """Whether the overlap has yet to begin."""
    return entry.replaced_at is not None and entry.overlap_started_at is None


def longest(rotation: RotationSpec) -> timedelta:
    """How long workloads are awaited, counted from when a new key took its place."""
    return max(parse_duration(rotation.overlap), parse_duration(rotation.max_overlap))


def waiting_for(workloads: tuple[WorkloadRef, ...]) -> str:
    """What an entry says while it waits for the rollouts of ``workloads``."""
    return f"the rollout of {', '.join(map(str, workloads))}"[:_WAITING_LIMIT]


def used_again(entry: RetiringKey, last_used_at: datetime | None, rotation: RotationSpec) -> RetiringKey | None:
    """The entry with the date that it has when Saperly saw the key used at ``last_used_at``; None where no use counts."""
    if not rotation.require_idle or entry.overlap_started_at is None or last_used_at is None:
        return None
    why = f"{rotation.overlap} without use; it was last used at {last_used_at:%Y-%m-%dT%H:%M:%SZ}"
    return _dated(entry.changed(last_used_at=last_used_at, waiting_for=why), rotation)


def _dated(entry: RetiringKey, rotation: RotationSpec) -> RetiringKey:
    assert entry.replaced_at is not None, "an entry without it keeps the date that it was given"
    overlap = parse_duration(rotation.overlap)
    limit = entry.replaced_at + longest(rotation)
    if entry.overlap_started_at is None:
        return entry.changed(revoke_after=limit)
    moment = entry.overlap_started_at + overlap
    if rotation.require_idle and entry.last_used_at is not None:
        moment = max(moment, min(entry.last_used_at + overlap, limit))
    return entry.changed(revoke_after=moment)
