"""The loop around one object: observe, decide, act, and again, until a decision is to rest.

Level-based: whatever woke it, it looks at everything. One worker per object (``queue``), so nothing here locks.
Errors of the Kubernetes API end a round; the object comes back later, with all it knew in its scratchpad.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

from saperly_operator.controller.act import Effect, act
from saperly_operator.controller.cache import ObjectKey, ProviderKey
from saperly_operator.controller.observe import entry_key, provider_key_of
from saperly_operator.controller.providers import Providers
from saperly_operator.controller.scratch import Scratch
from saperly_operator.controller.tools import Tools
from saperly_operator.kube.errors import Conflict, KubeError, NotFound
from saperly_operator.kube.events import EventType, Occurrence
from saperly_operator.lifecycle.conditions import Standing
from saperly_operator.lifecycle.decide import decide
from saperly_operator.lifecycle.observed import Observed
from saperly_operator.lifecycle.steps import AwaitSweep, Decision, Done, LeaveAlone, ReadLive, Stall, WaitUntil
from saperly_operator.resources.base import InvalidResourceError
from saperly_operator.resources.saperly_key import ProviderRef

logger = logging.getLogger(__name__)

_MAX_STEPS = 40
"""Far more than any history takes in one go. Reaching it means that two steps undo each other; it is logged."""

_FOREIGN_RECHECK = timedelta(hours=1)


class Sweeps(Protocol):
    """Whoever lists the vendor's keys."""

    def request(self, entry: tuple[ProviderKey, str], begun_after: datetime) -> None:
        """A list begun after that moment is needed; the objects concerned are looked at again when it is there."""
        ...


class Reconciler:
    """Brings one SaperlyKey at a time to rest."""

    def __init__(
        self, tools: Tools, sweeps: Sweeps, providers: Providers, *, is_stopping: Callable[[], bool]
    ) -> None:
        self._tools = tools
        self._providers = providers
        self._sweeps = sweeps
        self._is_stopping = is_stopping
        self._unsure: set[ObjectKey] = set()
        """Objects of which a write failed without an answer: it may have been stored, and no watch has shown it yet."""

    async def reconcile(self, key: ObjectKey) -> float | None:
        """Look at ``key`` until it rests. Returns in how many seconds to look again, None for not before an event.

        Raises KubeError when the Kubernetes API did not do as asked.
        """
        live = key in self._unsure
        await self._learn_provider(key)
        for _ in range(_MAX_STEPS):
            observed = await self._look(key, live=live)
            self._unsure.discard(key)
            if observed is None:
                return None
            if self._holds_for_nothing(observed):
                if observed.is_live:
                    self._tools.scratch(observed).close_intent()
                live = True
                continue
            decision = decide(observed, self._tools.clock.now(), self._tools.timings)
            self._give_back_turn(observed, decision)
            if self._is_stopping() and not self._must_finish(observed):
                return None
            match decision.step:
                case ReadLive():
                    live = True
                case Done() | WaitUntil() | Stall() | AwaitSweep() | LeaveAlone():
                    return await self._rest(observed, decision)
                case effect:
                    logger.debug("step", extra={"object": observed.key.path, "step": type(effect).__name__})
                    live = await self._act(observed, effect, decision)
        logger.error("no rest after %d steps", _MAX_STEPS, extra={"object": "/".join(key)})
        return self._tools.timings.recheck.total_seconds()

    async def _learn_provider(self, key: ObjectKey) -> None:
        """An object and its provider may be created in one breath, and be seen in any order."""
        body = self._tools.cache.key(key)
        if body is None or body["metadata"].get("deletionTimestamp"):
            return
        try:
            ref = ProviderRef.from_api((body.get("spec") or {}).get("providerRef") or {})
        except InvalidResourceError:
            return  # the next look says what cannot be read
        await self._providers.ensure(provider_key_of(ref, key[0]), key[0])

    def _give_back_turn(self, observed: Observed, decision: Decision) -> None:
        """A turn reserved for a mint that is not to be (the object changed its mind) is for others."""
        rests = isinstance(decision.step, Done | WaitUntil | Stall | AwaitSweep | LeaveAlone)
        if observed.key.status.intent is None and (rests or observed.key.is_being_deleted):
            self._tools.scratch(observed).give_turn_back(self._tools.clock.monotonic())

    async def _look(self, key: ObjectKey, *, live: bool) -> Observed | None:
        observed = await self._read(key, live=live)
        if observed is not None or self._tools.cache.key(key) is not None or not self._tools.scratchpads.knows(key):
            return observed
        # A watch may still tell of the end of one whose namesake has been seen: what is remembered of an object,
        # perhaps a plaintext, is let go only when the API server has none of that name.
        observed = observed if live else await self._read(key, live=True)
        if observed is None and self._tools.cache.key(key) is None:
            self._tools.scratchpads.forget(key, self._tools.clock.monotonic())
        return observed

    async def _read(self, key: ObjectKey, *, live: bool) -> Observed | None:
        try:
            return await self._tools.observer.live(key) if live else self._tools.observer.cached(key)
        except InvalidResourceError as error:
            # Stored under another schema: nothing can be decided, and nothing is touched.
            logger.warning("unreadable object", extra={"object": "/".join(key), "error": str(error)})
            return None

    async def _act(self, observed: Observed, effect: Effect, decision: Decision) -> bool:
        """One effect; returns whether the next look has to be a live one."""
        try:
            await act(self._tools, observed, effect, decision)
        except (Conflict, NotFound):
            return True
        except KubeError:
            # What was closed for good must not be sent again because a stale look shows it open.
            self._unsure.add((observed.key.namespace, observed.key.name))
            raise
        return False

    async def _rest(self, observed: Observed, decision: Decision) -> float | None:
        step, now = decision.step, self._tools.clock.now()
        if isinstance(step, LeaveAlone):
            await self._tell_once(observed, decision)
            return _FOREIGN_RECHECK.total_seconds()
        if isinstance(step, AwaitSweep):
            entry = entry_key((step.provider, step.service_key), observed.key.namespace)
            self._sweeps.request(entry, step.begun_after)
        if observed.key.has_finalizer or not observed.key.is_being_deleted:
            await self._settle(observed, decision)
        until = step.until if isinstance(step, Done | WaitUntil | Stall | AwaitSweep) else None
        return None if until is None else max(0.0, (until - now).total_seconds())

    async def _tell_once(self, observed: Observed, decision: Decision) -> None:
        """An event, once a process: status is the other installation's to write, and the two would undo each other."""
        scratch = self._tools.scratch(observed)
        if scratch.has_told:
            return
        scratch.has_told = True
        logger.warning(decision.message, extra={"object": observed.key.path, "reason": decision.reason})
        occurrence = Occurrence(EventType.WARNING, decision.reason, "Reconcile", decision.message)
        await self._tools.statuses.announce(observed.key, occurrence)

    async def _settle(self, observed: Observed, decision: Decision) -> None:
        try:
            await self._tools.statuses.settle(observed, Standing.of(observed, decision))
        except NotFound:
            self._tools.cache.drop_key((observed.key.namespace, observed.key.name))

    def _holds_for_nothing(self, observed: Observed) -> bool:
        """Whether a plaintext is held whose intent is gone: taken over by another process, or wiped with status."""
        held, intent = observed.memory.held, observed.key.status.intent
        return held is not None and (
            intent is None or (intent.serial, intent.holder) != (held.serial, observed.myself.holder)
        )

    def _must_finish(self, observed: Observed) -> bool:
        """Whether stopping now would lose a plaintext: then it goes on, also through a shutdown."""
        scratch: Scratch = self._tools.scratch(observed)
        return scratch.held is not None
