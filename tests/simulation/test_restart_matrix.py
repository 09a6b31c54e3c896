"""Every crash and every lost answer, at every call of two overlapping rotations with everything asked for.

A workload is restarted, whose rollout takes longer than the overlap; the old plaintext is kept in the Secret for a while.
However it goes: no agent ever holds a dead key, and in the end nothing but the one live key is left.
"""

from typing import Any

import pytest

from tests.simulation.interruptions import Event, Interruptions
from tests.simulation.pods import Pods
from tests.simulation.stories import delivered, first_key
from tests.simulation.virtual_time import run_virtually
from tests.simulation.world import World, told

OLD = "SAPERLY_API_KEY_PREVIOUS"
EVERYTHING: dict[str, Any] = {
    "restart": [{"kind": "Deployment", "name": "agent"}],
    "secret": {"previousKey": OLD},
    "rotation": {"overlap": "30m", "maxOverlap": "5h"},
}


class Told:
    """One telling of the story. ``begun``: how many calls came before the first rotation."""

    def __init__(self, interruptions: Interruptions) -> None:
        self.world = World(interruptions=interruptions)
        self.pods = Pods(self.world)
        self.begun = 0
        told(self._story, self.world)

    async def _story(self, world: World) -> None:
        await world.install()
        await first_key(world, **EVERYTHING)
        await self.pods.deploy()
        self.begun = world.interruptions.calls
        await world.live_on(hours=1)
        await world.annotate("support", rotate_requested_at="once")
        await world.live_on(minutes=20)
        await world.annotate("support", rotate_requested_at="twice")
        await world.live_on(hours=8)


@pytest.fixture(scope="module")
def calm() -> Told:
    return Told(Interruptions())


def test_the_story_without_trouble(calm: Told) -> None:
    assert (calm.pods.started, calm.pods.refused) == (3, 0)
    assert len(calm.world.ledger()) == 3
    run_virtually(delivered(calm.world))


@pytest.mark.parametrize("event", list(Event), ids=lambda event: event.name.lower())
def test_no_agent_ever_holds_a_dead_key_whatever_goes_wrong_at_any_call(event: Event, calm: Told) -> None:
    for call in range(calm.begun + 1, calm.world.interruptions.calls + 1):
        history = Told(Interruptions({call: event}))
        tale = f"{event.name} at call {call}:\n{history.world.story()}"
        assert history.pods.refused == 0, tale
        assert history.pods.started <= len(history.world.ledger()), f"restarted once for each key: {tale}"
        (live,) = history.world.live()
        assert run_virtually(history.world.digest("support")) == live.digest, tale
        assert run_virtually(history.world.digest("support", OLD)) is None, tale
        key = run_virtually(history.world.key("support"))
        assert key is not None, tale
        assert (key.status.intent, key.status.retiring) == (None, ()), tale
        assert len(history.world.ledger()) <= 4, tale
