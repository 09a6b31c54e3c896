"""Workloads for the Kubernetes in memory: their bodies, and what their controllers make of them."""

from typing import Any

from saperly_operator.controller.workloads import RESOURCES
from saperly_operator.kube.api import PLAIN, STATUS, Kube, Object, PatchOptions
from saperly_operator.resources.workload import WorkloadKind

DEPLOYMENT, STATEFUL_SET, DAEMON_SET = WorkloadKind


def a_workload(name: str, **spec: Any) -> Object:
    """A workload as ``kubectl create`` makes it, of any kind; ``spec`` adds to its spec."""
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "agent", "image": "agent"}]}}
    base: dict[str, Any] = {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"metadata": {"name": name}, "spec": base | spec}


def template_annotations(body: Object) -> dict[str, str]:
    """The annotations that its pods start with."""
    marks: dict[str, str] = body["spec"]["template"]["metadata"].get("annotations") or {}
    return marks


class Controllers:
    """A person with kubectl, and the controllers of the group apps, which do as a test says."""

    def __init__(self, kube: Kube, namespace: str) -> None:
        self._kube = kube
        self._namespace = namespace

    async def create(self, kind: WorkloadKind, name: str, **spec: Any) -> None:
        """Create a workload whose pods run."""
        await self._kube.create(RESOURCES[kind], self._namespace, a_workload(name, **spec))
        await self.roll_out(kind, name)

    async def get(self, kind: WorkloadKind, name: str) -> Object:
        return await self._kube.get(RESOURCES[kind], self._namespace, name)

    async def edit(self, kind: WorkloadKind, name: str, **spec: Any) -> None:
        """Change its spec; None takes a field out."""
        await self._patch(kind, name, {"spec": spec}, PLAIN)

    async def roll_out(self, kind: WorkloadKind, name: str) -> None:
        """Every pod is made anew from the present template, and serves."""
        replicas = (await self.get(kind, name))["spec"].get("replicas", 1)
        await self.observe(kind, name, updated=replicas, existing=replicas, available=replicas)

    async def observe(self, kind: WorkloadKind, name: str, **counts: Any) -> None:
        """The controller has seen the present template; so far there are so many pods ``existing``, ``updated`` and
        ``available``. ``conditions`` are the workload's."""
        generation = (await self.get(kind, name))["metadata"]["generation"]
        conditions = {"conditions": counts["conditions"]} if "conditions" in counts else {}
        existing, updated, available = (counts.get(each, 0) for each in ("existing", "updated", "available"))
        status: dict[str, Any] = {"observedGeneration": generation, **conditions}
        if kind is DAEMON_SET:
            status |= {"desiredNumberScheduled": existing, "currentNumberScheduled": existing}
            status |= {"updatedNumberScheduled": updated, "numberAvailable": available}
        else:
            status |= {"replicas": existing, "updatedReplicas": updated, "availableReplicas": available}
        await self._patch(kind, name, {"status": status}, STATUS)

    async def _patch(self, kind: WorkloadKind, name: str, patch: Object, options: PatchOptions) -> None:
        await self._kube.patch(RESOURCES[kind], self._namespace, name, patch, options=options)
