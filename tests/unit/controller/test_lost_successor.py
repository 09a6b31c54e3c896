"""A key that took another's place at Saperly and whose id nobody learned: it is looked for until a list settles it."""

from base64 import b64encode
from dataclasses import replace

from saperly_operator.kube.api import CLUSTER_PROVIDERS, SECRETS
from saperly_operator.kube.errors import NotFound
from tests.unit.controller.test_act_rotate import ask, delivered, spoil
from tests.unit.controller.world import NAMESPACE, SYSTEM, World


async def lost(world: World) -> str:
    """The id of a key whose rotation lost its answer for good; another was minted in its place."""
    await delivered(world)
    old = await world.current_id()
    assert old is not None
    spoil(world, status=503, when="after")
    spoil(world, status=503, when="before", nth=2, count=None)
    await ask(world)
    await world.reconcile_after(5)
    key = await world.key()
    assert key.status.rotation is not None
    assert [each.replaced for each in key.status.rotation.lost] == [old]
    return old


async def is_gone(world: World) -> bool:
    try:
        await world.key()
    except NotFound:
        return True
    return False


async def sweeps(world: World, hours: float, step: float = 600) -> None:
    for _ in range(int(hours * 3600 / step)):
        await world.sweep_when_due(step)
        await world.reconcile()


async def is_forgotten(world: World) -> bool:
    rotation = (await world.key()).status.rotation
    return rotation is not None and not rotation.lost


async def install_another_provider(world: World) -> None:
    text = world.control.create_service_key().plaintext
    data = {"SAPERLY_SERVICE_KEY": b64encode(text.encode()).decode()}
    await world.memory.create(SECRETS, SYSTEM, {"metadata": {"name": "other-service-key"}, "data": data})
    spec = {
        "environment": "test",
        "serviceKeys": [{"name": "main", "secretRef": {"name": "other-service-key"}}],
        "allowedNamespaces": {"names": [NAMESPACE]},
    }
    await world.memory.create(CLUSTER_PROVIDERS, "", {"metadata": {"name": "other"}, "spec": spec})
    body = await world.memory.get(CLUSTER_PROVIDERS, None, "other")
    world.operator.intake.provider_event("ClusterSaperlyProvider", None, body)
    await world.operator.provider_worker.handle(("ClusterSaperlyProvider", "", "other"))


async def move_to_another_provider(world: World) -> None:
    await install_another_provider(world)
    await lost(world)
    world.clock.advance(3600)
    other = {"kind": "ClusterSaperlyProvider", "name": "other"}
    await world.apply(providerRef=other, rotation={"strategy": "Atomic", "overlap": "1m"})
    await world.reconcile()
    for _ in range(5):
        await world.reconcile_after(60)


async def test_a_successor_on_the_second_page_is_found_and_deletion_goes_through(world: World) -> None:
    for number in range(150):
        world.control.plant_key(world.service_key_id(), name=f"other {number}")
    await lost(world)
    world.clock.advance(60)
    await sweeps(world, 4)
    assert await is_forgotten(world)
    assert len(world.live()) == 151
    await world.delete()
    await world.reconcile()
    await sweeps(world, 2)
    assert await is_gone(world)
    assert len(world.live()) == 150


async def test_a_successor_that_a_person_revoked_is_forgotten_by_a_proven_list(world: World) -> None:
    await lost(world)
    current = (await world.key()).status.current
    assert current is not None
    for each in world.live():
        if each != current.id:
            world.control.revoke_key(each)
    await sweeps(world, 1)
    assert await is_forgotten(world)
    await world.delete()
    await world.reconcile()
    await sweeps(world, 1)
    assert await is_gone(world)


async def test_a_successor_that_never_was_is_forgotten_by_a_proven_list(world: World) -> None:
    old = await delivered(world)
    spoil(world, status=503, when="before", count=None)
    world.control.revoke_key(old)
    await ask(world)
    await world.reconcile_after(5)
    await sweeps(world, 1)
    assert await is_forgotten(world)


async def test_a_successor_is_found_with_the_former_provider(world: World) -> None:
    await move_to_another_provider(world)
    await sweeps(world, 4, 1200)
    current = (await world.key()).status.current
    assert current is not None
    assert world.live() == [current.id]
    assert await is_forgotten(world)


async def test_deletion_finds_a_successor_with_the_former_provider(world: World) -> None:
    await move_to_another_provider(world)
    await world.delete()
    await world.reconcile()
    await sweeps(world, 4, 1200)
    assert await is_gone(world)
    assert world.live() == []


async def test_a_provider_is_held_for_a_lost_successor(world: World) -> None:
    await move_to_another_provider(world)
    metadata = (await world.memory.get(CLUSTER_PROVIDERS, None, "default"))["metadata"]
    await world.memory.delete(
        CLUSTER_PROVIDERS, "", "default", uid=metadata["uid"], version=metadata["resourceVersion"]
    )
    body = await world.memory.get(CLUSTER_PROVIDERS, None, "default")
    world.operator.intake.provider_event("ClusterSaperlyProvider", "MODIFIED", body)
    await world.refresh_provider()
    assert await world.memory.get(CLUSTER_PROVIDERS, None, "default")


async def test_a_successor_whose_name_a_person_changed_is_found_by_its_lineage(world: World) -> None:
    old, store = await delivered(world), world.simulator.core.store
    child = store.child(old)
    assert child is not None
    store.put_child(replace(child, name="renamed in the portal"))
    spoil(world, status=503, when="after")
    spoil(world, status=503, when="before", nth=2, count=None)
    await ask(world)
    await world.reconcile_after(5)
    await sweeps(world, 1)
    current = (await world.key()).status.current
    assert current is not None
    assert world.live() == [current.id]
