"""A graceful end: what is minted is delivered while there is time, and told when there was none."""

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any

import pytest

from saperly_operator.kube import errors
from saperly_operator.resources import reasons
from tests.support.faulty_kube import Fault
from tests.unit.controller.world import World

AWAY = errors.Unavailable("POST", None, "TimeoutError")


async def minted_and_not_delivered(world: World, failures: int) -> None:
    """A key whose Secret cannot be written ``failures`` times."""
    world.kube.faults += [Fault("POST secrets", AWAY, nth=number) for number in range(1, failures + 1)]
    await world.apply()
    await world.reconcile()
    assert world.operator.tools.scratchpads.holding() == 1


async def drained(world: World) -> None:
    """Run the drain while time passes."""
    closed: list[str] = []

    def close() -> None:
        closed.append("closed")
        world.operator.keys.close()

    workers: list[Awaitable[Any]] = []
    draining = asyncio.create_task(world.operator.drain.run(close, workers))
    for _ in range(1000):
        for _ in range(50):
            await asyncio.sleep(0)
        if draining.done():
            break
        world.clock.advance(0.2)
    await asyncio.wait_for(draining, 5)
    assert closed == ["closed"]


async def test_a_plaintext_in_hand_is_delivered_and_recorded_before_the_end(world: World) -> None:
    await minted_and_not_delivered(world, failures=2)
    await drained(world)
    assert (await world.reasons())["Ready"] == reasons.AVAILABLE
    assert world.operator.tools.scratchpads.keys_holding() == []
    (child,) = world.control.live_keys()
    assert await world.digest() == child.digest


async def test_when_there_is_no_time_left_it_says_which_object_loses_its_key(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    await minted_and_not_delivered(world, failures=500)
    started = world.clock.monotonic()
    with caplog.at_level(logging.ERROR):
        await drained(world)
    assert 45 <= world.clock.monotonic() - started < 50
    (line,) = [line for line in caplog.records if line.levelno == logging.ERROR]
    assert "the next process retires it and mints another" in line.getMessage()
    assert getattr(line, "object", None) == "agents/support"


async def test_with_nothing_in_hand_it_ends_at_once(world: World) -> None:
    await world.apply()
    await world.reconcile()
    before = world.clock.monotonic()
    await drained(world)
    assert world.clock.monotonic() == before


async def test_nothing_new_is_begun_while_it_ends(world: World) -> None:
    await world.apply()
    world.operator.keys.close()
    await world.reconcile()
    assert world.requests == []
    assert (await world.key()).status.intent is None
