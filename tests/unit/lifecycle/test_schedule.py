"""Rotation schedules: when the next moment is, in every zone and on the days on which clocks change.

Tables here; what holds of every schedule is in ``test_schedule_properties``.
"""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from saperly_operator.lifecycle.schedule import Age, Cron, ScheduleError, due_after, jitter_of, parse_schedule
from tests.builders import DAY, HOUR, MINUTE, NOW, SECOND


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
        pytest.param("@hourly", "2026-11-24 10:00", "2026-11-24 11:00", id="@hourly"),
        pytest.param("@midnight", "2026-11-24 10:00", "2026-11-25 00:00", id="@midnight"),
        pytest.param("@yearly", "2026-11-24 10:00", "2027-01-01 00:00", id="@yearly"),
        pytest.param("@annually", "2026-11-24 10:00", "2027-01-01 00:00", id="@annually"),
        pytest.param("TZ=Europe/Berlin @daily", "2026-11-24 10:00", "2026-11-24 23:00", id="a zone before a name"),
        pytest.param("TZ=Asia/Kolkata 0 3 * * *", "2026-11-24 10:00", "2026-11-24 21:30", id="a zone of half hours"),
        pytest.param("0 0 L * *", "2026-02-01 00:00", "2026-02-28 00:00", id="the last day of February"),
        pytest.param("0 0 L * *", "2028-02-01 00:00", "2028-02-29 00:00", id="the last day of a leap February"),
        pytest.param("0 0 29 2 *", "2026-03-01 00:00", "2028-02-29 00:00", id="the leap day waits for a leap year"),
        pytest.param("0 0 29 2 *", "2096-03-01 00:00", "2104-02-29 00:00", id="2100 is no leap year"),
        pytest.param("0 0 31 * *", "2026-11-01 00:00", "2026-12-31 00:00", id="months without a 31st are left out"),
        pytest.param("0 0 30 2 1", "2026-11-24 10:00", "2027-02-01 00:00", id="a day or a weekday: cron's either"),
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
        pytest.param(
            "TZ=Europe/Berlin 30 2 * * *", "2026-10-25 01:15", "2026-10-26 01:30", id="from within the second turn"
        ),
        pytest.param(
            "TZ=Europe/Berlin 30 * * * *", "2026-10-25 00:30", "2026-10-25 01:30", id="every hour has both turns"
        ),
        pytest.param("TZ=Europe/Berlin 30 * * * *", "2026-03-29 00:30", "2026-03-29 01:30", id="and lacks the gap's"),
        pytest.param(
            "TZ=America/Havana 30 0 * * *", "2026-03-07 12:00", "2026-03-08 05:00", id="a gap at midnight itself"
        ),
        pytest.param(
            "TZ=Australia/Lord_Howe 15 2 * * *", "2026-10-03 00:00", "2026-10-03 15:30", id="a gap of half an hour"
        ),
        pytest.param("30d", "2026-11-24 10:00", "2026-12-24 10:00", id="an age"),
        pytest.param("1h", "2026-11-24 10:00", "2026-11-24 11:00", id="the shortest age"),
        pytest.param("1h", "2026-10-25 00:30", "2026-10-25 01:30", id="an age does not care for clocks"),
        pytest.param(" 30d ", "2026-11-24 10:00", "2026-12-24 10:00", id="blanks around it"),
        pytest.param("0  3 * *\t1", "2026-11-24 10:00", "2026-11-30 03:00", id="blanks within it"),
    ],
)
def test_the_next_moment(schedule: str, after: str, due: str) -> None:
    assert parse_schedule(schedule).next_after(moment(after)) == moment(due)


@pytest.mark.parametrize(
    ("schedule", "complaint"),
    [
        pytest.param("often", "cannot read the schedule 'often': use five cron fields", id="a word"),
        pytest.param("", "cannot read the schedule ''", id="nothing"),
        pytest.param("@reboot", "unknown schedule '@reboot': use one of @hourly, @daily, @midnight", id="@reboot"),
        pytest.param("@every 30d", "unknown schedule '@every 30d'", id="@every"),
        pytest.param(
            "59m", "the age '59m' is too short: a key is rotated at most once an hour (1h)", id="59 minutes"
        ),
        pytest.param("3600", "cannot read the schedule '3600'", id="a number"),
        pytest.param("-30d", "cannot read the schedule '-30d'", id="an age below nothing"),
        pytest.param(
            "TZ=Europe/Berlin 30d", "'Europe/Berlin' says nothing about the age '30d'", id="an age in a zone"
        ),
        pytest.param("TZ=Europe/Berlin", "cannot read the schedule ''", id="a zone alone"),
        pytest.param("0 3 * *", "'0 3 * *' has 4 fields instead of five: minute, hour,", id="four fields"),
        pytest.param("0 0 3 * * 1", "'0 0 3 * * 1' has 6 fields instead of five", id="six fields"),
        pytest.param(
            "61 3 * * *", "the minute '61' of the schedule '61 3 * * *' is wrong: use a number", id="minute"
        ),
        pytest.param("0 24 * * *", "the hour '24' of the schedule '0 24 * * *' is wrong: use 0 to 23", id="hour"),
        pytest.param("0 3 0 * *", "the day of the month '0' of the schedule '0 3 0 * *' is wrong", id="day"),
        pytest.param(
            "0 3 * july *", "the month 'july' of the schedule '0 3 * july *' is wrong: use 1 to", id="month"
        ),
        pytest.param(
            "0 3 * * mo", "the weekday 'mo' of the schedule '0 3 * * mo' is wrong: use 0 to 7", id="weekday"
        ),
        pytest.param("0 5-3 * * *", "the hour '5-3' of the schedule", id="a range backwards"),
        pytest.param("0 */0 * * *", "the hour '*/0' of the schedule", id="a step of nothing"),
        pytest.param(
            "*/15 3 * * *", "the minute '*/15' of the schedule '*/15 3 * * *' comes 4 times an hour", id="*/15"
        ),
        pytest.param(
            "0,59 3 * * *", "the minute '0,59' of the schedule '0,59 3 * * *' comes 2 times", id="two minutes"
        ),
        pytest.param(
            "0 0 30 2 *", "the day '30' of the schedule '0 0 30 2 *' never comes in the month '2'", id="30 Feb"
        ),
        pytest.param(
            "0 0 31 4,6 *", "the day '31' of the schedule '0 0 31 4,6 *' never comes", id="31 April or June"
        ),
        # A first of February that is its month's fifth Monday: each field is right, and so is the day in the month.
        pytest.param("0 0 */31 2 1#5", "the schedule '0 0 */31 2 1#5' never comes round", id="never comes round"),
        pytest.param(
            "TZ=Europe/Bonn 0 3 * * 1", "unknown time zone 'Europe/Bonn': use a name such as", id="no such zone"
        ),
        pytest.param("TZ=Europe 0 3 * * 1", "unknown time zone 'Europe'", id="a continent"),
        pytest.param("TZ=../../etc/passwd 0 3 * * 1", "unknown time zone '../../etc/passwd'", id="a path as zone"),
        pytest.param("TZ=/etc/passwd 0 3 * * 1", "unknown time zone '/etc/passwd'", id="an absolute path as zone"),
        pytest.param("TZ=zone\0 0 3 * * 1", r"unknown time zone 'zone\x00'", id="a zone that cannot be printed"),
        pytest.param("TZ= 0 3 * * 1", "unknown time zone ''", id="an empty zone"),
        pytest.param("٣ 3 * * *", "the minute '٣' of the schedule", id="another script's digits"),
        pytest.param("x" * 129, f"the schedule '{'x' * 64}…' is longer than 128 characters", id="too long, and cut"),
        pytest.param("x" * 128, f"cannot read the schedule '{'x' * 64}…'", id="not too long, and cut"),
    ],
)
def test_a_schedule_that_cannot_be_followed_is_refused_by_quoting_the_part_that_is_wrong(
    schedule: str, complaint: str
) -> None:
    with pytest.raises(ScheduleError, match=r".") as caught:
        parse_schedule(schedule)
    assert complaint in str(caught.value)


def test_a_refusal_names_no_more_of_a_long_text_than_a_line_can_show() -> None:
    with pytest.raises(ScheduleError) as caught:
        parse_schedule("0 " * 60 + "@" * 5)
    assert len(str(caught.value)) < 250


def test_the_two_kinds_are_read_as_what_they_are() -> None:
    assert parse_schedule("90d") == Age(90 * DAY)
    assert parse_schedule("TZ=Europe/Berlin 0 3 * * 1") == Cron("0 3 * * 1", "Europe/Berlin")
    assert parse_schedule("TZ=Europe/Berlin @weekly") == Cron("0 0 * * 0", "Europe/Berlin")


def test_the_jitter_spreads_a_fleet() -> None:
    spread = sorted(jitter_of(f"uid-{n}", HOUR) for n in range(1000))
    gaps = [later - earlier for earlier, later in pairwise(spread)]
    assert spread[0] < 2 * MINUTE
    assert spread[-1] > 58 * MINUTE
    assert max(gaps) < 2 * MINUTE


def test_a_rotation_is_due_at_its_schedule_put_off_by_its_jitter() -> None:
    assert due_after(parse_schedule("30d"), NOW, "uid-1", HOUR) == NOW + 30 * DAY + jitter_of("uid-1", HOUR)
    assert due_after(parse_schedule("30d"), NOW, "uid-1", timedelta(0)) == NOW + 30 * DAY
    monday = moment("2026-11-30 03:00")
    assert due_after(parse_schedule("0 3 * * 1"), NOW, "uid-1", HOUR) == monday + jitter_of("uid-1", HOUR)


@pytest.mark.parametrize("schedule", ["@hourly", "1h"])
def test_a_jitter_longer_than_the_interval_is_cut_to_it(schedule: str) -> None:
    due = due_after(parse_schedule(schedule), NOW, "uid-1", 30 * DAY)
    assert due == NOW + HOUR + jitter_of("uid-1", HOUR)
    assert due < NOW + 2 * HOUR


def test_the_longest_jitter_ends_a_second_before_the_following_moment() -> None:
    latest = max(jitter_of(f"uid-{n}", 10 * SECOND) for n in range(100))
    assert latest == 9 * SECOND
