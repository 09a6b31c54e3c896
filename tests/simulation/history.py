"""A history that nobody wrote: one seed's world, what people do in it, and how it goes wrong.

Everything is drawn from the seed. While a history lasts, deeds and accidents overlap as they like; then the trouble is
over: outages end, blocks are lifted, and the operator is left alone until it has come to rest.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta

from saperly_operator.kube.errors import KubeError
from saperly_operator.resources import reasons
from saperly_operator.resources.saperly_key import SaperlyKey
from saperly_operator.simulator.settings import ListOrder, RetryAfter
from tests.simulation.cluster import NAMESPACE, Cluster
from tests.simulation.interruptions import Event, Interruptions
from tests.simulation.world import World
from tests.support.memory_kube import Backup

NAMES = ("support", "sales")
_QUIET_HOURS = 30
"""More than the 24 idle hours of a key that was used although nobody should have had it."""


@dataclass
class History:
    """One seed's world, and what is still to end in it. ``done`` is the names of all deeds so far."""

    seed: int
    world: World
    random: random.Random
    done: list[str] = field(default_factory=list)
    endings: dict[int, Callable[[], None]] = field(default_factory=dict)
    copy: Backup | None = None
    """Of etcd, made by a deed."""
    revoked: set[str] = field(default_factory=set)
    """Keys that a person revoked in the portal."""
    _numbers: int = 0

    @classmethod
    def drawn(cls, seed: int) -> "History":
        """The world of a seed, before anything happens in it."""
        rng = random.Random(seed)
        plan = {rng.randint(1, 70): rng.choice(list(Event)) for _ in range(rng.choice([0, 0, 1, 2, 4, 8]))}
        stalls = {
            rng.randint(1, 300): rng.choice([5.0, 40.0, 100.0, 900.0]) for _ in range(rng.choice([0, 0, 0, 1, 3]))
        }
        chance = random.Random(f"{seed} on the way")
        interruptions = Interruptions(
            plan,
            stalls,
            pace=lambda: chance.random() * (0.03 if chance.random() < 0.97 else 8.0),
            lateness=lambda: chance.uniform(0.1, 55.0),
            stall=lambda: chance.choice([10.0, 40.0, 130.0, 800.0]),
        )
        world = World(seed, interruptions)
        world.lag = lambda: chance.choice([0.01, 0.01, 0.05, 0.4, 5.0])
        world.beside = lambda: chance.choice([0.02, 5.0, 200.0])
        history = cls(seed, world, rng)
        history._draw_vendor()
        return history

    def _draw_vendor(self) -> None:
        """One of the vendors that its documents allow for."""
        rng = self.random
        changes = {
            "list_order": rng.choice(list(ListOrder)),
            "retry_after": rng.choice(list(RetryAfter)),
            "cached_failures": frozenset(rng.choice([{402}, {402, 503}, {402, 403, 500, 503}])),
            "revoked_key_status": rng.choice([404, 422]),
            "extra_fields": rng.random() < 0.5,
            "clock_offset_seconds": rng.choice([0, 0, -240, 240]),
            "idempotency_window_hours": rng.choice([12, 12, 24]),
        }
        self.world.control.configure(self.world.core.store.settings.model_copy(update=changes))

    def tell(self, what: str) -> None:
        """One line of the story about what people do."""
        self.world.interruptions.note("", f"*** {what}")

    def for_a_while(self, seconds: float, end: Callable[[], None]) -> None:
        """What began ends after so many seconds, or with all trouble."""
        self._numbers += 1
        number = self._numbers
        self.endings[number] = end

        def over() -> None:
            ending = self.endings.pop(number, None)
            if ending is not None:
                ending()

        asyncio.get_running_loop().call_later(seconds, over)

    def end_all(self) -> None:
        """The trouble is over."""
        while self.endings:
            self.endings.pop(next(iter(self.endings)))()

    @property
    def clusters(self) -> list[Cluster]:
        """Those whose operator may work."""
        return [self.world, *(other for other in self.world.others if other.invariants.may_write)]


Deed = Callable[[History, str], Awaitable[None]]


async def live_through(history: History, deeds: tuple[Deed, ...]) -> None:
    """From an empty cluster to the rest after all trouble."""
    world, rng = history.world, history.random
    await world.install(sweepInterval=rng.choice(["1h", "5h", "10h"]))
    world.clock.jump(timedelta(seconds=rng.choice([0, 0, -200, 200])))
    await world.apply("support")
    for _ in range(rng.randint(2, 9)):
        await world.live_on(seconds=rng.choice([0.001, 0.01, 0.05, 0.3, 5, 90, 700, 4000]))
        if rng.random() < 0.7:
            await world.use_keys()
        deed, name = rng.choice(deeds), rng.choice(NAMES)
        history.tell(f"{deed.__name__.replace('_', ' ')}: {name}")
        history.done.append(deed.__name__)
        try:
            await deed(history, name)
        except KubeError as error:
            history.tell(f"(refused: {error})")
    await world.live_on(seconds=rng.choice([1, 60, 2000]))
    history.tell("the trouble is over")
    world.interruptions.calm()
    history.end_all()
    world.thaw_all()
    await _mend(history, _wants_something_else, _want_the_usual)
    await world.live_on(hours=2)
    for cluster in history.clusters:
        await _accept_the_service_key(history, cluster)
    await _mend(history, _has_a_foreign_secret, lambda cluster, key: cluster.delete_secret(key.secret_name))
    for other in world.others:
        if not other.invariants.may_write:
            await other.stop()  # nothing would change there any more
    await world.live_on(hours=_QUIET_HOURS)


async def _mend(
    history: History,
    wants: Callable[[SaperlyKey], bool],
    mend: Callable[[Cluster, SaperlyKey], Awaitable[None]],
) -> None:
    """People do what status asks them for."""
    for cluster in history.clusters:
        for name in NAMES:
            key = await cluster.key(name)
            if key is not None and not key.is_being_deleted and wants(key):
                history.tell(f"{cluster.name}{name} is mended")
                await mend(cluster, key)


def _wants_something_else(key: SaperlyKey) -> bool:
    return key.spec.suspend or key.schedule is not None


async def _want_the_usual(cluster: Cluster, key: SaperlyKey) -> None:
    await cluster.apply(key.name, suspend=False, rotation={"schedule": None})
    await cluster.annotate(key.name, rotation_schedule=None)


async def _accept_the_service_key(history: History, cluster: Cluster) -> None:
    if await cluster.accept_service_key():
        history.tell(f"{cluster.name}the other service key is accepted")


def _has_a_foreign_secret(key: SaperlyKey) -> bool:
    return any(each.type == "Stalled" and each.reason == reasons.SECRET_NOT_OWNED for each in key.status.conditions)


__all__ = ["NAMES", "NAMESPACE", "Deed", "History", "live_through"]
