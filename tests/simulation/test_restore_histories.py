"""Histories of worlds that were lost, copied or shared: what a backup brings back, and what is nobody's to touch."""

import re

import pytest

from saperly_operator.controller.installation import begin_anew, move, read_record
from saperly_operator.kube.api import CLUSTER_PROVIDERS, EVENTS, NAMESPACES, PLAIN, SAPERLY_KEYS, SECRETS, Object
from saperly_operator.lifecycle.naming import Tag
from saperly_operator.resources import annotations, reasons
from saperly_operator.simulator.state import Child
from tests.simulation.cluster import NAMESPACE, SYSTEM, Cluster
from tests.simulation.interruptions import Event, Interruptions
from tests.simulation.stories import delivered, first_key, reason, tell
from tests.simulation.world import World

_KEPT = ("name", "namespace", "labels", "annotations", "finalizers")

Saved = tuple[list[Object], list[Object]]


def saved(cluster: Cluster) -> Saved:
    """What a backup keeps of the managed Secrets and of the SaperlyKeys: neither uids nor status."""
    secrets = [body for body in cluster.kube.snapshot(SECRETS, NAMESPACE) if annotations.KEY_ID in marks_of(body)]
    keys = cluster.kube.snapshot(SAPERLY_KEYS, NAMESPACE)
    for body in (*secrets, *keys):
        body["metadata"] = {name: body["metadata"][name] for name in _KEPT if name in body["metadata"]}
        body.pop("status", None)
    return secrets, keys


async def brought_back(world: World, backup: Saved, **between: float) -> None:
    """Secrets first, then SaperlyKeys, so much later."""
    secrets, keys = backup
    for body in secrets:
        await world.kube.create(SECRETS, NAMESPACE, body)
    await world.live_on(**between)
    for body in keys:
        await world.kube.create(SAPERLY_KEYS, NAMESPACE, body)


def marks_of(body: Object) -> dict[str, str]:
    return body["metadata"].get("annotations") or {}


async def use_for(world: World, hours: int) -> None:
    """Agents use what their Secrets hold, all the time."""
    for _ in range(3 * hours):
        await world.use_keys()
        await world.live_on(minutes=20)


def copy_of(world: World, *, uid: str | None) -> Cluster:
    """Another cluster that holds all that this one does; ``uid`` is kube-system's there, None for the same."""
    cluster = world.another_cluster("copy")
    cluster.kube.restore(world.kube.backup())
    cluster.kube._version = 1_000_000
    if uid is not None:
        cluster.kube._find("GET", NAMESPACES, ("", "kube-system"))["metadata"]["uid"] = uid
    # Both know the same keys by the same tag, and either may revoke what it takes for its own.
    cluster.invariants.minted = world.invariants.minted
    cluster.invariants.may_write = uid is None
    return cluster


async def decided(cluster: Cluster, *, new: bool) -> None:
    """An administrator decides; the operator's process makes way for another."""
    record = await read_record(cluster.kube, SYSTEM)
    await (begin_anew(cluster.kube, SYSTEM, record, "f" * 32) if new else move(cluster.kube, SYSTEM, record))
    cluster.invariants.may_write = True
    for process in cluster.running():
        process.kill()


async def installation_of(cluster: Cluster) -> str:
    return (await read_record(cluster.kube, SYSTEM)).id


# --- a restore with new uids and no status --------------------------------------------------------------------------


@pytest.mark.parametrize("gap", [0.1, 90.0, 7200.0])
def test_a_restore_with_new_uids_and_no_status(gap: float) -> None:
    async def story(world: World) -> None:
        first = await first_key(world, rotation={"overlap": "2h"})
        await first_key(world, "sales")
        await world.annotate("support", rotate_requested_at="before the backup")
        await world.live_on(minutes=10)
        await world.use_keys()
        backup, before = saved(world), len(world.ledger())
        world.kube.wipe(NAMESPACE)
        await world.live_on(seconds=gap)
        await brought_back(world, backup, seconds=gap)
        await use_for(world, 20)
        assert len(world.ledger()) == before, "nothing was minted"
        assert (await delivered(world)).id != first.id
        await delivered(world, "sales")
        assert first.id in {child.id for child in world.live()}, "the old key was in use 20 hours ago"
        await use_for(world, 12)
        assert {child.id for child in world.live()} == {
            (await delivered(world)).id,
            (await delivered(world, "sales")).id,
        }

    tell(story)


@pytest.mark.parametrize(
    "event",
    [Event.CRASH_BEFORE, Event.CRASH_AFTER, Event.CRASH_LATE, Event.LOST_BEFORE, Event.LOST_AFTER, Event.STALL_AFTER],
    ids=lambda event: event.name.lower(),
)
def test_a_restore_with_trouble_at_any_call(event: Event) -> None:
    def told(interruptions: Interruptions) -> tuple[World, int]:
        begun = 0

        async def story(world: World) -> None:
            nonlocal begun
            first = await first_key(world, monthlyCapCents=100)
            secrets, keys = saved(world)
            world.kube.wipe(NAMESPACE)
            await world.live_on(seconds=5)
            begun = world.interruptions.calls
            changed = [{**body, "spec": {**body["spec"], "monthlyCapCents": 200}} for body in keys]
            await brought_back(world, (secrets, changed), seconds=5)
            await use_for(world, 30)
            assert (await delivered(world)).id == first.id
            assert [child.id for child in world.live()] == [first.id]

        return tell(story, interruptions), begun

    calm, begun = told(Interruptions())
    assert len(calm.ledger()) == 1
    assert calm.interruptions.calls > begun, "there are calls to trouble"
    for call in range(begun + 1, calm.interruptions.calls + 1):
        world, _ = told(Interruptions({call: event}))
        assert len(world.ledger()) == 1, "\n".join([f"{event.name} at call {call}:", *world.interruptions.trace])


@pytest.mark.parametrize(
    "event",
    [Event.CRASH_BEFORE, Event.CRASH_AFTER, Event.CRASH_LATE, Event.LOST_BEFORE, Event.LOST_AFTER],
    ids=lambda event: event.name.lower(),
)
def test_a_key_made_by_hand_is_taken_over_with_trouble_at_any_call(event: Event) -> None:
    def told(interruptions: Interruptions) -> World:
        async def story(world: World) -> None:
            holder = next(iter(world.core.store.service_keys())).id
            made = world.control.plant_key(holder, "by hand")
            world.invariants.minted[made.child.id] = "by hand"  # its owner's annotation says that it may be touched
            data = {"SAPERLY_API_KEY": world.encoded(made.plaintext)}
            mark = {annotations.ADOPT_FOR: "support"}
            await world.kube.create(
                SECRETS, NAMESPACE, {"metadata": {"name": "support", "annotations": mark}, "data": data}
            )
            body: Object = {
                "metadata": {"name": "support", "annotations": {annotations.ADOPT_KEY_ID: made.child.id}},
                "spec": {},
            }
            await world.kube.create(SAPERLY_KEYS, NAMESPACE, body)
            await world.live_on(hours=5)
            assert (await delivered(world)).id == made.child.id
            assert len(world.ledger()) == 1

        return tell(story, interruptions)

    calm = told(Interruptions())
    for call in range(1, calm.interruptions.calls + 1):
        told(Interruptions({call: event}))


# --- another kube-system uid ----------------------------------------------------------------------------------------


def test_a_restore_under_another_kube_system_uid_waits_and_goes_on_when_it_is_moved() -> None:
    async def story(world: World) -> None:
        first = await first_key(world)
        copy = copy_of(world, uid="another")
        await copy.annotate("support", rotate_requested_at="now")
        await copy.delete_secret("support")
        await copy.apply("sales")
        await world.live_on(hours=30)  # the copy may not write, and both sweep
        assert [child.id for child in world.live()] == [first.id]
        key = await copy.key("support")
        assert key is not None
        assert {each.reason for each in key.status.conditions if each.type == "Stalled"} == {
            reasons.INSTALLATION_MOVED
        }
        # The original is gone for good; the copy takes its place.
        before = await installation_of(copy)
        await Cluster.stop(world)
        world.kube.wipe(NAMESPACE)
        await decided(copy, new=False)
        await copy.live_on(hours=3)
        assert await installation_of(copy) == before
        for name in ("support", "sales"):
            mine = await copy.key(name)
            assert mine is not None
            assert mine.status.current is not None
            assert await copy.digest(name) == child(world, mine.status.current.id).digest
        assert not child(world, first.id).is_live

    tell(story)


def test_a_restore_under_another_kube_system_uid_leaves_the_originals_keys_alone_when_it_begins_anew() -> None:
    async def story(world: World) -> None:
        await first_key(world)
        copy = copy_of(world, uid="another")
        copy.invariants.minted = {}
        await world.live_on(hours=1)
        await decided(copy, new=True)
        await copy.apply("sales")
        await world.annotate("support", rotate_requested_at="now")
        await copy.annotate("support", rotate_requested_at="now")
        await use_for(world, 30)
        current = await delivered(world)
        theirs = await copy.key("sales")
        assert theirs is not None
        assert theirs.status.current is not None
        assert {each.id for each in world.live()} == {current.id, theirs.status.current.id}
        told = [event["reason"] for event in copy.kube.snapshot(EVENTS) if event["regarding"]["name"] == "support"]
        assert reasons.FOREIGN_INSTALLATION in told
        tag = Tag.parse(child(world, theirs.status.current.id).name)
        assert tag is not None
        assert tag.is_of_installation(await installation_of(copy))

    tell(story)


def child(world: World, key_id: str) -> Child:
    found = world.core.store.child(key_id)
    assert found is not None
    return found


# --- two worlds on one service key ----------------------------------------------------------------------------------


def test_two_installations_with_disjoint_namespaces_on_one_service_key() -> None:
    async def story(world: World) -> None:
        second = world.another_cluster("second")
        await second.set_up(world.service_key, "others", sweepInterval="1h")
        await first_key(world, rotation={"schedule": "6h", "overlap": "1h", "jitter": "0s"})
        await second.apply("support", "others", rotation={"schedule": "5h", "overlap": "1h", "jitter": "0s"})
        await world.live_on(minutes=10)
        await second.annotate("support", "others", force_delete="true")
        await second.delete(
            "support", "others"
        )  # its key is left to the second installation's sweep, and to no other
        await second.apply("sales", "others", rotation={"schedule": "5h", "overlap": "1h", "jitter": "0s"})
        await use_for(world, 40)
        ours, theirs = await world.key("support"), await second.key("sales", "others")
        assert ours is not None
        assert theirs is not None
        assert ours.status.current is not None
        assert theirs.status.current is not None
        old = {entry.id for key in (ours, theirs) for entry in key.status.retiring}
        live = {each.id for each in world.live()} - old
        assert live == {ours.status.current.id, theirs.status.current.id}
        assert len(world.invariants.minted) >= 6
        assert len(second.invariants.minted) >= 8

    tell(story)


def test_a_clone_of_the_whole_world() -> None:
    """Down to kube-system's uid, so that neither can know: nobody's key in use is lost beyond one a day, none loops."""

    async def story(world: World) -> None:
        await first_key(world)
        clone = copy_of(world, uid=None)
        await use_for(world, 3)
        await world.annotate("support", rotate_requested_at="only here")
        await use_for(world, 48)
        for cluster in (world, clone):
            key = await cluster.key("support")
            assert key is not None
            assert key.status.current is not None
            assert child(world, key.status.current.id).is_live
            assert await cluster.digest("support") == child(world, key.status.current.id).digest
        assert len(world.ledger()) == 3, "the first, the rotated, and one for the clone whose key that took away"
        assert await reason(world, reasons.IN_USE_ORPHAN) == reasons.IN_USE_ORPHAN, "each shows the other's key"

    tell(story)


# --- the service key's content swapped in place -----------------------------------------------------------------------


@pytest.mark.parametrize("accepted", [True, False], ids=["accepted", "put back"])
def test_a_service_keys_content_swapped_in_place(accepted: bool) -> None:
    async def story(world: World) -> None:
        first = await first_key(world)
        await world.put_service_key(world.control.create_service_key().plaintext)
        await world.live_on(hours=2)  # until it is read again
        await world.annotate("support", rotate_requested_at="now")
        await world.delete_secret("support")
        await world.live_on(hours=10)
        assert len(world.ledger()) == 1, "nothing is minted with it"
        assert child(world, first.id).is_live
        assert await reason(world) == reasons.SERVICE_KEY_REPLACED
        if accepted:
            await accept(world)
        else:
            await world.put_service_key(world.service_key)
        await world.live_on(hours=30)
        key = await world.key("support")
        assert key is not None
        assert key.status.current is not None
        assert await world.digest("support") == child(world, key.status.current.id).digest
        assert child(world, first.id).is_live is accepted, "what only the former one sees can only be shown"
        hidden = [entry.id for entry in key.status.retiring]
        assert hidden == ([first.id] if accepted else [])

    tell(story)


async def accept(world: World) -> None:
    """As the provider's condition asks."""
    (provider,) = world.kube.snapshot(CLUSTER_PROVIDERS)
    stalled = next(each for each in provider["status"]["conditions"] if each["type"] == "Stalled")
    (material,) = re.findall(rf"{annotations.ACCEPT_SERVICE_KEY}: (\w+)", stalled["message"])
    patch = {"metadata": {"annotations": {annotations.ACCEPT_SERVICE_KEY: material}}}
    await world.kube.patch(CLUSTER_PROVIDERS, None, "default", patch, options=PLAIN)
