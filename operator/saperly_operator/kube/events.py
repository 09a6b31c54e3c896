"""Events (``events.k8s.io/v1``): what happened to an object, for people and alerting. Only on transitions.

An event is a courtesy: one that cannot be written is dropped, with a line in the log, and nothing waits for it.
"""

import hashlib
import logging
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from saperly_operator.kube.api import EVENTS, Kube, Object
from saperly_operator.kube.errors import AlreadyExists, KubeError
from saperly_operator.resources.base import API_VERSION

REPORTING_CONTROLLER = "saperly.com/saperly-operator"
_NOTE_LIMIT = 1024

logger = logging.getLogger(__name__)


class EventType(StrEnum):
    """Kubernetes knows these two."""

    NORMAL = "Normal"
    WARNING = "Warning"


@dataclass(frozen=True, slots=True)
class Regarding:
    """The object that an event is about. ``namespace`` is empty for a cluster-scoped one."""

    kind: str
    namespace: str
    name: str
    uid: str
    version: str


@dataclass(frozen=True, slots=True)
class Occurrence:
    """What happened: ``reason`` is one of ``resources.reasons``, ``action`` what the operator was doing."""

    type: EventType
    reason: str
    action: str
    note: str


class EventWriter:
    """Writes events under the name of this process."""

    def __init__(self, kube: Kube, *, instance: str) -> None:
        self._kube = kube
        self._instance = instance[:128]

    async def emit(self, regarding: Regarding, occurrence: Occurrence, now: datetime) -> None:
        """Write one event; never raises a ``KubeError``."""
        namespace = regarding.namespace or "default"
        try:
            await self._kube.create(EVENTS, namespace, self._body(regarding, occurrence, namespace, now))
        except AlreadyExists:
            pass
        except KubeError as error:
            logger.warning("an event could not be written", extra={"reason": occurrence.reason, "error": str(error)})

    def _body(self, regarding: Regarding, occurrence: Occurrence, namespace: str, now: datetime) -> Object:
        identity = f"{regarding.uid}\0{occurrence.reason}\0{now.isoformat()}\0{self._instance}"
        suffix = hashlib.sha256(identity.encode()).hexdigest()[:16]
        return {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": f"{regarding.name[:230]}.{suffix}", "namespace": namespace},
            "eventTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "reportingController": REPORTING_CONTROLLER,
            "reportingInstance": self._instance,
            "action": occurrence.action,
            "reason": occurrence.reason,
            "type": occurrence.type.value,
            "note": occurrence.note[:_NOTE_LIMIT],
            "regarding": {
                "apiVersion": API_VERSION,
                "kind": regarding.kind,
                "namespace": regarding.namespace,
                "name": regarding.name,
                "uid": regarding.uid,
                "resourceVersion": regarding.version,
            },
        }
