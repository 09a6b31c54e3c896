"""Watching: kopf delivers events, and the handlers here put bodies into the cache and keys into queues. Nothing else.

``@kopf.on.event`` only: it stores nothing on objects, never retries, and needs no right to patch. Handlers return at
once and never raise for an object that cannot be read. Secrets are watched by label, so that no other Secret's data
ever reaches this process, and are reduced to digests before they are kept.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import kopf

from saperly_operator.controller.cache import (
    Cache,
    NamespaceView,
    ObjectKey,
    ProviderKey,
    claimed_secret,
    provider_key,
)
from saperly_operator.controller.provider_kinds import read_provider
from saperly_operator.kube.secrets import SecretView
from saperly_operator.lifecycle.naming import Owner
from saperly_operator.resources import annotations
from saperly_operator.resources.base import GROUP, VERSION, InvalidResourceError
from saperly_operator.resources.saperly_key import ProviderKind

logger = logging.getLogger(__name__)

Body = Any
"""A body as kopf hands it over: a mapping view; ``dict(body)`` is the object."""


@dataclass(frozen=True, slots=True)
class Intake:
    """Where events end up: the cache, and the two queues."""

    cache: Cache
    enqueue_key: Callable[[ObjectKey], None]
    enqueue_provider: Callable[[ProviderKey], None]
    forget_key: Callable[[ObjectKey], None]

    def key_event(self, event: str | None, body: dict[str, Any]) -> None:
        """A SaperlyKey appeared, changed or went. One that shows nothing new is no work."""
        key = (body["metadata"]["namespace"], body["metadata"]["name"])
        if event == "DELETED":
            rivals = self.cache.claimants(key[0], claimed_secret(body))
            self.cache.drop_key(key)
            self.forget_key(key)
            for rival in rivals:  # whoever waited for its Secret may have its turn now
                self.enqueue_key((key[0], rival["metadata"]["name"]))
            self._look_at_providers_being_deleted()
        elif self.cache.put_key(body):
            self.enqueue_key(key)

    def _look_at_providers_being_deleted(self) -> None:
        """They may have been held by the object that went."""
        for provider in self.cache.providers():
            if provider.metadata.deletion_timestamp is not None:
                self.enqueue_provider(provider_key(provider))

    def secret_event(self, event: str | None, body: dict[str, Any]) -> None:
        """A managed Secret appeared, changed, went, or lost its label (which looks like going)."""
        view = SecretView.of(body)
        key = (view.namespace, view.name)
        if event == "DELETED":
            self.secret_gone(key)
            return
        before = self.cache.secret(key)
        if self.cache.put_secret(view):
            self._look_at_owners(key, before, view)

    def secret_gone(self, key: ObjectKey) -> None:
        """A Secret is no more, or no more ours to see."""
        before = self.cache.secret(key)
        self.cache.drop_secret(key)
        self._look_at_owners(key, before)

    def _look_at_owners(self, key: ObjectKey, *views: SecretView | None) -> None:
        namespace, secret = key
        names = {body["metadata"]["name"] for body in self.cache.claimants(namespace, secret)}
        for view in views:
            owner = Owner.parse(view.record.owner) if view is not None and view.record is not None else None
            if owner is not None and owner.namespace == namespace:
                names.add(owner.name)
        for name in names:
            self.enqueue_key((namespace, name))

    def provider_event(self, kind: str, event: str | None, body: dict[str, Any]) -> None:
        """A provider appeared, changed or went."""
        key = (kind, body["metadata"].get("namespace") or "", body["metadata"]["name"])
        if event == "DELETED":
            self.provider_gone(key)
            return
        before = self.cache.provider(key)
        try:
            provider = read_provider(kind, body)
        except InvalidResourceError as error:
            logger.warning("unreadable provider", extra={"provider": key[2], "error": str(error)})
            return
        self.cache.put_provider(provider)
        if before is None or before.metadata.generation != provider.metadata.generation:  # else our own status
            self.enqueue_provider(key)

    def provider_gone(self, key: ProviderKey) -> None:
        """A provider is no more."""
        self.cache.drop_provider(key)
        self.enqueue_provider(key)

    def namespace_event(self, event: str | None, body: dict[str, Any]) -> None:
        """A namespace's labels decide who may use a provider."""
        name = body["metadata"]["name"]
        if event == "DELETED":
            self.cache.drop_namespace(name)
            return
        if self.cache.put_namespace(name, NamespaceView(dict(body["metadata"].get("labels") or {}))):
            for key in self.cache.all_keys():
                if key[0] == name:
                    self.enqueue_key(key)


def make_registry(intake: Intake, on_cleanup: Callable[[], Any]) -> kopf.OperatorRegistry:
    """kopf's registry with our handlers. ``on_cleanup`` drains the queue: nothing else of kopf waits for as long."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    def login(**kwargs: Any) -> kopf.ConnectionInfo | None:
        return kopf.login_via_client(**kwargs)

    @kopf.on.event(GROUP, VERSION, "saperlykeys", registry=registry)
    async def key(type: str | None, body: Body, **_: Any) -> None:  # noqa: A002 (kopf's name)
        intake.key_event(type, dict(body))

    @kopf.on.event(GROUP, VERSION, "clustersaperlyproviders", registry=registry)
    async def cluster_provider(type: str | None, body: Body, **_: Any) -> None:  # noqa: A002
        intake.provider_event(ProviderKind.CLUSTER.value, type, dict(body))

    @kopf.on.event(GROUP, VERSION, "saperlyproviders", registry=registry)
    async def provider(type: str | None, body: Body, **_: Any) -> None:  # noqa: A002
        intake.provider_event(ProviderKind.NAMESPACED.value, type, dict(body))

    @kopf.on.event("", "v1", "secrets", registry=registry)
    async def secret(type: str | None, body: Body, **_: Any) -> None:  # noqa: A002
        intake.secret_event(type, dict(body))

    @kopf.on.event("", "v1", "namespaces", registry=registry)
    async def namespace(type: str | None, body: Body, **_: Any) -> None:  # noqa: A002
        intake.namespace_event(type, dict(body))

    @kopf.on.cleanup(registry=registry)
    async def cleanup(**_: Any) -> None:
        await on_cleanup()

    return registry


def make_settings() -> kopf.OperatorSettings:
    """kopf's settings for watching only, without peering, persistence, or posting of its own."""
    settings = kopf.OperatorSettings()
    settings.peering.standalone = True
    # kopf strips a finalizer of this name where no handler needs it; ours must never be that one.
    settings.persistence.finalizer = "saperly.com/not-used-by-kopf"
    settings.scanning.disabled = True
    settings.posting.enabled = False
    settings.watching.chunk_size = 500
    settings.watching.server_timeout, settings.watching.client_timeout = 240, 300
    settings.watching.connect_timeout = settings.networking.connect_timeout = 10
    settings.watching.label_selectors["", "v1", "secrets"] = (
        f"{annotations.MANAGED_BY_LABEL}={annotations.MANAGED_BY}"
    )
    settings.networking.request_timeout = 30
    settings.queueing.worker_limit, settings.queueing.idle_timeout = 200, 0.05
    return settings
