"""A process whose clock is set back: what it remembers by the former clock is let go, and nothing waits for it."""

from datetime import timedelta

import pytest

from saperly_operator.controller.scratch import Scratch
from saperly_operator.lifecycle.observed import HeldKey, PreflightPassed
from saperly_operator.lifecycle.timings import Timings
from saperly_operator.saperly.concealed import Plaintext
from saperly_operator.simulator.state import Operation
from tests.builders import DAY, HOUR, MINUTE, NOW, SECOND, a_row, a_sweep, an_intent
from tests.unit.controller.test_act_rotate import ask, delivered, spoil
from tests.unit.controller.world import World

TIMINGS = Timings()


def remembering() -> Scratch:
    """A process that has seen the present, and holds a key whose Secret was refused."""
    scratch = Scratch(preflight=PreflightPassed(NOW))
    scratch.see_clock(NOW, ())
    scratch.see_intent(an_intent(1), NOW)
    scratch.hold(HeldKey(1, a_row(1), refused_since=NOW, refusal="No."), Plaintext("sk_test_1NEVERSHOWTHIS"))
    scratch.sweeps.update(a_sweep(a_row(1)))
    scratch.failed("write", NOW, TIMINGS)
    return scratch


def test_a_step_of_a_minute_is_none() -> None:
    scratch = remembering()
    before = scratch.memory()
    scratch.see_clock(NOW - MINUTE, ())
    assert scratch.memory() == before


def test_a_step_of_more_lets_dates_go_and_keeps_the_plaintext() -> None:
    scratch = remembering()
    back = NOW - MINUTE - SECOND
    scratch.see_clock(back, ())
    memory = scratch.memory()
    assert (memory.sweeps, memory.not_before, memory.preflight) == ({}, {}, None)
    assert memory.intent_seen_at == back
    assert memory.held is not None
    assert (memory.held.refused_since, memory.held.refusal) == (None, None)
    assert scratch.plaintext is not None


def test_a_moment_ahead_is_known_from_when_it_was_first_seen_until_it_comes() -> None:
    scratch = Scratch()
    scratch.see_clock(NOW, (NOW, NOW + DAY))
    assert scratch.memory().ahead_since == {NOW + DAY: NOW}
    scratch.see_clock(NOW + HOUR, (NOW, NOW + DAY))
    assert scratch.memory().ahead_since == {NOW + DAY: NOW}
    scratch.see_clock(NOW + DAY, (NOW, NOW + DAY))
    assert scratch.memory().ahead_since == {}


@pytest.mark.parametrize("back", [SECOND, DAY])
def test_a_moment_was_never_first_seen_later_than_now(back: timedelta) -> None:
    scratch = Scratch()
    scratch.see_clock(NOW, (NOW + 2 * DAY,))
    scratch.see_clock(NOW - back, (NOW + 2 * DAY,))
    assert scratch.memory().ahead_since == {NOW + 2 * DAY: NOW - back}


async def test_a_list_asked_for_after_the_clock_was_set_back_is_made(world: World) -> None:
    await world.sweep()
    world.clock.jump(-timedelta(days=1))
    world.forget_calls()
    await world.sweep()
    assert world.requests == ["GET /v1/keys"]


# --- old keys ---------------------------------------------------------------------------------------------------------

YEAR = timedelta(days=365)


async def test_a_compromised_key_replaced_by_a_mint_under_a_clock_ahead_goes_as_soon_as_saperly_answers(
    world: World,
) -> None:
    old = await delivered(world)
    spoil(world, status=422, code="validation_error")
    spoil(world, operation=Operation.REVOKE, status=503)
    world.clock.jump(YEAR)
    await ask(world)
    assert old in world.live()
    world.clock.jump(-YEAR)
    await world.reconcile_after(60, times=2)
    assert old not in world.live()


async def test_an_old_plaintext_withdrawn_under_a_clock_ahead_is_followed_by_the_end_of_its_key(world: World) -> None:
    await world.apply(secret={"previousKey": "OLD"})
    old = await delivered(world, strategy="Overlap", overlap="1h")
    await ask(world)
    world.clock.jump(YEAR)
    await world.reconcile()
    assert await world.digest(entry="OLD") is None
    world.clock.jump(-YEAR)
    await world.reconcile_after(60)
    assert old in world.live()
    await world.reconcile_after(3600)
    assert old not in world.live()
