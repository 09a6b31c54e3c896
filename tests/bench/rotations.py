"""What rotations cost: calls to Saperly by kind, requests to Kubernetes by verb and resource, events.

Every object of a fleet is asked to rotate at the same moment; it is over when each has its new key and no old one.
Counted for a plain rotation, and for one that restarts a Deployment and keeps the old plaintext for a while.
"""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from saperly_operator.envtest import ControlPlane
from tests.cluster.conftest import OPERATOR
from tests.cluster.workloads import workload
from tests.cluster.world import World
from tests.support.waiting import eventually

PATIENCE = 1800.0
_PER = 1000

PLAIN: dict[str, Any] = {"rotation": {"overlap": "2s"}}
_EVERYTHING = {"rotation": {"overlap": "4s"}, "secret": {"previousKey": "SAPERLY_API_KEY_PREVIOUS"}}


@dataclass(frozen=True, slots=True)
class Cost:
    """What ``rotations`` rotations took."""

    name: str
    rotations: int
    vendor: Counter[str]
    kube: Counter[str]

    def per(self, count: int) -> str:
        """``count`` as it would be in ``_PER`` rotations."""
        return f"{count * _PER / self.rotations:,.0f}"


class Rotations:
    """Rotates fleets of a running operator."""

    def __init__(self, plane: ControlPlane, world: World) -> None:
        self._audit = plane.audit
        self._world = world

    def plain(self, names: list[str]) -> Cost:
        """Rotate objects that are Ready, with nothing else asked for."""
        return self._rotate("plain", names)

    def with_everything(self, size: int) -> Cost:
        """Rotate objects that restart a Deployment each, and keep the old plaintext in the Secret for a while."""
        names = [f"restarting-{number:05}" for number in range(size)]
        keys = [
            self._world.key_object(name, **_EVERYTHING, restart=[{"kind": "Deployment", "name": name}])
            for name in names
        ]
        self._create([*(workload("Deployment", name) for name in names), *keys])
        for name in names:
            place = f"--namespace={self._world.namespace}"
            self._world.kubectl("rollout", "status", f"deployment/{name}", place, timeout=PATIENCE)
        self._await(names, _is_ready, "Ready")
        return self._rotate("with a restart and previousKey", names)

    def _create(self, objects: list[dict[str, Any]]) -> None:
        documents = "\n---\n".join(map(json.dumps, objects))
        place = f"--namespace={self._world.namespace}"
        self._world.kubectl("create", place, "--filename=-", stdin=documents, timeout=PATIENCE)

    def _rotate(self, name: str, names: list[str]) -> Cost:
        since, calls = self._audit.position(), self._calls()
        place, mark = f"--namespace={self._world.namespace}", f"saperly.com/rotate-requested-at={name}"
        self._world.kubectl("annotate", "skey", *names, place, mark, timeout=PATIENCE)
        self._await(names, lambda key: _is_rotated(key, name), "rotated")
        vendor = Counter(record.operation.value for record in self._world.vendor.calls(calls))
        requests = self._audit.requests(user=OPERATOR, since=since)
        kube = Counter(
            f"{request.verb}{' (dry run)' if request.dry_run else ''} {request.resource}"
            for request in requests
            if request.verb != "watch" and request.namespace == self._world.namespace
        )
        return Cost(name, len(names), vendor, kube)

    def _calls(self) -> int:
        return max((record.number for record in self._world.vendor.calls()), default=0)

    def _await(self, names: list[str], is_so: Any, what: str) -> None:
        wanted = set(names)

        def all_are() -> bool:
            listed = self._world.keys()
            keys = {key["metadata"]["name"]: key for key in listed}
            return all(is_so(keys[name]) for name in wanted)

        eventually(all_are, f"{len(names)} objects are {what}", patience=PATIENCE, gap=1.0)


def _is_ready(key: dict[str, Any]) -> bool:
    status = key.get("status", {})
    return any((each["type"], each["status"]) == ("Ready", "True") for each in status.get("conditions", ()))


def _is_rotated(key: dict[str, Any], token: str) -> bool:
    status = key["status"]
    kinds = {each["type"] for each in status["conditions"]}
    at_rest = not status.get("retiring") and not kinds & {"Reconciling", "RolloutPending"}
    return at_rest and status["rotation"].get("lastHandledRequest") == token


def report(console: Console, costs: list[Cost]) -> None:
    """The figures side by side."""
    table = Table("", *(f"{cost.name} ({cost.rotations})" for cost in costs), title=f"what {_PER} rotations cost")
    for title, part in (("Saperly", "vendor"), ("Kubernetes", "kube")):
        counters: list[Counter[str]] = [getattr(cost, part) for cost in costs]
        for kind in sorted(set().union(*counters)):
            row = (cost.per(counter[kind]) for cost, counter in zip(costs, counters, strict=True))
            table.add_row(f"{title}: {kind}", *row)
        table.add_row(f"{title}: all", *(cost.per(c.total()) for cost, c in zip(costs, counters, strict=True)))
    console.print(table)
