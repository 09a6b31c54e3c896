"""How long an endpoint rests after a 429."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saperly_operator.budget.pause import FIRST_GUESS, LONGEST, Pause


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        pytest.param(120.0, 120.0, id="as asked for"),
        pytest.param(0.0, 1.0, id="zero does not spin"),
        pytest.param(-60.0, 1.0, id="a date gone by does not spin"),
        pytest.param(0.99, 1.0, id="just below a second"),
        pytest.param(1.01, 1.01, id="just above a second"),
        pytest.param(3600.0, 3600.0, id="an hour"),
        pytest.param(3601.0, 3600.0, id="just above an hour"),
        pytest.param(1e300, 3600.0, id="for ever"),
        pytest.param(float("nan"), 1.0, id="no number"),
        pytest.param(None, FIRST_GUESS, id="it did not say"),
    ],
)
def test_a_429_pauses_within_bounds(retry_after: float | None, seconds: float) -> None:
    pause = Pause()
    pause.throttled(retry_after, granted_at=99.0, now=100.0)
    assert pause.until(100.0) == 100.0 + seconds
    assert pause.until(100.0 + seconds) == 100.0 + seconds, "and then no more"


def test_without_a_429_nothing_is_paused() -> None:
    assert Pause().until(5.0) == 5.0


def test_guesses_in_a_row_grow_and_an_answer_makes_them_small_again() -> None:
    pause, now, waits = Pause(), 0.0, []
    for _ in range(8):
        pause.throttled(None, granted_at=now, now=now)
        waits.append(pause.until(now) - now)
        now = pause.until(now)
    assert waits == [60, 120, 240, 480, 960, 1920, 3600, 3600]
    pause.answered(granted_at=now)
    pause.throttled(None, granted_at=now, now=now)
    assert pause.until(now) - now == 60


def test_guesses_never_outgrow_a_float() -> None:
    pause, now = Pause(), 0.0
    for _ in range(2000):
        pause.throttled(None, granted_at=now, now=now)
        now = pause.until(now)
    assert now <= 2000 * LONGEST


def test_an_answer_to_an_earlier_request_does_not_make_the_guess_small() -> None:
    pause = Pause()
    pause.throttled(None, granted_at=0.0, now=1.0)
    pause.answered(granted_at=0.5)
    pause.throttled(None, granted_at=61.0, now=61.0)
    assert pause.until(61.0) == 61.0 + 120


def test_an_answer_does_not_end_a_pause() -> None:
    pause = Pause()
    pause.throttled(600.0, granted_at=0.0, now=0.0)
    pause.answered(granted_at=0.0)
    assert pause.until(1.0) == 600.0


asked = st.lists(st.none() | st.integers(-10, 5000).map(float), min_size=1, max_size=6)


@given(asked=asked, data=st.data())
def test_requests_under_way_together_count_as_one_429_in_any_order(
    asked: list[float | None], data: st.DataObject
) -> None:
    def after(order: list[float | None]) -> tuple[float, float]:
        pause = Pause()
        for retry_after in order:
            pause.throttled(retry_after, granted_at=9.0, now=10.0)
        first = pause.until(10.0)
        pause.throttled(None, granted_at=first, now=first)
        return first, pause.until(first)

    until, guess_after = after(asked)
    assert after(data.draw(st.permutations(asked))) == (until, guess_after)
    assert until <= 10.0 + LONGEST
    assert guess_after - until == (120 if None in asked else 60)
