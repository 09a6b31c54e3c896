"""A Deployment in a simulated cluster: its controller, and in each pod an agent that reads its key when it starts.

An agent never reads the Secret again, as one whose key is in its environment; it uses what it has for as long as its pod
is there. What Saperly refused it is counted. ``RollsOut`` is the controller alone, for histories in which nobody minds
what pods do.
"""

import asyncio
import hashlib
from base64 import b64decode

from saperly_operator.kube.api import DEPLOYMENTS, SECRETS, Object, Resource
from tests.simulation.cluster import NAMESPACE, Cluster
from tests.simulation.world import World
from tests.support.workloads import DEPLOYMENT, Controllers

_START_SECONDS, _STOP_SECONDS, _USE_SECONDS = 2400.0, 10.0, 45.0
"""A new pod takes its time, as one does whose image is pulled from far away."""


class RollsOut:
    """The controller of one Deployment, without its pods: a while after each change all of them are new."""

    def __init__(self, cluster: Cluster, name: str, seconds: float) -> None:
        self._cluster = cluster
        self._name = name
        self._seconds = seconds
        self._controllers = Controllers(cluster.kube, NAMESPACE)

    async def deploy(self) -> None:
        """The Deployment is there."""
        await self._controllers.create(DEPLOYMENT, self._name)
        self._cluster.kube.admissions.append(self)

    def __call__(self, resource: Resource, new: Object, old: Object | None, *, dry_run: bool) -> None:
        """Sees what is about to be stored."""
        if resource is DEPLOYMENTS and old is not None and not dry_run and new["spec"] != old["spec"]:
            asyncio.get_running_loop().call_later(self._seconds, self._finish)

    def _finish(self) -> None:
        if any(
            body["metadata"]["name"] == self._name for body in self._cluster.kube.snapshot(DEPLOYMENTS, NAMESPACE)
        ):
            self._cluster.keep(asyncio.ensure_future(self._controllers.roll_out(DEPLOYMENT, self._name)))


class Pods:
    """See the module's text. ``started`` counts the pods, ``refused`` the calls of agents with a dead key."""

    def __init__(self, world: World, *, name: str = "agent", secret: str = "support") -> None:
        self.started = self.refused = 0
        self._world = world
        self._name = name
        self._secret = secret
        self._controllers = Controllers(world.kube, NAMESPACE)
        self._held: list[str] = []

    async def deploy(self) -> None:
        """The first pod runs, and its agent calls Saperly from now on."""
        await self._controllers.create(DEPLOYMENT, self._name)
        self._start_one()
        self._world.kube.admissions.append(self)
        self._world.keep(asyncio.ensure_future(self._use_for_ever()))

    def __call__(self, resource: Resource, new: Object, old: Object | None, *, dry_run: bool) -> None:
        """Sees what is about to be stored: another template is another pod, later."""
        if resource is not DEPLOYMENTS or old is None or dry_run or new["metadata"]["name"] != self._name:
            return
        if new["spec"]["template"] != old["spec"]["template"]:
            asyncio.get_running_loop().call_later(_START_SECONDS, self._replace)

    def _replace(self) -> None:
        self._start_one()
        asyncio.get_running_loop().call_later(_STOP_SECONDS, self._end_others)

    def _start_one(self) -> None:
        self.started += 1
        for secret in self._world.kube.snapshot(SECRETS, NAMESPACE):
            if secret["metadata"]["name"] == self._secret:
                value = b64decode(secret["data"]["SAPERLY_API_KEY"])
                self._held.append(hashlib.sha256(value).hexdigest())

    def _end_others(self) -> None:
        del self._held[:-1]
        self._world.keep(asyncio.ensure_future(self._controllers.roll_out(DEPLOYMENT, self._name)))

    async def _use_for_ever(self) -> None:
        while True:
            for child in self._world.ledger():
                if child.digest in self._held and child.is_live:
                    self._world.control.use_key(child.id)
                    self._world.invariants.note_used(child.id)
                elif child.digest in self._held:
                    self.refused += 1
            await asyncio.sleep(_USE_SECONDS)
