"""Rotation schedules: when the next moment is, in every zone and on the days on which clocks change."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saperly_operator.lifecycle.schedule import Age, Cron, ScheduleError, jitter_of, next_rotation, parse_schedule
from tests.builders import DAY, HOUR, NOW


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "after", "due"),
    [
        pytest.param("0 3 * * 1", "2026-11-24 10:00", "2026-11-30 03:00", id="the next Monday, in UTC"),
        pytest.param("0 3 * * 1", "2026-11-30 02:59", "2026-11-30 03:00", id="a minute before"),
        pytest.param(
            "0 3 * * 1", "2026-11-30 03:00", "2026-12-07 03:00", id="strictly after: the very moment is past"
        ),
        pytest.param("@daily", "2026-11-24 10:00", "2026-11-25 00:00", id="@daily"),
        pytest.param("@weekly", "2026-11-24 10:00", "2026-11-29 00:00", id="@weekly is Sunday"),
        pytest.param("@monthly", "2026-11-24 10:00", "2026-12-01 00:00", id="@monthly"),
        pytest.param("TZ=Europe/Berlin @daily", "2026-11-24 10:00", "2026-11-24 23:00", id="a zone before a name"),
        pytest.param("TZ=Asia/Kolkata 0 3 * * *", "2026-11-24 10:00", "2026-11-24 21:30", id="a zone of half hours"),
        pytest.param("0 0 L * *", "2026-02-01 00:00", "2026-02-28 00:00", id="the last day of February"),
        pytest.param("0 0 29 2 *", "2026-03-01 00:00", "2028-02-29 00:00", id="the leap day waits for a leap year"),
        # Berlin, 29 March 2026: 02:00 becomes 03:00. 25 October 2026: 03:00 becomes 02:00 again.
        pytest.param("TZ=Europe/Berlin 0 3 * * *", "2026-03-28 12:00", "2026-03-29 01:00", id="after the gap"),
        pytest.param(
            "TZ=Europe/Berlin 30 2 * * *", "2026-03-28 12:00", "2026-03-29 01:00", id="in the gap: right after it"
        ),
        pytest.param(
            "TZ=Europe/Berlin 30 2 * * *", "2026-03-29 01:00", "2026-03-30 00:30", id="the gap's day has only one"
        ),
        pytest.param(
            "TZ=Europe/Berlin 30 2 * * *", "2026-10-24 12:00", "2026-10-25 00:30", id="in the overlap: the first time"
        ),
        pytest.param(
            "TZ=Europe/Berlin 30 2 * * *", "2026-10-25 00:30", "2026-10-26 01:30", id="in the overlap: not twice"
        ),
        pytest.param("30d", "2026-11-24 10:00", "2026-12-24 10:00", id="an age"),
        pytest.param("1h", "2026-11-24 10:00", "2026-11-24 11:00", id="the shortest age"),
        pytest.param(" 30d ", "2026-11-24 10:00", "2026-12-24 10:00", id="blanks around it"),
    ],
)
def test_the_next_moment(schedule: str, after: str, due: str) -> None:
    assert parse_schedule(schedule).next_after(moment(after)) == moment(due)


@pytest.mark.parametrize(
    ("schedule", "complaint"),
    [
        pytest.param("often", "cannot read the schedule 'often'", id="a word"),
        pytest.param("", "cannot read the schedule ''", id="nothing"),
        pytest.param("@hourly", "unknown schedule '@hourly': use one of @daily, @weekly, @monthly", id="@hourly"),
        pytest.param("59m", "the age '59m' is too short", id="an age under an hour"),
        pytest.param("0 3 * *", "'0 3 * *' needs exactly five fields", id="four fields"),
        pytest.param("0 0 3 * * 1", "'0 0 3 * * 1' needs exactly five fields", id="six fields"),
        pytest.param("61 3 * * *", "the cron expression '61 3 * * *' is wrong", id="minute 61"),
        pytest.param("TZ=Europe/Bonn 0 3 * * 1", "unknown time zone 'Europe/Bonn'", id="no such zone"),
        pytest.param("TZ=../../etc/passwd 0 3 * * 1", "unknown time zone '../../etc/passwd'", id="a path as zone"),
        pytest.param("TZ= 0 3 * * 1", "unknown time zone ''", id="an empty zone"),
    ],
)
def test_a_schedule_that_cannot_be_read_is_quoted(schedule: str, complaint: str) -> None:
    with pytest.raises(ScheduleError, match=r".") as caught:
        parse_schedule(schedule)
    assert complaint in str(caught.value)


def test_a_day_that_its_month_never_has_is_told_at_once() -> None:
    with pytest.raises(ScheduleError, match=r"'0 0 30 2 \*' is wrong: Bad day-of-month"):
        parse_schedule("0 0 30 2 *")


def test_a_schedule_that_can_be_read_and_never_comes_round_is_told() -> None:
    never = parse_schedule("0 0 */31 2 1#5")  # a first of February that is its month's fifth Monday
    with pytest.raises(ScheduleError, match="never comes round"):
        never.next_after(NOW)


def test_the_two_kinds_are_read_as_what_they_are() -> None:
    assert parse_schedule("90d") == Age(90 * DAY)
    assert parse_schedule("TZ=Europe/Berlin 0 3 * * 1") == Cron("0 3 * * 1", "Europe/Berlin")


@given(uid=st.text(max_size=40), seconds=st.integers(min_value=0, max_value=10_000_000))
def test_the_jitter_is_the_same_at_every_reading_and_within_its_limit(uid: str, seconds: int) -> None:
    limit = timedelta(seconds=seconds)
    jitter = jitter_of(uid, limit)
    assert jitter == jitter_of(uid, limit)
    assert timedelta(0) <= jitter <= limit
    assert jitter.microseconds == 0, "status stores whole seconds"


def test_the_jitter_spreads_a_fleet() -> None:
    spread = sorted(jitter_of(f"uid-{n}", HOUR) for n in range(1000))
    gaps = [later - earlier for earlier, later in pairwise(spread)]
    assert spread[0] < timedelta(minutes=2)
    assert spread[-1] > timedelta(minutes=58)
    assert max(gaps) < timedelta(minutes=2)


def test_a_rotation_is_due_at_its_schedule_put_off_by_its_jitter() -> None:
    assert next_rotation("30d", NOW, "uid-1", HOUR) == NOW + 30 * DAY + jitter_of("uid-1", HOUR)
