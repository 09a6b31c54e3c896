"""A provider is held while a SaperlyKey has a key of it, since only its service key can revoke those."""

from saperly_operator.kube import errors
from saperly_operator.kube.api import CLUSTER_PROVIDERS, PLAIN, SAPERLY_KEYS
from saperly_operator.kube.errors import NotFound
from saperly_operator.resources import annotations, reasons
from tests.support.faulty_kube import Fault
from tests.unit.controller.world import NAME, NAMESPACE, World

PROVIDER = ("ClusterSaperlyProvider", "", "default")


async def finalizers(world: World) -> list[str] | None:
    """Of the provider; None when it is gone."""
    try:
        body = await world.memory.get(CLUSTER_PROVIDERS, None, "default")
    except NotFound:
        return None
    return list(body["metadata"].get("finalizers") or [])


async def delete_provider(world: World) -> None:
    """As an administrator does; the watch shows it at once."""
    body = await world.memory.get(CLUSTER_PROVIDERS, None, "default")
    uid, version = body["metadata"]["uid"], body["metadata"]["resourceVersion"]
    await world.memory.delete(CLUSTER_PROVIDERS, "", "default", uid=uid, version=version)
    body = await world.memory.get(CLUSTER_PROVIDERS, None, "default")
    world.operator.intake.provider_event(PROVIDER[0], "MODIFIED", body)
    await world.operator.provider_worker.handle(PROVIDER)


async def reason(world: World) -> str:
    body = await world.memory.get(CLUSTER_PROVIDERS, None, "default")
    return next(str(each["reason"]) for each in body["status"]["conditions"] if each["type"] == "Ready")


async def test_a_provider_is_held_from_its_first_look_on(world: World) -> None:
    assert await finalizers(world) == [annotations.PROVIDER_FINALIZER]


async def test_the_finalizers_of_others_stay(world: World) -> None:
    theirs = {"metadata": {"finalizers": ["example.com/theirs"]}}
    body = await world.memory.patch(CLUSTER_PROVIDERS, None, "default", theirs, options=PLAIN)
    world.operator.intake.provider_event(PROVIDER[0], "MODIFIED", body)
    await world.operator.provider_worker.handle(PROVIDER)
    assert await finalizers(world) == ["example.com/theirs", annotations.PROVIDER_FINALIZER]
    await delete_provider(world)
    assert await finalizers(world) == ["example.com/theirs"]


async def test_one_that_nobody_uses_goes_at_once(world: World) -> None:
    await delete_provider(world)
    assert await finalizers(world) is None
    assert world.operator.tools.cache.provider(PROVIDER) is None


async def test_one_that_minted_a_live_key_stays_until_that_is_revoked_even_through_a_restart(world: World) -> None:
    await world.apply()
    await world.reconcile()
    await delete_provider(world)
    assert await finalizers(world) == [annotations.PROVIDER_FINALIZER]
    assert await reason(world) == reasons.PROVIDER_IN_USE
    await world.restart()
    await world.reconcile()
    assert (await world.reasons())["Stalled"] == reasons.PROVIDER_NOT_FOUND, "nothing is minted with it any more"
    await world.delete()
    await world.reconcile()
    assert world.live() == [], "by the service key that its provider still leads to"
    await world.operator.provider_worker.handle(PROVIDER)
    assert await finalizers(world) is None


async def test_the_end_of_the_last_object_lets_it_go_without_waiting_for_a_refresh(world: World) -> None:
    await world.apply()
    await world.reconcile()
    await delete_provider(world)
    body = await world.memory.get(SAPERLY_KEYS, NAMESPACE, NAME)
    await world.delete()
    await world.reconcile()
    world.operator.provider_queue.forget(PROVIDER)
    world.operator.intake.key_event("DELETED", body)
    assert world.operator.provider_queue.waiting == 1


async def test_a_key_that_only_the_api_server_knows_of_holds_it_too(world: World) -> None:
    await world.apply()
    await world.reconcile()
    world.operator.tools.cache.drop_key((NAMESPACE, NAME))
    await delete_provider(world)
    assert await finalizers(world) == [annotations.PROVIDER_FINALIZER]


async def test_without_the_right_to_hold_it_keys_are_minted_all_the_same(world: World) -> None:
    bare = {"metadata": {"finalizers": None}}
    await world.memory.patch(CLUSTER_PROVIDERS, None, "default", bare, options=PLAIN)
    refused = errors.Refused("PATCH", 403, "Forbidden")
    world.kube.faults += [Fault("PATCH clustersaperlyproviders", refused, nth=nth) for nth in range(1, 20)]
    await world.restart()  # another process knows of no service key yet
    await world.apply()
    await world.reconcile()
    assert await finalizers(world) == []
    assert (await world.reasons())["Ready"] == reasons.AVAILABLE
    assert (await world.provider_reasons())["Ready"] == reasons.AVAILABLE
