"""Nodes that exist in the API alone; KWOK answers for them, so that pods are scheduled and run without containers."""

from saperly_operator.envtest.api import Api


def create_nodes(api: Api, count: int) -> None:
    """Register ``node-0`` and so on. KWOK makes each Ready within milliseconds."""
    for number in range(count):
        name = f"node-{number}"
        api.create(
            "/api/v1/nodes",
            {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {
                    "name": name,
                    "annotations": {"kwok.x-k8s.io/node": "fake"},
                    "labels": {
                        "type": "kwok",
                        "kubernetes.io/hostname": name,
                        "kubernetes.io/os": "linux",
                        "kubernetes.io/arch": "amd64",
                    },
                },
                "status": {
                    "capacity": (size := {"cpu": "32", "memory": "256Gi", "pods": "500"}),
                    "allocatable": size,
                },
            },
        )


def nodes_are_ready(api: Api, count: int) -> bool:
    """Whether pods can run: nodes Ready and untainted, and the default ServiceAccount, which pods need, is there."""
    listed = api.get("/api/v1/nodes")
    nodes = listed["items"] if listed else []
    ready = [
        node
        for node in nodes
        if not node["spec"].get("taints")
        and any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"].get("conditions", ()))
    ]
    return len(ready) >= count and api.get("/api/v1/namespaces/default/serviceaccounts/default") is not None
