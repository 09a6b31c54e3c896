"""The command for keys in use that nothing refers to: what it lists, and where it asks for their end."""

from collections.abc import AsyncIterator

import pytest

from saperly_operator.cli.orphans import find_orphans, order_revocation
from saperly_operator.kube.api import CLUSTER_PROVIDERS
from saperly_operator.lifecycle.naming import Owner
from tests.unit.controller.test_sweep import HALF_AN_HOUR, plant
from tests.unit.controller.world import NAME, NAMESPACE, World


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """A delivered object, a used orphan of it, and one of an object that is gone."""
    world = await World().install()
    await world.apply()
    await world.reconcile()
    for number, owner in enumerate((Owner(NAMESPACE, NAME), Owner(NAMESPACE, "gone"))):
        world.control.use_key(await plant(world, owner, serial=50 + number, key=str(number)))
    world.clock.advance(HALF_AN_HOUR)
    await world.sweep()
    await world.reconcile()
    await world.refresh_provider()
    yield world
    await world.close()


async def test_each_is_listed_with_what_shows_it(world: World) -> None:
    found = await find_orphans(world.memory)
    assert [(orphan.place, orphan.is_ordered) for orphan in found] == [
        (f"saperlykeys {NAMESPACE}/{NAME}", False),
        ("clustersaperlyproviders default", False),
    ]
    assert {orphan.id for orphan in found} < set(world.live())


async def test_its_end_is_asked_for_where_it_is_shown_and_comes(world: World) -> None:
    (current,) = set(world.live()) - {orphan.id for orphan in await find_orphans(world.memory)}
    for orphan in await find_orphans(world.memory):
        ordered = await order_revocation(world.memory, orphan.id)
        assert [each.place for each in ordered] == [orphan.place]
    assert all(orphan.is_ordered for orphan in await find_orphans(world.memory))
    world.operator.intake.provider_event(
        "ClusterSaperlyProvider", None, await world.memory.get(CLUSTER_PROVIDERS, None, "default")
    )
    await world.show()
    world.clock.advance(1)
    await world.sweep()
    await world.reconcile()
    assert world.live() == [current]


async def test_a_second_order_keeps_the_first(world: World) -> None:
    first, second = await find_orphans(world.memory)
    await order_revocation(world.memory, first.id)
    await order_revocation(world.memory, first.id)
    again, _ = await find_orphans(world.memory)
    assert again.shown_by["metadata"]["annotations"]["saperly.com/revoke-orphans"] == first.id
    assert not (await find_orphans(world.memory))[1].is_ordered
    assert second.id != first.id


async def test_a_key_that_nothing_shows_is_not_ordered(world: World) -> None:
    assert await order_revocation(world.memory, "key-of-somebody-else") == []
