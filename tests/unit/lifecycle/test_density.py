"""How many old keys a schedule leaves alive at once, and the schedules that leave too many."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saperly_operator.lifecycle.density import Density, too_dense
from saperly_operator.lifecycle.schedule import parse_schedule
from tests.builders import DAY, HOUR, NOW, SECOND

LIMIT = 10


@pytest.mark.parametrize(
    ("schedule", "overlap", "expected"),
    [
        pytest.param("@hourly", 10 * HOUR, None, id="hourly, ten hours: ten at once"),
        pytest.param("@hourly", 10 * HOUR + SECOND, Density(HOUR, 11), id="hourly, a second more: eleven"),
        pytest.param("@daily", 10 * DAY, None, id="daily, ten days: ten at once"),
        pytest.param("@daily", 10 * DAY + SECOND, Density(DAY, 11), id="daily, a second more: eleven"),
        pytest.param("@daily", 30 * DAY, Density(DAY, 30), id="daily, thirty days"),
        pytest.param("3d", 30 * DAY, None, id="an age, ten at once"),
        pytest.param("3d", 30 * DAY + SECOND, Density(3 * DAY, 11), id="an age, eleven at once"),
        # The interval alone would be too strict: the nights and weekends between leave the old keys time to end.
        pytest.param("0 8-17 * * *", DAY, None, id="office hours: ten a day"),
        pytest.param("0 8-18 * * *", DAY, Density(HOUR, 11), id="one hour more: eleven a day"),
        pytest.param("0 8-12 * * mon-fri", 2 * DAY, None, id="five a day on two days running"),
        pytest.param("0 8-12 * * mon-fri", 2 * DAY + HOUR, Density(HOUR, 11), id="and an hour of a third"),
        pytest.param("0 * 29 2 *", DAY, Density(HOUR, 24), id="all hours of a leap day"),
        pytest.param("TZ=Europe/Berlin @daily", 11 * DAY, Density(DAY, 11), id="in a zone as in UTC"),
        pytest.param("@yearly", 9999 * DAY, Density(365 * DAY, 28), id="the longest overlap there is"),
        pytest.param("0 0 29 2 *", 9999 * DAY, None, id="leap days never crowd"),
    ],
)
def test_the_most_old_keys_at_once(schedule: str, overlap: timedelta, expected: Density | None) -> None:
    assert too_dense(parse_schedule(schedule), overlap, LIMIT) == expected


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["@hourly", "@daily", "7h", "0 8-18 * * mon-fri", "0 3 1,15 * 1", "0 */5 * * *"]),
    st.integers(1, 12 * 24).map(lambda hours: hours * HOUR),
)
def test_a_schedule_that_is_let_through_never_fills_the_list_of_old_keys(schedule: str, overlap: timedelta) -> None:
    """Played out: each rotation leaves a key that lives for the overlap."""
    read = parse_schedule(schedule)
    if too_dense(read, overlap, LIMIT) is not None:
        return
    moment = NOW
    ends: list[datetime] = []
    for _ in range(200):
        moment = read.next_after(moment)
        ends = [*(end for end in ends if end > moment), moment + overlap]
        assert len(ends) <= LIMIT
