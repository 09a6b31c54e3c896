"""The sweep: one list of a service key's live keys, compared with what this cluster accounts for.

One call per 100 keys serves the whole fleet, whatever its size. The list comes first and references are read afterwards,
so that a key minted meanwhile is never taken for an orphan. What it finds for an object goes into that object's
scratchpad as a hint, and the object's own worker looks closer and decides; the sweep itself revokes only what has no
owner any more (``orphans``).

It runs at each provider's ``sweepInterval``, and at once when an object waits for a list begun after some moment.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from saperly_operator.controller.cache import ObjectKey
from saperly_operator.controller.listing import Listing, list_live_keys
from saperly_operator.controller.observe import entry_key
from saperly_operator.controller.orphans import OwnerlessOrphans
from saperly_operator.controller.service_keys import EntryKey, Handle
from saperly_operator.controller.tools import Tools
from saperly_operator.controller.vendor import GateShut
from saperly_operator.lifecycle.naming import Owner, Tag
from saperly_operator.lifecycle.observed import ServiceKeyName, SweepView
from saperly_operator.lifecycle.references import referenced_ids
from saperly_operator.resources.base import InvalidResourceError
from saperly_operator.resources.durations import parse_duration
from saperly_operator.resources.saperly_key import SaperlyKey
from saperly_operator.saperly.errors import SaperlyError
from saperly_operator.saperly.models import ChildKey

logger = logging.getLogger(__name__)

_RETRY = timedelta(seconds=30)
_DEFAULT_INTERVAL = timedelta(minutes=10)


@dataclass(slots=True)
class _Plan:
    """When one service key is listed next, and for whom at the latest begun after what."""

    due: datetime
    last_begun: datetime | None = None
    wanted: datetime | None = None


class Sweeper:
    """Lists every service key in use, in turn. ``enqueue`` makes an object be looked at."""

    def __init__(
        self,
        tools: Tools,
        orphans: OwnerlessOrphans,
        *,
        installation: str,
        enqueue: Callable[[ObjectKey], None],
    ) -> None:
        self._cache = tools.cache
        self._service_keys = tools.service_keys
        self._scratchpads = tools.scratchpads
        self._clock = tools.clock
        self._orphans = orphans
        self._installation = installation
        self._enqueue = enqueue
        self._plans: dict[str, _Plan] = {}
        self._woken = asyncio.Event()

    def request(self, entry: EntryKey, begun_after: datetime) -> None:
        """A list begun after that moment is needed. Whoever asks waits until the moment has passed."""
        handle = self._service_keys.handle(entry)
        if handle is None:
            return
        plan = self._plans.setdefault(handle.material, _Plan(self._clock.now()))
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
            next_regular = self._clock.now() + self._interval(entries)
            plan = self._plans.setdefault(material, _Plan(next_regular))
            plan.due = min(plan.due, next_regular)  # the interval may have been shortened
            if plan.due <= self._clock.now():
                done = await self._sweep(handle, entries, plan)
                plan.due = self._clock.now() + (self._interval(entries) if done else _RETRY)
                if done and plan.wanted is not None and plan.last_begun is not None and plan.last_begun < plan.wanted:
                    plan.due = max(plan.wanted, self._clock.now())  # asked for while this one was under way
        now = self._clock.now()
        waits = [self._plans[material].due - now for material in materials]
        return max(min(waits, default=_RETRY), timedelta(seconds=0.05))

    def _interval(self, entries: list[EntryKey]) -> timedelta:
        providers = [self._cache.provider(provider) for provider, _ in entries]
        intervals = [parse_duration(provider.spec.sweep_interval) for provider in providers if provider is not None]
        return max(min(intervals, default=_DEFAULT_INTERVAL), timedelta(seconds=1))

    async def _sweep(self, handle: Handle, entries: list[EntryKey], plan: _Plan) -> bool:
        try:
            listing = await list_live_keys(handle, self._clock)
        except GateShut as shut:
            logger.info("a sweep waits", extra={"reason": shut.wait.reason.value})
            return False
        except SaperlyError as error:
            logger.warning("a sweep failed", extra={"error": str(error)})
            return False
        if listing is None:
            logger.warning("a sweep stayed incomplete: keys came and went while it was listing")
            return False
        plan.last_begun = listing.begun_at
        unowned = self._hand_out(listing, entries)
        await self._orphans.collect(handle, listing, unowned)
        return True

    def _hand_out(self, listing: Listing, entries: list[EntryKey]) -> list[ChildKey]:
        """Give each object its rows; returns the rows of this installation that no object here owns."""
        rows: dict[str, list[ChildKey]] = defaultdict(list)
        for row in listing.rows:
            tag = Tag.parse(row.name)
            if tag is not None and tag.is_of_installation(self._installation):
                rows[tag.owner].append(row)
        for key in self._cache.all_keys():
            owner = Tag.of(self._installation, Owner(*key), 1).owner
            self._hand_to(key, listing, rows.pop(owner, []), set(entries))
        return [row for unowned in rows.values() for row in unowned]

    def _hand_to(self, key: ObjectKey, listing: Listing, rows: list[ChildKey], entries: set[EntryKey]) -> None:
        body = self._cache.key(key)
        try:
            known = SaperlyKey.from_api(body)
        except InvalidResourceError:
            return
        status = known.status
        names: set[ServiceKeyName] = {
            (ref.provider, ref.service_key) for ref in (status.intent, status.current, *status.retiring) if ref
        }
        names |= {(str(known.spec.provider_ref), name) for _, name in entries}
        referenced = referenced_ids(status)
        stray = any(row.id not in referenced for row in rows)
        scratch = self._scratchpads.of(known.metadata.uid, key)
        for name in names:
            if entry_key(name, known.namespace) in entries:
                scratch.sweeps[name] = SweepView(listing.begun_at, listing.server_time, tuple(rows))
        if status.intent is not None or stray:
            self._enqueue(key)
