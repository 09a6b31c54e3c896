"""The sweep: one list of a service key's live keys, compared with what this cluster accounts for.

One call per 100 keys serves the whole fleet, whatever its size. The list comes first and references are read afterwards,
so that a key minted meanwhile is never taken for an orphan. What it finds for an object goes into that object's
scratchpad as a hint, and the object's own worker looks closer and decides; the sweep itself revokes only what has no
owner any more (``orphans``).

It runs at each provider's ``sweepInterval``, and at once when an object waits for a list begun after some moment.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from saperly_operator.controller.cache import ObjectKey, ProviderKey, lost_successors, provider_names
from saperly_operator.controller.compare import Comparison, Known, compare
from saperly_operator.controller.listing import Listing, list_live_keys
from saperly_operator.controller.observe import entry_key
from saperly_operator.controller.orphans import OwnerlessOrphans
from saperly_operator.controller.service_keys import EntryKey, Handle, SweepFindings
from saperly_operator.controller.tools import Tools
from saperly_operator.controller.vendor import GateShut
from saperly_operator.lifecycle.observed import ServiceKeyName
from saperly_operator.resources.base import InvalidResourceError
from saperly_operator.resources.durations import parse_duration
from saperly_operator.resources.saperly_key import ProviderRef
from saperly_operator.saperly.errors import SaperlyError

logger = logging.getLogger(__name__)

_RETRY = timedelta(seconds=30)
_DEFAULT_INTERVAL = timedelta(minutes=10)
_DEFAULT_LISTS = 600
_SHARE_OF_LISTS = 0.5
"""What regular sweeps may take of the hourly limit; the rest is for those who wait for a proven list."""


@dataclass(slots=True)
class _Plan:
    """When one service key is listed next, for whom at the latest begun after what, and what the last list cost.
    ``unproven``: the last one was to be a proof for a lost successor's sake alone, and came to none."""

    due: datetime
    last_begun: datetime | None = None
    wanted: datetime | None = None
    calls: int = 1
    unproven: bool = False


class Sweeper:
    """Lists every service key in use, in turn. ``enqueue`` makes an object be looked at, ``report`` a provider's status
    be brought in line with what was found."""

    def __init__(
        self,
        tools: Tools,
        orphans: OwnerlessOrphans,
        *,
        installation: str,
        enqueue: Callable[[ObjectKey], None],
        report: Callable[[ProviderKey], None],
    ) -> None:
        self._cache = tools.cache
        self._service_keys = tools.service_keys
        self._scratchpads = tools.scratchpads
        self._clock = tools.clock
        self._orphans = orphans
        self._installation = installation
        self._enqueue = enqueue
        self._report = report
        self._plans: dict[str, _Plan] = {}
        self._woken = asyncio.Event()

    def request(self, entry: EntryKey, begun_after: datetime) -> None:
        """A list begun after that moment is needed. Whoever asks waits until the moment has passed."""
        handle = self._service_keys.handle(entry)
        if handle is None:
            return
        plan = self._plans.setdefault(handle.material, _Plan(self._clock.now()))
        if plan.last_begun is not None and plan.last_begun > self._clock.now():
            plan.last_begun = None  # the clock was set back since
        if plan.last_begun is None or plan.last_begun < begun_after:
            plan.wanted = max(plan.wanted or begun_after, begun_after)
            plan.due = min(plan.due, max(begun_after, self._clock.now()))
            self._woken.set()

    def look_again(self) -> None:
        """A provider came or changed: it may want its keys compared sooner than was planned."""
        self._woken.set()

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            self._woken.clear()
            try:
                wait = await self._sweep_due()
            except Exception:  # a defect must not end all sweeps
                logger.exception("a defect in a sweep")
                wait = _RETRY
            sleeping = asyncio.ensure_future(self._clock.sleep(wait.total_seconds()))
            woken = asyncio.ensure_future(self._woken.wait())
            try:
                await asyncio.wait({sleeping, woken}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                sleeping.cancel()
                woken.cancel()

    async def _sweep_due(self) -> timedelta:
        """Sweep what is due; returns how long nothing is."""
        materials: dict[str, tuple[Handle, list[EntryKey]]] = {}
        for entry, handle in self._service_keys.entries().items():
            materials.setdefault(handle.material, (handle, []))[1].append(entry)
        for material, (handle, entries) in materials.items():
            next_regular = self._clock.now() + self._interval(entries, self._plans.get(material))
            plan = self._plans.setdefault(material, _Plan(next_regular))
            plan.due = min(plan.due, next_regular)  # the interval may have been shortened
            if plan.due <= self._clock.now():
                done = await self._sweep(handle, entries, plan)
                plan.due = self._clock.now() + (self._interval(entries, plan) if done else _RETRY)
                if done and plan.wanted is not None and plan.last_begun is not None and plan.last_begun < plan.wanted:
                    plan.due = max(plan.wanted, self._clock.now())  # asked for while this one was under way
        now = self._clock.now()
        waits = [self._plans[material].due - now for material in materials]
        return max(min(waits, default=_RETRY), timedelta(seconds=0.05))

    def _interval(self, entries: list[EntryKey], plan: _Plan | None) -> timedelta:
        """As the providers ask, or as often as the vendor's limit for lists lets a list of this length be made."""
        providers = [self._cache.provider(provider) for provider, _ in entries]
        specs = [provider.spec for provider in providers if provider is not None]
        asked = min((parse_duration(spec.sweep_interval) for spec in specs), default=_DEFAULT_INTERVAL)
        hourly = min((spec.limits.lists_per_hour for spec in specs), default=_DEFAULT_LISTS) * _SHARE_OF_LISTS
        affordable = timedelta(hours=1) * (plan.calls if plan is not None else 1) / hourly
        return max(asked, affordable, timedelta(seconds=1))

    async def _sweep(self, handle: Handle, entries: list[EntryKey], plan: _Plan) -> bool:
        wanted = plan.wanted is not None and (plan.last_begun is None or plan.last_begun < plan.wanted)
        # That a lost successor is not there takes a proof, too. Nobody waits for it: a regular list is made one, and
        # where that comes to nothing, the next is as any other.
        for_the_lost = not wanted and not plan.unproven and self._has_lost(entries)
        plan.unproven = for_the_lost
        try:
            listing = await list_live_keys(handle, self._clock, proof=wanted or for_the_lost)
        except GateShut as shut:
            logger.info("a sweep waits", extra={"reason": shut.wait.reason.value})
            return False
        except SaperlyError as error:
            logger.warning("a sweep failed", extra={"error": str(error)})
            return False
        if listing is None:
            logger.warning("a sweep stayed incomplete: keys came and went while it was listing")
            return False
        plan.calls, plan.unproven = listing.calls, False
        if listing.is_proven:
            plan.last_begun = listing.begun_at
        await self._judge(handle, listing, entries)
        return True

    def _has_lost(self, entries: list[EntryKey]) -> bool:
        return any(
            entry_key((lost["provider"], lost["serviceKey"]), body["metadata"]["namespace"]) in entries
            for body in self._cache.bodies()
            for lost in lost_successors(body)
        )

    async def _judge(self, handle: Handle, listing: Listing, entries: list[EntryKey]) -> None:
        """References are read now, after the list; then each object's worker gets what concerns it."""
        recorded = frozenset(view.record.key_id for view in self._cache.secrets() if view.record is not None)
        known = [known for key in self._cache.all_keys() if (known := self._known(key, entries)) is not None]
        comparison = compare(listing, known, recorded, self._installation)
        if any(self._service_keys.doubt(entry) is not None for entry in entries):
            return  # it may be the list of another service key: nothing is concluded from it
        for owner_tag, serial in comparison.serials.items():
            self._scratchpads.note_serial(owner_tag, serial)
        for each in known:
            self._hand_to(each, comparison)
        ordered = frozenset[str]().union(*(self._ordered(provider) for provider, _ in entries))
        in_use = await self._orphans.collect(handle, listing, comparison.unowned, ordered)
        unowned = self._service_keys.findings(handle.material).unowned if in_use is None else in_use
        if self._service_keys.note_findings(handle.material, SweepFindings(comparison.held, unowned)):
            for provider, _ in entries:
                self._report(provider)

    def _known(self, key: ObjectKey, entries: list[EntryKey]) -> Known | None:
        body = self._cache.key(key)
        if body is None:
            return None
        ref = (body.get("spec") or {}).get("providerRef") or {}
        names: set[ServiceKeyName] = set(provider_names(body))
        try:
            names |= {(str(ProviderRef.from_api(ref)), name) for _, name in entries}
        except InvalidResourceError:
            return None
        return Known(key, body, frozenset(name for name in names if entry_key(name, key[0]) in entries))

    def _hand_to(self, known: Known, comparison: Comparison) -> None:
        scratch = self._scratchpads.of(known.body["metadata"]["uid"], known.key)
        views = comparison.views.get(known.key, {})
        for name in known.names:
            if name in views:
                scratch.sweeps[name] = views[name]
            else:
                scratch.sweeps.pop(name, None)
        if views:
            self._enqueue(known.key)

    def _ordered(self, provider: ProviderKey) -> frozenset[str]:
        known = self._cache.provider(provider)
        return known.orphans_to_revoke if known is not None else frozenset()
