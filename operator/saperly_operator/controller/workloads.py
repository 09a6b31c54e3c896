"""Workloads of the group apps: from their JSON to what a rollout is judged by, and the one patch that restarts them.

Pure. Called by ``act_restart``, the only code that touches a workload.
"""

from typing import Any

from saperly_operator.kube.api import DAEMON_SETS, DEPLOYMENTS, STATEFUL_SETS, Object, Resource
from saperly_operator.lifecycle.workloads import Workload
from saperly_operator.resources.workload import RestartMark, WorkloadKind, restarted_annotation

RESOURCES: dict[WorkloadKind, Resource] = {
    WorkloadKind.DEPLOYMENT: DEPLOYMENTS,
    WorkloadKind.STATEFUL_SET: STATEFUL_SETS,
    WorkloadKind.DAEMON_SET: DAEMON_SETS,
}


def workload_of(kind: WorkloadKind, body: Object, owner: str) -> Workload:
    """The workload in ``body``, with the mark of the SaperlyKey called ``owner``."""
    metadata, spec, status = body["metadata"], body.get("spec") or {}, body.get("status") or {}
    marks = ((spec.get("template") or {}).get("metadata") or {}).get("annotations") or {}
    wanted, existing, updated, available = _counts(kind, spec, status)
    strategy = spec.get("updateStrategy") or {}
    return Workload(
        uid=metadata["uid"],
        version=metadata["resourceVersion"],
        mark=RestartMark.parse(marks.get(restarted_annotation(owner)) or ""),
        generation=int(metadata.get("generation") or 0),
        observed_generation=int(status.get("observedGeneration") or 0),
        wanted=wanted,
        existing=existing,
        updated=updated,
        available=available,
        is_paused=bool(spec.get("paused")),
        is_on_delete=strategy.get("type") == "OnDelete",
        partition=int((strategy.get("rollingUpdate") or {}).get("partition") or 0),
        has_failed=kind is WorkloadKind.DEPLOYMENT and _deadline_exceeded(status),
    )


def _counts(kind: WorkloadKind, spec: dict[str, Any], status: dict[str, Any]) -> tuple[int, int, int, int]:
    """Pods that are wanted, that exist, that are updated, that are available."""
    if kind is WorkloadKind.DAEMON_SET:
        updated = _count(status, "updatedNumberScheduled")
        # Each node has its pod or none; those on nodes where none belongs are on their way out.
        return _count(status, "desiredNumberScheduled"), updated, updated, _count(status, "numberAvailable")
    wanted = spec.get("replicas")
    counts = (_count(status, "replicas"), _count(status, "updatedReplicas"), _count(status, "availableReplicas"))
    return (1 if wanted is None else int(wanted), *counts)


def _count(status: dict[str, Any], name: str) -> int:
    return int(status.get(name) or 0)


def _deadline_exceeded(status: dict[str, Any]) -> bool:
    return any(
        (each.get("type"), each.get("reason")) == ("Progressing", "ProgressDeadlineExceeded")
        for each in status.get("conditions") or []
    )


def restart_patch(seen: Workload, mark: RestartMark, owner: str) -> Object:
    """A merge patch of exactly the workload that was ``seen``: one annotation of its pod template, and nothing else."""
    return {
        "metadata": {"uid": seen.uid, "resourceVersion": seen.version},
        "spec": {"template": {"metadata": {"annotations": {restarted_annotation(owner): str(mark)}}}},
    }
