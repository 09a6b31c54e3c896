"""Histories that nobody wrote: each seed draws users, edits, accidents, crashes and lost answers of its own.

When the trouble is over and some hours have passed, every object that is left has a live key in its Secret, and the
vendor's live keys are exactly those that the cluster accounts for. ``make test-simulation SEEDS=5000`` runs more;
``SEEDS=17..17`` runs one again. A failing seed prints what the operator did and what happened to it.
"""

import os
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from saperly_operator.kube.errors import KubeError, NotFound
from saperly_operator.lifecycle.naming import Tag
from saperly_operator.simulator.settings import Limits
from tests.simulation.interruptions import Event, Interruptions
from tests.simulation.virtual_time import run_virtually
from tests.simulation.world import World

_NAMES = ("support", "sales")
_BATCH = 10


def _seeds() -> range:
    text = os.environ.get("SEEDS", "200")
    first, _, last = text.partition("..")
    return range(int(first), int(last) + 1) if last else range(int(first))


@dataclass
class History:
    """One seed's world and what was done in it, as told when it fails."""

    seed: int
    world: World
    random: random.Random
    told: list[str] = field(default_factory=list)

    def tell(self, what: str) -> None:
        self.told.append(what)
        self.world.interruptions.trace.append(f"*** {what}")


Deed = Callable[[History, str], Awaitable[None]]


async def apply(history: History, name: str) -> None:
    label = history.random.choice(["support", "sales", None])
    cap = history.random.choice([None, 100, 5000])
    await history.world.apply(name, agentLabel=label, monthlyCapCents=cap)


async def rename_secret(history: History, name: str) -> None:
    if await history.world.key(name):
        entry = history.random.choice(["SAPERLY_API_KEY", "TOKEN"])
        secret = history.random.choice([name, f"{name}-renamed"])
        await history.world.apply(name, secret={"name": secret, "key": entry})


async def orphan_on_deletion(history: History, name: str) -> None:
    if await history.world.key(name):
        await history.world.apply(name, deletionPolicy=history.random.choice(["Orphan", "Revoke"]))


async def force_delete(history: History, name: str) -> None:
    await history.world.annotate(name, force_delete="true")
    await history.world.delete(name)


async def throttled(history: History, name: str) -> None:
    del name
    settings = history.world.core.store.settings
    few = settings.model_copy(update={"limits": Limits(mint=1, get=3, update=3, revoke=3)})
    history.world.control.configure(few)
    await history.world.live_on(seconds=history.random.choice([60, 3600]))
    history.world.control.configure(settings)


async def request_rotation(history: History, name: str) -> None:
    await history.world.annotate(name, rotate_requested_at=str(history.random.random()))


async def suspend(history: History, name: str) -> None:
    if await history.world.key(name):
        await history.world.apply(name, suspend=history.random.random() < 0.5)


async def delete(history: History, name: str) -> None:
    await history.world.delete(name)


async def delete_secret(history: History, name: str) -> None:
    key = await history.world.key(name)
    if key is not None:
        await history.world.delete_secret(key.secret_name)


async def alter_secret(history: History, name: str) -> None:
    key = await history.world.key(name)
    if key is not None:
        await history.world.edit_secret(key.secret_name, {"data": {key.spec.secret.key: "b29wcw=="}})


async def strip_label(history: History, name: str) -> None:
    key = await history.world.key(name)
    if key is not None:
        patch = {"metadata": {"labels": {"app.kubernetes.io/managed-by": None}}}
        await history.world.edit_secret(key.secret_name, patch)


async def vendor_down(history: History, name: str) -> None:
    del name
    history.world.interruptions.vendor_is_down = True
    await history.world.live_on(seconds=history.random.choice([30, 600, 7200]))
    history.world.interruptions.vendor_is_down = False


async def no_credits(history: History, name: str) -> None:
    del name
    block = history.world.control.block("insufficient_credits")
    await history.world.live_on(seconds=history.random.choice([60, 3600]))
    history.world.control.unblock(block.id)


_DEEDS: tuple[Deed, ...] = (
    apply,
    apply,
    apply,
    rename_secret,
    request_rotation,
    suspend,
    orphan_on_deletion,
    force_delete,
    throttled,
    delete,
    delete_secret,
    alter_secret,
    strip_label,
    vendor_down,
    no_credits,
)


async def _live_through(history: History) -> None:
    world, rng = history.world, history.random
    await world.install()
    await world.apply("support")
    for _ in range(rng.randint(2, 8)):
        await world.live_on(seconds=rng.choice([0.001, 0.01, 1, 90, 4000]))
        await world.use_keys()
        deed, name = rng.choice(_DEEDS), rng.choice(_NAMES)
        history.tell(f"{deed.__name__} {name}")
        try:
            await deed(history, name)
        except (NotFound, KubeError):
            history.tell("(there was nothing to do it to)")
    history.tell("the trouble is over")
    world.interruptions.plan.clear()
    for name in _NAMES:
        key = await world.key(name)
        if key is not None and not key.is_being_deleted:
            await world.apply(name, suspend=False)
    await world.live_on(hours=30)  # more than the 24 idle hours of a key that was used against all sense
    await world.stop()


async def _judge(history: History) -> None:
    world = history.world
    accounted: dict[str, str] = {}
    for name in _NAMES:
        key = await world.key(name)
        if key is None:
            continue
        assert not key.is_being_deleted, f"{name} is still being deleted"
        current = key.status.current
        assert current is not None, f"{name} has no key"
        assert key.status.intent is None, f"{name} has an open intent"
        assert key.status.retiring == (), f"{name} has keys retiring"
        digest = await world.digest(key.secret_name, key.spec.secret.key)
        assert digest is not None, f"{name} has no Secret"
        accounted[current.id] = digest
    # A released key is its owner's, and a key in use whose object was forced away is a person's to judge.
    live = {
        child.id: child.digest
        for child in world.live()
        if child.id in accounted or (Tag.parse(child.name) is not None and child.last_used_at is None)
    }
    assert live == accounted, "the vendor's live keys are not those that the cluster accounts for"
    for hour in {child.created_at.replace(minute=0, second=0, microsecond=0) for child in world.ledger()}:
        minted = [
            child for child in world.ledger() if child.created_at.replace(minute=0, second=0, microsecond=0) == hour
        ]
        assert len(minted) <= 6 * len(_NAMES), "I4: a loop of mints"


async def _history(seed: int) -> None:
    rng = random.Random(seed)
    events = {rng.randint(1, 60): rng.choice(list(Event)) for _ in range(rng.choice([0, 1, 2, 4, 8]))}
    world = World(seed, Interruptions(events))
    history = History(seed, world, rng)
    try:
        await _live_through(history)
        await _judge(history)
    except Exception as error:
        story = "\n".join(world.interruptions.trace)
        raise AssertionError(f"seed {seed}: {error}\n{story}") from error


@pytest.mark.parametrize("first", range(_seeds().start, _seeds().stop, _BATCH))
def test_every_history_ends_with_every_key_accounted_for(first: int) -> None:
    for seed in range(first, min(first + _BATCH, _seeds().stop)):
        run_virtually(_history(seed))


def test_the_same_seed_tells_the_same_story() -> None:
    def told(seed: int) -> list[str]:
        async def history() -> list[str]:
            rng = random.Random(seed)
            world = World(seed, Interruptions({7: Event.CRASH_AFTER, 12: Event.LOST_AFTER}))
            await _live_through(History(seed, world, rng))
            return world.interruptions.trace

        return run_virtually(history())

    assert told(3) == told(3)
    assert told(3) != told(4)
