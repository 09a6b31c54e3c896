"""Never more than the limit in any window, and no slot wasted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saperly_operator.budget.window import HOUR, RollingWindow

# Quarters of a second are exact in binary, so that the oracle below may subtract.
moments = st.lists(st.integers(0, 40_000).map(lambda quarters: quarters / 4), max_size=120)


def takes(window: RollingWindow, times: list[float]) -> list[float]:
    return [now for now in times if window.try_take(now)]


@given(times=moments, limit=st.integers(0, 8), margin=st.sampled_from([0.0, 0.25, 30.0]))
def test_no_window_at_any_offset_holds_more_than_the_limit(times: list[float], limit: int, margin: float) -> None:
    window = RollingWindow(limit, margin=margin)
    taken = takes(window, sorted(times))
    for start in taken:
        assert len([t for t in taken if start <= t < start + HOUR + margin]) <= limit


@given(times=moments, limit=st.integers(1, 8))
def test_nothing_is_refused_while_the_window_has_room(times: list[float], limit: int) -> None:
    window, taken = RollingWindow(limit), list[float]()
    for now in sorted(times):
        has_room = len([t for t in taken if t > now - HOUR]) < limit
        assert window.try_take(now) is has_room
        taken += [now] if has_room else []


@given(times=moments, limit=st.integers(1, 8), lowered=st.integers(1, 8))
def test_the_time_of_the_next_free_slot_is_exact(times: list[float], limit: int, lowered: int) -> None:
    window = RollingWindow(limit)
    takes(window, sorted(times))
    window.relimit(lowered)
    now = max(times, default=0.0)
    free_at = window.next_free_at(now)
    assert free_at >= now
    if free_at > now:
        assert not window.try_take(free_at - 0.25)
    assert window.try_take(free_at)


def test_both_sides_of_the_edge() -> None:
    window = RollingWindow(1)
    assert window.try_take(100.0)
    assert not window.try_take(3699.75)
    assert window.try_take(3700.0)


def test_the_margin_moves_the_edge() -> None:
    window = RollingWindow(1, margin=30.0)
    assert window.try_take(100.0)
    assert not window.try_take(3729.75)
    assert window.try_take(3730.0)


def test_a_full_limit_at_once_is_fine() -> None:
    window = RollingWindow(60)
    assert takes(window, [5.0] * 61) == [5.0] * 60
    assert window.free(5.0) == 0
    assert window.free(3605.0) == 60


def test_a_time_from_before_counts_as_the_latest() -> None:
    window = RollingWindow(2)
    assert window.try_take(1000.0)
    assert window.try_take(500.0)
    assert window.next_free_at(0.0) == 4600.0
    window.relimit(1)
    assert window.next_free_at(4200.0) == 4600.0
    assert not window.try_take(4599.75)


def test_under_a_limit_of_nothing_nothing_is_ever_free() -> None:
    window = RollingWindow(0)
    assert not window.try_take(0.0)
    assert window.next_free_at(0.0) == float("inf")


def test_what_was_never_sent_is_given_back_once() -> None:
    window = RollingWindow(2)
    takes(window, [1.0, 2.0])
    window.give_back(2.0)
    window.give_back(2.0)
    window.give_back(77.0)
    assert window.free(3.0) == 1
    assert window.try_take(3.0)
    assert window.next_free_at(3.0) == 3601.0


def test_a_raised_limit_counts_what_was_taken() -> None:
    window = RollingWindow(1)
    takes(window, [1.0])
    window.relimit(3)
    assert window.free(2.0) == 2


@pytest.mark.parametrize(
    "arguments", [{"limit": -1}, {"limit": 1, "period": 0.0}, {"limit": 1, "margin": -1.0}], ids=str
)
def test_a_window_without_sense_is_refused(arguments: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="window"):
        RollingWindow(**arguments)
    with pytest.raises(ValueError, match="window"):
        RollingWindow(1).relimit(-1)
