"""A key that is to stand idle before it goes: who says so, what it costs, and that it ends all the same."""

from datetime import datetime, timedelta
from typing import Any

from tests.unit.controller.test_restart import HOUR, request_rotation
from tests.unit.controller.world import World

IDLE = {"overlap": "1h", "requireIdle": True, "maxOverlap": "1d"}


async def rotated(world: World, **rotation: Any) -> str:
    """The first key was replaced just now; returns its id."""
    await world.apply(rotation=IDLE | rotation)
    await world.reconcile()
    (first,) = world.live()
    await request_rotation(world)
    world.forget_calls()
    return first


async def revoke_after(world: World) -> datetime:
    (entry,) = (await world.key()).status.retiring
    return entry.revoke_after


async def test_a_key_that_stood_idle_goes_after_the_overlap_for_one_more_look(world: World) -> None:
    first = await rotated(world)
    await world.reconcile_after(HOUR)
    assert first not in world.live()
    assert world.requests == [f"GET /v1/keys/{first}", f"DELETE /v1/keys/{first}"]


async def test_without_it_nobody_looks(world: World) -> None:
    first = await rotated(world, requireIdle=False)
    world.control.use_key(first)
    await world.reconcile_after(HOUR)
    assert first not in world.live()
    assert world.requests == [f"DELETE /v1/keys/{first}"]


async def test_a_use_that_the_sweep_saw_puts_it_off_without_a_call(world: World) -> None:
    first = await rotated(world)
    world.clock.advance(1800)
    world.control.use_key(first)
    used_at = world.clock.now()
    await world.sweep()
    world.forget_calls()
    await world.reconcile_after(1800)
    assert world.requests == []
    assert first in world.live()
    assert await revoke_after(world) == used_at + timedelta(hours=1)
    (entry,) = (await world.key()).status.retiring
    assert entry.waiting_for == f"1h without use; it was last used at {used_at:%Y-%m-%dT%H:%M:%SZ}"
    assert (await world.reasons())["Ready"] == "Available"

    await world.reconcile_after(1799)
    assert first in world.live()
    await world.reconcile_after(1)
    assert first not in world.live()


async def test_a_use_since_the_last_sweep_is_seen_at_the_last_moment(world: World) -> None:
    first = await rotated(world)
    await world.sweep()
    world.clock.advance(HOUR - 1)
    world.control.use_key(first)
    used_at = world.clock.now()
    world.forget_calls()
    await world.reconcile_after(1)
    assert world.requests == [f"GET /v1/keys/{first}"]
    assert first in world.live()
    assert await revoke_after(world) == used_at + timedelta(hours=1)


async def test_a_key_that_is_used_for_ever_goes_at_max_overlap(world: World) -> None:
    first = await rotated(world)
    patches = 0
    for _ in range(24 * 4 - 1):
        world.control.use_key(first)
        await world.sweep()
        world.forget_calls()
        await world.reconcile_after(900)
        patches += len(world.kube.writes)
    assert first in world.live()
    assert patches <= 32, "one each time that the overlap has passed since the last use, however often it is swept"
    await world.reconcile_after(900)
    assert first not in world.live()


async def test_asked_for_in_the_middle_it_holds_from_then_on(world: World) -> None:
    first = await rotated(world, requireIdle=False)
    world.clock.advance(HOUR - 60)
    world.control.use_key(first)
    await world.apply(rotation=IDLE)
    await world.reconcile_after(60)
    assert first in world.live()


async def test_given_up_in_the_middle_the_key_goes_at_once(world: World) -> None:
    first = await rotated(world)
    world.clock.advance(HOUR - 60)
    world.control.use_key(first)
    await world.reconcile_after(60)
    assert first in world.live()
    await world.apply(rotation=IDLE | {"requireIdle": False})
    await world.reconcile()
    assert first not in world.live()


async def test_a_new_process_keeps_the_later_date(world: World) -> None:
    first = await rotated(world)
    world.clock.advance(HOUR - 60)
    world.control.use_key(first)
    await world.reconcile_after(60)
    before = await revoke_after(world)
    await world.restart()
    world.forget_calls()
    await world.reconcile()
    assert (await revoke_after(world), world.requests) == (before, [])


async def test_the_end_of_the_object_waits_for_no_idleness(world: World) -> None:
    first = await rotated(world)
    world.control.use_key(first)
    await world.delete()
    await world.reconcile()
    assert world.live() == []


async def test_an_overlap_that_began_under_a_clock_ahead_ends_with_the_last_use_and_costs_a_look_an_overlap(
    world: World,
) -> None:
    await world.apply(rotation=IDLE)
    await world.reconcile()
    (first,) = world.live()
    year = timedelta(days=365)
    world.clock.jump(year)
    await request_rotation(world)
    assert first in world.live()
    world.clock.jump(-year)
    await world.reconcile_after(60)
    world.clock.advance(1800)
    world.control.use_key(first)
    world.forget_calls()
    await world.reconcile_after(1800)
    assert first in world.live(), "it was in use half an hour ago"
    assert world.requests == [f"GET /v1/keys/{first}"]
    for _ in range(3):
        await world.reconcile_after(1800)
    assert first not in world.live()
    assert len(world.requests) <= 4
