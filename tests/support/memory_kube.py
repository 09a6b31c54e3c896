"""A Kubernetes in memory behind the ``Kube`` port: what the operator relies on of the real one, and nothing more.

Optimistic concurrency by resourceVersion and uid, JSON merge patches, a status subresource of its own, finalizers and
deletion timestamps, generations, dry runs, immutable Secrets, quotas, namespaces that go, and watches: every change is
kept, and ``watched`` tells what a watch shows of it. The contract tests (tests/contract/kube) hold it to the real API
server.
"""

import json
import marshal
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from saperly_operator.clock import Clock
from saperly_operator.kube.api import NAMESPACES, PLAIN, Object, PatchOptions, Resource
from saperly_operator.kube.errors import (
    AlreadyExists,
    Conflict,
    Immutable,
    NamespaceTerminating,
    NotFound,
    QuotaExceeded,
    Refused,
)

Address = tuple[str, str]
"""Namespace (empty for cluster-scoped kinds) and name."""

Objects = list[Object]

Events = list[tuple[str, Object]]
"""What a watch shows: the type of each event and its object."""

_WORKLOADS = frozenset({"deployments", "statefulsets", "daemonsets"})
_WITH_STATUS = _WORKLOADS | {"saperlykeys", "clustersaperlyproviders", "saperlyproviders"}
_KEPT_BY_THE_SERVER = ("uid", "creationTimestamp", "generation", "deletionTimestamp", "resourceVersion")


class Admission(Protocol):
    """Says no to a write by raising; sees what would be stored, and what was before (None on a create).

    A quota counts a dry run like a write; a webhook is told which of the two it is, and may say otherwise."""

    def __call__(self, resource: Resource, new: Object, old: Object | None, *, dry_run: bool) -> None: ...


class SecretQuota:
    """A ResourceQuota for Secrets that is full: none more is created in its namespace."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace

    def __call__(self, resource: Resource, new: Object, old: Object | None, *, dry_run: bool) -> None:
        del dry_run  # counted like a write
        if resource.plural == "secrets" and old is None and new["metadata"]["namespace"] == self.namespace:
            raise QuotaExceeded("POST secrets", 403, "exceeded quota")


class SecretsRefused:
    """A policy that refuses every write of a Secret in one namespace; ``passes_dry_run``: only when it is meant."""

    def __init__(self, namespace: str, *, passes_dry_run: bool = False) -> None:
        self.namespace = namespace
        self.passes_dry_run = passes_dry_run

    def __call__(self, resource: Resource, new: Object, old: Object | None, *, dry_run: bool) -> None:
        del old
        passes = dry_run and self.passes_dry_run
        if resource.plural == "secrets" and new["metadata"]["namespace"] == self.namespace and not passes:
            raise Refused("write secrets", 403, "Forbidden")


@dataclass(frozen=True, slots=True)
class Change:
    """One write: the object before (None when it was created) and after (None when it is gone)."""

    plural: str
    old: Object | None
    new: Object | None

    def shown(self, labels: dict[str, str]) -> tuple[str, Object] | None:
        """The event of a watch with that selector: an object that leaves the selection looks deleted."""
        before, after = _selected(self.old, labels), _selected(self.new, labels)
        if after is not None:
            return ("MODIFIED" if before is not None else "ADDED", after)
        if before is None:
            return None
        # It is shown as it last matched, under the version of the change that took it away.
        version = self.new["metadata"]["resourceVersion"] if self.new is not None else None
        metadata = before["metadata"] | ({"resourceVersion": version} if version else {})
        return ("DELETED", {**before, "metadata": metadata})


@dataclass(frozen=True, slots=True)
class Backup:
    """All objects of a moment, by plural."""

    stored: dict[str, dict[Address, Object]]
    version: int
    created: int


class MemoryKube:
    """See the module's text. ``admissions`` are asked before every write, dry runs included; ``changes`` is all that
    ever happened, in order, and each of ``listeners`` hears of it at once."""

    def __init__(self, clock: Clock, *, number: int = 0) -> None:
        """``number``: no two with different ones give the same uid."""
        self._clock = clock
        self._objects: dict[str, dict[Address, Object]] = defaultdict(dict)
        self._version = 100
        self._created = number * 1_000_000
        self.admissions: list[Admission] = []
        self.changes: list[Change] = []
        self.listeners: list[Callable[[Change], None]] = []

    # --- Kube ---------------------------------------------------------------------------------------------------

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Object:
        return _copied(self._find("GET", resource, _address(resource, namespace, name)))

    async def list(self, resource: Resource, namespace: str | None = None, labels: str = "") -> Objects:
        return self.snapshot(resource, namespace, labels)

    async def create(self, resource: Resource, namespace: str, body: Object, *, dry_run: bool = False) -> Object:
        new = _normal(body)
        metadata = new["metadata"]
        address = _address(resource, namespace, metadata["name"])
        if address in self._objects[resource.plural]:
            raise AlreadyExists(f"POST {resource.plural}", 409, "AlreadyExists")
        if resource.namespaced:
            self._check_namespace(resource, namespace)
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
            "uid": _uid(self._created),
            "creationTimestamp": self._now(),
            "generation": 1,
        }
        return self._store(resource, address, new, None, dry_run=dry_run)

    def _check_namespace(self, resource: Resource, namespace: str) -> None:
        home = self._objects["namespaces"].get(("", namespace))
        if home is None:
            raise NotFound(f"POST namespaces/{namespace}", 404, "NotFound")
        if "deletionTimestamp" in home["metadata"]:
            raise NamespaceTerminating(f"POST {resource.plural}", 403, "NamespaceTerminating")

    async def patch(
        self, resource: Resource, namespace: str | None, name: str, patch: Object, *, options: PatchOptions = PLAIN
    ) -> Object:
        address = _address(resource, namespace, name)
        old = self._find("PATCH", resource, address)
        _check_preconditions(resource, old, patch.get("metadata") or {})
        new = merged(old, _normal(patch))
        kept = {key: old["metadata"][key] for key in _KEPT_BY_THE_SERVER if key in old["metadata"]}
        new["metadata"] = {**new["metadata"], **kept}
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
        old = self._find("DELETE", resource, address)
        _check_preconditions(resource, old, {"uid": uid, "resourceVersion": version})
        if not old["metadata"].get("finalizers") and not self._is_inhabited(resource, address):
            self._remove(resource, address, old)
        elif "deletionTimestamp" not in old["metadata"]:
            new = _copied(old)
            new["metadata"]["deletionTimestamp"] = self._now()
            new["metadata"]["generation"] += 1
            self._store(resource, address, new, old, dry_run=False)

    # --- watching -------------------------------------------------------------------------------------------------

    def snapshot(self, resource: Resource, namespace: str | None = None, labels: str = "") -> Objects:
        """What is there at this moment."""
        wanted = selector(labels)
        return [
            _copied(body)
            for (space, _), body in sorted(self._objects[resource.plural].items())
            if namespace in (None, space) and _selected(body, wanted) is not None
        ]

    def watched(self, resource: Resource, since: int, labels: str = "") -> Events:
        """What a watch shows of the changes from the ``since``-th on: type and object of each event."""
        wanted = selector(labels)
        shown = (change.shown(wanted) for change in self.changes[since:] if change.plural == resource.plural)
        return [(kind, _copied(body)) for kind, body in filter(None, shown)]

    # --- backups --------------------------------------------------------------------------------------------------

    def backup(self) -> "Backup":
        """All that is stored, as a copy of etcd holds it."""
        stored = {
            plural: {at: _copied(body) for at, body in bodies.items()} for plural, bodies in self._objects.items()
        }
        return Backup(stored, self._version, self._created)

    def restore(self, backup: "Backup") -> None:
        """Put everything to what it was then. Versions and uids go on, as etcd is told to when it restores.

        Nobody who watches is told: whoever uses this API has to start anew."""
        self._objects = defaultdict(dict)
        for plural, bodies in backup.stored.items():
            self._objects[plural] = {at: _copied(body) for at, body in bodies.items()}
        self._version = max(self._version, backup.version)
        self._created = max(self._created, backup.created)

    def give_another_uid(self, resource: Resource, name: str) -> None:
        """As an object has in another cluster."""
        self._created += 1
        self._find("GET", resource, ("", name))["metadata"]["uid"] = _uid(self._created)

    def wipe(self, namespace: str) -> None:
        """Everything in a namespace is gone at once, finalizers or not, as when a cluster is lost."""
        for plural, bodies in self._objects.items():
            for at in [at for at in bodies if at[0] == namespace]:
                self._version += 1
                self._note(Change(plural, bodies.pop(at), None))

    # --- the inside -----------------------------------------------------------------------------------------------

    def _now(self) -> str:
        return self._clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")

    def _find(self, verb: str, resource: Resource, address: Address) -> Object:
        body = self._objects[resource.plural].get(address)
        if body is None:
            raise NotFound(f"{verb} {resource.plural}/{address[1]}", 404, "NotFound")
        return body

    def _is_inhabited(self, resource: Resource, address: Address) -> bool:
        """Whether something in a namespace holds it. Nothing here empties a namespace: that is its users' part."""
        if resource.plural != "namespaces":
            return False
        return any(space == address[1] for bodies in self._objects.values() for space, _ in bodies)

    def _remove(self, resource: Resource, address: Address, old: Object) -> None:
        """Take an object away; a namespace that is being deleted goes with the last object in it."""
        del self._objects[resource.plural][address]
        self._version += 1
        gone = {**old, "metadata": {**old["metadata"], "resourceVersion": str(self._version)}}
        self._note(Change(resource.plural, gone, None))
        space = ("", address[0])
        home = self._objects["namespaces"].get(space)
        if home and "deletionTimestamp" in home["metadata"] and not self._is_inhabited(NAMESPACES, space):
            self._remove(NAMESPACES, space, home)

    def _store(
        self, resource: Resource, address: Address, new: Object, old: Object | None, *, dry_run: bool
    ) -> Object:
        for admission in self.admissions:
            admission(resource, new, old, dry_run=dry_run)
        new = _copied(new)
        if old is not None and _same(new, old):
            return _copied(old)
        if dry_run:
            return new
        self._version += 1
        new["metadata"]["resourceVersion"] = str(self._version)
        held = new["metadata"].get("finalizers") or self._is_inhabited(resource, address)
        if new["metadata"].get("deletionTimestamp") and not held:
            self._remove(resource, address, new)
        else:
            self._objects[resource.plural][address] = new
            self._note(Change(resource.plural, old, new))
        return _copied(new)

    def _note(self, change: Change) -> None:
        self.changes.append(change)
        for listener in self.listeners:
            listener(change)


def merged(target: Any, patch: Any) -> Any:
    """RFC 7386: null takes away, objects merge, everything else replaces. Shares what is not patched."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def selector(labels: str) -> dict[str, str]:
    """``a=b,c=d`` as a mapping."""
    return dict(pair.split("=", 1) for pair in labels.split(",") if pair)


def _selected(body: Object | None, labels: dict[str, str]) -> Object | None:
    if body is None or not labels.items() <= (body["metadata"].get("labels") or {}).items():
        return None
    return body


def _check_preconditions(resource: Resource, old: Object, wanted: dict[str, Any]) -> None:
    for key in ("uid", "resourceVersion"):
        if wanted.get(key) not in (None, old["metadata"][key]):
            raise Conflict(f"write {resource.plural}/{old['metadata']['name']}", 409, "Conflict")


def _copied(body: Object) -> Object:
    """A copy that shares nothing. What is stored came as JSON, so the interpreter's own quick format can carry it."""
    copy: Object = marshal.loads(marshal.dumps(body))
    return copy


def _normal(body: Object) -> Object:
    """As JSON would carry it: a copy that shares nothing, or an error for what is no JSON."""
    normal: Object = json.loads(json.dumps(body))
    return normal


def _uid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def _finalizers(body: Object) -> set[str]:
    return set(body["metadata"].get("finalizers") or ())


def _same(new: Object, old: Object) -> bool:
    return {**new, "metadata": {**new["metadata"], "resourceVersion": ""}} == {
        **old,
        "metadata": {**old["metadata"], "resourceVersion": ""},
    }


def _address(resource: Resource, namespace: str | None, name: str) -> Address:
    return ((namespace or "") if resource.namespaced else "", name)
