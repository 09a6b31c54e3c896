"""Named histories of clocks: one that was a day (or a year) ahead, and was put right; what it left in status.

Nothing waits for such a moment to come, and no object mints more than three times an hour because of it.
"""

from datetime import timedelta

import pytest

from saperly_operator.resources import reasons
from tests.simulation.interruptions import Event, Upon
from tests.simulation.stories import delivered, first_key, reason, tell
from tests.simulation.world import World

POST = "vendor POST"
DAY, YEAR = timedelta(days=1), timedelta(days=365)
AHEAD = pytest.mark.parametrize("ahead", [DAY, YEAR], ids=["a day", "a year"])
GOES_ON = pytest.mark.parametrize("goes_on", [True, False], ids=["the same process", "another process"])


async def put_right(world: World, ahead: timedelta, *, goes_on: bool) -> None:
    """The clock is set to what it should be; the process goes on with what it knows, or another takes its place."""
    world.clock.jump(-ahead)
    if not goes_on:
        for process in world.running():
            process.kill()


@AHEAD
@GOES_ON
def test_mints_begun_under_a_clock_ahead_block_for_an_hour_and_no_longer(ahead: timedelta, *, goes_on: bool) -> None:
    async def story(world: World) -> None:
        world.clock.jump(ahead)
        await first_key(world)
        for number in range(2):
            await world.annotate("support", rotate_requested_at=f"request {number}")
            await world.live_on(minutes=1)
        assert len(world.ledger()) == 3
        await put_right(world, ahead, goes_on=goes_on)
        await world.annotate("support", rotate_requested_at="one more")
        await world.live_on(minutes=45)
        assert await reason(world) == reasons.MINT_LIMIT_REACHED
        assert len(world.ledger()) == 3, "I4, by the clock that everybody else has"
        await world.live_on(minutes=20)
        assert len(world.ledger()) == 4
        await world.live_on(hours=2)
        await delivered(world)
        assert len(world.live()) == 1, "and no old key lives until the day that its clock named"

    tell(story)


@AHEAD
@GOES_ON
def test_a_refusal_of_a_clock_ahead_is_tried_again_when_the_clock_is_right(
    ahead: timedelta, *, goes_on: bool
) -> None:
    async def story(world: World) -> None:
        world.clock.jump(ahead)
        await world.apply("support", lineId="6f1f0000-0000-4000-8000-000000000000")
        await world.live_on(minutes=1)
        assert await reason(world, "Stalled") == reasons.LINE_NOT_FOUND
        await put_right(world, ahead, goes_on=goes_on)
        await world.live_on(minutes=6)
        key = await world.key("support")
        assert key is not None
        assert key.status.failure is not None
        assert key.status.failure.retry_at <= world.clock.now() + timedelta(minutes=20)

    tell(story)


@AHEAD
@GOES_ON
def test_a_request_without_an_answer_under_a_clock_ahead_is_looked_for(ahead: timedelta, *, goes_on: bool) -> None:
    """Never sent again, since nobody knows how old it is; a list tells, and one more key is minted."""

    async def story(world: World) -> None:
        world.clock.jump(ahead)
        world.interruptions.upon.append(Upon(POST, Event.LOST_AFTER if goes_on else Event.CRASH_AFTER))
        await world.apply("support")
        await world.live_on(seconds=1)
        await put_right(world, ahead, goes_on=True)
        await world.live_on(minutes=30)
        await delivered(world)
        assert len(world.live()) == 1
        assert len(world.ledger()) == 2

    tell(story)


@AHEAD
@GOES_ON
def test_an_object_with_an_intent_of_a_clock_ahead_goes_when_it_is_deleted(
    ahead: timedelta, *, goes_on: bool
) -> None:
    async def story(world: World) -> None:
        world.clock.jump(ahead)
        world.interruptions.upon.append(Upon(POST, Event.LOST_AFTER))
        await world.apply("support")
        await world.live_on(seconds=1)
        await put_right(world, ahead, goes_on=goes_on)
        await world.delete("support")
        await world.live_on(minutes=15)
        assert await world.key("support") is None
        assert world.live() == []

    tell(story)


def test_a_clock_that_is_a_day_behind_until_it_is_set_leaves_no_trace() -> None:
    """A machine that boots with a wrong clock: what it takes for the future is what is true."""

    async def story(world: World) -> None:
        await first_key(world)
        for number in range(2):
            await world.annotate("support", rotate_requested_at=f"request {number}")
            await world.live_on(minutes=1)
        for process in world.running():
            process.kill()
        world.clock.jump(-DAY)
        await world.annotate("support", rotate_requested_at="one more")
        await world.live_on(minutes=10)
        assert len(world.ledger()) == 3
        assert len(world.live()) == 3, "and no old key goes early"
        world.clock.jump(DAY)
        await world.live_on(minutes=20)
        assert len(world.ledger()) == 3, "the hour is not over"
        await world.live_on(hours=3)
        await delivered(world)
        assert len(world.live()) == 1

    tell(story)
