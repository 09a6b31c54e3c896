"""Rotation schedules: reading them, and when the next rotation is due.

A schedule is a cron expression of five fields or a nickname such as ``@weekly`` (either optionally after
``TZ=Area/City ``), or an age such as ``30d``. Cron semantics, daylight saving included, are those of the library
``cronsim`` (Debian's cron); time zones are those of the machine, else of the package ``tzdata``. Pure: the present is
an argument. Which of an object's schedules is in force is for ``rotation`` to say.

What holds of every schedule, and is tested as properties: the next moment is strictly later; a later beginning never
has an earlier next moment; the jitter of an object is the same at every reading and always ends before the moment
after the next, so that no moment is skipped for its sake.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from saperly_operator.resources.durations import parse_duration

SHORTEST_INTERVAL = timedelta(hours=1)
"""No schedule asks for more: an object mints at most three times an hour, repairs included (I4)."""

ANCHOR = datetime(2024, 1, 1, tzinfo=UTC)
"""Where schedules are tried out when they are read: any fixed moment does, and this one is before a leap day."""

_LONGEST_TEXT = 128
_LONGEST_QUOTE = 64
_ZONE_PREFIX = "TZ="

_NICKNAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}

_FIELDS = (
    ("minute", "a number from 0 to 59"),
    ("hour", "0 to 23, such as 3 or 8-18/2"),
    ("day of the month", "1 to 31, such as 1 or 1,15, or L for the last"),
    ("month", "1 to 12 or jan to dec, such as 1,4,7,10"),
    ("weekday", "0 to 7 or sun to sat, such as mon-fri"),
)


class ScheduleError(ValueError):
    """A schedule that cannot be followed. The message quotes the part that is wrong and says what would be right."""


@dataclass(frozen=True, slots=True)
class Age:
    """Rotate when the key has lived this long."""

    age: timedelta

    def next_after(self, moment: datetime) -> datetime:
        """When a key of that moment is old enough."""
        return moment + self.age

    def room_after(self, moment: datetime) -> timedelta:
        """How long after ``moment`` a rotation may be put off: the key grows older by so much at most."""
        del moment
        return self.age


@dataclass(frozen=True, slots=True)
class Cron:
    """Rotate at the moments of a cron expression, read in a time zone."""

    expression: str
    zone: str

    def next_after(self, moment: datetime) -> datetime:
        """The first moment of the expression strictly after ``moment``, in UTC.

        Raises ScheduleError when there is none within the library's horizon of 50 years (``0 0 */31 2 1#5``).
        """
        # In the hour that a clock repeats, the library may answer with its first turn although that is past.
        for found in CronSim(self.expression, moment.astimezone(ZoneInfo(self.zone))):
            if (in_utc := found.astimezone(UTC)) > moment:
                return in_utc
        raise ScheduleError(f"the schedule {quoted(self.expression)} never comes round")

    def room_after(self, moment: datetime) -> timedelta:
        """How long after ``moment``, one of the expression's, a rotation may be put off: until the following one."""
        try:
            return self.next_after(moment) - moment
        except ScheduleError:
            return timedelta.max


Schedule = Age | Cron


@lru_cache(maxsize=8192)
def due_after(schedule: Schedule, moment: datetime, uid: str, jitter: timedelta) -> datetime:
    """When the object of that ``uid`` is due first after ``moment``, put off by its share of ``jitter`` at most.

    Raises ScheduleError.
    """
    at = schedule.next_after(moment)
    return at if not jitter else at + jitter_of(uid, min(jitter, schedule.room_after(at)))


def jitter_of(uid: str, limit: timedelta) -> timedelta:
    """A spread from nothing to less than ``limit``, in whole seconds, the same for the same object at every reading."""
    share = int.from_bytes(hashlib.sha256(uid.encode()).digest()[:8])
    return timedelta(seconds=int(limit.total_seconds()) * share // 2**64)


@lru_cache(maxsize=4096)
def parse_schedule(text: str) -> Schedule:
    """Read ``text``. Raises ScheduleError."""
    if len(text) > _LONGEST_TEXT:
        raise ScheduleError(f"the schedule {quoted(text)} is longer than {_LONGEST_TEXT} characters")
    zone, expression = None, text.strip()
    if expression.startswith(_ZONE_PREFIX):
        zone, _, expression = expression.removeprefix(_ZONE_PREFIX).partition(" ")
        _check_zone(zone)
        expression = expression.strip()
    if expression.startswith("@"):
        if expression not in _NICKNAMES:
            raise ScheduleError(f"unknown schedule {quoted(expression)}: use one of {', '.join(_NICKNAMES)}")
        expression = _NICKNAMES[expression]
    if len(expression.split()) > 1:
        return _parse_cron(" ".join(expression.split()), zone or "UTC")
    if zone is not None and expression:
        raise ScheduleError(
            f"the time zone {quoted(zone)} says nothing about the age {quoted(expression)}: leave it out"
        )
    return _parse_age(expression)


def quoted(text: str) -> str:
    """``text`` as messages show it: within quotes, cut short, nothing unprintable."""
    return repr(text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}…")


def _check_zone(zone: str) -> None:
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ScheduleError(f"unknown time zone {quoted(zone)}: use a name such as Europe/Berlin") from None


def _parse_age(text: str) -> Age:
    try:
        age = parse_duration(text)
    except ValueError:
        hint = "use five cron fields such as '0 3 * * 1', a name such as @weekly, or an age such as 30d"
        raise ScheduleError(f"cannot read the schedule {quoted(text)}: {hint}") from None
    if age < SHORTEST_INTERVAL:
        raise ScheduleError(f"the age {quoted(text)} is too short: a key is rotated at most once an hour (1h)")
    return Age(age)


def _parse_cron(expression: str, zone: str) -> Cron:
    fields = expression.split(" ")
    if len(fields) != len(_FIELDS):
        raise ScheduleError(
            f"the cron expression {quoted(expression)} has {len(fields)} fields instead of five: "
            "minute, hour, day of the month, month, weekday"
        )
    for position, (name, right) in enumerate(_FIELDS):
        if _read_cron(["*"] * position + [fields[position]] + ["*"] * (len(_FIELDS) - 1 - position)) is None:
            raise ScheduleError(
                f"the {name} {quoted(fields[position])} of the schedule {quoted(expression)} is wrong: use {right}"
            )
    whole = _read_cron(fields)
    if whole is None:
        raise ScheduleError(
            f"the day {quoted(fields[2])} of the schedule {quoted(expression)} never comes in the month "
            f"{quoted(fields[3])}"
        )
    if len(whole.minutes) > 1:
        raise ScheduleError(
            f"the minute {quoted(fields[0])} of the schedule {quoted(expression)} comes {len(whole.minutes)} times an "
            "hour, and a key is rotated at most once an hour: use one number from 0 to 59"
        )
    cron = Cron(expression, zone)
    cron.next_after(ANCHOR)
    return cron


def _read_cron(fields: list[str]) -> CronSim | None:
    """The library's reading of five fields; None when it has none."""
    try:
        return CronSim(" ".join(fields), ANCHOR)
    except CronSimError:
        return None
