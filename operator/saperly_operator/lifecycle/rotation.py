"""Which schedule an object follows, and when its key is to be replaced next. Pure.

Asked anew at every look, from the object and what its status remembers, so that ``nextRotationAt`` is true after
any edit. Two things are remembered, because neither the object nor the clock can tell them any more:

* ``rotation.schedule``, the last schedule that could be followed. One that cannot (a slip of the pen in the annotation)
  is shown, and the last good one goes on.
* ``rotation.scheduleSince``, when that schedule was first seen. Moments of a cron expression before it do not count: a
  weekly window set at noon means its next one, not a rotation at once for the one that was "missed" last week.

Moments missed since then (the operator or the vendor was away) are made up for by one rotation, however many they were.
"""

from dataclasses import dataclass
from datetime import datetime

from saperly_operator.lifecycle.checks_retire import RETIRING_LIMIT
from saperly_operator.lifecycle.density import too_dense
from saperly_operator.lifecycle.schedule import Age, Cron, Schedule, ScheduleError, due_after, parse_schedule, quoted
from saperly_operator.resources import reasons
from saperly_operator.resources.durations import format_duration, parse_duration
from saperly_operator.resources.saperly_key import RotationStrategy, SaperlyKey
from saperly_operator.resources.saperly_key_status import RotationStatus, SaperlyKeyStatus


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the schedule that is asked for is not the one that is followed, for people."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What one object's schedule comes to at one moment.

    ``schedule`` is the text in force and ``since`` when it was first seen; ``due`` when the key in hand is to be
    replaced, in the past when that is overdue, and None when nothing will replace it by schedule. ``refusal`` says why
    the schedule that the object asks for is not in force.
    """

    schedule: str | None = None
    since: datetime | None = None
    due: datetime | None = None
    refusal: Refusal | None = None

    def kept_in(self, status: SaperlyKeyStatus) -> SaperlyKeyStatus:
        """``status`` with what this plan says of the next rotation."""
        before = status.rotation or RotationStatus()
        rotation = before.changed(schedule=self.schedule, schedule_since=self.since, next_rotation_at=self.due)
        return status if rotation == before else status.changed(rotation=rotation)


def plan_of(key: SaperlyKey, status: SaperlyKeyStatus, now: datetime) -> Plan:
    """What ``key``'s schedule comes to, once its status is ``status``. Never raises: a bad schedule is a refusal."""
    if key.schedule is None:
        return Plan()
    refusal = _refusal_of(key.schedule, key)
    text = key.schedule if refusal is None else _last_good(key, status)
    if text is None:
        return Plan(refusal=refusal)
    rotation = status.rotation or RotationStatus()
    since = rotation.schedule_since
    if since is None or since > now or rotation.schedule != text:
        since = now
    return Plan(text, since, _due(key, status, parse_schedule(text), min(since, now), now), refusal)


def _refusal_of(text: str, key: SaperlyKey) -> Refusal | None:
    try:
        schedule = parse_schedule(text)
    except ScheduleError as error:
        return Refusal(reasons.INVALID_SCHEDULE, f"The rotation schedule is not followed: {error}.")
    if key.spec.rotation.strategy is RotationStrategy.ATOMIC:
        return None  # no old key lives on
    overlap = parse_duration(key.spec.rotation.overlap)
    dense = too_dense(schedule, overlap, RETIRING_LIMIT)
    if dense is None:
        return None
    message = (
        f"The rotation schedule {quoted(text)} is not followed: it may rotate every {format_duration(dense.interval)}, "
        f"and each old key lives on for the overlap of {format_duration(overlap)}, so {dense.at_once} old keys would "
        f"wait to be revoked at once; {RETIRING_LIMIT} may. Rotate less often, or shorten spec.rotation.overlap."
    )
    return Refusal(reasons.SCHEDULE_TOO_DENSE, message)


def _last_good(key: SaperlyKey, status: SaperlyKeyStatus) -> str | None:
    """What is followed in place of a schedule that cannot be: what was followed before, else what the spec says.

    What was followed before goes on although a longer overlap made it too dense; ``RetiringFull`` then bounds it.
    """
    kept, in_spec = status.rotation.schedule if status.rotation else None, key.spec.rotation.schedule
    if kept is not None and _can_be_read(kept):
        return kept
    return in_spec if in_spec is not None and _refusal_of(in_spec, key) is None else None


def _can_be_read(text: str) -> bool:
    try:
        parse_schedule(text)
    except ScheduleError:
        return False
    return True


def _due(
    key: SaperlyKey, status: SaperlyKeyStatus, schedule: Schedule, since: datetime, now: datetime
) -> datetime | None:
    current = status.current
    if current is None or key.is_being_deleted:
        return None
    rotated_at = (status.rotation.last_rotated_at if status.rotation else None) or current.minted_at
    if rotated_at > now:
        # Noted under a clock that ran ahead; the vendor's tells how old the key is, or else it is new.
        rotated_at = min(current.minted_at, now)
    match schedule:
        case Age():
            begin = rotated_at
        case Cron():
            begin = max(rotated_at, since)
    try:
        return due_after(schedule, begin, key.metadata.uid, parse_duration(key.spec.rotation.jitter))
    except ScheduleError:
        return None  # not within the next 50 years
