"""``make bench``: how fast a fleet becomes Ready, beside the least that anybody could need on the same machine.

Both start from the same state: SaperlyKeys that exist and that nobody has looked at. The floor sends the requests of a
first mint with as many workers as the operator has, and does nothing else; the operator is measured from the moment
at which it has started. The figure to watch is the ratio: it does not depend on the machine as the seconds do.

Then keys of that fleet are rotated, and what it took is counted (``rotations``).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from saperly_operator.envtest import Assets, ControlPlane
from tests.bench.rotations import PLAIN, Rotations
from tests.bench.rotations import report as report_rotations
from tests.cluster.conftest import OPERATOR, Kubectl
from tests.cluster.user import NO_LIMITS
from tests.cluster.world import World
from tests.support.waiting import eventually

PATIENCE = 900.0
PRODUCTION = {"SAPERLY_LOG_LEVEL": "INFO", "SAPERLY_PROVIDER_REFRESH": "30"}
"""What the tests set otherwise, to see more and wait less."""

console = Console(highlight=False, soft_wrap=True)


@dataclass(frozen=True, slots=True)
class Figures:
    """One run over a fleet."""

    seconds: float
    cpu_seconds: float
    requests: int
    megabytes: float | None = None


class Bench:
    """A control plane, a simulator, and who mints against them."""

    def __init__(self, plane: ControlPlane, world: World, size: int) -> None:
        self._plane = plane
        self._world = world
        self._size = size

    def floor(self) -> Figures:
        """The requests alone."""
        namespace = f"{self._world.namespace}-floor"
        self._world.kubectl("create", "namespace", namespace)
        self._create(namespace, 0, self._size)
        since = self._plane.audit.position()
        command = [sys.executable, "-m", "tests.bench.floor", namespace, self._world.simulator.base_url]
        done = subprocess.run(
            [*command, str(self._world.simulator.service_key_file)],
            env={**os.environ, "KUBECONFIG": str(self._world.operator_kubeconfig)},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"the floor failed:\n{done.stderr[-2000:]}")
        seconds, cpu_seconds = map(float, done.stdout.split())
        figures = Figures(seconds, cpu_seconds, self._requests(since))
        self._forget(namespace)
        return figures

    def operator(self) -> Figures:
        """The operator, from its start to the last object Ready."""
        self._create(self._world.namespace, 0, self._size)
        since = self._plane.audit.position()
        operator = self._world.start_operator(PRODUCTION)
        line = next(line for line in operator.output().splitlines() if '"message": "started"' in line)
        began = datetime.fromisoformat(json.loads(line)["time"])
        cpu_before = operator.processor_seconds
        self._wait_ready(self._size)
        seconds = (datetime.now(UTC) - began).total_seconds()
        cpu_seconds = operator.processor_seconds - cpu_before
        return Figures(seconds, cpu_seconds, self._requests(since), operator.resident_megabytes)

    def idle_megabytes(self, size: int) -> float:
        """The operator's memory with ``size`` objects at rest, the fleet among them."""
        assert self._world.operator is not None
        self._create(self._world.namespace, self._size, size)
        self._wait_ready(size)
        return self._world.operator.resident_megabytes

    def _create(self, namespace: str, first: int, end: int) -> None:
        objects = [self._world.key_object(name, **PLAIN) for name in names(first, end)]
        if objects:
            documents = "\n---\n".join(map(json.dumps, objects))
            self._world.kubectl(
                "create", f"--namespace={namespace}", "--filename=-", stdin=documents, timeout=PATIENCE
            )

    def _wait_ready(self, size: int) -> None:
        def ready() -> bool:
            table = self._world.kubectl("get", "skey", f"--namespace={self._world.namespace}", "--no-headers")
            return sum(row.split()[1] == "True" for row in table.splitlines()) == size

        eventually(ready, f"{size} objects are Ready", patience=PATIENCE, gap=0.5)

    def _requests(self, since: int) -> int:
        return len(self._plane.audit.requests(user=OPERATOR, since=since))

    def _forget(self, namespace: str) -> None:
        """What the floor left would be work for the operator."""
        left = self._world.kubectl.read("SaperlyKey", namespace=namespace)
        for key in left["items"]:
            key["metadata"]["finalizers"] = []
        self._world.kubectl("replace", "--filename=-", stdin=json.dumps(left), timeout=PATIENCE)
        self._world.kubectl("delete", "namespace", namespace, timeout=PATIENCE)

    def stop(self) -> None:
        """End the processes; their objects go with the control plane."""
        if self._world.operator is not None:
            self._world.operator.terminate()
        self._world.simulator.terminate()


def names(first: int, end: int) -> list[str]:
    """The objects of the fleet by number."""
    return [f"bench-{number:05}" for number in range(first, end)]


def report(size: int, floor: Figures, operator: Figures) -> None:
    """The figures side by side."""
    headings = ("", "seconds", "objects/s", "processor ms per object", "API requests per object")
    table = Table(*headings, title=f"{size} SaperlyKeys from new to Ready")
    for name, figures in (("floor", floor), ("operator", operator)):
        table.add_row(
            name,
            f"{figures.seconds:.2f}",
            f"{size / figures.seconds:.1f}",
            f"{figures.cpu_seconds / size * 1000:.1f}",
            f"{figures.requests / size:.2f}",
        )
    console.print(table)
    console.print(f"ratio: the operator takes {operator.seconds / floor.seconds:.2f} times the floor")
    console.print(f"memory of the operator: {operator.megabytes:.0f} MB with {size} objects")


def main(size: int, idle: int, rotations: int, restarts: int) -> None:
    """Measure, and print."""
    assets = Assets.of_this_machine(console.print)
    with ExitStack() as stack:
        plane = stack.enter_context(ControlPlane(users=(OPERATOR,), assets=assets))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        kubectl = stack.enter_context(closing(Kubectl(assets.path("kubectl"), plane.kubeconfig())))
        kubectl("create", "namespace", "bench")
        world = World(kubectl, plane.kubeconfig(OPERATOR), folder, "bench")
        bench = Bench(plane, world, size)
        stack.callback(bench.stop)
        world.install(limits=NO_LIMITS)
        world.vendor.lift_limits()
        floor = bench.floor()
        operator = bench.operator()
        report(size, floor, operator)
        if idle > size:
            console.print(f"memory of the operator: {bench.idle_megabytes(idle):.0f} MB with {idle} objects at rest")
        rotating = Rotations(plane, world)
        fleet = names(0, min(rotations, max(size, idle)))
        report_rotations(console, [rotating.plain(fleet), rotating.with_everything(restarts)])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=300, help="objects to mint for")
    parser.add_argument("--idle", type=int, default=1000, help="objects to weigh the operator's memory with")
    parser.add_argument("--rotations", type=int, default=100, help="objects of the fleet to rotate")
    parser.add_argument("--restarts", type=int, default=20, help="objects to rotate with a Deployment to restart")
    main(**vars(parser.parse_args()))
