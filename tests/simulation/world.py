"""A whole world in one thread and in virtual time: the vendor's core, one cluster (or several) with the operator's own
code in it, from the reconciler down to the HTTP messages, and the people who use both.

Queue, workers, timers and sweeps are the real ones, on an event loop whose time jumps; only kopf's place is taken by
``watches``. A ``Crash`` ends a process of the operator: all its memory is gone, and a new one with another name starts on
what the two APIs hold.
"""

import logging
import random
from collections.abc import Awaitable, Callable
from typing import Any

from saperly_operator.kube.api import NAMESPACES, SECRETS
from saperly_operator.simulator.control import Control
from saperly_operator.simulator.core import Core
from saperly_operator.simulator.state import Child
from saperly_operator.simulator.store import Store
from tests.simulation.cluster import NAMESPACE, SYSTEM, Cluster
from tests.simulation.interruptions import Interruptions
from tests.simulation.log_check import LogCheck
from tests.simulation.virtual_time import LoopClock, run_virtually

__all__ = ["NAMESPACE", "SYSTEM", "World", "told"]

_logger = logging.getLogger("saperly_operator")


class World(Cluster):
    """The vendor and a first cluster; see the module's text. People at the vendor act through ``control``."""

    def __init__(self, seed: int = 1, interruptions: Interruptions | None = None) -> None:
        rng = random.Random(seed)
        self.true_clock = LoopClock()
        core = Core(Store(), self.true_clock, rng.randbytes)
        super().__init__(core, LoopClock(), rng, interruptions or Interruptions())
        self.control = Control(core)
        self.service_key = ""
        self.others: list[Cluster] = []

    async def install(self, **provider: Any) -> None:
        """A service key made in the portal, and the operator set up with it."""
        self.service_key = self.control.create_service_key().plaintext
        await self.set_up(self.service_key, **provider)

    def another_cluster(self, name: str) -> Cluster:
        """One more cluster on the same vendor, empty as yet. Calls of its operator are not counted."""
        quiet = Interruptions(trace=self.interruptions.trace)
        cluster = Cluster(self.core, self.clock, self.random, quiet, number=len(self.others) + 1)
        cluster.name = f"{name}."
        self.others.append(cluster)
        return cluster

    def clone(self, name: str, *, may_write: bool = False) -> Cluster:
        """Another cluster with everything that is in this one, in which kube-system has another uid."""
        cluster = self.another_cluster(name)
        cluster.kube.restore(self.kube.backup())
        cluster.kube.give_another_uid(NAMESPACES, "kube-system")
        cluster.invariants.may_write = may_write
        return cluster

    # --- looking ------------------------------------------------------------------------------------------------

    def ledger(self) -> list[Child]:
        """Every key ever minted."""
        return list(self.core.store.children())

    def live(self) -> list[Child]:
        return [child for child in self.ledger() if child.revoked_at is None]

    async def use_keys(self) -> None:
        """As agents do: every key that a Secret holds is used, so that none passes for an orphan that nobody has."""
        for cluster in (self, *self.others):
            for secret in await cluster.kube.list(SECRETS):
                key_id = (secret["metadata"].get("annotations") or {}).get("saperly.com/key-id")
                child = self.core.store.child(key_id) if key_id else None
                if child is not None and child.revoked_at is None:
                    self.control.use_key(child.id)
                    self.invariants.note_used(child.id)

    # --- driving ------------------------------------------------------------------------------------------------

    async def live_on(self, **length: float) -> None:
        for other in self.others:
            if not other.processes:
                other.start()
        await super().live_on(**length)

    async def stop(self) -> None:
        for other in self.others:
            await other.stop()
        await super().stop()

    def check(self) -> None:
        super().check()
        for other in self.others:
            other.check()

    def story(self) -> str:
        """What happened, for people: every key under a short name."""
        text = "\n".join(self.interruptions.trace)
        for number, child in enumerate(self.ledger(), 1):
            text = text.replace(child.id, f"key{number}")
        return text


def told(history: Callable[[World], Awaitable[None]], world: World) -> World:
    """Tell one history to its end, in virtual time and with an ear to the operator's log.

    Raises AssertionError with the whole story when anything broke.
    """

    async def tell() -> None:
        try:
            await history(world)
        finally:
            await world.stop()
        world.check()

    check = LogCheck(world.fail)
    try:
        with check.attached(_logger):
            run_virtually(tell())
    except Exception as error:
        raise AssertionError(f"{error}\n{world.story()}") from error
    return world
