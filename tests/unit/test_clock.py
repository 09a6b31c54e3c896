"""The manual clock behind every virtual-time test."""

import asyncio
from datetime import timedelta

from saperly_operator.clock import ManualClock


async def test_a_sleeper_wakes_only_once_the_clock_was_moved_far_enough() -> None:
    clock = ManualClock()
    sleeper = asyncio.create_task(clock.sleep(60))
    await asyncio.sleep(0)
    clock.advance(59)
    await asyncio.sleep(0)
    assert not sleeper.done()
    clock.advance(1)
    await sleeper


def test_a_jump_moves_the_wall_and_not_the_durations() -> None:
    clock = ManualClock()
    before = clock.now(), clock.monotonic()
    clock.jump(timedelta(hours=-1))
    assert clock.now() == before[0] - timedelta(hours=1)
    assert clock.monotonic() == before[1]
