"""What every step of ``act`` works with: the ports, bundled once by ``wiring``."""

from dataclasses import dataclass

from saperly_operator.clock import Clock
from saperly_operator.controller.cache import Cache
from saperly_operator.controller.observe import Observer, entry_key
from saperly_operator.controller.scratch import Scratch, Scratchpads
from saperly_operator.controller.service_keys import Handle, ServiceKeys
from saperly_operator.controller.status_writer import StatusWriter
from saperly_operator.kube.api import Kube
from saperly_operator.lifecycle.observed import Observed
from saperly_operator.lifecycle.timings import Timings
from saperly_operator.resources.saperly_key import SaperlyKey


@dataclass(frozen=True, slots=True)
class Tools:
    """Ports for effects, and the memory of this process."""

    kube: Kube
    cache: Cache
    observer: Observer
    service_keys: ServiceKeys
    scratchpads: Scratchpads
    statuses: StatusWriter
    clock: Clock
    timings: Timings

    def scratch(self, observed: Observed) -> Scratch:
        key = observed.key
        return self.scratchpads.of(key.metadata.uid, (key.namespace, key.name))

    def handle(self, key: SaperlyKey, provider: str, entry: str) -> Handle | None:
        """The service key that ``provider`` and ``entry`` of this object's status mean."""
        return self.service_keys.handle(entry_key((provider, entry), key.namespace))
