"""A whole world in one thread and in virtual time: a Kubernetes in memory, the vendor's core, and the operator's own
code between them, from the reconciler down to the HTTP messages.

Queue, workers, timers and sweeps are the real ones, on an event loop whose time jumps; only kopf's place is taken by a
look at everything, a moment after each write. A ``Crash`` ends the operator's process: all its memory is gone, and a new
one with another name starts on what the two APIs hold.
"""

import asyncio
import hashlib
import random
from base64 import b64decode, b64encode
from datetime import timedelta
from typing import Any

import httpx

from saperly_operator import wiring
from saperly_operator.controller.resync import resync
from saperly_operator.controller.watch import Intake
from saperly_operator.kube.api import CLUSTER_PROVIDERS, NAMESPACES, PLAIN, SAPERLY_KEYS, SECRETS, Object
from saperly_operator.kube.errors import KubeError, NotFound
from saperly_operator.resources.saperly_key import SaperlyKey
from saperly_operator.saperly.client import SaperlyClient
from saperly_operator.saperly.concealed import Credential
from saperly_operator.settings import Settings
from saperly_operator.simulator.control import Control
from saperly_operator.simulator.core import Core
from saperly_operator.simulator.state import Child
from saperly_operator.simulator.store import Store
from tests.simulation.interruptions import Crash, InterruptedKube, InterruptedVendor, Interruptions
from tests.simulation.invariants import Invariants, Violation
from tests.simulation.virtual_time import LoopClock
from tests.support.memory_kube import MemoryKube

URL = "https://saperly.example/api"
SYSTEM, NAMESPACE = "saperly-system", "agents"
_WORKERS = 2
_SETTINGS = Settings(namespace=SYSTEM, provider_refresh=1800)
_RESTART_SECONDS = 2.0
_WATCH_LAG_SECONDS = 0.01


class World:
    """See the module's text. Users act through ``kube``, people at the vendor through ``control``."""

    def __init__(self, seed: int = 1, interruptions: Interruptions | None = None) -> None:
        self.random = random.Random(seed)
        self.clock = LoopClock()
        self.kube = MemoryKube(self.clock)
        self.core = Core(Store(), self.clock, self.random.randbytes)
        self.control = Control(self.core)
        self.interruptions = interruptions or Interruptions()
        self.invariants = Invariants(self.kube, self.core)
        self.crashes = 0
        self._process: asyncio.Task[None] | None = None
        self._intake: Intake | None = None
        self._showing = False
        self._watching: asyncio.Task[None] | None = None

    async def install(self) -> None:
        """What an administrator sets up: namespaces, the service key's Secret, a provider."""
        for name in ("kube-system", SYSTEM, NAMESPACE):
            await self.kube.create(NAMESPACES, "", {"metadata": {"name": name}})
        service_key = self.control.create_service_key().plaintext
        await self.kube.create(
            SECRETS,
            SYSTEM,
            {
                "metadata": {"name": "saperly-service-key", "namespace": SYSTEM},
                "data": {"SAPERLY_SERVICE_KEY": b64encode(service_key.encode()).decode()},
            },
        )
        provider = {
            "metadata": {"name": "default"},
            "spec": {
                "environment": "test",
                "serviceKeys": [{"name": "main", "secretRef": {"name": "saperly-service-key"}}],
                "allowedNamespaces": {"names": [NAMESPACE]},
                "sweepInterval": "1h",
            },
        }
        await self.kube.create(CLUSTER_PROVIDERS, "", provider)

    # --- users --------------------------------------------------------------------------------------------------

    async def apply(self, name: str, **spec: Any) -> None:
        """Create a SaperlyKey, or change its spec."""
        try:
            await self.kube.get(SAPERLY_KEYS, NAMESPACE, name)
        except NotFound:
            body = {"metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec}
            await self.kube.create(SAPERLY_KEYS, NAMESPACE, body)
        else:
            await self.kube.patch(SAPERLY_KEYS, NAMESPACE, name, {"spec": spec}, options=PLAIN)
        self._wrote()

    async def annotate(self, name: str, **values: str | None) -> None:
        """Set annotations of ours on a SaperlyKey; underscores stand for dashes."""
        marks = {f"saperly.com/{key.replace('_', '-')}": value for key, value in values.items()}
        patch = {"metadata": {"annotations": marks}}
        await self.kube.patch(SAPERLY_KEYS, NAMESPACE, name, patch, options=PLAIN)
        self._wrote()

    async def delete(self, name: str) -> None:
        body = await self.kube.get(SAPERLY_KEYS, NAMESPACE, name)
        await self._delete(SAPERLY_KEYS, body)

    async def edit_secret(self, name: str, patch: Object) -> None:
        """As somebody with kubectl does."""
        await self.kube.patch(SECRETS, NAMESPACE, name, patch, options=PLAIN)
        self._wrote()

    async def delete_secret(self, name: str) -> None:
        await self._delete(SECRETS, await self.kube.get(SECRETS, NAMESPACE, name))

    async def _delete(self, resource: Any, body: Object) -> None:
        metadata = body["metadata"]
        await self.kube.delete(
            resource, NAMESPACE, metadata["name"], uid=metadata["uid"], version=metadata["resourceVersion"]
        )
        self._wrote()

    # --- looking ------------------------------------------------------------------------------------------------

    async def key(self, name: str) -> SaperlyKey | None:
        try:
            return SaperlyKey.from_api(await self.kube.get(SAPERLY_KEYS, NAMESPACE, name))
        except NotFound:
            return None

    async def digest(self, secret: str, entry: str = "SAPERLY_API_KEY") -> str | None:
        """The SHA-256 of what a Secret holds, as the vendor's ledger shows it; None when there is nothing."""
        try:
            body = await self.kube.get(SECRETS, NAMESPACE, secret)
        except NotFound:
            return None
        value = (body.get("data") or {}).get(entry)
        return None if value is None else hashlib.sha256(b64decode(value)).hexdigest()

    def ledger(self) -> list[Child]:
        """Every key ever minted."""
        return list(self.core.store.children())

    def live(self) -> list[Child]:
        return [child for child in self.ledger() if child.revoked_at is None]

    async def use_keys(self) -> None:
        """As agents do: every key that a Secret holds is used, so that none passes for an orphan that nobody has."""
        for secret in await self.kube.list(SECRETS):
            key_id = (secret["metadata"].get("annotations") or {}).get("saperly.com/key-id")
            child = self.core.store.child(key_id) if key_id else None
            if child is not None and child.revoked_at is None:
                self.control.use_key(child.id)

    # --- driving ------------------------------------------------------------------------------------------------

    async def live_on(self, **length: float) -> None:
        """Let that much virtual time pass (``hours=2``), with the operator running and restarted when it dies."""
        until = asyncio.get_running_loop().time() + timedelta(**length).total_seconds()
        while (remaining := until - asyncio.get_running_loop().time()) > 0:
            if self._process is None:
                self._process = asyncio.create_task(self._operate())
            done, _ = await asyncio.wait({self._process}, timeout=remaining)
            if done:
                self._bury()
                await asyncio.sleep(_RESTART_SECONDS)

    async def stop(self) -> None:
        """End the operator's process. Raises AssertionError when a late request broke an invariant."""
        assert not self.interruptions.violations, self.interruptions.violations
        if self._process is not None:
            self._process.cancel()
            await asyncio.wait({self._process})
            self._process = None

    def _bury(self) -> None:
        assert self._process is not None
        error = self._process.exception()
        if isinstance(error, Violation):
            raise AssertionError(str(error)) from error  # noqa: TRY004 (this is a test's verdict)
        if error is not None and not isinstance(error, Crash | KubeError):
            raise error
        self._process, self._intake = None, None
        self.crashes += 1
        self.interruptions.trace.append("--- the process died; a new one starts")

    async def _operate(self) -> None:
        """One process of the operator, from its start to its death."""
        http = httpx.AsyncClient(transport=InterruptedVendor(self.core, self.interruptions, self.invariants))

        def connect(credential: Credential) -> SaperlyClient:
            return SaperlyClient(URL, credential, http=http, clock=self.clock)

        kube = InterruptedKube(self.kube, self.interruptions, self.invariants, self._wrote)
        operator = await wiring.build(_SETTINGS, kube, connect, self.clock, self.random.randbytes)
        self._intake = operator.intake
        await resync(kube, operator.intake)
        tasks = [
            *(asyncio.create_task(operator.keys.work(operator.key_worker.handle)) for _ in range(_WORKERS)),
            asyncio.create_task(operator.provider_queue.work(operator.provider_worker.handle)),
            asyncio.create_task(operator.sweeper.run()),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    def _wrote(self) -> None:
        """Something was written: the watches show it a moment later."""
        if self._intake is not None and not self._showing:
            self._showing = True
            asyncio.get_running_loop().call_later(_WATCH_LAG_SECONDS, self._show)

    def _show(self) -> None:
        self._showing = False
        self._watching = asyncio.create_task(self._deliver())

    async def _deliver(self) -> None:
        if self._intake is not None:
            await resync(self.kube, self._intake)
