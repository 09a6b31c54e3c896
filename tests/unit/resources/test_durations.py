"""Durations: what is read, what is refused, and that writing and reading agree."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saperly_operator.resources import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("0s", timedelta()),
        ("1s", timedelta(seconds=1)),
        ("90m", timedelta(minutes=90)),
        ("1h30m", timedelta(hours=1, minutes=30)),
        ("7d", timedelta(days=7)),
        ("1d1h1m1s", timedelta(days=1, hours=1, minutes=1, seconds=1)),
        ("007d", timedelta(days=7)),
        ("9999d99999h999999m9999999s", timedelta(days=9999, hours=99999, minutes=999999, seconds=9999999)),
    ],
)
def test_a_duration_is_read(text: str, length: timedelta) -> None:
    assert parse_duration(text) == length


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "1",
        "h",
        "1 h",
        " 1h",
        "1h ",
        "1h\n",
        "-1h",
        "+1h",
        "1.5h",
        "1H",
        "30m1h",
        "1h1h",
        "1w",
        "1ms",
        "10000d",
        "١h",
    ],
)
def test_anything_else_is_refused_with_advice(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration: write days, hours, minutes and seconds in this order"):
        parse_duration(text)


@given(st.integers(min_value=0, max_value=9999 * 86400))
def test_what_is_written_reads_back_as_the_same_length(seconds: int) -> None:
    length = timedelta(seconds=seconds)
    assert parse_duration(format_duration(length)) == length


def test_a_length_is_written_in_its_largest_units() -> None:
    assert format_duration(timedelta(minutes=90)) == "1h30m"
    assert format_duration(timedelta(days=30)) == "30d"
    assert format_duration(timedelta()) == "0s"


def test_a_negative_length_is_not_written() -> None:
    with pytest.raises(ValueError, match="cannot be negative"):
        format_duration(timedelta(seconds=-1))
