"""The installation: the identity under which this operator's keys are tagged at the vendor.

A random id in a ConfigMap of the operator's namespace, beside the uid of ``kube-system`` that it was made under. A
cluster that was cloned, or restored elsewhere, has another uid: two worlds may then hold the same service key, and
nothing is changed at the vendor until an administrator decides.
"""

from collections.abc import Callable
from dataclasses import dataclass

from saperly_operator.kube.api import CONFIG_MAPS, NAMESPACES, Kube, Object
from saperly_operator.kube.errors import AlreadyExists, NotFound

CONFIG_MAP = "saperly-operator-installation"


@dataclass(frozen=True, slots=True)
class Installation:
    """The id, and whether this is the cluster that it was made in."""

    id: str
    confirmed: bool


async def ensure_installation(kube: Kube, namespace: str, new_id: Callable[[], str]) -> Installation:
    """Read the installation, or begin one. Raises KubeError."""
    cluster = str((await kube.get(NAMESPACES, None, "kube-system"))["metadata"]["uid"])
    try:
        return _read(await kube.get(CONFIG_MAPS, namespace, CONFIG_MAP), cluster)
    except NotFound:
        pass
    body: Object = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": CONFIG_MAP, "namespace": namespace},
        "data": {"id": new_id(), "clusterUid": cluster},
    }
    try:
        return _read(await kube.create(CONFIG_MAPS, namespace, body), cluster)
    except AlreadyExists:  # another replica began it
        return _read(await kube.get(CONFIG_MAPS, namespace, CONFIG_MAP), cluster)


def _read(body: Object, cluster: str) -> Installation:
    data = body.get("data") or {}
    identity = str(data.get("id") or "")
    # An id that was lost by hand is no id: everything waits, rather than minting under an empty name.
    return Installation(identity, bool(identity) and data.get("clusterUid") == cluster)
