"""Holding a provider that is in use: called by ``providers`` at each look, it may touch the provider's finalizers only.

What a service key minted, only that service key can revoke. While the provider is there, a restarted operator finds its
way to the service key's Secret; once it is gone, only the process that still has the key in memory could revoke. So a
provider is held by a finalizer, as a volume claim in use is, until no SaperlyKey has a key of it (design, section 4,
"Deletion"). The finalizer is put on before the provider's first use, whether or not it comes to that.
"""

import logging
from collections.abc import Iterable

from saperly_operator.controller.cache import Cache, ProviderKey, provider_names
from saperly_operator.controller.observe import provider_key_of
from saperly_operator.controller.provider_kinds import read_provider, resource_of
from saperly_operator.kube.api import PLAIN, SAPERLY_KEYS, Kube, Object
from saperly_operator.kube.errors import NotFound, Refused
from saperly_operator.resources import annotations
from saperly_operator.resources.provider import Provider
from saperly_operator.resources.saperly_key import ProviderRef

logger = logging.getLogger(__name__)


class ProviderHold:
    """See the module's text."""

    def __init__(self, kube: Kube, cache: Cache) -> None:
        self._kube = kube
        self._cache = cache

    async def settle(self, key: ProviderKey, provider: Provider) -> Provider | None:
        """The provider, held or let go as it should be; None when it is gone. Raises KubeError."""
        metadata = provider.metadata
        is_held = annotations.PROVIDER_FINALIZER in metadata.finalizers
        if metadata.deletion_timestamp is None:
            return provider if is_held else await self._take(key, provider)
        if not is_held or await self._is_in_use(key):
            return provider
        # Nothing of it is left, by a list made after its deletion was seen, since when nothing is minted with it.
        others = tuple(each for each in metadata.finalizers if each != annotations.PROVIDER_FINALIZER)
        return await self._patch(key, provider, others)

    async def _take(self, key: ProviderKey, provider: Provider) -> Provider | None:
        # Crash here: held without a use of it; it is let go when it is deleted.
        try:
            return await self._patch(key, provider, (*provider.metadata.finalizers, annotations.PROVIDER_FINALIZER))
        except Refused as error:
            # A precaution, and tried again at the next look: minting must not depend on it.
            logger.warning("a provider could not be held", extra={"provider": key[2], "error": str(error)})
            return provider

    async def _is_in_use(self, key: ProviderKey) -> bool:
        if any(_uses(body, key) for body in self._cache.bodies()):
            return True  # and no need to ask
        return any(_uses(body, key) for body in await self._kube.list(SAPERLY_KEYS))

    async def _patch(self, key: ProviderKey, provider: Provider, finalizers: Iterable[str]) -> Provider | None:
        kind, namespace, name = key
        metadata = provider.metadata
        patch = {
            "metadata": {
                "uid": metadata.uid,
                "resourceVersion": metadata.resource_version,
                "finalizers": list(finalizers),
            }
        }
        try:
            body = await self._kube.patch(resource_of(kind), namespace or None, name, patch, options=PLAIN)
        except NotFound:
            body = None
        if body is None or ("deletionTimestamp" in body["metadata"] and not body["metadata"].get("finalizers")):
            self._cache.drop_provider(key)
            return None
        held = read_provider(kind, body)
        self._cache.put_provider(held)
        return held


def _uses(body: Object, key: ProviderKey) -> bool:
    """Whether status names a key, or a request for one, of that provider."""
    namespace = body["metadata"]["namespace"]
    return any(provider_key_of(ProviderRef.parse(name), namespace) == key for name, _ in provider_names(body))
