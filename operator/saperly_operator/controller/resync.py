"""The full looks: once before anything is decided, and then rarely, against what watches may have missed.

Before the first decision every kind is listed once, so that no verdict rests on a half-filled cache. An object that
vanished while a watch was down gets no DELETED event; the rare look prunes it.
"""

import logging
from collections.abc import Awaitable, Callable

from saperly_operator.controller.cache import provider_key
from saperly_operator.controller.watch import Intake
from saperly_operator.kube.api import CLUSTER_PROVIDERS, NAMESPACES, PROVIDERS, SAPERLY_KEYS, SECRETS, Kube, Resource
from saperly_operator.kube.errors import KubeError
from saperly_operator.resources import annotations
from saperly_operator.resources.saperly_key import ProviderKind

logger = logging.getLogger(__name__)

MANAGED = f"{annotations.MANAGED_BY_LABEL}={annotations.MANAGED_BY}"


async def resync(kube: Kube, intake: Intake) -> None:
    """List everything and hand it to the intake as events would; prune what is gone. Raises KubeError."""
    cache = intake.cache
    await _namespaces(kube, intake)
    for kind, resource in ((ProviderKind.CLUSTER, CLUSTER_PROVIDERS), (ProviderKind.NAMESPACED, PROVIDERS)):
        await _providers(kube, intake, kind, resource)
    known_secrets = {(view.namespace, view.name) for view in cache.secrets()}
    secrets = await kube.list(SECRETS, labels=MANAGED)
    for body in secrets:
        intake.secret_event(None, body)
    known_keys = set(cache.all_keys())
    keys = await kube.list(SAPERLY_KEYS)
    for body in keys:
        intake.key_event(None, body)
    # What was known before the list and is not in it is gone; what came since is none of this look's business.
    for secret in known_secrets - {_key_of(body) for body in secrets}:
        intake.secret_gone(secret)
    for key in known_keys - {_key_of(body) for body in keys}:
        cache.drop_key(key)
        intake.forget_key(key)


async def _namespaces(kube: Kube, intake: Intake) -> None:
    known = set(intake.cache.namespaces())
    bodies = await kube.list(NAMESPACES)
    for body in bodies:
        intake.namespace_event(None, body)
    for name in known - {body["metadata"]["name"] for body in bodies}:
        intake.cache.drop_namespace(name)


async def _providers(kube: Kube, intake: Intake, kind: ProviderKind, resource: Resource) -> None:
    known = {key for key in map(provider_key, intake.cache.providers()) if key[0] == kind.value}
    bodies = await kube.list(resource)
    for body in bodies:
        intake.provider_event(kind.value, None, body)
    listed = {(kind.value, body["metadata"].get("namespace") or "", body["metadata"]["name"]) for body in bodies}
    for provider in known - listed:
        intake.provider_gone(provider)


async def resync_for_ever(look: Callable[[], Awaitable[None]], pause: Callable[[], Awaitable[None]]) -> None:
    """Resync after every pause until cancelled; a failure only waits for the next one."""
    while True:
        await pause()
        try:
            await look()
        except KubeError as error:
            logger.warning("a resync failed", extra={"error": str(error)})


def _key_of(body: dict[str, dict[str, str]]) -> tuple[str, str]:
    return (body["metadata"]["namespace"], body["metadata"]["name"])
