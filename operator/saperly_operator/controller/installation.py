"""The installation: the identity under which this operator's keys are tagged at the vendor.

A random id in a ConfigMap of the operator's namespace, beside the uid of ``kube-system`` that it was made under. A
cluster that was cloned, or restored elsewhere, has another uid: two worlds may then hold the same service key, and
nothing is changed at the vendor until an administrator decides (``move`` or ``begin_anew``, by the command line).
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from saperly_operator.kube.api import CONFIG_MAPS, NAMESPACES, PLAIN, Kube, Object
from saperly_operator.kube.errors import AlreadyExists, KubeError, NotFound

CONFIG_MAP = "saperly-operator-installation"
_FORMER_KEPT = 16


@dataclass(frozen=True, slots=True)
class Installation:
    """The id, and whether this is the cluster that it was made in."""

    id: str
    confirmed: bool


@dataclass(frozen=True, slots=True)
class Record:
    """The ConfigMap as it is. ``made_in`` and ``here`` are uids of ``kube-system``; ``former`` ids of before."""

    id: str
    made_in: str
    here: str
    former: tuple[str, ...]
    version: str

    @property
    def installation(self) -> Installation:
        # An id that was lost by hand is no id: everything waits, rather than minting under an empty name.
        return Installation(self.id, bool(self.id) and self.made_in == self.here)


async def ensure_installation(kube: Kube, namespace: str, new_id: Callable[[], str]) -> Installation:
    """Read the installation, or begin one. Raises KubeError."""
    here = await _cluster_uid(kube)
    try:
        return _read(await kube.get(CONFIG_MAPS, namespace, CONFIG_MAP), here).installation
    except NotFound:
        pass
    body: Object = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": CONFIG_MAP, "namespace": namespace},
        "data": {"id": new_id(), "clusterUid": here},
    }
    try:
        return _read(await kube.create(CONFIG_MAPS, namespace, body), here).installation
    except AlreadyExists:  # another replica began it
        return _read(await kube.get(CONFIG_MAPS, namespace, CONFIG_MAP), here).installation


async def read_record(kube: Kube, namespace: str) -> Record:
    """The ConfigMap, live. Raises NotFound when no operator has begun an installation there, any other KubeError."""
    here = await _cluster_uid(kube)
    return _read(await kube.get(CONFIG_MAPS, namespace, CONFIG_MAP), here)


async def move(kube: Kube, namespace: str, record: Record) -> Record:
    """The installation goes on in this cluster, which has taken the former one's place. Raises KubeError."""
    return await _write(kube, namespace, record, {"clusterUid": record.here})


async def begin_anew(kube: Kube, namespace: str, record: Record, new_id: str) -> Record:
    """Another installation begins in this cluster; the former goes on elsewhere. Raises KubeError."""
    former = [each for each in (record.id, *record.former) if each][:_FORMER_KEPT]
    data = {"id": new_id, "clusterUid": record.here, "formerIds": " ".join(former)}
    return await _write(kube, namespace, record, data)


async def until_decided(
    kube: Kube, namespace: str, known: Installation, pause: Callable[[], Awaitable[None]]
) -> None:
    """Return once the installation is another than the one ``known``: this process has to make way for a new one."""
    while True:
        await pause()
        try:
            if (await read_record(kube, namespace)).installation != known:
                return
        except KubeError:
            continue  # not known now, or taken away: nothing was decided


async def _cluster_uid(kube: Kube) -> str:
    return str((await kube.get(NAMESPACES, None, "kube-system"))["metadata"]["uid"])


async def _write(kube: Kube, namespace: str, record: Record, data: dict[str, str]) -> Record:
    patch = {"metadata": {"resourceVersion": record.version}, "data": data}
    return _read(await kube.patch(CONFIG_MAPS, namespace, CONFIG_MAP, patch, options=PLAIN), record.here)


def _read(body: Object, here: str) -> Record:
    data = body.get("data") or {}
    return Record(
        id=str(data.get("id") or ""),
        made_in=str(data.get("clusterUid") or ""),
        here=here,
        former=tuple(str(data.get("formerIds") or "").split()),
        version=str(body["metadata"].get("resourceVersion") or ""),
    )
