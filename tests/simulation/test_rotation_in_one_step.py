"""Histories of ``strategy: Atomic``: the old key dies with the request, so whatever goes wrong must end quickly.

The crash matrix tells the story once for each trouble at each call; here are two troubles in one story, changes of mind
in the middle, and how long the Secret may hold a dead key.
"""

import random
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from saperly_operator.simulator.state import Child
from tests.simulation.interruptions import Call, Event, Interruptions, Result, Stalling
from tests.simulation.virtual_time import run_virtually
from tests.simulation.world import World

ATOMIC = {"rotation": {"strategy": "Atomic"}}
ROTATE, SECRET = "/rotate", "patch secrets"
"""How the two calls read after which the old key is dead, and after which the new one is in its place."""


class Meddled(Interruptions):
    """Somebody does something right after the call ``at``; ``spoilt`` is what happens at each call of a kind, in turn,
    by a part of its text."""

    at: int = 0
    deed: Callable[[], Awaitable[None]] | None = None
    spoilt: tuple[tuple[str, Event], ...] = ()

    def left(self) -> int:
        """How many calls are still to be spoilt."""
        return len(self.spoilt)

    async def around(self, process: Stalling, call: Call[Result]) -> Result:
        number = self.calls + 1
        if self.spoilt and self.spoilt[0][0] in call.what:
            self.plan[number] = self.spoilt[0][1]
            self.spoilt = self.spoilt[1:]
        try:
            return await super().around(process, call)
        finally:
            if number == self.at and self.deed is not None:
                self.note("", "*** somebody meddles")
                await self.deed()


async def delivered(interruptions: Interruptions | None = None, **spec: Any) -> World:
    """A first key, in use, two hours old: none of this hour's mints is spent."""
    world = World(interruptions=interruptions)
    await world.install()
    await world.apply("support", **(ATOMIC | spec))
    await world.live_on(hours=2)
    await world.use_keys()
    return world


async def ends_well(world: World, *, keys: int, secret: str = "support") -> list[Child]:
    """One live key, in the Secret and in status, of ``keys`` in all; returns them, oldest first."""
    await world.stop()
    (live,) = world.live()
    assert await world.digest(secret) == live.digest
    key = await world.key("support")
    assert key is not None
    assert key.status.current is not None
    assert key.status.current.id == live.id
    assert (key.status.intent, key.status.retiring) == (None, ())
    assert key.status.rotation is not None
    assert key.status.rotation.failed is None
    ledger = sorted(world.ledger(), key=lambda child: child.created_at)
    assert len(ledger) == keys, world.story()
    return ledger


def dead_for(ledger: list[Child]) -> timedelta:
    """From the first key's end to the last key's beginning: what a user of the Secret felt, but for the write itself."""
    ended = ledger[0].revoked_at
    assert ended is not None
    return ledger[-1].created_at - ended


async def ask(world: World, value: str = "now") -> None:
    await world.annotate("support", rotate_requested_at=value)


def calls(world: World) -> int:
    return world.interruptions.calls


def test_in_one_step_the_old_key_dies_and_its_successor_is_named_anew() -> None:
    async def history() -> None:
        world = await delivered()
        await ask(world)
        await world.live_on(minutes=1)
        old, new = await ends_well(world, keys=2)
        assert new.rotated_from == old.id
        assert dead_for([old, new]) == timedelta(0)
        assert old.name.endswith(".1]")
        assert new.name.endswith(".2]"), "the tag says under which serial it was made"
        key = await world.key("support")
        assert key is not None
        assert key.status.current is not None
        assert key.status.current.rotated_from == old.id
        posts = [line for line in world.interruptions.trace if "vendor DELETE" in line]
        assert posts == [], "nothing is revoked that is dead already"

    run_virtually(history())


@pytest.mark.parametrize("first", [Event.LOST_AFTER, Event.CRASH_AFTER], ids=lambda event: event.name.lower())
@pytest.mark.parametrize("again", [Event.LOST_AFTER, Event.CRASH_AFTER], ids=lambda event: event.name.lower())
def test_a_rotate_answer_lost_twice(first: Event, again: Event) -> None:
    async def history() -> None:
        meddled = Meddled()
        world = await delivered(meddled)
        meddled.spoilt = ((ROTATE, first), (ROTATE, again))
        await ask(world)
        await world.live_on(hours=4)
        assert meddled.left() == 0, world.story()
        ledger = await ends_well(world, keys=3)
        assert ledger[1].rotated_from == ledger[0].id, "the lost one"
        assert ledger[2].rotated_from is None, "minted at once"
        crashes = [first, again].count(Event.CRASH_AFTER)
        assert dead_for(ledger) <= timedelta(seconds=15) + crashes * timedelta(seconds=70)

    run_virtually(history())


def test_a_key_that_somebody_revoked_is_replaced_by_a_mint() -> None:
    async def history() -> None:
        world = await delivered()
        world.control.revoke_key(world.live()[0].id)
        await ask(world)
        await world.live_on(hours=4)
        await ends_well(world, keys=2)

    run_virtually(history())


@pytest.mark.parametrize("event", [None, *Event], ids=lambda event: event.name.lower() if event else "no trouble")
@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"rotation": {"strategy": "Overlap"}}, id="another strategy"),
        pytest.param({"agentLabel": "sales", "monthlyCapCents": 7}, id="other attributes"),
        pytest.param({"suspend": True}, id="suspended"),
        pytest.param({"secret": {"name": "renamed"}}, id="another Secret"),
    ],
)
def test_a_change_of_the_spec_while_the_key_is_being_replaced(change: dict[str, Any], event: Event | None) -> None:
    """The change comes right after each call in turn, once without and once with trouble at it."""

    async def history(call: int) -> int:
        meddled = Meddled()
        world = await delivered(meddled)
        begun = calls(world)
        meddled.plan = {begun + call: event} if event is not None else {}
        meddled.at, meddled.deed = begun + call, lambda: world.apply("support", **change)
        await ask(world)
        await world.live_on(hours=4)
        await world.stop()
        told = world.story()
        assert "*** somebody meddles" in told, told
        (live,) = world.live()
        assert await world.digest(change.get("secret", {}).get("name", "support")) == live.digest, told
        assert live.agent_label == change.get("agentLabel"), told
        return calls(world) - begun

    call, of_all = 1, 2
    while call < min(of_all, 12):
        of_all = run_virtually(history(call))
        call += 1


@pytest.mark.parametrize("event", list(Event), ids=lambda event: event.name.lower())
def test_a_secret_renamed_while_a_key_is_on_its_way_is_followed_with_overlap_too(event: Event) -> None:
    async def history(call: int) -> None:
        meddled = Meddled()
        world = await delivered(meddled, rotation={"strategy": "Overlap"})
        begun = calls(world)
        meddled.plan = {begun + call: event}
        meddled.at, meddled.deed = begun + call, lambda: world.apply("support", secret={"name": "renamed"})
        await ask(world)
        await world.live_on(hours=4)
        ledger = await ends_well(world, keys=len(world.ledger()), secret="renamed")
        assert len(ledger) <= 3, world.story()
        spoilt = any(SECRET in line and "<-" in line for line in world.interruptions.trace)
        if spoilt and event in {Event.CRASH_AFTER, Event.LOST_AFTER}:
            assert len(ledger) == 2, f"the plaintext was in the Secret\n{world.story()}"

    for call in range(1, 9):
        run_virtually(history(call))


def test_two_troubles_in_one_rotation_cost_two_keys_at_most() -> None:
    async def history(first: int, second: int, events: tuple[Event, Event]) -> None:
        world = await delivered()
        begun = calls(world)
        world.interruptions.plan = {begun + first: events[0], begun + second: events[1]}
        await ask(world)
        await world.live_on(hours=5)
        ledger = await ends_well(world, keys=len(world.ledger()))
        assert len(ledger) <= 4, world.story()

    rng = random.Random(7)
    for _ in range(150):
        first = rng.randint(1, 12)
        run_virtually(history(first, first + rng.randint(1, 8), (rng.choice(list(Event)), rng.choice(list(Event)))))


@pytest.mark.parametrize("policy", ["Revoke", "Orphan"])
@pytest.mark.parametrize("event", [None, *Event], ids=lambda event: event.name.lower() if event else "no trouble")
def test_a_deletion_while_the_key_is_being_replaced(policy: str, event: Event | None) -> None:
    async def history(call: int) -> int:
        meddled = Meddled()
        world = await delivered(meddled, deletionPolicy=policy)
        begun = calls(world)
        meddled.plan = {begun + call: event} if event is not None else {}
        meddled.at, meddled.deed = begun + call, lambda: world.delete("support")
        await ask(world)
        await world.live_on(hours=4)
        await world.stop()
        told = world.story()
        assert "*** somebody meddles" in told, told
        assert await world.key("support") is None, told
        if policy == "Revoke":
            assert world.live() == [], told
        elif event is None:
            (live,) = world.live()
            assert await world.digest("support") == live.digest, told
        else:
            # With the plaintext lost nothing can be left that lives; a key that does is the one in the Secret.
            assert [child.digest for child in world.live()] in ([], [await world.digest("support")]), told
        return calls(world) - begun

    call, of_all = 1, 2
    while call < min(of_all, 9):
        of_all = run_virtually(history(call))
        call += 1


def test_with_orphan_the_plaintext_in_hand_still_reaches_the_secret() -> None:
    """The Secret's write is away for a while; meanwhile the object is deleted, and the old key is dead."""

    async def history() -> None:
        meddled = Meddled()
        world = await delivered(meddled, deletionPolicy="Orphan")
        meddled.spoilt = ((SECRET, Event.LOST_BEFORE), (SECRET, Event.LOST_BEFORE))
        await ask(world)
        await world.live_on(seconds=2)
        await world.delete("support")
        await world.live_on(hours=4)
        await world.stop()
        assert meddled.left() == 0
        assert await world.key("support") is None
        (live,) = world.live()
        assert await world.digest("support") == live.digest

    run_virtually(history())


def test_a_suspended_object_gets_the_key_that_it_is_owed() -> None:
    async def history() -> None:
        meddled = Meddled()
        world = await delivered(meddled)
        meddled.spoilt = ((ROTATE, Event.LOST_AFTER), (ROTATE, Event.LOST_AFTER))
        await ask(world)
        await world.live_on(seconds=1)
        await world.apply("support", suspend=True)
        await world.live_on(hours=4)
        await ends_well(world, keys=3)

    run_virtually(history())


def test_an_object_does_not_go_before_a_list_showed_what_took_its_keys_place() -> None:
    async def history() -> None:
        meddled = Meddled()
        world = await delivered(meddled)
        meddled.spoilt = ((ROTATE, Event.LOST_AFTER), (ROTATE, Event.LOST_AFTER))
        await ask(world)
        await world.live_on(seconds=6)
        key = await world.key("support")
        assert key is not None
        assert key.status.rotation is not None
        (lost,) = key.status.rotation.lost
        assert lost.replaced == world.ledger()[0].id
        assert len(world.live()) == 2
        await world.delete("support")
        await world.live_on(minutes=5)
        await world.stop()
        assert await world.key("support") is None
        assert world.live() == []

    run_virtually(history())


def test_whoever_asks_all_the_time_gets_three_keys_an_hour_and_never_an_outage() -> None:
    async def history() -> None:
        world = await delivered()
        for number in range(100):
            await ask(world, f"request {number}")
            await world.live_on(seconds=36)
        await world.live_on(hours=5)
        moments = sorted(child.created_at for child in world.ledger())
        for begin in moments:
            end = begin + timedelta(minutes=59, seconds=58)
            assert len([moment for moment in moments if begin <= moment < end]) <= 3, "I4"
        in_one_step = [child for child in world.ledger() if child.rotated_from is not None]
        assert len(in_one_step) >= 2
        assert len(in_one_step) < len(moments) - 1, "the last one of an hour is minted, since no other could follow"
        await ends_well(world, keys=len(moments))

    run_virtually(history())


def test_a_full_list_of_old_keys_holds_no_rotation_in_one_step_up() -> None:
    async def history() -> None:
        world = await delivered(rotation={"strategy": "Overlap", "overlap": "30d"})
        for number in range(10):
            await ask(world, f"request {number}")
            await world.live_on(hours=2)
        key = await world.key("support")
        assert key is not None
        assert len(key.status.retiring) == 10
        await ask(world, "no room")
        await world.live_on(minutes=2)
        assert len(world.ledger()) == 11
        await world.apply("support", rotation={"strategy": "Atomic"})
        await world.live_on(minutes=2)
        assert len(world.ledger()) == 12
        assert world.ledger()[-1].rotated_from is not None
        key = await world.key("support")
        assert key is not None
        assert len(key.status.retiring) == 10, "the key that was replaced is dead, and gone from the list"
        await world.stop()

    run_virtually(history())


def test_a_schedule_rotates_in_one_step_too() -> None:
    async def history() -> None:
        world = await delivered(rotation={"strategy": "Atomic", "schedule": "1d", "jitter": "0s"})
        await world.live_on(days=10)
        ledger = await ends_well(world, keys=11)
        assert [child.rotated_from for child in ledger[1:]] == [child.id for child in ledger[:-1]]

    run_virtually(history())
