"""Workloads of the real controllers, whose pods KWOK's nodes pretend to run."""

import json
from typing import Any

from tests.cluster.user import User
from tests.support.waiting import eventually

API_KINDS = {"Deployment": "deployment", "StatefulSet": "statefulset", "DaemonSet": "daemonset"}


def workload(kind: str, name: str, **spec: Any) -> dict[str, Any]:
    """A workload of one pod (a DaemonSet: one a node); ``spec`` adds to its spec."""
    labels = {"app": name}
    pod = {"terminationGracePeriodSeconds": 0, "containers": [{"name": "agent", "image": "example.com/agent"}]}
    base: dict[str, Any] = {
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": pod},
    }
    if kind != "DaemonSet":
        base["replicas"] = 1
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}, "spec": base | spec}


def rolled_out(user: User, kind: str, name: str, **spec: Any) -> None:
    """Create a workload and wait until its pods run."""
    user.kubectl.apply(workload(kind, name, **spec), namespace=user.namespace)
    nodes = len(user.kubectl.read("Node")["items"])
    wanted = nodes if kind == "DaemonSet" else spec.get("replicas", 1)
    eventually(lambda: len(pods(user, name)) == wanted, f"the pods of {name} are there")
    if spec.get("updateStrategy", {}).get("type") != "OnDelete":
        user.kubectl(
            "rollout", "status", f"{API_KINDS[kind]}/{name}", f"--namespace={user.namespace}", "--timeout=60s"
        )


def patch(user: User, kind: str, name: str, change: dict[str, Any]) -> None:
    """A merge patch of a workload."""
    place = f"--namespace={user.namespace}"
    user.kubectl("patch", API_KINDS[kind], name, place, "--type=merge", f"--patch={json.dumps(change)}")


def pods(user: User, name: str) -> list[str]:
    """The uids of the workload's pods that run and are not on their way out."""
    items = user.kubectl.read("Pod", selector=f"app={name}", namespace=user.namespace)["items"]
    return sorted(
        item["metadata"]["uid"]
        for item in items
        if item["status"]["phase"] == "Running" and "deletionTimestamp" not in item["metadata"]
    )


def mark(user: User, kind: str, name: str, owner: str) -> str | None:
    """What the SaperlyKey called ``owner`` left on the pod template."""
    body = user.kubectl.read(kind, name, namespace=user.namespace)
    marks: dict[str, str] = body["spec"]["template"]["metadata"].get("annotations", {})
    return marks.get(f"saperly.com/restarted-{owner}")
