"""What holds of every schedule, in every zone, on every day: Hypothesis looks for one that breaks it."""

from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from saperly_operator.lifecycle.schedule import (
    SHORTEST_INTERVAL,
    Age,
    Cron,
    Schedule,
    ScheduleError,
    due_after,
    jitter_of,
    parse_schedule,
)
from tests.builders import DAY, HOUR, SECOND

ZONES: Final = (
    *("UTC", "Europe/Berlin", "Europe/London", "America/New_York", "Asia/Kolkata", "Asia/Kathmandu"),
    *("America/Havana", "Asia/Beirut", "Africa/Cairo", "America/Santiago"),  # their clocks change at midnight
    *("Australia/Lord_Howe", "Antarctica/Troll"),  # by half an hour, by two hours
    *("Africa/Casablanca", "Pacific/Apia", "Pacific/Chatham"),
)
MINUTES = st.integers(0, 59).map(str)
HOURS = st.sampled_from(["*", "*/2", "*/5", "0", "1", "2", "3", "0-3", "1,2,3", "23", "0,23", "8-18/2"])
DAYS = st.sampled_from(["*", "1", "15", "29", "31", "L", "LW", "1,15", "25-31", "*/7"])
MONTHS = st.sampled_from(["*", "1", "2", "3", "10", "jan,jul", "*/3"])
WEEKDAYS = st.sampled_from(["*", "1", "sun", "mon-fri", "0,7", "1#1", "5L", "*/2"])
CRONS = st.builds(
    lambda zone, *fields: f"TZ={zone} {' '.join(fields)}",
    st.sampled_from(ZONES),
    MINUTES,
    HOURS,
    DAYS,
    MONTHS,
    WEEKDAYS,
)
AGES = st.integers(1, 20_000).map(lambda hours: f"{hours // 24}d{hours % 24}h" if hours >= 24 else f"{hours}h")
NICKNAMES = st.sampled_from(["@hourly", "@daily", "@weekly", "@monthly", "@yearly"])

CHANGES: Final = (  # of clocks, in 2026: the middle of each gap and of each repeated hour, in UTC
    *("2026-03-29T01:00", "2026-10-25T01:00", "2026-03-08T05:00", "2026-11-01T05:30", "2026-04-04T15:00"),
    *("2026-10-03T15:30", "2026-04-05T03:30", "2026-09-06T04:00", "2026-03-28T22:00", "2026-10-24T21:30"),
)
ANY_TIME = st.datetimes(datetime(2024, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 (Hypothesis wants bounds without a zone)
NEAR_A_CHANGE = st.builds(
    lambda text, seconds: datetime.fromisoformat(text).replace(tzinfo=UTC) + timedelta(seconds=seconds),
    st.sampled_from(CHANGES),
    st.integers(-4 * 3600, 4 * 3600),
)
MOMENTS = (ANY_TIME | NEAR_A_CHANGE).map(lambda moment: moment.replace(microsecond=0))
JITTERS = st.sampled_from([timedelta(0), SECOND, 10 * 60 * SECOND, HOUR, 3 * HOUR, DAY, 60 * DAY])
UIDS = st.uuids().map(str)


def readable(text: str) -> Schedule:
    """The schedule, unless it is one that never comes."""
    try:
        return parse_schedule(text)
    except ScheduleError as error:
        assume("never comes" not in str(error))
        raise


SCHEDULES = (CRONS | AGES | NICKNAMES).map(readable)


@settings(deadline=None)
@given(SCHEDULES, MOMENTS)
def test_the_next_moment_is_strictly_after_and_always_the_same(schedule: Schedule, moment: datetime) -> None:
    following = schedule.next_after(moment)
    assert following > moment
    assert following == schedule.next_after(moment)
    assert following.utcoffset() == timedelta(0)
    assert following.second == (moment.second if isinstance(schedule, Age) else 0)


@settings(deadline=None)
@given(SCHEDULES, MOMENTS, st.integers(0, 40 * 86_400))
def test_from_a_later_beginning_the_next_moment_is_never_earlier(
    schedule: Schedule, moment: datetime, later: int
) -> None:
    assert schedule.next_after(moment) <= schedule.next_after(moment + timedelta(seconds=later))


@settings(deadline=None)
@given(CRONS.map(readable), MOMENTS, st.data())
def test_no_moment_lies_between_a_beginning_and_its_next_one(
    schedule: Schedule, moment: datetime, data: st.DataObject
) -> None:
    following = schedule.next_after(moment)
    seconds = int((following - moment).total_seconds())
    between = moment + timedelta(seconds=data.draw(st.integers(0, seconds - 1)))
    assert schedule.next_after(between) == following


@settings(deadline=None)
@given(CRONS.map(readable), MOMENTS)
def test_two_moments_are_an_hour_apart_but_for_the_nights_on_which_clocks_change(
    schedule: Schedule, moment: datetime
) -> None:
    first = schedule.next_after(moment)
    second = schedule.next_after(first)
    zone = ZoneInfo(schedule.zone) if isinstance(schedule, Cron) else UTC
    before, after = (at.astimezone(zone).utcoffset() for at in (first - 3 * HOUR, second))
    # What a gap swallows comes right after it, and may meet the moment that is due there.
    assert second - first >= SHORTEST_INTERVAL or before != after


@settings(deadline=None)
@given(SCHEDULES, MOMENTS, UIDS, JITTERS)
def test_the_jitter_is_stable_and_ends_before_the_following_moment(
    schedule: Schedule, moment: datetime, uid: str, jitter: timedelta
) -> None:
    at, due = schedule.next_after(moment), due_after(schedule, moment, uid, jitter)
    assert due == due_after.__wrapped__(schedule, moment, uid, jitter)
    assert at <= due < schedule.next_after(at)
    assert due - at <= jitter


@settings(deadline=None)
@given(CRONS.map(readable), MOMENTS, UIDS, JITTERS, st.integers(0, 600))
def test_rotating_whenever_it_is_due_answers_every_moment_once(
    schedule: Schedule, begun: datetime, uid: str, jitter: timedelta, slowness: int
) -> None:
    """Each rotation is noted a little after it was due; every moment of the schedule is followed by exactly one."""
    rotated = begun
    for _ in range(6):
        moment = schedule.next_after(rotated)
        due = due_after(schedule, rotated, uid, jitter)
        following = schedule.next_after(moment)
        assert moment <= due < following
        rotated = min(due + timedelta(seconds=slowness), following - SECOND)
        assert schedule.next_after(rotated) == following


@settings(deadline=None)
@given(CRONS.map(readable), MOMENTS, st.integers(1, 30))
def test_after_an_outage_one_rotation_makes_up_for_all_that_were_missed(
    schedule: Schedule, rotated: datetime, missed: int
) -> None:
    moment = rotated
    for _ in range(missed):
        moment = schedule.next_after(moment)
    back = moment + SECOND
    assert due_after(schedule, rotated, "uid", timedelta(0)) <= back, "overdue"
    assert due_after(schedule, back, "uid", timedelta(0)) > back, "and after the one rotation no more"


@given(UIDS, st.integers(0, 10_000_000))
def test_the_jitter_is_within_its_limit_in_whole_seconds(uid: str, seconds: int) -> None:
    jitter = jitter_of(uid, timedelta(seconds=seconds))
    assert timedelta(0) <= jitter
    assert jitter < timedelta(seconds=seconds) or seconds == 0
    assert jitter.microseconds == 0, "status stores whole seconds"


ALPHABET: Final = "0123456789*/,-#LWTZ=@ dhms" + "abcJANmonFEB" + "é\t\0"


@settings(max_examples=500, deadline=None)
@given(
    st.text(ALPHABET, max_size=40)
    | st.lists(st.text("0123456789*/,-#LW", min_size=1, max_size=6), min_size=5, max_size=5).map(" ".join)
    | st.text(max_size=140)
)
def test_whatever_is_written_is_read_or_refused_in_words(text: str) -> None:
    try:
        schedule = parse_schedule(text)
    except ScheduleError as error:
        refusal = str(error)
    else:
        refusal = "none"
        assert schedule.next_after(datetime(2026, 11, 24, tzinfo=UTC)).tzinfo is not None
    assert len(refusal) < 600
    assert refusal.isprintable()


@pytest.mark.parametrize("zone", ZONES)
def test_the_zones_of_these_tests_are_there(zone: str) -> None:
    parse_schedule(f"TZ={zone} 0 3 * * *")
