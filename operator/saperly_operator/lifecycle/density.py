"""Whether a schedule leaves its old keys the time to end: the sums behind a refusal. Pure.

Each rotation leaves an old key behind that lives for the overlap, so the more rotations fall into one overlap, the more
old keys live at once. More than ``RETIRING_LIMIT`` are never allowed; a schedule that would need more is refused when
it is set, instead of standing still later with ``RetiringFull``.
"""

from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import pairwise

from saperly_operator.lifecycle.schedule import ANCHOR, SHORTEST_INTERVAL, Age, Cron, Schedule, ScheduleError

_MOMENTS = 1000
_CALENDAR = timedelta(days=28 * 365 + 7)
"""After 28 years weekdays and leap days fall as before."""


@dataclass(frozen=True, slots=True)
class Density:
    """``interval`` is the shortest time between two rotations, ``at_once`` the most old keys alive together."""

    interval: timedelta
    at_once: int


def too_dense(schedule: Schedule, overlap: timedelta, limit: int) -> Density | None:
    """The sums, when ``schedule`` would leave more than ``limit`` old keys alive at once; else None."""
    if overlap <= limit * SHORTEST_INTERVAL:
        return None  # no schedule has a shorter interval
    density = _density(schedule, overlap)
    return density if density.at_once > limit else None


@lru_cache(maxsize=1024)
def _density(schedule: Schedule, overlap: timedelta) -> Density:
    match schedule:
        case Age(age):
            return Density(age, -(-overlap // age))
        case Cron():
            return _density_of_cron(schedule, overlap)


def _density_of_cron(cron: Cron, overlap: timedelta) -> Density:
    """By trying the expression out, in UTC: the hour that is missing or doubled once a year makes it no denser."""
    moments = _moments(Cron(cron.expression, "UTC"), ANCHOR + _CALENDAR + overlap)
    alive: deque[datetime] = deque()
    at_once = 0
    for moment in moments:
        while alive and alive[0] + overlap <= moment:
            alive.popleft()
        alive.append(moment)
        at_once = max(at_once, len(alive))
    interval = min((later - earlier for earlier, later in pairwise(moments)), default=timedelta.max)
    return Density(interval, at_once)


def _moments(cron: Cron, end: datetime) -> list[datetime]:
    """The first moments of ``cron`` before ``end``, as many as it takes to see its pattern."""
    moments: list[datetime] = []
    try:
        while len(moments) < _MOMENTS and (moment := cron.next_after(moments[-1] if moments else ANCHOR)) < end:
            moments.append(moment)
    except ScheduleError:
        pass  # the last one within the horizon
    return moments
