"""What goes without a word, and what changes its mind, leaves nothing behind in this process."""

from saperly_operator.budget.operation import Operation
from saperly_operator.controller.resync import resync
from saperly_operator.kube import errors
from saperly_operator.kube.api import CLUSTER_PROVIDERS, NAMESPACES, PLAIN, SAPERLY_KEYS
from saperly_operator.resources import reasons
from tests.support.faulty_kube import Fault
from tests.unit.controller.world import NAME, NAMESPACE, World

AWAY = errors.Unavailable("POST", None, "TimeoutError")
PROVIDER = ("ClusterSaperlyProvider", "", "default")


async def holding_a_plaintext(world: World) -> None:
    """A key is minted, and its Secret cannot be written."""
    world.kube.faults += [Fault("POST secrets", AWAY, nth=nth) for nth in range(1, 100)]
    await world.apply()
    await world.reconcile()
    assert world.operator.tools.scratchpads.holding() == 1


async def torn_away(world: World) -> None:
    """Somebody strips the finalizer and deletes the object."""
    bare = {"metadata": {"finalizers": None}}
    body = await world.memory.patch(SAPERLY_KEYS, NAMESPACE, NAME, bare, options=PLAIN)
    world.operator.intake.key_event("MODIFIED", body)
    await world.delete()


async def test_the_plaintext_of_an_object_that_vanished_is_let_go(world: World) -> None:
    await holding_a_plaintext(world)
    await torn_away(world)
    assert world.operator.keys.waiting == 1, "a worker looks once more"
    await world.reconcile()
    pads = world.operator.tools.scratchpads
    assert (pads.holding(), pads.knows((NAMESPACE, NAME))) == (0, False)
    world.forget_calls()
    await world.reconcile()
    assert world.kube.calls == []


async def test_the_late_news_of_a_namesakes_end_costs_no_plaintext(world: World) -> None:
    await holding_a_plaintext(world)
    former = {"metadata": {"namespace": NAMESPACE, "name": NAME, "uid": "uid-before", "resourceVersion": "1"}}
    world.operator.intake.key_event("DELETED", former)
    world.kube.faults.clear()
    await world.reconcile_after(10)
    assert (await world.reasons())["Ready"] == reasons.AVAILABLE
    assert (len(world.live()), world.minted()) == (1, 1)


async def turn_reserved(world: World) -> int | None:
    """How many mints are left, with the intent of one that has its turn not stored yet."""
    world.kube.faults.append(Fault("PATCH saperlykeys/status", AWAY))
    await world.apply()
    await world.reconcile()
    return mints_left(world)


def mints_left(world: World) -> int | None:
    (handle,) = world.operator.tools.service_keys.entries().values()
    return handle.gate.remaining(Operation.MINT, world.clock.monotonic())


async def test_the_turn_of_an_object_that_is_suspended_meanwhile_is_for_others(world: World) -> None:
    assert await turn_reserved(world) == 59
    await world.apply(suspend=True)
    await world.reconcile()
    assert mints_left(world) == 60
    await world.apply(suspend=False)
    await world.reconcile()
    assert (await world.reasons())["Ready"] == reasons.AVAILABLE
    assert mints_left(world) == 59


async def test_the_turn_of_an_object_that_is_deleted_meanwhile_is_for_others(world: World) -> None:
    assert await turn_reserved(world) == 59
    await world.delete()
    await world.reconcile()
    assert mints_left(world) == 60


async def test_a_provider_whose_end_no_watch_told_mints_nothing_more(world: World) -> None:
    await world.apply()
    await world.reconcile()
    body = await world.memory.get(CLUSTER_PROVIDERS, None, "default")
    bare = {"metadata": {"finalizers": None}}
    body = await world.memory.patch(CLUSTER_PROVIDERS, None, "default", bare, options=PLAIN)
    uid, version = body["metadata"]["uid"], body["metadata"]["resourceVersion"]
    await world.memory.delete(CLUSTER_PROVIDERS, "", "default", uid=uid, version=version)
    world.operator.provider_queue.forget(PROVIDER)
    await resync(world.kube, world.operator.intake)
    assert world.operator.provider_queue.waiting == 1
    await world.refresh_provider()
    await world.apply("other")
    await world.reconcile("other")
    assert (await world.reasons("other"))["Stalled"] == reasons.PROVIDER_NOT_FOUND
    await world.delete()
    await world.reconcile()
    assert world.live() == [], "its last good service key still revokes"


async def test_a_namespace_whose_end_no_watch_told_is_forgotten(world: World) -> None:
    await world.memory.create(NAMESPACES, "", {"metadata": {"name": "gone", "labels": {"team": "a"}}})
    await resync(world.kube, world.operator.intake)
    cache = world.operator.tools.cache
    assert cache.namespace("gone").labels["team"] == "a"
    body = await world.memory.get(NAMESPACES, None, "gone")
    uid, version = body["metadata"]["uid"], body["metadata"]["resourceVersion"]
    await world.memory.delete(NAMESPACES, "", "gone", uid=uid, version=version)
    await resync(world.kube, world.operator.intake)
    assert "gone" not in cache.namespaces()
    assert NAMESPACE in cache.namespaces()
