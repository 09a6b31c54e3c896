"""The composition root: the only place that builds things, and the only one that knows the real clock, the real
randomness and this process's identity.

Order of life: connect; find the installation; look at everything once; start workers, sweeps and refreshes; only then
let kopf watch (it cancels whatever was started after it). On SIGTERM kopf stops watching and calls ``drain``, which
waits until no plaintext is on its way; what was begun beyond that is safe to resume by anyone.
"""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import kopf

from saperly_operator import __version__
from saperly_operator.budget.breaker import BreakerTimes
from saperly_operator.budget.gate import Gate
from saperly_operator.clock import Clock, SystemClock
from saperly_operator.controller.cache import Cache, ObjectKey, ProviderKey
from saperly_operator.controller.drain import Drain
from saperly_operator.controller.installation import Installation, ensure_installation, until_decided
from saperly_operator.controller.observe import Observer, provider_key_of
from saperly_operator.controller.orphans import OwnerlessOrphans
from saperly_operator.controller.providers import Providers
from saperly_operator.controller.queue import WorkQueue
from saperly_operator.controller.reconcile import Reconciler
from saperly_operator.controller.resync import resync, resync_for_ever
from saperly_operator.controller.scratch import Scratchpads
from saperly_operator.controller.service_keys import ServiceKeys
from saperly_operator.controller.status_writer import StatusWriter
from saperly_operator.controller.sweep import Sweeper
from saperly_operator.controller.tools import Tools
from saperly_operator.controller.watch import Intake, make_registry, make_settings
from saperly_operator.controller.work import KeyWorker, ProviderWorker
from saperly_operator.kube.api import Kube, connect
from saperly_operator.kube.events import EventWriter
from saperly_operator.lifecycle.observed import Myself
from saperly_operator.saperly.api import VendorApi
from saperly_operator.saperly.client import SaperlyClient
from saperly_operator.saperly.concealed import Credential
from saperly_operator.saperly.transport import Timeouts, make_http_client
from saperly_operator.settings import Settings

logger = logging.getLogger(__name__)

_PROVIDER_WORKERS = 4
_DECISION_CHECK = 10.0
"""Seconds between two looks whether an administrator has decided whose this installation is."""


@dataclass(frozen=True, slots=True)
class Operator:
    """Everything that runs, built and not yet started."""

    tools: Tools
    keys: WorkQueue[ObjectKey]
    provider_queue: WorkQueue[ProviderKey]
    key_worker: KeyWorker
    provider_worker: ProviderWorker
    sweeper: Sweeper
    intake: Intake
    drain: Drain


async def run(settings: Settings) -> None:
    """Run until a signal. Raises KubeError when the API cannot be used at the start."""
    clock = SystemClock()
    async with _ports(settings, clock) as (kube, connect_vendor):
        operator = await build(settings, kube, connect_vendor, clock)
        await resync(kube, operator.intake)
        async with _running(operator, settings, clock) as drain:
            logger.info(
                "started",
                extra={
                    "version": __version__,
                    "installation": operator.tools.observer.myself.installation,
                    "holder": operator.tools.observer.myself.holder,
                },
            )
            decided = asyncio.Event()
            waiting = asyncio.create_task(_await_decision(operator.tools, settings, decided))
            try:
                await kopf.operator(
                    registry=make_registry(operator.intake, drain),
                    settings=make_settings(),
                    standalone=True,
                    clusterwide=True,
                    stop_flag=decided,
                )
            finally:
                waiting.cancel()
    logger.info("stopped")


async def _await_decision(tools: Tools, settings: Settings, decided: asyncio.Event) -> None:
    """Set ``decided`` when an administrator made this process's installation another: a new process begins with that."""
    myself = tools.observer.myself
    pause = settings.resync if myself.confirmed else min(_DECISION_CHECK, settings.resync)
    known = Installation(myself.installation, myself.confirmed)
    await until_decided(tools.kube, settings.namespace, known, lambda: tools.clock.sleep(pause))
    logger.warning("the installation was decided on: this process ends, for another to begin with it")
    decided.set()


@asynccontextmanager
async def _ports(settings: Settings, clock: Clock) -> AsyncIterator[tuple[Kube, Callable[[Credential], VendorApi]]]:
    http = make_http_client(
        user_agent=f"saperly-operator/{__version__}", ca_bundle=settings.ca_bundle, trust_env=True
    )
    timeouts = Timeouts(settings.vendor_connect_timeout, settings.vendor_read_timeout, settings.vendor_timeout)

    def connect_vendor(credential: Credential) -> VendorApi:
        return SaperlyClient(settings.api_url, credential, http=http, clock=clock, timeouts=timeouts)

    async with (
        http,
        connect(request_timeout=settings.kube_timeout, pool_size=settings.workers * 2) as kube,
    ):
        yield kube, connect_vendor


async def build(
    settings: Settings,
    kube: Kube,
    connect_vendor: Callable[[Credential], VendorApi],
    clock: Clock,
    random_bytes: Callable[[int], bytes] = secrets.token_bytes,
) -> Operator:
    """Put the parts together. Raises KubeError."""
    installation = await ensure_installation(kube, settings.namespace, lambda: random_bytes(16).hex())
    if not installation.confirmed:
        logger.error("the installation's id was made in another cluster: nothing is changed at Saperly")
    holder = f"{settings.identity}-{random_bytes(4).hex()}"
    myself = Myself(holder, clock.now(), installation.id, installation.confirmed)
    cache, scratchpads = Cache(), Scratchpads()
    breaker_times = BreakerTimes(first=settings.breaker_first, longest=settings.breaker_limit)
    service_keys = ServiceKeys(
        clock, connect_vendor, lambda: Gate(margin=2 * settings.vendor_timeout, breaker_times=breaker_times)
    )
    observer = Observer(kube, cache, service_keys, scratchpads, myself)
    events = EventWriter(kube, instance=holder)
    statuses = StatusWriter(kube, cache, events, clock)
    tools = Tools(kube, cache, observer, service_keys, scratchpads, statuses, clock, settings.timings)
    return _assemble(settings, tools, events, myself)


def _assemble(settings: Settings, tools: Tools, events: EventWriter, myself: Myself) -> Operator:
    keys: WorkQueue[ObjectKey] = WorkQueue(tools.clock)
    provider_queue: WorkQueue[ProviderKey] = WorkQueue(tools.clock)
    dependents = _Dependents(tools.cache, keys)

    def provider_changed(provider: ProviderKey) -> None:
        dependents.look_again(provider)
        sweeper.look_again()

    providers = Providers(tools, events, namespace=settings.namespace, changed=provider_changed)
    orphans = OwnerlessOrphans(
        tools.kube, tools.clock, tools.timings, installation=myself.installation, confirmed=myself.confirmed
    )
    sweeper = Sweeper(tools, orphans, installation=myself.installation, enqueue=keys.add, report=provider_queue.add)
    reconciler = Reconciler(tools, sweeper, providers, is_stopping=lambda: keys.is_closed)
    key_worker = KeyWorker(keys, reconciler)
    return Operator(
        tools=tools,
        keys=keys,
        provider_queue=provider_queue,
        key_worker=key_worker,
        provider_worker=ProviderWorker(provider_queue, providers, settings.provider_refresh, provider_changed),
        sweeper=sweeper,
        intake=Intake(tools.cache, keys.add, provider_queue.add, keys.forget),
        drain=Drain(key_worker, tools.scratchpads, tools.clock, limit=settings.drain),
    )


class _Dependents:
    """The objects of a provider."""

    def __init__(self, cache: Cache, keys: WorkQueue[ObjectKey]) -> None:
        self._cache = cache
        self._keys = keys

    def look_again(self, provider: ProviderKey) -> None:
        for key, ref in self._cache.provider_refs():
            if provider_key_of(ref, key[0]) == provider:
                self._keys.add(key)


@asynccontextmanager
async def _running(
    operator: Operator, settings: Settings, clock: Clock
) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Workers and loops for as long as the block lasts; yields the drain."""
    workers = [
        *(asyncio.create_task(operator.keys.work(operator.key_worker.handle)) for _ in range(settings.workers)),
        *(
            asyncio.create_task(operator.provider_queue.work(operator.provider_worker.handle))
            for _ in range(_PROVIDER_WORKERS)
        ),
    ]
    loops = [
        asyncio.create_task(operator.sweeper.run()),
        asyncio.create_task(
            resync_for_ever(
                lambda: resync(operator.tools.kube, operator.intake), lambda: clock.sleep(settings.resync)
            )
        ),
    ]

    def close() -> None:
        operator.keys.close()
        operator.provider_queue.close()
        for loop in loops:
            loop.cancel()

    async def drain() -> None:
        if not operator.keys.is_closed:
            await operator.drain.run(close, workers)

    try:
        yield drain
        await drain()
    finally:
        for task in (*loops, *workers):
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*loops, *workers, return_exceptions=True)
