"""Gathering an ``Observed``: reads only. The one place where objects of both kinds become what decisions rest on.

A cached look costs no request. A live one reads the Secret and then the SaperlyKey, in this order (design, section 4,
step 4): whoever wrote the Secret under an intent stored that intent before, so a SaperlyKey read after the Secret
cannot know less than the Secret shows.
"""

from saperly_operator.clock import Clock
from saperly_operator.controller.cache import Cache, ObjectKey, ProviderKey, claimed_secret
from saperly_operator.controller.scratch import Scratchpads
from saperly_operator.controller.secret_states import Target, kept_target, owned_record, secret_state
from saperly_operator.controller.service_keys import ServiceKeys
from saperly_operator.kube.api import SAPERLY_KEYS, SECRETS, Kube, Object
from saperly_operator.kube.errors import NotFound
from saperly_operator.kube.secrets import SecretView
from saperly_operator.lifecycle.moments import noted_moments
from saperly_operator.lifecycle.naming import Owner, Tag
from saperly_operator.lifecycle.observed import (
    Freshness,
    Memory,
    Myself,
    Observed,
    ProviderAbsent,
    ProviderPresent,
    ProviderState,
    SecretAbsent,
    SecretState,
    ServiceKeyName,
    ServiceKeyState,
)
from saperly_operator.resources.base import InvalidResourceError
from saperly_operator.resources.provider import ProviderSpec
from saperly_operator.resources.saperly_key import ProviderKind, ProviderRef, SaperlyKey


class Observer:
    """Looks at one SaperlyKey."""

    def __init__(
        self,
        kube: Kube,
        cache: Cache,
        service_keys: ServiceKeys,
        scratchpads: Scratchpads,
        myself: Myself,
        clock: Clock,
    ) -> None:
        self._kube = kube
        self._clock = clock
        self._cache = cache
        self._service_keys = service_keys
        self._scratchpads = scratchpads
        self._myself = myself

    @property
    def myself(self) -> Myself:
        return self._myself

    def cached(self, key: ObjectKey) -> Observed | None:
        """From the watches; None when there is no such object (any more).

        Raises InvalidResourceError.
        """
        body = self._cache.key(key)
        return None if body is None else self._observed(read_key(body), Freshness.CACHED)

    async def live(self, key: ObjectKey) -> Observed | None:
        """From the API server; None when there is no such object (any more).

        Raises KubeError, InvalidResourceError.
        """
        body = self._cache.key(key)
        if body is not None:
            known = read_key(body)
            for name in sorted({known.secret_name, kept_target(known).secret}):
                await self._refresh_secret((key[0], name))
        try:
            fresh = await self._kube.get(SAPERLY_KEYS, *key)
        except NotFound:
            self._cache.drop_key(key)
            return None
        self._cache.put_key(fresh)
        latest = read_key(fresh)
        is_whole = body is not None and _was_read_for(known, latest)
        return self._observed(latest, Freshness.LIVE if is_whole else Freshness.CACHED)

    async def _refresh_secret(self, key: ObjectKey) -> None:
        try:
            self._cache.put_secret(SecretView.of(await self._kube.get(SECRETS, *key)))
        except NotFound:
            self._cache.drop_secret(key)

    def _observed(self, key: SaperlyKey, freshness: Freshness) -> Observed:
        kept = kept_target(key)
        wanted = Target(key.secret_name, key.spec.secret.key)
        return Observed(
            key=key,
            freshness=freshness,
            myself=self._myself,
            secret=self._secret_state(key, wanted),
            provider=self._provider_state(key),
            service_keys=self._service_key_states(key),
            memory=self._memory(key),
            former_secret=None if kept == wanted else self._secret_state(key, kept),
            former_providers=self._former_providers(key),
            older_claimant=self._older_claimant(key),
            stray_secrets=self._stray_secrets(key),
        )

    def _memory(self, key: SaperlyKey) -> Memory:
        tag = Tag.of(self._myself.installation, Owner(key.namespace, key.name), 1)
        scratch = self._scratchpads.of(key.metadata.uid, (key.namespace, key.name))
        now = self._clock.now()
        scratch.see_clock(now, (self._myself.started_at, *noted_moments(key.status)))
        scratch.see_intent(key.status.intent, now)
        return scratch.memory(self._scratchpads.listed_serial(tag.owner))

    def _former_providers(self, key: SaperlyKey) -> dict[str, ProviderSpec]:
        refs = {ref.provider for ref in (key.status.current, *key.status.retiring) if ref}
        found = {
            ref: self._cache.provider(provider_key_of(ProviderRef.parse(ref), key.namespace))
            for ref in refs - {str(key.spec.provider_ref)}
        }
        return {ref: provider.spec for ref, provider in found.items() if provider is not None}

    def _secret_state(self, key: SaperlyKey, target: Target) -> SecretState:
        view = self._cache.secret((key.namespace, target.secret))
        return SecretAbsent() if view is None else secret_state(view, key, target, self._myself.installation)

    def _stray_secrets(self, key: SaperlyKey) -> tuple[str, ...]:
        kept = kept_target(key).secret
        return tuple(
            view.name
            for view in self._cache.secrets_of(key.path)
            if view.namespace == key.namespace
            and view.name not in (key.secret_name, kept)
            and owned_record(view, key, self._myself.installation) is not None
        )

    def _older_claimant(self, key: SaperlyKey) -> str | None:
        """The first of those that claim the same Secret, when it is another. It owns the Secret, or will. One that is
        being deleted owns it until the Secret is gone or released."""
        view = self._cache.secret((key.namespace, key.secret_name))
        owner = view.record.owner if view is not None and view.record is not None else None
        claims = [
            body
            for body in self._cache.claimants(key.namespace, key.secret_name)
            if not body["metadata"].get("deletionTimestamp") or _is_named(body, owner)
        ]
        first = min(claims, key=lambda body: _seniority(body, owner), default=None)
        return None if first is None or first["metadata"]["name"] == key.name else str(first["metadata"]["name"])

    def _provider_state(self, key: SaperlyKey) -> ProviderState:
        provider = self._cache.provider(provider_key_of(key.spec.provider_ref, key.namespace))
        if provider is None or provider.metadata.deletion_timestamp is not None:
            return ProviderAbsent()
        return ProviderPresent(
            ref=str(key.spec.provider_ref),
            spec=provider.spec,
            generation=provider.metadata.generation,
            admits=provider.allows(key.namespace, self._cache.namespace(key.namespace).labels),
            uid=provider.metadata.uid,
        )

    def _service_key_states(self, key: SaperlyKey) -> dict[ServiceKeyName, ServiceKeyState]:
        status = key.status
        lost = status.rotation.lost if status.rotation is not None else ()
        known = (status.current, status.intent, *status.retiring, *lost)
        refs = {(ref.provider, ref.service_key) for ref in known if ref}
        provider = self._cache.provider(provider_key_of(key.spec.provider_ref, key.namespace))
        if provider is not None:
            refs |= {(str(key.spec.provider_ref), entry.name) for entry in provider.spec.service_keys}
        states = {ref: self._service_keys.state(entry_key(ref, key.namespace)) for ref in refs}
        return {ref: state for ref, state in states.items() if state is not None}


def _was_read_for(known: SaperlyKey, latest: SaperlyKey) -> bool:
    """Whether the Secrets that were read for ``known`` tell about ``latest``, which was read after them.

    Not when the spec meanwhile named another Secret. Nor when another process recorded a delivery: the Secret was then
    read before that was written, and its lack of the new plaintext would cost a needless key.
    """
    names = {latest.secret_name, kept_target(latest).secret}
    same_delivery = (known.status.current, known.status.secret) == (latest.status.current, latest.status.secret)
    return same_delivery and names <= {known.secret_name, kept_target(known).secret}


def read_key(body: Object) -> SaperlyKey:
    """A SaperlyKey from its body. Of one that is being deleted only what deletion needs has to be readable.

    Raises InvalidResourceError.
    """
    try:
        return SaperlyKey.from_api(body)
    except InvalidResourceError:
        if not body["metadata"].get("deletionTimestamp"):
            raise
    spec = body.get("spec") or {}
    needed = {"deletionPolicy": spec.get("deletionPolicy", "Revoke"), "secret": {"name": claimed_secret(body)}}
    return SaperlyKey.from_api({**body, "spec": needed})


def provider_key_of(ref: ProviderRef, namespace: str) -> ProviderKey:
    """The provider that ``ref`` means to an object in ``namespace``."""
    return (ref.kind.value, namespace if ref.kind is ProviderKind.NAMESPACED else "", ref.name)


def entry_key(name: ServiceKeyName, namespace: str) -> tuple[ProviderKey, str]:
    """The registry's key for a provider as written in status, and one of its entries."""
    provider, entry = name
    return (provider_key_of(ProviderRef.parse(provider), namespace), entry)


def _is_named(body: Object, owner: str | None) -> bool:
    return owner == f"{body['metadata']['namespace']}/{body['metadata']['name']}"


def _seniority(body: Object, owner: str | None) -> tuple[bool, bool, str, str]:
    """Whom the Secret's record names comes first, then who was delivered to, then the elder; names never tie."""
    metadata, status = body["metadata"], body.get("status") or {}
    named = _is_named(body, owner)
    delivered = ((status.get("secret") or {}).get("name")) == claimed_secret(body)
    return (not named, not delivered, str(metadata.get("creationTimestamp") or ""), str(metadata["name"]))
