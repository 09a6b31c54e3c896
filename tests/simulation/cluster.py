"""One simulated Kubernetes cluster with the operator in it: users act on it, processes of the operator come and go.

Like a Deployment with leader election it keeps one process going: a dead one is replaced at once, one that stands
still after its lease has run out; and the one that stood still goes on for a while when it wakes, beside the other.
"""

import asyncio
import hashlib
import random
from base64 import b64decode, b64encode
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from saperly_operator.controller.resync import MANAGED
from saperly_operator.kube.api import (
    CLUSTER_PROVIDERS,
    EVENTS,
    NAMESPACES,
    PLAIN,
    SAPERLY_KEYS,
    SECRETS,
    Object,
    Resource,
)
from saperly_operator.kube.errors import KubeError, NotFound
from saperly_operator.resources.saperly_key import SaperlyKey
from saperly_operator.settings import Settings
from saperly_operator.simulator.core import Core
from tests.simulation.interruptions import Crash, Interruptions
from tests.simulation.invariants import Invariants
from tests.simulation.process import Process
from tests.simulation.virtual_time import LoopClock
from tests.support.memory_kube import Backup, MemoryKube

SYSTEM, NAMESPACE, SERVICE_KEY = "saperly-system", "agents", "saperly-service-key"
_SETTINGS = Settings(namespace=SYSTEM, provider_refresh=5400, resync=7200)
_RESTART_SECONDS, _LONGEST_RESTART_SECONDS = 2.0, 300.0
_LEASE_SECONDS = 15.0
_WATCH_LAG_SECONDS = 0.01


class Cluster:
    """See the module's text. ``beside`` draws for how long a process that stood still goes on beside its successor."""

    def __init__(
        self, core: Core, clock: LoopClock, rng: random.Random, interruptions: Interruptions, *, number: int = 0
    ) -> None:
        self.core = core
        self.clock = clock
        self.random = rng
        self.interruptions = interruptions
        self.kube = MemoryKube(clock, number=number)
        self.invariants = Invariants(self.kube, core)
        self.settings = _SETTINGS
        self.lag: Callable[[], float] = lambda: _WATCH_LAG_SECONDS
        self.beside: Callable[[], float] = lambda: 60.0
        self.kube_is_down = False
        self.vendor_is_down = False
        self.name = ""
        self.processes: list[Process] = []
        self._started = 0
        self._failed_starts = 0
        self._is_stopped = False
        self._kept: set[asyncio.Future[Any]] = set()
        self._failures: list[BaseException] = []
        self._failing: asyncio.Future[None] | None = None
        interruptions.failed = self.fail

    # --- administrators -----------------------------------------------------------------------------------------

    async def set_up(self, service_key: str, namespace: str = NAMESPACE, **provider: Any) -> None:
        """What an administrator sets up: namespaces, the service key's Secret, a provider."""
        for name in ("kube-system", SYSTEM, namespace):
            await self.kube.create(NAMESPACES, "", {"metadata": {"name": name}})
        data = {"SAPERLY_SERVICE_KEY": self.encoded(service_key)}
        await self.kube.create(SECRETS, SYSTEM, {"metadata": {"name": SERVICE_KEY}, "data": data})
        spec = {
            "environment": "test",
            "serviceKeys": [{"name": "main", "secretRef": {"name": SERVICE_KEY}}],
            "allowedNamespaces": {"names": [namespace]},
            "sweepInterval": "1h",
        }
        await self.kube.create(CLUSTER_PROVIDERS, "", {"metadata": {"name": "default"}, "spec": spec | provider})

    async def put_service_key(self, plaintext: str) -> None:
        """Swap what the service key's Secret holds, in place."""
        data = {"SAPERLY_SERVICE_KEY": self.encoded(plaintext)}
        await self.kube.patch(SECRETS, SYSTEM, SERVICE_KEY, {"data": data}, options=PLAIN)

    @staticmethod
    def encoded(plaintext: str) -> str:
        """As a Secret's data holds it."""
        return b64encode(plaintext.encode()).decode()

    def roll_back(self, backup: Backup) -> None:
        """Restore a copy of etcd. Everything that watches is started anew, as the operating manual says."""
        self.interruptions.note("", "*** etcd is restored from a copy")
        for process in self.running():
            process.kill()
        self.kube.restore(backup)
        self.invariants.forget_mints()

    def saved(self, namespace: str = NAMESPACE) -> tuple[list[Object], list[Object]]:
        """What a backup of a namespace's objects keeps: managed Secrets and SaperlyKeys, of these no status."""
        kept = ("name", "namespace", "labels", "annotations", "finalizers")
        found = (self.kube.snapshot(SECRETS, namespace, MANAGED), self.kube.snapshot(SAPERLY_KEYS, namespace))
        for bodies in found:
            for body in bodies:
                body["metadata"] = {name: body["metadata"][name] for name in kept if name in body["metadata"]}
                body.pop("status", None)
        return found

    async def bring_back(self, saved: tuple[list[Object], list[Object]], **between: float) -> None:
        """Restore such a backup: Secrets first, and the SaperlyKeys so much later, with new uids and no status."""
        secrets, keys = saved
        for body in secrets:
            await self.kube.create(SECRETS, body["metadata"]["namespace"], body)
        await self.live_on(**between)
        for body in keys:
            await self.kube.create(SAPERLY_KEYS, body["metadata"]["namespace"], body)

    # --- users --------------------------------------------------------------------------------------------------

    async def apply(self, name: str, namespace: str = NAMESPACE, **spec: Any) -> None:
        """Create a SaperlyKey, or change its spec."""
        try:
            await self.kube.patch(SAPERLY_KEYS, namespace, name, {"spec": spec}, options=PLAIN)
        except NotFound:
            body = {"metadata": {"name": name, "namespace": namespace}, "spec": spec}
            await self.kube.create(SAPERLY_KEYS, namespace, body)

    async def annotate(self, name: str, namespace: str = NAMESPACE, **values: str | None) -> None:
        """Set annotations of ours on a SaperlyKey; underscores stand for dashes."""
        marks = {f"saperly.com/{key.replace('_', '-')}": value for key, value in values.items()}
        patch = {"metadata": {"annotations": marks}}
        await self.kube.patch(SAPERLY_KEYS, namespace, name, patch, options=PLAIN)

    async def delete(self, name: str, namespace: str = NAMESPACE) -> None:
        await self.remove(SAPERLY_KEYS, await self.kube.get(SAPERLY_KEYS, namespace, name))

    async def edit_secret(self, name: str, patch: Object, namespace: str = NAMESPACE) -> None:
        """As somebody with kubectl does."""
        await self.kube.patch(SECRETS, namespace, name, patch, options=PLAIN)

    async def delete_secret(self, name: str, namespace: str = NAMESPACE) -> None:
        await self.remove(SECRETS, await self.kube.get(SECRETS, namespace, name))

    async def remove(self, resource: Resource, body: Object) -> None:
        """Delete exactly what ``body`` shows."""
        metadata = body["metadata"]
        await self.kube.delete(
            resource,
            metadata.get("namespace") or "",
            metadata["name"],
            uid=metadata["uid"],
            version=metadata["resourceVersion"],
        )

    async def end_namespace(self, name: str) -> None:
        """Delete a namespace; its controller then deletes what is in it, again and again, until all is gone."""
        await self.remove(NAMESPACES, await self.kube.get(NAMESPACES, None, name))
        self.keep(asyncio.ensure_future(self._empty(name)))

    async def _empty(self, name: str) -> None:
        kinds = [SECRETS, SAPERLY_KEYS, EVENTS]
        self.random.shuffle(kinds)
        while any(body["metadata"]["name"] == name for body in self.kube.snapshot(NAMESPACES)):
            for kind in kinds:
                for body in self.kube.snapshot(kind, name):
                    await self.remove(kind, body)
                await asyncio.sleep(1)

    # --- looking ------------------------------------------------------------------------------------------------

    async def key(self, name: str, namespace: str = NAMESPACE) -> SaperlyKey | None:
        try:
            return SaperlyKey.from_api(await self.kube.get(SAPERLY_KEYS, namespace, name))
        except NotFound:
            return None

    async def secret(self, name: str, namespace: str = NAMESPACE) -> Object:
        """Raises NotFound."""
        return await self.kube.get(SECRETS, namespace, name)

    async def digest(self, secret: str, entry: str = "SAPERLY_API_KEY", namespace: str = NAMESPACE) -> str | None:
        """The SHA-256 of what a Secret holds, as the vendor's ledger shows it; None when there is nothing."""
        try:
            body = await self.kube.get(SECRETS, namespace, secret)
        except NotFound:
            return None
        value = (body.get("data") or {}).get(entry)
        return None if value is None else hashlib.sha256(b64decode(value)).hexdigest()

    # --- processes ----------------------------------------------------------------------------------------------

    def running(self) -> list[Process]:
        """Those that are alive and do not stand still."""
        return [process for process in self.processes if process.is_running]

    def is_alone(self, process: Process) -> bool:
        """Whether nothing but this process can have written to either API since it began."""
        return not process.has_stalled and process is self.processes[-1] and process.began_alone

    def start(self) -> Process:
        """Start one more process, whoever else is there."""
        self._started += 1
        began_alone = not any(not process.is_dead for process in self.processes)
        process = Process(self, f"{self.name}p{self._started}", began_alone=began_alone)
        self.processes.append(process)
        process.start().add_done_callback(lambda task: self._ended(process, task))
        return process

    def stalled(self, process: Process, seconds: float | None) -> None:
        """A process stands still: its successor comes once its lease has run out, and it goes on afterwards."""
        loop = asyncio.get_running_loop()
        loop.call_later(_LEASE_SECONDS, self._keep_one_running)
        if seconds is not None:
            loop.call_later(seconds, self.wake, process)

    def thaw_all(self) -> None:
        for process in self.processes:
            if not process.is_dead and not process.is_running:
                self.wake(process)

    def wake(self, process: Process) -> None:
        """What stood still goes on; beside its successor for a while, then no more."""
        others = self.running()
        process.thaw()
        if others and not process.is_dead:
            # Its elector finds out that the lease is another's, sooner or later.
            asyncio.get_running_loop().call_later(self.beside(), process.kill)

    def _ended(self, process: Process, task: "asyncio.Task[None]") -> None:
        process.die()
        error = None if task.cancelled() else task.exception()
        if isinstance(error, KubeError):
            self._failed_starts += 1
        else:
            self._failed_starts = 0
            if error is not None and not isinstance(error, Crash):
                self.fail(error)
        if self._is_stopped or self._failures:
            return
        self.interruptions.note(process.name, "the process is gone")
        wait = min(_LONGEST_RESTART_SECONDS, _RESTART_SECONDS * 2.0 ** min(self._failed_starts, 10))
        asyncio.get_running_loop().call_later(wait, self._keep_one_running)

    def _keep_one_running(self) -> None:
        if not self._is_stopped and not self.running():
            self.start()

    # --- driving ------------------------------------------------------------------------------------------------

    async def live_on(self, **length: float) -> None:
        """Let that much virtual time pass (``hours=2``), with the operator running and restarted when it dies.

        Raises what broke meanwhile: a Violation, or a defect of the operator.
        """
        if not self.processes:
            self.start()
        self._failing = self._failing or asyncio.get_running_loop().create_future()
        await asyncio.wait({self._failing}, timeout=timedelta(**length).total_seconds())
        self.check()

    def fail(self, error: BaseException) -> None:
        """Something broke: whoever lives on learns of it at once."""
        self._failures.append(error)
        if self._failing is not None and not self._failing.done():
            self._failing.set_result(None)

    def check(self) -> None:
        """Raise what broke so far."""
        if self._failures:
            raise AssertionError(str(self._failures[0])) from self._failures[0]

    def keep(self, task: "asyncio.Future[Any]") -> None:
        """Hold on to something that goes on by itself."""
        self._kept.add(task)
        task.add_done_callback(self._kept.discard)

    async def stop(self) -> None:
        """End every process."""
        self._is_stopped = True
        tasks = [task for process in self.processes if (task := process.kill()) is not None]
        if tasks:
            await asyncio.wait(tasks)
