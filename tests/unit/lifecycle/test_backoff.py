"""The waits between tries."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saperly_operator.lifecycle.backoff import exponential

FIRST, LIMIT = timedelta(seconds=5), timedelta(minutes=5)


@pytest.mark.parametrize(
    ("count", "seconds"), [(0, 5), (1, 5), (2, 10), (3, 20), (6, 160), (7, 300), (8, 300), (10_000_000, 300)]
)
def test_each_failure_doubles_the_wait_up_to_the_limit(count: int, seconds: int) -> None:
    assert exponential(count, FIRST, LIMIT) == timedelta(seconds=seconds)


@given(st.integers(min_value=-5, max_value=2**31 - 1))
def test_a_wait_is_never_shorter_than_the_one_before(count: int) -> None:
    assert FIRST <= exponential(count, FIRST, LIMIT) <= exponential(count + 1, FIRST, LIMIT) <= LIMIT
