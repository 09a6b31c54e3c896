"""Writing a SaperlyKey's status: one merge patch, guarded by the resourceVersion that the decision rested on.

A conflict means that somebody wrote in between, and that the decision must be made anew; it is never forced.
"""

from collections.abc import Iterator

from saperly_operator.clock import Clock
from saperly_operator.controller.cache import Cache
from saperly_operator.kube.api import SAPERLY_KEYS, STATUS, Kube
from saperly_operator.kube.events import EventType, EventWriter, Occurrence, Regarding
from saperly_operator.lifecycle.conditions import Standing, condition
from saperly_operator.lifecycle.observed import Observed
from saperly_operator.lifecycle.rotation_conditions import fully_told
from saperly_operator.resources import reasons
from saperly_operator.resources.saperly_key import SaperlyKey
from saperly_operator.resources.saperly_key_status import SaperlyKeyStatus


class StatusWriter:
    """Stores what was decided or done, and announces what changed for people."""

    def __init__(self, kube: Kube, cache: Cache, events: EventWriter, clock: Clock) -> None:
        self._kube = kube
        self._cache = cache
        self._events = events
        self._clock = clock

    async def store(
        self, key: SaperlyKey, status: SaperlyKeyStatus, standing: Standing, announcement: Occurrence | None = None
    ) -> None:
        """Patch ``key``'s status to ``status`` with the conditions of ``standing``, then emit events.

        Raises Conflict when the object changed since ``key`` was read, and any other KubeError.
        """
        now = self._clock.now()
        new = fully_told(key, status, standing, now)
        patch = {
            "metadata": {"uid": key.metadata.uid, "resourceVersion": key.metadata.resource_version},
            "status": new.to_merge_patch(),
        }
        body = await self._kube.patch(SAPERLY_KEYS, key.namespace, key.name, patch, options=STATUS)
        self._cache.put_key(body)
        for occurrence in (announcement, *_troubles(key.status, new)):
            if occurrence is not None:
                await self.announce(key, occurrence)

    async def settle(self, observed: Observed, standing: Standing) -> None:
        """Bring status in line with a decision to rest. Nothing is written when it says so already."""
        key = observed.key
        if fully_told(key, key.status, standing, self._clock.now()) != key.status:
            await self.store(key, key.status, standing)

    async def announce(self, key: SaperlyKey, occurrence: Occurrence) -> None:
        """Emit one event about ``key``."""
        metadata = key.metadata
        regarding = Regarding("SaperlyKey", key.namespace, key.name, metadata.uid, metadata.resource_version)
        await self._events.emit(regarding, occurrence, self._clock.now())


def _troubles(before: SaperlyKeyStatus, after: SaperlyKeyStatus) -> Iterator[Occurrence]:
    """An event when an object stalls, or stalls for another reason, when its schedule is refused, a rotation becomes
    overdue, or a workload does not come to run with the new key by itself; the same again is no news."""
    refused, stalled = condition(after, reasons.SCHEDULE_REFUSED), condition(after, reasons.STALLED)
    if refused is not None and stalled is not None and stalled.reason == refused.reason:
        stalled = None  # each rotation by the last good schedule ends in the same stall
    for kind, now in ((reasons.STALLED, stalled), (reasons.SCHEDULE_REFUSED, refused)):
        was = condition(before, kind)
        if now is not None and (was is None or was.reason != now.reason):
            yield Occurrence(EventType.WARNING, now.reason, "Reconcile", now.message)
    overdue = condition(after, reasons.ROTATION_OVERDUE)
    if overdue is not None and condition(before, reasons.ROTATION_OVERDUE) is None:
        yield Occurrence(EventType.WARNING, reasons.ROTATION_OVERDUE, "Rotate", overdue.message)
    was, rollout = condition(before, reasons.ROLLOUT_PENDING), condition(after, reasons.ROLLOUT_PENDING)
    is_told = was is not None and rollout is not None and was.reason == rollout.reason
    if rollout is not None and rollout.reason != reasons.ROLLOUT_IN_PROGRESS and not is_told:
        yield Occurrence(EventType.WARNING, rollout.reason, "Restart", rollout.message)
