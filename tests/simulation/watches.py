"""The watches of one simulated process, in kopf's place: late, coalesced, interrupted, started over.

Events of one kind come in order, each a moment after the change. Several changes of one object that arrive together
are shown as the last one, as kopf does it. A stream that broke either goes on where it stopped, or starts over with a
list: then everything is shown once more, and what vanished in the gap is not shown at all.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from saperly_operator.controller.resync import MANAGED
from saperly_operator.controller.watch import Intake
from saperly_operator.kube.api import (
    CLUSTER_PROVIDERS,
    NAMESPACES,
    PROVIDERS,
    SAPERLY_KEYS,
    SECRETS,
    Object,
    Resource,
)
from saperly_operator.resources.saperly_key import ProviderKind
from tests.support.memory_kube import Change, MemoryKube

if TYPE_CHECKING:
    from tests.simulation.process import Process

HandOver = Callable[[str | None, Object], None]


@dataclass
class _Stream:
    """One kind's events. ``seen`` is how many of all changes were looked at."""

    resource: Resource
    hand_over: HandOver
    labels: str = ""
    seen: int = 0
    is_due: bool = False
    is_broken: bool = False


class Watches:
    """See the module's text. ``lag`` draws the seconds from a change to its event."""

    def __init__(self, process: "Process", kube: MemoryKube, intake: Intake, lag: Callable[[], float]) -> None:
        self._process = process
        self._kube = kube
        self._lag = lag
        self._streams = {
            stream.resource.plural: stream
            for stream in (
                _Stream(NAMESPACES, intake.namespace_event),
                _Stream(CLUSTER_PROVIDERS, _of_kind(intake, ProviderKind.CLUSTER)),
                _Stream(PROVIDERS, _of_kind(intake, ProviderKind.NAMESPACED)),
                _Stream(SECRETS, intake.secret_event, MANAGED),
                _Stream(SAPERLY_KEYS, intake.key_event),
            )
        }

    def connect(self) -> None:
        """Begin: everything there is, as a list shows it, then what changes."""
        for stream in self._streams.values():
            self._list(stream)
        self._kube.listeners.append(self._changed)

    def disconnect(self) -> None:
        self._kube.listeners.remove(self._changed)

    def interrupt(self, *plurals: str) -> None:
        """These streams, or all, show nothing any more."""
        for plural in plurals or self._streams:
            self._streams[plural].is_broken = True

    def resume(self, *plurals: str, from_list: bool) -> None:
        """They go on: with every event that was missed, or with a list of what is there now."""
        for plural in plurals or self._streams:
            stream = self._streams[plural]
            stream.is_broken = False
            if from_list and self._process.is_running:
                self._list(stream)
            self._plan(stream)

    def catch_up(self) -> None:
        """The process runs again: what piled up at its door comes in."""
        for stream in self._streams.values():
            self._plan(stream)

    def _list(self, stream: _Stream) -> None:
        stream.seen = len(self._kube.changes)
        for body in self._kube.snapshot(stream.resource, labels=stream.labels):
            stream.hand_over(None, body)

    def _changed(self, change: Change) -> None:
        stream = self._streams.get(change.plural)
        if stream is not None:
            self._plan(stream)

    def _plan(self, stream: _Stream) -> None:
        if not stream.is_due:
            stream.is_due = True
            asyncio.get_running_loop().call_later(self._lag(), self._deliver, stream)

    def _deliver(self, stream: _Stream) -> None:
        stream.is_due = False
        if stream.is_broken or not self._process.is_running:
            return
        events = self._kube.watched(stream.resource, stream.seen, stream.labels)
        stream.seen = len(self._kube.changes)
        last = {(body["metadata"].get("namespace"), body["metadata"]["name"]): (kind, body) for kind, body in events}
        for kind, body in last.values():
            stream.hand_over(kind, body)


def _of_kind(intake: Intake, kind: ProviderKind) -> HandOver:
    return lambda event, body: intake.provider_event(kind.value, event, body)
