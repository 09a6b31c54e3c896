"""Short histories of single rules that no named history needs. Which rule each is about, tests/mutation says."""

import asyncio

from saperly_operator.kube.api import Object
from saperly_operator.resources import reasons
from tests.simulation.interruptions import Event, Interruptions, StallAt, Upon
from tests.simulation.stories import at_rest, delivered, first_key, reason, tell
from tests.simulation.world import NAMESPACE, World
from tests.support.memory_kube import Change, SecretQuota

POST, LIST = "vendor POST", "vendor GET /api/v1/keys"
GIVEN_UP = "patch saperlykeys/support/status intent none"


def test_nothing_is_minted_for_a_full_quota() -> None:
    async def story(world: World) -> None:
        quota = SecretQuota("agents")
        world.kube.admissions.append(quota)
        await world.apply("support")
        await world.live_on(hours=3)
        assert world.ledger() == []
        assert await reason(world, "Stalled") == reasons.QUOTA_EXCEEDED
        world.kube.admissions.remove(quota)
        await world.live_on(minutes=2)
        await delivered(world)

    tell(story)


def test_an_old_key_lives_through_its_overlap() -> None:
    async def story(world: World) -> None:
        old = await first_key(world)
        await world.annotate("support", rotate_requested_at="now")
        await world.live_on(minutes=50)
        assert {child.id for child in world.live()} > {old.id}
        await world.live_on(minutes=20)
        assert (await delivered(world)).id != old.id
        assert len(world.live()) == 1

    tell(story)


def test_two_rotations_within_one_overlap_leave_one_key() -> None:
    async def story(world: World) -> None:
        await first_key(world)
        for request in ("one", "two"):
            await world.annotate("support", rotate_requested_at=request)
            await world.live_on(minutes=10)
        assert len(world.live()) == 3
        await world.live_on(hours=2)
        await delivered(world)
        assert len(world.live()) == 1

    tell(story)


def test_an_object_deleted_during_an_overlap_takes_both_its_keys_along() -> None:
    async def story(world: World) -> None:
        await first_key(world)
        await world.annotate("support", rotate_requested_at="now")
        await world.live_on(minutes=10)
        await world.delete("support")
        await world.live_on(hours=1)
        assert await world.key("support") is None
        assert world.live() == []

    tell(story)


def test_a_first_key_delivered_after_it_was_given_up_is_not_revoked_in_its_secret() -> None:
    """Its process stood still before it created the Secret, and woke up before the other one looked once more."""

    async def story(world: World) -> None:
        orders = world.interruptions.orders
        orders.append(StallAt(POST, calls=3))
        await world.apply("support")
        await world.live_on(seconds=10)
        [first] = world.processes
        orders.append(StallAt(GIVEN_UP, calls=2))
        await world.live_on(seconds=70)
        second = world.processes[-1]
        assert not second.is_running
        world.wake(first)
        await world.live_on(seconds=1)
        assert "create secrets/support key key1" in world.story()
        world.wake(second)
        await world.live_on(hours=3)
        await delivered(world)
        assert len(world.live()) == 1

    tell(story)


def test_a_key_first_used_while_the_sweep_is_about_to_collect_it_is_spared() -> None:
    """The list showed it unused and without an owner; it is old by the time that something is done about it."""

    async def story(world: World) -> None:
        await world.apply("support")
        await world.live_on(minutes=1)
        child = await delivered(world)
        await world.annotate("support", force_delete="true")
        await world.delete("support")
        await world.live_on(minutes=50)
        world.interruptions.orders.append(StallAt(LIST, calls=3, seconds=12))
        while world.running():
            await world.live_on(seconds=5)
        world.control.use_key(child.id)
        await world.live_on(hours=2)
        assert [each.id for each in world.live()] == [child.id]

    tell(story, sweepInterval="1h")


def test_a_rotation_that_was_asked_for_is_done_once() -> None:
    async def story(world: World) -> None:
        await first_key(world)
        await world.annotate("support", rotate_requested_at="now")
        await world.live_on(hours=6)
        await at_rest(world)
        assert len(world.ledger()) == 2

    tell(story)


def test_a_young_key_without_an_owner_is_left_alone() -> None:
    """Its object may be about to come: a backup brings Secrets and SaperlyKeys in any order."""

    async def story(world: World) -> None:
        await world.apply("support")
        await world.live_on(minutes=1)
        child = await delivered(world)
        await world.annotate("support", force_delete="true")
        await world.delete("support")
        await world.live_on(minutes=25)
        assert [each.id for each in world.live()] == [child.id]
        await world.live_on(minutes=30)
        assert world.live() == []

    tell(story, sweepInterval="5m")


def test_a_request_that_leaves_and_arrives_late_is_waited_for_by_a_deletion() -> None:
    """The object is deleted before its request leaves, unseen; and the request takes nearly two minutes."""

    async def story(world: World) -> None:
        world.interruptions.upon.append(Upon(POST, Event.CRASH_LATE))
        world.interruptions.orders.append(StallAt("patch saperlykeys/support/status intent 1", seconds=14))
        await world.apply("support")
        await world.live_on(seconds=1)
        await world.delete("support")
        await world.live_on(hours=1)
        assert await world.key("support") is None
        assert [child.is_live for child in world.ledger()] == [False]

    tell(story, Interruptions(lateness=lambda: 55.0))


def test_a_secret_that_something_rewrites_after_each_delivery() -> None:
    """Another controller takes the Secret for its own: three keys at once, then ever fewer, and a person is told."""

    async def story(world: World) -> None:
        await first_key(world)
        is_rewritten = True

        def rewrite(change: Change) -> None:
            new = change.new
            if change.plural == "secrets" and new is not None and is_rewritten and _is_fresh(new):
                patch = {"data": {"SAPERLY_API_KEY": "dGhlaXJz"}}
                world.keep(asyncio.ensure_future(world.edit_secret("support", patch)))

        def _is_fresh(secret: Object) -> bool:
            is_ours = (secret["metadata"]["namespace"], secret["metadata"]["name"]) == (NAMESPACE, "support")
            return is_ours and bool(secret["data"].get("SAPERLY_API_KEY") != "dGhlaXJz")

        world.kube.listeners.append(rewrite)
        await world.edit_secret("support", {"data": {"SAPERLY_API_KEY": "dGhlaXJz"}})
        await world.live_on(minutes=55)
        assert len(world.ledger()) == 4, "three are delivered as soon as the hourly limit lets them"
        await world.live_on(hours=23)
        assert len(world.ledger()) <= 8
        assert await reason(world, "Stalled") == reasons.SECRET_CONTESTED
        await world.live_on(hours=24 * 7)
        assert len(world.ledger()) <= 16, "and then one a day"
        is_rewritten = False
        await world.annotate("support", rotate_requested_at="mended")
        await world.live_on(hours=2)
        await delivered(world)
        assert len(world.live()) == 1

    tell(story)
