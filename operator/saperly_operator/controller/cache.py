"""What the watches last showed, and what our own writes returned since: hints for cheap decisions.

Filled by ``watch`` and by ``act``; read by ``observe``. A body never replaces a newer one: an event that was on its
way while we wrote shows the past. Holds no plaintext (Secrets are kept as ``SecretView``).
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from saperly_operator.kube.api import Object
from saperly_operator.kube.secrets import SecretView
from saperly_operator.resources.base import InvalidResourceError
from saperly_operator.resources.provider import ClusterSaperlyProvider, Provider, SaperlyProvider
from saperly_operator.resources.saperly_key import ProviderRef

ObjectKey = tuple[str, str]
"""Namespace and name."""

ProviderKey = tuple[str, str, str]
"""Kind, namespace (empty for the cluster-wide kind) and name."""


def is_newer(version: str, than: str) -> bool:
    """Whether one resourceVersion is later than another of the same kind (comparable integers since Kubernetes 1.35).

    Where they are not integers, the later arrival wins.
    """
    if version.isdigit() and than.isdigit():
        return int(version) > int(than)
    return version != than


@dataclass(frozen=True, slots=True)
class NamespaceView:
    """The part of a namespace that matters here."""

    labels: dict[str, str] = field(default_factory=dict)


class Cache:
    """The last known bodies, with the two indexes that ``observe`` needs."""

    def __init__(self) -> None:
        self._keys: dict[ObjectKey, Object] = {}
        self._claims: dict[ObjectKey, set[str]] = defaultdict(set)
        self._holders: dict[str, set[ObjectKey]] = defaultdict(set)
        self._secrets: dict[ObjectKey, SecretView] = {}
        self._owned: dict[str, set[ObjectKey]] = defaultdict(set)
        self._providers: dict[ProviderKey, Provider] = {}
        self._namespaces: dict[str, NamespaceView] = {}

    # --- SaperlyKeys ------------------------------------------------------------------------------------------

    def key(self, key: ObjectKey) -> Object | None:
        return self._keys.get(key)

    def all_keys(self) -> Iterable[ObjectKey]:
        return tuple(self._keys)

    def bodies(self) -> Iterable[Object]:
        """Every SaperlyKey as it was last seen."""
        return tuple(self._keys.values())

    def put_key(self, body: Object) -> bool:
        """Take a body in; False when a newer one (or this very one) is there already."""
        key = _object_key(body)
        known = self._keys.get(key)
        if known is not None and not _supersedes(body, known):
            return False
        self.drop_key(key)
        self._keys[key] = body
        self._claims[key[0], claimed_secret(body)].add(key[1])
        for key_id in _referenced(body):
            self._holders[key_id].add(key)
        return True

    def drop_key(self, key: ObjectKey) -> None:
        known = self._keys.pop(key, None)
        if known is not None:
            claim = (key[0], claimed_secret(known))
            self._claims[claim].discard(key[1])
            if not self._claims[claim]:
                del self._claims[claim]
            for key_id in _referenced(known):
                self._holders[key_id].discard(key)
                if not self._holders[key_id]:
                    del self._holders[key_id]

    def holders(self, key_id: str) -> Iterable[ObjectKey]:
        """The SaperlyKeys whose status refers to a key at the vendor."""
        return sorted(self._holders.get(key_id, ()))

    def claimants(self, namespace: str, secret: str) -> Iterable[Object]:
        """The SaperlyKeys that want to deliver into that Secret."""
        names = self._claims.get((namespace, secret), ())
        return [self._keys[namespace, name] for name in sorted(names)]

    def provider_refs(self) -> Iterable[tuple[ObjectKey, ProviderRef]]:
        """Each SaperlyKey with the provider that its spec names."""
        for key, body in tuple(self._keys.items()):
            try:
                yield key, ProviderRef.from_api((body.get("spec") or {}).get("providerRef") or {})
            except InvalidResourceError:
                continue

    # --- Secrets ----------------------------------------------------------------------------------------------

    def secret(self, key: ObjectKey) -> SecretView | None:
        return self._secrets.get(key)

    def secrets_of(self, owner: str) -> Iterable[SecretView]:
        """The Secrets whose record names ``owner`` (``namespace/name``)."""
        return [self._secrets[key] for key in sorted(self._owned.get(owner, ()))]

    def secrets(self) -> Iterable[SecretView]:
        return tuple(self._secrets.values())

    def put_secret(self, view: SecretView) -> bool:
        """Take a Secret in; False when a newer one (or this very one) is there already."""
        key = (view.namespace, view.name)
        known = self._secrets.get(key)
        if known is not None and known.uid == view.uid and not is_newer(view.version, known.version):
            return False
        self.drop_secret(key)
        self._secrets[key] = view
        if view.record is not None:
            self._owned[view.record.owner].add(key)
        return True

    def drop_secret(self, key: ObjectKey) -> None:
        known = self._secrets.pop(key, None)
        if known is not None and known.record is not None:
            self._owned[known.record.owner].discard(key)
            if not self._owned[known.record.owner]:
                del self._owned[known.record.owner]

    # --- providers and namespaces -------------------------------------------------------------------------------

    def provider(self, key: ProviderKey) -> Provider | None:
        return self._providers.get(key)

    def providers(self) -> Iterable[Provider]:
        return tuple(self._providers.values())

    def put_provider(self, provider: Provider) -> None:
        self._providers[provider_key(provider)] = provider

    def drop_provider(self, key: ProviderKey) -> None:
        self._providers.pop(key, None)

    def namespace(self, name: str) -> NamespaceView:
        return self._namespaces.get(name, NamespaceView())

    def namespaces(self) -> Iterable[str]:
        return tuple(self._namespaces)

    def put_namespace(self, name: str, view: NamespaceView) -> bool:
        """Take a namespace in; False when nothing about it changed."""
        changed = self._namespaces.get(name) != view
        self._namespaces[name] = view
        return changed

    def drop_namespace(self, name: str) -> None:
        self._namespaces.pop(name, None)


def provider_key(provider: ClusterSaperlyProvider | SaperlyProvider) -> ProviderKey:
    """How a provider is looked up."""
    return (provider.definition.kind, provider.metadata.namespace or "", provider.metadata.name)


def claimed_secret(body: Object) -> str:
    """The name of the Secret that a SaperlyKey's body asks for."""
    secret = (body.get("spec") or {}).get("secret") or {}
    return str(secret.get("name") or body["metadata"]["name"])


def key_refs(body: Object) -> list[Object]:
    """The keys that the status in a body accounts for, as they stand there: the current one first."""
    status = body.get("status") or {}
    return [ref for ref in (status.get("current"), *(status.get("retiring") or [])) if ref]


def lost_successors(body: Object) -> list[Object]:
    """What took the place of a key at Saperly, and whose id nobody knows."""
    rotation = (body.get("status") or {}).get("rotation") or {}
    return list(rotation.get("lost") or [])


def provider_names(body: Object) -> list[tuple[str, str]]:
    """The provider and the service key of each of them, of the request under way, and of keys that nobody knows yet."""
    intent = (body.get("status") or {}).get("intent")
    refs = (*key_refs(body), *([intent] if intent else []), *lost_successors(body))
    return [(ref["provider"], ref["serviceKey"]) for ref in refs]


def _referenced(body: Object) -> list[str]:
    return [ref["id"] for ref in key_refs(body)]


def _object_key(body: Object) -> ObjectKey:
    metadata = body["metadata"]
    return (metadata["namespace"], metadata["name"])


def _supersedes(body: Object, known: Object) -> bool:
    ours, theirs = body["metadata"], known["metadata"]
    return ours.get("uid") != theirs.get("uid") or is_newer(ours["resourceVersion"], theirs["resourceVersion"])
