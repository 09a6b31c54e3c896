"""Reading objects as ``kubectl get --output=json`` would, past kubectl.

A kubectl process takes a tenth of a processor's second, and tests that wait look many times a second: they would keep
what they wait for from the processor. What is asserted of kubectl itself is still asked of kubectl.
"""

import ssl
from base64 import b64decode
from pathlib import Path
from typing import Any

import httpx
import yaml

from saperly_operator.kube.api import (
    CLUSTER_PROVIDERS,
    CONFIG_MAPS,
    DAEMON_SETS,
    DEPLOYMENTS,
    EVENTS,
    SAPERLY_KEYS,
    SECRETS,
    STATEFUL_SETS,
    Resource,
)

_KINDS = {
    "SaperlyKey": SAPERLY_KEYS,
    "ClusterSaperlyProvider": CLUSTER_PROVIDERS,
    "Secret": SECRETS,
    "ConfigMap": CONFIG_MAPS,
    "Event": EVENTS,
    "Deployment": DEPLOYMENTS,
    "StatefulSet": STATEFUL_SETS,
    "DaemonSet": DAEMON_SETS,
    "Pod": Resource("", "v1", "pods"),
    "ResourceQuota": Resource("", "v1", "resourcequotas"),
    "Node": Resource("", "v1", "nodes", namespaced=False),
    "ClusterRole": Resource("rbac.authorization.k8s.io", "v1", "clusterroles", namespaced=False),
}


class NotReadable(Exception):
    """The API server refused a read; the message is its own."""


class KubeReader:
    """Reads as the user of one kubeconfig, as ``envtest`` writes it."""

    def __init__(self, kubeconfig: Path) -> None:
        document = yaml.safe_load(kubeconfig.read_text())
        cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
        self._http = httpx.Client(
            base_url=cluster["server"],
            headers={"Authorization": f"Bearer {user['token']}"},
            verify=ssl.create_default_context(cadata=b64decode(cluster["certificate-authority-data"]).decode()),
            trust_env=False,
            timeout=30.0,
        )

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def get(self, kind: str, name: str = "", *, namespace: str = "", selector: str = "") -> Any:
        """The object, or without a ``name`` the list. Raises NotReadable."""
        query = {"labelSelector": selector} if selector else {}
        answer = self._http.get(_KINDS[kind].path(namespace or None, name or None), params=query)
        body = answer.json()
        if answer.status_code != httpx.codes.OK:
            raise NotReadable(body.get("message", answer.status_code))
        return body
