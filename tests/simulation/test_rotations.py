"""Rotations over days of virtual time, with the operator's own queue and timers: each moment answered, none twice."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from saperly_operator.resources import reasons
from tests.simulation.virtual_time import run_virtually
from tests.simulation.world import World


def minted(world: World) -> list[datetime]:
    """When each key was minted, in order."""
    return sorted(child.created_at for child in world.ledger())


async def delivered(**rotation: str) -> World:
    world = World()
    await world.install()
    await world.apply("support", rotation={"jitter": "0s", **rotation})
    await world.live_on(minutes=1)
    return world


def test_a_weekly_window_is_kept_for_months_also_over_the_change_of_clocks() -> None:
    async def history() -> None:
        world = await delivered(schedule="TZ=Europe/Berlin 30 2 * * sun", overlap="2d")
        await world.live_on(days=140)  # from November into April: the gap of the last Sunday of March is in it
        await world.stop()
        first, *rotations = minted(world)
        del first
        assert [moment.weekday() for moment in rotations] == [6] * 20
        assert {moment.astimezone(UTC).strftime("%H:%M") for moment in rotations} == {"01:30", "01:00", "00:30"}
        assert {later - earlier for earlier, later in pairwise(rotations)} <= {
            timedelta(days=7) + timedelta(minutes=minutes) for minutes in (-30, 0)
        }
        assert len(world.live()) == 1, "every old key ended after its overlap"

    run_virtually(history())


def test_a_hundred_rotate_requests_in_an_hour_mint_three_keys_an_hour_at_most() -> None:
    async def history() -> None:
        world = await delivered()
        for number in range(100):
            await world.annotate("support", rotate_requested_at=f"request {number}")
            await world.live_on(seconds=36)
        await world.live_on(hours=5)
        await world.stop()
        moments = minted(world)
        for begin in moments:
            end = begin + timedelta(minutes=59, seconds=58)  # beginnings are remembered in whole seconds
            assert len([moment for moment in moments if begin <= moment < end]) <= 3, "I4"
        key = await world.key("support")
        assert key is not None
        assert key.status.rotation is not None
        assert key.status.rotation.last_handled_request == "request 99"
        assert len(moments) <= 5
        assert len(world.live()) == 1

    run_virtually(history())


def test_an_outage_over_many_moments_is_made_up_for_by_one_rotation() -> None:
    async def history() -> None:
        world = await delivered(schedule="@hourly", overlap="10m")
        before = len(minted(world))
        world.vendor_is_down = True
        await world.live_on(hours=30)
        key = await world.key("support")
        assert key is not None
        told = {each.type: each.reason for each in key.status.conditions if each.status.value == "True"}
        assert reasons.ROTATION_OVERDUE in told
        assert reasons.READY in told, "the key in hand works"
        world.vendor_is_down = False
        await world.live_on(minutes=50)
        assert len(minted(world)) - before in {1, 2}, "one for the outage, and the regular one of this hour"
        await world.live_on(hours=10)
        await world.stop()
        regular = minted(world)[-8:]
        assert {later - earlier for earlier, later in pairwise(regular)} == {timedelta(hours=1)}

    run_virtually(history())
