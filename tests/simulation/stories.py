"""What the named histories have in common: how they begin, how they are told, how they end."""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

from saperly_operator.kube.api import SECRETS, Object, Resource
from saperly_operator.kube.errors import Unavailable
from saperly_operator.resources.saperly_key import SaperlyKey
from saperly_operator.simulator.state import Child
from tests.simulation.interruptions import Interruptions
from tests.simulation.world import World, told

Story = Callable[[World], Awaitable[None]]


def tell(story: Story, interruptions: Interruptions | None = None, seed: int = 1, **provider: Any) -> World:
    """A world in which an operator was installed, and then ``story`` happened."""

    async def whole(world: World) -> None:
        await world.install(**provider)
        await story(world)

    return told(whole, World(seed, interruptions))


async def first_key(world: World, name: str = "support", **spec: Any) -> Child:
    """An object at rest, whose key somebody uses."""
    await world.apply(name, **spec)
    await world.live_on(minutes=10)
    await world.use_keys()
    return await delivered(world, name)


async def delivered(world: World, name: str = "support") -> Child:
    """The live key that an object has, in its Secret and in status, with nothing left to do."""
    key = await at_rest(world, name)
    assert key.status.current is not None
    child = world.core.store.child(key.status.current.id)
    assert child is not None
    assert child.is_live
    assert await world.digest(key.secret_name, key.spec.secret.key) == child.digest
    return child


async def at_rest(world: World, name: str = "support") -> SaperlyKey:
    """An object with no open intent and no key on its way out."""
    key = await world.key(name)
    assert key is not None
    assert (key.status.intent, key.status.retiring) == (None, ())
    return key


async def reason(world: World, kind: str = "Ready", name: str = "support") -> str | None:
    """Why that condition of an object is as it is."""
    key = await world.key(name)
    assert key is not None
    return next((each.reason for each in key.status.conditions if each.type == kind), None)


def service_key_id(world: World) -> str:
    """The id at the vendor of the service key that the operator was installed with."""
    found = world.core.store.service_key_of(hashlib.sha256(world.service_key.encode()).hexdigest())
    assert found is not None
    return found.id


class SecretsUnavailable:
    """An admission webhook for Secrets that does not answer."""

    def __call__(self, resource: Resource, new: Object, old: Object | None, *, dry_run: bool) -> None:
        del new, old, dry_run
        if resource is SECRETS:
            raise Unavailable("write secrets", 500, "InternalError")
