"""The histories that the design names, one test each: several clusters, backups, and service keys that change.

Each is red when the rule that it is about is taken out; which rule that is, tests/mutation says.
"""

import pytest

from saperly_operator.kube.api import CONFIG_MAPS
from saperly_operator.resources import reasons
from saperly_operator.simulator.state import Child
from tests.simulation.cluster import NAMESPACE, SYSTEM, Cluster
from tests.simulation.interruptions import Event, Upon
from tests.simulation.stories import delivered, first_key, tell
from tests.simulation.world import World

POST, CREATE = "vendor POST", "create secrets"


# --- service keys ---------------------------------------------------------------------------------------------------


def test_a_service_keys_content_swapped_in_place() -> None:
    """While a mint is under way: under the other service key the same request would mint a second key."""

    async def story(world: World) -> None:
        world.interruptions.upon.append(Upon(POST, Event.CRASH_AFTER))
        await world.apply("support")
        await world.live_on(seconds=1)
        other = world.control.create_service_key()
        await world.put_service_key(other.plaintext)
        await world.live_on(hours=2)
        lost, current = world.ledger()
        assert (await delivered(world)).id == current.id
        assert current.created_by_service_key_id == other.service_key.id
        assert lost.name != current.name, "another serial"
        assert lost.is_live, "nobody can see it with the other service key"
        await world.put_service_key(world.service_key)
        await world.live_on(hours=4)
        assert lost.id in {child.id for child in world.live()}, "nothing is done with a service key in doubt"
        assert await world.accept_service_key(), "it sees none of the keys that are known, and a person decides"
        await world.live_on(hours=4)
        assert [child.id for child in world.live()] == [current.id], "found again, it is collected"

    tell(story)


def test_a_service_keys_content_swapped_in_place_says_nothing_about_its_children() -> None:
    """A 404 means: not visible to this service key. The old key is still owed a revoke."""

    async def story(world: World) -> None:
        child = await first_key(world)
        await world.annotate("support", rotate_requested_at="now")
        await world.live_on(minutes=10)
        await world.put_service_key(world.control.create_service_key().plaintext)
        world.processes[-1].kill()  # the next one reads it at its start
        await world.live_on(hours=1)
        assert await world.accept_service_key()
        await world.live_on(hours=5)
        key = await world.key("support")
        assert key is not None
        assert [entry.id for entry in key.status.retiring] == [child.id]
        await world.put_service_key(world.service_key)
        await world.live_on(hours=3)
        await world.accept_service_key()
        await world.live_on(hours=4)
        await delivered(world)
        assert len(world.live()) == 1

    tell(story)


# --- several clusters -----------------------------------------------------------------------------------------------


async def _second(world: World, namespace: str = "others") -> Cluster:
    """Another cluster, with an installation of its own and the same service key."""
    second = world.another_cluster("second")
    await second.set_up(world.service_key, namespace, sweepInterval="20m")
    return second


async def _child(cluster: Cluster, namespace: str, name: str = "support") -> Child:
    key = await cluster.key(name, namespace)
    assert key is not None
    assert key.status.current is not None
    child = cluster.core.store.child(key.status.current.id)
    assert child is not None
    return child


def test_two_installations_with_disjoint_namespaces_on_one_service_key() -> None:
    """Each lists the other's keys, unused and without an owner as far as it can see."""

    async def story(world: World) -> None:
        second = await _second(world)
        await world.apply("support")
        await second.apply("support", "others")
        await world.live_on(hours=3)
        mine, theirs = await _child(world, NAMESPACE), await _child(second, "others")
        assert mine.is_live
        assert theirs.is_live
        await world.annotate("support", force_delete="true")
        await world.delete("support")
        await world.live_on(hours=3)
        assert [child.id for child in world.live()] == [theirs.id], "each collects its own"

    tell(story, sweepInterval="20m")


def test_a_clone_of_the_whole_world() -> None:
    """Two clusters believe that they are the same installation; the one that was not there before touches nothing."""

    async def story(world: World) -> None:
        await first_key(world)
        await first_key(world, "sales")
        await world.annotate("sales", rotate_requested_at="before")
        await world.live_on(minutes=10)  # within the overlap: the clone has a key on its way out, too
        clone = world.clone("clone")
        await clone.apply("fresh")
        await world.live_on(minutes=5)
        await world.annotate("support", rotate_requested_at="now")
        await clone.annotate("sales", rotate_requested_at="after")
        await clone.delete("support")
        await world.delete("sales")
        await world.live_on(hours=5)
        assert [child.id for child in world.live()] == [(await delivered(world)).id]
        left = await clone.key("sales")
        assert left is not None
        assert {each.reason for each in left.status.conditions if each.type == "Stalled"} == {
            reasons.INSTALLATION_MOVED
        }
        assert await clone.key("support") is not None, "a deletion waits as well"

    tell(story)


def test_a_restore_under_another_kube_system_uid() -> None:
    """The cluster that it came from may be alive: everything waits for a person."""

    async def story(world: World) -> None:
        child = await first_key(world)
        saved = world.saved()
        second = world.another_cluster("second")
        second.invariants.may_write = False
        await second.set_up(world.service_key)
        identity = await world.kube.get(CONFIG_MAPS, SYSTEM, "saperly-operator-installation")
        await second.kube.create(CONFIG_MAPS, SYSTEM, {"metadata": identity["metadata"], "data": identity["data"]})
        await second.bring_back(saved, minutes=5)
        await world.live_on(hours=2)
        left = await second.key("support")
        assert left is not None
        assert left.status.current is None
        assert await second.digest("support") == child.digest, "its Secret is as it came"
        assert (await delivered(world)).id == child.id

    tell(story)


# --- backups --------------------------------------------------------------------------------------------------------


def test_a_restore_with_new_uids_and_no_status() -> None:
    """The Secrets come first: for an hour their keys have no owner, and only the record says that they are in use."""

    async def story(world: World) -> None:
        await world.apply("support")
        await world.live_on(minutes=40)
        child = await delivered(world)
        saved = world.saved()
        world.kube.wipe(NAMESPACE)
        await world.bring_back(saved, hours=1)
        assert [each.id for each in world.live()] == [child.id], "its record counts as a reference"
        assert await world.digest("support") == child.digest
        await world.live_on(hours=3)
        await delivered(world)
        assert len(world.live()) == 1

    tell(story, sweepInterval="10m")


@pytest.mark.parametrize("hours", [2, 13], ids=["within 12 h", "after 12 h"])
def test_an_older_backup_of_etcd(hours: int) -> None:
    """The copy was made when a mint was under way. Its key was delivered since, and is in use somewhere."""

    async def story(world: World) -> None:
        world.interruptions.upon.append(Upon(POST, Event.CRASH_BEFORE))
        await world.apply("support")
        await world.live_on(seconds=1)
        copy = world.kube.backup()
        await world.live_on(minutes=10)
        first = await delivered(world)
        await world.use_keys()
        await world.live_on(hours=hours)
        world.roll_back(copy)
        await world.live_on(hours=1)
        assert _is_live(world, first), "somebody uses it"
        assert (await _child(world, NAMESPACE)).id != first.id
        await world.live_on(hours=40)
        await delivered(world)
        assert not _is_live(world, first), "idle for more than a day, and accounted for"

    tell(story)


@pytest.mark.parametrize("hours", [2, 13], ids=["within 12 h", "after 12 h"])
def test_an_older_backup_of_etcd_brings_a_retired_key_back_as_the_current_one(hours: int) -> None:
    """What was minted since is nobody's by that status, and in use: it is not revoked without a human or a day."""

    async def story(world: World) -> None:
        await first_key(world)
        copy = world.kube.backup()
        await world.annotate("support", rotate_requested_at="now")
        await world.live_on(hours=hours)
        await world.use_keys()
        second = await delivered(world)
        world.roll_back(copy)
        await world.live_on(hours=2)
        assert _is_live(world, second)
        serials = {child.name for child in world.ledger()}
        assert len(serials) == len(world.ledger()), "no serial is given twice"

    tell(story, sweepInterval="10m")


def _is_live(world: World, child: Child) -> bool:
    now = world.core.store.child(child.id)
    return now is not None and now.is_live
