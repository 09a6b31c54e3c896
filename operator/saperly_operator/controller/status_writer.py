"""Writing a SaperlyKey's status: one merge patch, guarded by the resourceVersion that the decision rested on.

A conflict means that somebody wrote in between, and that the decision must be made anew; it is never forced.
"""

from saperly_operator.clock import Clock
from saperly_operator.controller.cache import Cache
from saperly_operator.kube.api import SAPERLY_KEYS, STATUS, Kube
from saperly_operator.kube.events import EventType, EventWriter, Occurrence, Regarding
from saperly_operator.lifecycle.conditions import Standing, condition, with_conditions
from saperly_operator.lifecycle.observed import Observed
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
        new = with_conditions(status, standing, key.metadata.generation, now)
        patch = {
            "metadata": {"uid": key.metadata.uid, "resourceVersion": key.metadata.resource_version},
            "status": new.to_merge_patch(),
        }
        body = await self._kube.patch(SAPERLY_KEYS, key.namespace, key.name, patch, options=STATUS)
        self._cache.put_key(body)
        for occurrence in (announcement, _stalled_anew(key.status, new), _rollout_stalled_anew(key.status, new)):
            if occurrence is not None:
                await self.announce(key, occurrence)

    async def settle(self, observed: Observed, status: SaperlyKeyStatus, standing: Standing) -> None:
        """Bring the conditions in line with a decision to rest. Nothing is written when they say so already."""
        key, now = observed.key, self._clock.now()
        if with_conditions(status, standing, key.metadata.generation, now) != key.status:
            await self.store(key, status, standing)

    async def announce(self, key: SaperlyKey, occurrence: Occurrence) -> None:
        """Emit one event about ``key``."""
        metadata = key.metadata
        regarding = Regarding("SaperlyKey", key.namespace, key.name, metadata.uid, metadata.resource_version)
        await self._events.emit(regarding, occurrence, self._clock.now())


def _stalled_anew(before: SaperlyKeyStatus, after: SaperlyKeyStatus) -> Occurrence | None:
    """An event when an object stalls, or stalls for another reason; the same one again is no news."""
    was, now = condition(before, reasons.STALLED), condition(after, reasons.STALLED)
    if now is None or (was is not None and was.reason == now.reason):
        return None
    return Occurrence(EventType.WARNING, now.reason, "Reconcile", now.message)


def _rollout_stalled_anew(before: SaperlyKeyStatus, after: SaperlyKeyStatus) -> Occurrence | None:
    """An event when an old key is held because a workload does not come to run with the new one by itself."""
    was, now = condition(before, reasons.ROLLOUT_PENDING), condition(after, reasons.ROLLOUT_PENDING)
    if now is None or now.reason == reasons.ROLLOUT_IN_PROGRESS or (was is not None and was.reason == now.reason):
        return None
    return Occurrence(EventType.WARNING, now.reason, "Restart", now.message)
