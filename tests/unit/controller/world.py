"""The operator as ``wiring`` builds it, between a Kubernetes in memory and the simulated vendor, step by step.

Nothing runs by itself: a test lets an object be looked at (``reconcile``), moves the clock, sweeps. Histories with
crashes and time that passes by itself are the simulation's (tests/simulation).
"""

import asyncio
import json
import random
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Any

import httpx

from saperly_operator import wiring
from saperly_operator.clock import ManualClock
from saperly_operator.controller.resync import resync
from saperly_operator.kube.api import (
    CLUSTER_PROVIDERS,
    CONFIG_MAPS,
    EVENTS,
    NAMESPACES,
    PLAIN,
    SAPERLY_KEYS,
    SECRETS,
    STATUS,
    Object,
)
from saperly_operator.kube.errors import NotFound
from saperly_operator.resources import annotations
from saperly_operator.resources.provider import ClusterSaperlyProvider
from saperly_operator.resources.saperly_key import SaperlyKey
from saperly_operator.saperly.api import ListedPage, VendorApi
from saperly_operator.saperly.client import SaperlyClient
from saperly_operator.saperly.concealed import Credential
from saperly_operator.saperly.errors import SaperlyError
from saperly_operator.saperly.outcome import MintOutcome
from saperly_operator.settings import Settings
from saperly_operator.simulator.control import Control
from saperly_operator.simulator.server import Simulator
from saperly_operator.simulator.state import Child
from saperly_operator.simulator.store import Store
from saperly_operator.wiring import Operator
from tests.support.faulty_kube import FaultyKube
from tests.support.memory_kube import MemoryKube

URL = "https://saperly.example/api"
_LONG_ENOUGH = 1000
"""Turns of the event loop: nothing here waits for anything outside it."""
SYSTEM, NAMESPACE, NAME = "saperly-system", "agents", "support"


class ScriptedClient(SaperlyClient):
    """The client over HTTP, whose next mints raise what ``errors`` holds, in turn, without being sent, and whose lists
    lack the ids in ``hidden``."""

    errors: list[SaperlyError]
    hidden: set[str]

    async def list_page(self, limit: int = 100, offset: int = 0) -> ListedPage:
        listed = await super().list_page(limit, offset)
        rows = tuple(row for row in listed.page.keys if row.id not in self.hidden)
        total = listed.page.total - len(listed.page.keys) + len(rows)
        return ListedPage(listed.page.model_copy(update={"keys": rows, "total": total}), listed.server_time)

    async def mint(self, body: str, idempotency_key: str) -> MintOutcome:
        if self.errors:
            raise self.errors.pop(0)
        return await super().mint(body, idempotency_key)


class World:
    """See the module's text. ``operator`` is one process; ``restart`` puts another in its place."""

    operator: Operator

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.memory = MemoryKube(self.clock)
        self.kube = FaultyKube(self.memory)
        self.random = random.Random(7)
        self.simulator = Simulator(Store(), self.clock, self.random.randbytes, access=None)
        self.requests: list[str] = []
        """What the vendor was asked, like ``POST /v1/keys``."""
        self.mint_errors: list[SaperlyError] = []
        """What the next mints raise, before anything is sent."""
        self.hidden: set[str] = set()
        """Ids that no list shows."""
        self._http = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.simulator), event_hooks={"request": [self._note]}
        )

    def on_request(self, hook: Callable[[httpx.Request], Awaitable[None]]) -> None:
        """What happens at the vendor right before it is asked something."""
        self._http.event_hooks = {"request": [*self._http.event_hooks["request"], hook]}

    async def _note(self, request: httpx.Request) -> None:
        self.requests.append(f"{request.method} {request.url.path.removeprefix('/api')}")

    @property
    def control(self) -> Control:
        return self.simulator.control

    async def install(self, **provider: Any) -> "World":
        """Namespaces, a service key, a provider, and an operator that has looked at everything."""
        for name in ("default", "kube-system", SYSTEM, NAMESPACE):
            await self.memory.create(NAMESPACES, "", {"metadata": {"name": name}})
        service_key = self.control.create_service_key().plaintext
        data = {"SAPERLY_SERVICE_KEY": b64encode(service_key.encode()).decode()}
        await self.memory.create(SECRETS, SYSTEM, {"metadata": {"name": "saperly-service-key"}, "data": data})
        spec = {
            "environment": "test",
            "serviceKeys": [{"name": "main", "secretRef": {"name": "saperly-service-key"}}],
            "allowedNamespaces": {"names": [NAMESPACE]},
        }
        await self.memory.create(CLUSTER_PROVIDERS, "", {"metadata": {"name": "default"}, "spec": spec | provider})
        await self.restart()
        return self

    async def restart(self) -> None:
        """The process is gone with all that it remembered; another one has looked at everything."""
        self.operator = await self.another_process()

    async def another_process(self) -> Operator:
        """A second process of the operator, beside the first."""
        operator = await wiring.build(
            Settings(namespace=SYSTEM), self.kube, self._connect, self.clock, self.random.randbytes
        )
        await resync(self.kube, operator.intake)
        await operator.provider_worker.handle(("ClusterSaperlyProvider", "", "default"))
        return operator

    def _connect(self, credential: Credential) -> VendorApi:
        client = ScriptedClient(URL, credential, http=self._http, clock=self.clock)
        client.errors, client.hidden = self.mint_errors, self.hidden
        return client

    async def close(self) -> None:
        await self._http.aclose()

    # --- users ------------------------------------------------------------------------------------------------------

    async def apply(self, name: str = NAME, **spec: Any) -> None:
        """Create a SaperlyKey, or change its spec; the watch shows it at once."""
        try:
            body = await self.memory.patch(SAPERLY_KEYS, NAMESPACE, name, {"spec": spec}, options=PLAIN)
        except NotFound:
            body = await self.memory.create(SAPERLY_KEYS, NAMESPACE, {"metadata": {"name": name}, "spec": spec})
        self.operator.intake.key_event(None, body)

    async def delete(self, name: str = NAME) -> None:
        body = await self.memory.get(SAPERLY_KEYS, NAMESPACE, name)
        uid, version = body["metadata"]["uid"], body["metadata"]["resourceVersion"]
        await self.memory.delete(SAPERLY_KEYS, NAMESPACE, name, uid=uid, version=version)
        try:
            self.operator.intake.key_event("MODIFIED", await self.memory.get(SAPERLY_KEYS, NAMESPACE, name))
        except NotFound:
            self.operator.intake.key_event("DELETED", body)

    async def annotate(self, name: str = NAME, **values: str) -> None:
        """Set annotations of ours on a SaperlyKey; underscores stand for dashes."""
        marks = {f"saperly.com/{key.replace('_', '-')}": value for key, value in values.items()}
        patch = {"metadata": {"annotations": marks}}
        body = await self.memory.patch(SAPERLY_KEYS, NAMESPACE, name, patch, options=PLAIN)
        self.operator.intake.key_event(None, body)

    async def change_provider(self, **spec: Any) -> None:
        body = await self.memory.patch(CLUSTER_PROVIDERS, None, "default", {"spec": spec}, options=PLAIN)
        self.operator.intake.provider_event("ClusterSaperlyProvider", None, body)
        await self.refresh_provider()

    async def service_key_text(self) -> str:
        data = (await self.memory.get(SECRETS, SYSTEM, "saperly-service-key"))["data"]
        return b64decode(data["SAPERLY_SERVICE_KEY"]).decode()

    async def put_service_key(self, value: str) -> None:
        """What the Secret of the service key holds from now on."""
        data = {"SAPERLY_SERVICE_KEY": b64encode(value.encode()).decode()}
        await self.memory.patch(SECRETS, SYSTEM, "saperly-service-key", {"data": data}, options=PLAIN)
        await self.refresh_provider()

    async def annotate_provider(self, orphans: str) -> None:
        """Ask for the end of keys that have no SaperlyKey."""
        patch = {"metadata": {"annotations": {annotations.REVOKE_ORPHANS: orphans}}}
        body = await self.memory.patch(CLUSTER_PROVIDERS, None, "default", patch, options=PLAIN)
        self.operator.intake.provider_event("ClusterSaperlyProvider", None, body)

    async def wipe_status(self, name: str = NAME) -> None:
        """Status is lost, and nothing else."""
        body = await self.memory.get(SAPERLY_KEYS, NAMESPACE, name)
        gone: Object = {"status": dict.fromkeys(body["status"]) | {"observedGeneration": -1}}
        self.operator.intake.key_event(
            None, await self.memory.patch(SAPERLY_KEYS, NAMESPACE, name, gone, options=STATUS)
        )

    async def show(self, name: str = NAME) -> None:
        """The watch shows the object as it is."""
        self.operator.intake.key_event(None, await self.memory.get(SAPERLY_KEYS, NAMESPACE, name))

    # --- the operator -----------------------------------------------------------------------------------------------

    async def reconcile(self, name: str = NAME, operator: Operator | None = None) -> None:
        """Let a worker look at the object, until it rests or an error puts it off."""
        await (operator or self.operator).key_worker.handle((NAMESPACE, name))

    async def refresh_provider(self) -> None:
        """Let a worker look at the provider and its Secret."""
        await self.operator.provider_worker.handle(("ClusterSaperlyProvider", "", "default"))

    async def reconcile_after(self, seconds: float, times: int = 1) -> None:
        """Let time pass and look, again and again."""
        for _ in range(times):
            self.clock.advance(seconds)
            await self.reconcile()

    async def sweep(self) -> None:
        """Have the vendor's keys listed and compared now, once."""
        sweeper = self.operator.sweeper
        sweeper.request((("ClusterSaperlyProvider", "", "default"), "main"), self.clock.now())
        await self.sweep_when_due(0)

    async def sweep_when_due(self, seconds: float) -> None:
        """Let time pass, and the sweeper do what it finds due then."""
        self.clock.advance(seconds)
        running = asyncio.create_task(self.operator.sweeper.run())
        for _ in range(_LONG_ENOUGH):
            await asyncio.sleep(0)
        running.cancel()
        await asyncio.wait({running})

    def forget_calls(self) -> None:
        """Count from here."""
        self.kube.calls.clear()
        self.requests.clear()

    # --- looking ----------------------------------------------------------------------------------------------------

    async def key(self, name: str = NAME) -> SaperlyKey:
        return SaperlyKey.from_api(await self.memory.get(SAPERLY_KEYS, NAMESPACE, name))

    async def provider(self) -> ClusterSaperlyProvider:
        return ClusterSaperlyProvider.from_api(await self.memory.get(CLUSTER_PROVIDERS, None, "default"))

    async def current_id(self, name: str = NAME) -> str | None:
        """Of the key that status says is the one in the Secret."""
        current = (await self.key(name)).status.current
        return None if current is None else current.id

    async def reasons(self, name: str = NAME) -> dict[str, str]:
        """Each condition that is true, with its reason."""
        conditions = (await self.key(name)).status.conditions
        return {each.type: each.reason for each in conditions if each.status.value == "True"}

    async def secret(self, name: str = NAME) -> Object | None:
        try:
            return await self.memory.get(SECRETS, NAMESPACE, name)
        except NotFound:
            return None

    async def digest(self, name: str = NAME, entry: str = "SAPERLY_API_KEY") -> str | None:
        """Of the plaintext in a Secret, as the vendor's ledger has it."""
        body = await self.secret(name)
        value = (body or {}).get("data", {}).get(entry)
        return None if value is None else sha256(b64decode(value)).hexdigest()

    def live(self) -> list[str]:
        """The ids of all live keys."""
        return [child.id for child in self.control.live_keys()]

    def service_key_id(self) -> str:
        """The id of the service key that the provider was installed with."""
        return next(iter(self.simulator.core.store.service_keys())).id

    @staticmethod
    def digest_of(secret: Object, entry: str = "SAPERLY_API_KEY") -> str:
        """Of the plaintext in the body of a Secret."""
        return sha256(b64decode(secret["data"][entry])).hexdigest()

    def child(self, key_id: str) -> Child:
        """The vendor's own record of a key."""
        return next(child for child in self.control.ledger() if child.id == key_id)

    async def provider_reasons(self) -> dict[str, str]:
        """Each condition of the provider that is true, with its reason."""
        conditions = (await self.provider()).status.conditions
        return {each.type: each.reason for each in conditions if each.status.value == "True"}

    def minted(self) -> int:
        return sum(request == "POST /v1/keys" for request in self.requests)

    async def everything_but_secrets(self) -> str:
        """All that Kubernetes holds apart from Secrets, as text."""
        kinds = (SAPERLY_KEYS, CLUSTER_PROVIDERS, CONFIG_MAPS, EVENTS, NAMESPACES)
        return json.dumps([await self.memory.list(kind) for kind in kinds])
