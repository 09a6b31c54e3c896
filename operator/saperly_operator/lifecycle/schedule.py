"""Rotation schedules: reading them, and when the next rotation is due.

A schedule is a cron expression of five fields (optionally after ``TZ=Area/City ``), one of ``@daily``,
``@weekly``, ``@monthly``, or an age such as ``30d``. Cron semantics, daylight saving included, are those
of the library ``cronsim`` (Debian's cron). Pure: the present is an argument.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from saperly_operator.resources.durations import parse_duration

_NICKNAMES = {
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
}


class ScheduleError(ValueError):
    """A schedule that cannot be read. The message quotes the part that is wrong and says what would be right."""


@dataclass(frozen=True, slots=True)
class Age:
    """Rotate when the key has lived this long."""

    age: timedelta

    def next_after(self, moment: datetime) -> datetime:
        return moment + self.age


@dataclass(frozen=True, slots=True)
class Cron:
    """Rotate at the moments of a cron expression, read in a time zone."""

    expression: str
    zone: str

    def next_after(self, moment: datetime) -> datetime:
        """The first moment of the expression strictly after ``moment``, in UTC.

        Raises ScheduleError when there is none within the library's horizon (``0 0 */31 2 1#5``).
        """
        try:
            return next(CronSim(self.expression, moment.astimezone(ZoneInfo(self.zone)))).astimezone(UTC)
        except StopIteration:
            raise ScheduleError(f"the schedule {self.expression!r} never comes round") from None


Schedule = Age | Cron


def parse_schedule(text: str) -> Schedule:
    """Read ``text``. Raises ScheduleError."""
    zone, expression = "UTC", text.strip()
    if expression.startswith("TZ="):
        zone, _, expression = expression.removeprefix("TZ=").partition(" ")
        _check_zone(zone)
        expression = expression.strip()
    if expression.startswith("@"):
        if expression not in _NICKNAMES:
            raise ScheduleError(f"unknown schedule {expression!r}: use one of {', '.join(_NICKNAMES)}")
        expression = _NICKNAMES[expression]
    if " " not in expression:
        return _parse_age(expression)
    return _parse_cron(expression, zone)


def _check_zone(zone: str) -> None:
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ScheduleError(f"unknown time zone {zone!r}: use a name such as Europe/Berlin") from None


def _parse_age(text: str) -> Age:
    try:
        age = parse_duration(text)
    except ValueError:
        hint = "use five cron fields such as '0 3 * * 1', a name such as @weekly, or an age such as 30d"
        raise ScheduleError(f"cannot read the schedule {text!r}: {hint}") from None
    if age < timedelta(hours=1):
        raise ScheduleError(f"the age {text!r} is too short: rotate at most once an hour (1h)")
    return Age(age)


def _parse_cron(expression: str, zone: str) -> Cron:
    if len(expression.split()) != 5:
        raise ScheduleError(
            f"the cron expression {expression!r} needs exactly five fields: minute hour day month weekday"
        )
    try:
        CronSim(expression, datetime(2026, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        raise ScheduleError(f"the cron expression {expression!r} is wrong: {error}") from None
    return Cron(expression, zone)


def next_rotation(schedule: str, rotated_at: datetime, uid: str, jitter: timedelta) -> datetime:
    """When a key rotated at ``rotated_at`` is due again, spread by up to ``jitter``, the same for each ``uid``.

    Raises ScheduleError.
    """
    return parse_schedule(schedule).next_after(rotated_at) + jitter_of(uid, jitter)


def jitter_of(uid: str, limit: timedelta) -> timedelta:
    """A spread between nothing and ``limit`` that is the same for the same object at every reading."""
    share = int.from_bytes(hashlib.sha256(uid.encode()).digest()[:8]) / 2**64
    return timedelta(seconds=int(limit.total_seconds() * share))
