"""Every crash and every lost answer, at every call that changes something, in every story of one key.

A story is told once without trouble, to learn how many calls it takes; then once for each call and each kind of trouble
at it. However it goes, in the end: the Secret holds a live key, exactly one key is live (none after a deletion), each
trouble cost at most one more mint, and nothing was minted after deletion began.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from saperly_operator.lifecycle.naming import Tag
from saperly_operator.saperly.models import Permissions
from tests.simulation.interruptions import Event, Interruptions
from tests.simulation.virtual_time import run_virtually
from tests.simulation.world import World, told

Story = Callable[[World], Awaitable[None]]


async def first_key(world: World) -> None:
    await world.apply("support", agentLabel="support", monthlyCapCents=5000)
    await world.live_on(hours=2)
    await world.use_keys()


async def secret_deleted(world: World) -> None:
    await first_key(world)
    await world.delete_secret("support")
    await world.live_on(hours=4)


async def attributes_changed(world: World) -> None:
    await first_key(world)
    await world.apply("support", agentLabel="sales", monthlyCapCents=None)
    await world.live_on(hours=2)


async def secret_renamed(world: World) -> None:
    await first_key(world)
    await world.apply("support", secret={"name": "renamed", "key": "TOKEN"})
    await world.live_on(hours=2)


async def rotation_requested(world: World) -> None:
    await first_key(world)
    await world.annotate("support", rotate_requested_at="now")
    await world.live_on(hours=4)


async def rotated_in_one_step(world: World) -> None:
    await world.apply("support", rotation={"strategy": "Atomic"})
    await world.live_on(hours=2)
    await world.use_keys()
    await world.annotate("support", rotate_requested_at="now")
    await world.live_on(hours=4)


async def revoked_in_the_portal(world: World) -> None:
    await first_key(world)
    world.control.revoke_key(world.live()[0].id)
    await world.live_on(hours=5)


async def edited_in_the_portal(world: World) -> None:
    """Both keys, the second with its name, while the first is on its way out."""
    await first_key(world)
    await world.annotate("support", rotate_requested_at="now")
    await world.live_on(minutes=10)
    for child in world.live():
        edited = replace(child, permissions=Permissions.FULL, monthly_cap_cents=None)
        world.core.store.put_child(edited)
    key = await world.key("support")
    if key is not None and key.status.current is not None and len(world.live()) > 1:
        current = world.core.store.child(key.status.current.id)
        assert current is not None
        world.core.store.put_child(replace(current, name="renamed"))
    await world.live_on(hours=5)
    for child in world.live():
        assert Tag.parse(child.name) is not None
        assert (child.permissions, child.monthly_cap_cents) == (Permissions.CALL_ONLY, 5000)


async def deleted(world: World) -> None:
    await first_key(world)
    await world.delete("support")
    await world.live_on(hours=4)


async def deleted_at_once(world: World) -> None:
    await world.apply("support")
    await world.live_on(seconds=0.001)
    await world.delete("support")
    await world.live_on(hours=4)


async def orphaned(world: World) -> None:
    await world.apply("support", deletionPolicy="Orphan")
    await world.live_on(hours=2)
    await world.delete("support")
    await world.live_on(hours=4)


KEEPING: dict[str, tuple[Story, str, str]] = {
    "first key": (first_key, "support", "SAPERLY_API_KEY"),
    "Secret deleted by a user": (secret_deleted, "support", "SAPERLY_API_KEY"),
    "attributes changed": (attributes_changed, "support", "SAPERLY_API_KEY"),
    "Secret renamed": (secret_renamed, "renamed", "TOKEN"),
    "revoked in the portal": (revoked_in_the_portal, "support", "SAPERLY_API_KEY"),
    "edited in the portal": (edited_in_the_portal, "support", "SAPERLY_API_KEY"),
    "rotation requested": (rotation_requested, "support", "SAPERLY_API_KEY"),
    "rotated in one step": (rotated_in_one_step, "support", "SAPERLY_API_KEY"),
}
ENDING: dict[str, tuple[Story, int]] = {
    "deleted": (deleted, 0),
    "deleted at once": (deleted_at_once, 0),
    "orphaned": (orphaned, 1),
}


_BEYOND_THE_END = {Event.CRASH_LATE, Event.LOST_LATE, Event.STALL_BEFORE}
"""A Secret may be written after its object's end. It holds a dead key, and nothing can prevent it."""


def _told(story: Story, interruptions: Interruptions) -> World:
    async def history(world: World) -> None:
        await world.install()
        await story(world)

    return told(history, World(interruptions=interruptions))


@pytest.mark.parametrize("event", list(Event), ids=lambda event: event.name.lower())
@pytest.mark.parametrize("name", list(KEEPING))
def test_a_key_survives_trouble_at_any_call(name: str, event: Event) -> None:
    story, secret, entry = KEEPING[name]
    calm = _told(story, Interruptions())
    for call in range(1, calm.interruptions.calls + 1):
        world = _told(story, Interruptions({call: event}))
        tale = f"{event.name} at call {call}:\n{world.story()}"
        assert len(world.live()) == 1, tale
        live = world.live()[0]
        assert run_virtually(world.digest(secret, entry)) == live.digest, tale
        key = run_virtually(world.key("support"))
        assert key is not None, tale
        assert key.status.current is not None, tale
        assert key.status.current.id == live.id, tale
        assert (key.status.intent, key.status.retiring) == (None, ()), tale
        assert len(world.ledger()) <= len(calm.ledger()) + 1, tale


@pytest.mark.parametrize("event", list(Event), ids=lambda event: event.name.lower())
@pytest.mark.parametrize("name", list(ENDING))
def test_an_end_survives_trouble_at_any_call(name: str, event: Event) -> None:
    story, live = ENDING[name]
    calm = _told(story, Interruptions())
    for call in range(1, calm.interruptions.calls + 1):
        world = _told(story, Interruptions({call: event}))
        tale = f"{event.name} at call {call}:\n{world.story()}"
        assert run_virtually(world.key("support")) is None, tale
        assert len(world.live()) == live, tale
        if live:
            assert run_virtually(world.digest("support")) == world.live()[0].digest, tale
        elif event not in _BEYOND_THE_END:
            assert run_virtually(world.digest("support")) is None, tale
