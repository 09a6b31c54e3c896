"""Providers: reading their service keys, and saying whether they work.

A provider's Secret is read live, from the operator's own namespace for the cluster-wide kind and from the provider's
for the other, never from anywhere else. Its key goes into ``ServiceKeys``; of it only the prefix is ever shown.
"""

import logging
from collections.abc import Callable

from saperly_operator.budget.gate import Limits
from saperly_operator.controller.cache import NamespaceView, ProviderKey
from saperly_operator.controller.proof import ServiceKeyProof
from saperly_operator.controller.provider_hold import ProviderHold
from saperly_operator.controller.provider_kinds import read_provider, resource_of
from saperly_operator.controller.provider_status import news, noted_material, provider_status
from saperly_operator.controller.tools import Tools
from saperly_operator.kube.api import NAMESPACES, SECRETS, STATUS
from saperly_operator.kube.errors import KubeError, NotFound, Refused
from saperly_operator.kube.events import EventWriter, Regarding
from saperly_operator.kube.secrets import entry as secret_entry
from saperly_operator.resources import reasons
from saperly_operator.resources.base import InvalidResourceError
from saperly_operator.resources.provider import Provider, ServiceKeyEntry
from saperly_operator.saperly.concealed import Credential, MalformedCredentialError

logger = logging.getLogger(__name__)


class Providers:
    """Keeps ``ServiceKeys`` in line with the providers. ``changed`` is called when objects of one should look again."""

    def __init__(
        self, tools: Tools, events: EventWriter, *, namespace: str, changed: Callable[[ProviderKey], None]
    ) -> None:
        self._kube = tools.kube
        self._cache = tools.cache
        self._service_keys = tools.service_keys
        self._clock = tools.clock
        self._events = events
        self._namespace = namespace
        self._changed = changed
        self._hold = ProviderHold(tools.kube, tools.cache)
        self._proof = ServiceKeyProof(tools.cache, tools.service_keys, tools.clock)

    async def ensure(self, key: ProviderKey, namespace: str) -> None:
        """Make sure that a decision about an object in ``namespace`` knows its provider, if there is one.

        Costs requests only for what no watch has shown yet: an object may be seen before its provider is.
        """
        if self._cache.namespace(namespace) == NamespaceView():
            await self._learn_namespace(namespace)
        if self._cache.provider(key) is None:
            await self._learn_provider(key)
        provider = self._cache.provider(key)
        if provider is not None and any(
            self._service_keys.state((key, entry.name)) is None for entry in provider.spec.service_keys
        ):
            await self.refresh(key)

    async def _learn_namespace(self, name: str) -> None:
        try:
            body = await self._kube.get(NAMESPACES, None, name)
        except (NotFound, Refused):
            return
        self._cache.put_namespace(name, NamespaceView(body["metadata"].get("labels") or {}))

    async def _learn_provider(self, key: ProviderKey) -> None:
        kind, namespace, name = key
        try:
            provider = read_provider(kind, await self._kube.get(resource_of(kind), namespace or None, name))
        except (NotFound, Refused):
            return
        except InvalidResourceError as error:
            logger.warning("unreadable provider", extra={"provider": name, "error": str(error)})
            return
        self._cache.put_provider(provider)

    def generation(self, key: ProviderKey) -> int | None:
        """The generation of a provider as it is known; None when there is none of that name."""
        provider = self._cache.provider(key)
        return None if provider is None else provider.metadata.generation

    async def refresh(self, key: ProviderKey) -> None:
        """Read the provider's service keys, and bring its status in line.

        Raises KubeError. The last good key of a provider that is gone is kept: see ``ServiceKeys``.
        """
        provider = self._cache.provider(key)
        if provider is not None:
            provider = await self._hold.settle(key, provider)
        if provider is None:
            return
        replaced = [await self._refresh_entry(key, provider, entry) for entry in provider.spec.service_keys]
        await self._store_status(key, provider)
        if any(replaced):
            self._changed(key)

    async def _refresh_entry(self, key: ProviderKey, provider: Provider, entry: ServiceKeyEntry) -> bool:
        had_problem = self._service_keys.problem((key, entry.name))
        problem, credential = await self._read(provider, entry)
        if credential is None:
            assert problem is not None
            self._service_keys.refuse((key, entry.name), *problem)
            return had_problem is None
        limits, had_doubt = provider.spec.limits, self._service_keys.doubt((key, entry.name))
        accepted = self._service_keys.accept(
            (key, entry.name),
            credential,
            Limits(limits.mints_per_hour, limits.rotates_per_hour, limits.lists_per_hour),
        )
        handle = self._service_keys.handle((key, entry.name))
        assert handle is not None, "it was just accepted"
        vouched = (noted_material(provider, entry.name), provider.accepted_material)
        await self._proof.judge((key, entry.name), handle, vouched)
        doubted = had_doubt != self._service_keys.doubt((key, entry.name))
        return accepted or had_problem is not None or doubted

    async def _read(
        self, provider: Provider, entry: ServiceKeyEntry
    ) -> tuple[tuple[str, str] | None, Credential | None]:
        namespace = provider.metadata.namespace or self._namespace
        ref = entry.secret_ref
        try:
            raw = secret_entry(await self._kube.get(SECRETS, namespace, ref.name), ref.key)
        except NotFound:
            raw = None
        except Refused as error:
            message = f"The operator may not read the Secret {namespace}/{ref.name} ({error.reason}): check its RBAC."
            return (reasons.SERVICE_KEY_SECRET_UNREADABLE, message), None
        if raw is None:
            message = f"There is no Secret {ref.name} with the key {ref.key} in the namespace {namespace}: create it."
            return (reasons.SERVICE_KEY_SECRET_NOT_FOUND, message), None
        try:
            credential = Credential.parse(raw)
        except MalformedCredentialError as error:
            message = (
                f"The key {ref.key} of the Secret {namespace}/{ref.name} is no service key: {error}. Put one of the "
                f"{provider.spec.environment} environment there (sk_svc_{provider.spec.environment}_…)."
            )
            return (reasons.SERVICE_KEY_MALFORMED, message), None
        if credential.environment.value != provider.spec.environment.value:
            message = (
                f"The service key in the Secret {namespace}/{ref.name} is one of the {credential.environment} "
                f"environment, but spec.environment is {provider.spec.environment}: put one of the "
                f"{provider.spec.environment} environment there, or correct spec.environment."
            )
            return (reasons.ENVIRONMENT_MISMATCH, message), None
        return None, credential

    async def _store_status(self, key: ProviderKey, provider: Provider) -> None:
        status = provider_status(key, provider, self._service_keys, self._clock.now())
        if status == provider.status:
            return
        patch = {
            "metadata": {"uid": provider.metadata.uid, "resourceVersion": provider.metadata.resource_version},
            "status": status.to_merge_patch(),
        }
        kind, namespace, name = key
        try:
            body = await self._kube.patch(resource_of(kind), namespace or None, name, patch, options=STATUS)
        except KubeError as error:
            # Only a courtesy, and tried again at the next refresh: minting must not depend on it.
            logger.warning("a provider's status could not be written", extra={"provider": name, "error": str(error)})
            return
        self._cache.put_provider(read_provider(kind, body))
        metadata = provider.metadata
        regarding = Regarding(kind, namespace, name, metadata.uid, metadata.resource_version)
        for occurrence in news(provider.status, status):
            await self._events.emit(regarding, occurrence, self._clock.now())
