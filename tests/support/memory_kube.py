"""A Kubernetes in memory behind the ``Kube`` port: what the operator relies on of the real one, and nothing more.

Optimistic concurrency by resourceVersion and uid, JSON merge patches, a status subresource of its own, finalizers and
deletion timestamps, generations, dry runs, immutable Secrets, quotas, namespaces that go. The contract tests
(tests/contract/kube) hold it to the real API server.
"""

import copy
import json
from typing import Any, Protocol

from saperly_operator.clock import Clock
from saperly_operator.kube.api import PLAIN, Object, PatchOptions, Resource
from saperly_operator.kube.errors import (
    AlreadyExists,
    Conflict,
    Immutable,
    NamespaceTerminating,
    NotFound,
    QuotaExceeded,
    Refused,
)

Address = tuple[str, str, str]
"""Plural, namespace (empty for cluster-scoped kinds), name."""

_WORKLOADS = frozenset({"deployments", "statefulsets", "daemonsets"})
_WITH_STATUS = _WORKLOADS | {"saperlykeys", "clustersaperlyproviders", "saperlyproviders"}


class Admission(Protocol):
    """Says no to a write by raising; sees what would be stored, and what was before (None on a create)."""

    def __call__(self, resource: Resource, new: Object, old: Object | None) -> None: ...


class SecretQuota:
    """A ResourceQuota for Secrets that is full: none more is created in its namespace."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace

    def __call__(self, resource: Resource, new: Object, old: Object | None) -> None:
        if resource.plural == "secrets" and old is None and new["metadata"]["namespace"] == self.namespace:
            raise QuotaExceeded("POST secrets", 403, "exceeded quota")


class MemoryKube:
    """See the module's text. ``admissions`` are asked before every write, dry runs included."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._objects: dict[Address, Object] = {}
        self._version = 100
        self._created = 0
        self.admissions: list[Admission] = []

    # --- Kube ---------------------------------------------------------------------------------------------------

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Object:
        return copy.deepcopy(self._find("GET", _address(resource, namespace, name)))

    async def list(self, resource: Resource, namespace: str | None = None, labels: str = "") -> list[Object]:
        wanted = dict(pair.split("=", 1) for pair in labels.split(",") if pair)
        return [
            copy.deepcopy(body)
            for (plural, space, _), body in sorted(self._objects.items())
            if plural == resource.plural
            and (namespace is None or space == namespace)
            and wanted.items() <= (body["metadata"].get("labels") or {}).items()
        ]

    async def create(self, resource: Resource, namespace: str, body: Object, *, dry_run: bool = False) -> Object:
        new = _normal(body)
        metadata = new["metadata"]
        address = _address(resource, namespace, metadata["name"])
        if address in self._objects:
            raise AlreadyExists(f"POST {resource.plural}", 409, "AlreadyExists")
        if resource.namespaced:
            home = self._find("POST", ("namespaces", "", namespace))
            if "deletionTimestamp" in home["metadata"]:
                raise NamespaceTerminating(f"POST {resource.plural}", 403, "NamespaceTerminating")
            metadata["namespace"] = namespace
        if not metadata.get("finalizers"):
            metadata.pop("finalizers", None)
        if resource.plural == "namespaces":
            metadata["labels"] = {"kubernetes.io/metadata.name": metadata["name"], **metadata.get("labels", {})}
        if resource.plural == "secrets":
            new.setdefault("type", "Opaque")
        if resource.plural in _WITH_STATUS:
            new["status"] = {} if resource.plural in _WORKLOADS else {"observedGeneration": -1}
        self._created += 1
        metadata |= {
            "uid": f"00000000-0000-4000-8000-{self._created:012d}",
            "creationTimestamp": self._clock.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
            "generation": 1,
        }
        return self._store(resource, address, new, None, dry_run=dry_run)

    async def patch(
        self, resource: Resource, namespace: str | None, name: str, patch: Object, *, options: PatchOptions = PLAIN
    ) -> Object:
        address = _address(resource, namespace, name)
        old = self._find("PATCH", address)
        self._check_preconditions(address, old, patch.get("metadata") or {})
        new = merged(old, _normal(patch))
        new["metadata"] |= {
            key: old["metadata"][key]
            for key in ("uid", "creationTimestamp", "generation", "deletionTimestamp", "resourceVersion")
            if key in old["metadata"]
        }
        if options.subresource == "status":
            new = {**old, "status": new.get("status")}
        elif resource.plural in _WITH_STATUS:
            new["status"] = old.get("status")
            if new.get("spec") != old.get("spec"):
                new["metadata"]["generation"] = old["metadata"]["generation"] + 1
        if "deletionTimestamp" in old["metadata"] and _finalizers(new) - _finalizers(old):
            raise Refused(f"PATCH {resource.plural}/{name}", 422, "Invalid")
        if old.get("immutable") and new.get("data") != old.get("data"):
            raise Immutable(f"PATCH {resource.plural}/{name}", 422, "immutable")
        return self._store(resource, address, new, old, dry_run=options.dry_run)

    async def delete(self, resource: Resource, namespace: str, name: str, *, uid: str, version: str) -> None:
        address = _address(resource, namespace, name)
        old = self._find("DELETE", address)
        self._check_preconditions(address, old, {"uid": uid, "resourceVersion": version})
        if not old["metadata"].get("finalizers") and not self._is_inhabited(address):
            del self._objects[address]
            self._bury(address[1])
        elif "deletionTimestamp" not in old["metadata"]:
            new = copy.deepcopy(old)
            new["metadata"]["deletionTimestamp"] = self._clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
            new["metadata"]["generation"] += 1
            self._store(resource, address, new, old, dry_run=False)

    def _is_inhabited(self, address: Address) -> bool:
        """Whether something in a namespace holds it. Nothing here empties a namespace: that is its users' part."""
        return address[0] == "namespaces" and any(space == address[2] for _, space, _ in self._objects)

    def _bury(self, namespace: str) -> None:
        """A namespace that is being deleted goes with the last object in it."""
        address = ("namespaces", "", namespace)
        home = self._objects.get(address)
        if home is not None and "deletionTimestamp" in home["metadata"] and not self._is_inhabited(address):
            del self._objects[address]

    # --- the inside -----------------------------------------------------------------------------------------------

    def _find(self, verb: str, address: Address) -> Object:
        if address not in self._objects:
            raise NotFound(f"{verb} {address[0]}/{address[2]}", 404, "NotFound")
        return self._objects[address]

    def _check_preconditions(self, address: Address, old: Object, wanted: dict[str, Any]) -> None:
        for key in ("uid", "resourceVersion"):
            if wanted.get(key) not in (None, old["metadata"][key]):
                raise Conflict(f"write {address[0]}/{address[2]}", 409, "Conflict")

    def _store(
        self, resource: Resource, address: Address, new: Object, old: Object | None, *, dry_run: bool
    ) -> Object:
        for admission in self.admissions:
            admission(resource, new, old)
        new = copy.deepcopy(new)
        if old is not None and _same(new, old):
            return copy.deepcopy(old)
        if dry_run:
            return new
        self._version += 1
        new["metadata"]["resourceVersion"] = str(self._version)
        held = new["metadata"].get("finalizers") or self._is_inhabited(address)
        if new["metadata"].get("deletionTimestamp") and not held:
            self._objects.pop(address, None)
            self._bury(address[1])
        else:
            self._objects[address] = new
        return copy.deepcopy(new)


def merged(target: Any, patch: Any) -> Any:
    """RFC 7386: null takes away, objects merge, everything else replaces."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = copy.deepcopy(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def _normal(body: Object) -> Object:
    """As JSON would carry it: a copy that shares nothing, or an error for what is no JSON."""
    normal: Object = json.loads(json.dumps(body))
    return normal


def _finalizers(body: Object) -> set[str]:
    return set(body["metadata"].get("finalizers") or ())


def _same(new: Object, old: Object) -> bool:
    return {**new, "metadata": {**new["metadata"], "resourceVersion": ""}} == {
        **old,
        "metadata": {**old["metadata"], "resourceVersion": ""},
    }


def _address(resource: Resource, namespace: str | None, name: str) -> Address:
    return (resource.plural, (namespace or "") if resource.namespaced else "", name)
