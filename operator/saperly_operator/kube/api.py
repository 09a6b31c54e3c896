"""The Kubernetes API as this operator needs it: a few verbs on plain JSON objects.

``Kube`` is the seam: ``RestKube`` below speaks to a real API server through the official client's transport, and an
in-memory Kubernetes can stand in its place under the same contract tests. Objects travel as plain ``dict``; the typed
readers and writers beside this module give them meaning. Watching is kopf's (controller/watch.py).
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import aiohttp
from kubernetes.aio import client as kubernetes_client
from kubernetes.aio import config as kubernetes_config

from saperly_operator.kube.errors import Immutable, KubeError, QuotaExceeded, Refused, Unavailable, error_from

Object = dict[str, Any]
"""A Kubernetes object as JSON."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind as the API's paths name it."""

    group: str
    version: str
    plural: str
    namespaced: bool = True

    def path(self, namespace: str | None, name: str | None = None, subresource: str | None = None) -> str:
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        scope = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        parts = [part for part in (name, subresource) if part]
        return "/".join([f"{root}{scope}/{self.plural}", *parts])


SAPERLY_KEYS = Resource("saperly.com", "v1alpha1", "saperlykeys")
CLUSTER_PROVIDERS = Resource("saperly.com", "v1alpha1", "clustersaperlyproviders", namespaced=False)
PROVIDERS = Resource("saperly.com", "v1alpha1", "saperlyproviders")
SECRETS = Resource("", "v1", "secrets")
CONFIG_MAPS = Resource("", "v1", "configmaps")
NAMESPACES = Resource("", "v1", "namespaces", namespaced=False)
DEPLOYMENTS = Resource("apps", "v1", "deployments")
STATEFUL_SETS = Resource("apps", "v1", "statefulsets")
DAEMON_SETS = Resource("apps", "v1", "daemonsets")
EVENTS = Resource("events.k8s.io", "v1", "events")


class Kube(Protocol):
    """The verbs. Each raises a ``KubeError`` and nothing else."""

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Object:
        """A live (quorum) read."""
        ...

    async def list(self, resource: Resource, namespace: str | None = None, labels: str = "") -> list[Object]:
        """All objects, read live and to the last page."""
        ...

    async def create(self, resource: Resource, namespace: str, body: Object, *, dry_run: bool = False) -> Object:
        """Create ``body``; with ``dry_run`` admission, quota and validation run and nothing is stored."""
        ...

    async def patch(
        self, resource: Resource, namespace: str | None, name: str, patch: Object, *, options: "PatchOptions"
    ) -> Object:
        """A JSON merge patch. A ``metadata.resourceVersion`` in it guards against any write in between."""
        ...

    async def delete(self, resource: Resource, namespace: str, name: str, *, uid: str, version: str) -> None:
        """Delete exactly that object in exactly that state, else ``Conflict``."""
        ...


@dataclass(frozen=True, slots=True)
class PatchOptions:
    """Which subresource a patch goes to, and whether it is only tried."""

    subresource: str | None = None
    dry_run: bool = False


FIELD_MANAGER = "saperly-operator"
"""The name under which the API server notes what the operator wrote."""

_REFRESH_SECONDS = 60

PLAIN = PatchOptions()
STATUS = PatchOptions(subresource="status")


class NoCredentials(Exception):
    """Neither a Pod's ServiceAccount nor a kubeconfig is there. The message says what was looked for."""


class RestKube:
    """``Kube`` over HTTP, with the official client's credentials and connection pool."""

    def __init__(self, api: Any, *, request_timeout: float, field_manager: str = FIELD_MANAGER) -> None:
        self._api = api
        self._timeout = aiohttp.ClientTimeout(total=request_timeout, connect=min(10.0, request_timeout))
        self._field_manager = field_manager

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Object:
        return await self._call("GET", resource.path(namespace, name))

    async def list(self, resource: Resource, namespace: str | None = None, labels: str = "") -> list[Object]:
        items: list[Object] = []
        query = {"limit": "500"} | ({"labelSelector": labels} if labels else {})
        while True:
            page = await self._call("GET", resource.path(namespace), query=query)
            items += page.get("items") or []
            token = (page.get("metadata") or {}).get("continue")
            if not token:
                return items
            query = query | {"continue": token}

    async def create(self, resource: Resource, namespace: str, body: Object, *, dry_run: bool = False) -> Object:
        return await self._call("POST", resource.path(namespace), query=self._write_query(dry_run), body=body)

    async def patch(
        self, resource: Resource, namespace: str | None, name: str, patch: Object, *, options: PatchOptions = PLAIN
    ) -> Object:
        path = resource.path(namespace, name, options.subresource)
        return await self._call("PATCH", path, query=self._write_query(options.dry_run), body=patch)

    async def delete(self, resource: Resource, namespace: str, name: str, *, uid: str, version: str) -> None:
        body = {"preconditions": {"uid": uid, "resourceVersion": version}}
        await self._call("DELETE", resource.path(namespace, name), body=body)

    def _write_query(self, dry_run: bool) -> dict[str, str]:
        return {"fieldManager": self._field_manager} | ({"dryRun": "All"} if dry_run else {})

    async def _call(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: Object | None = None
    ) -> Object:
        action = f"{method} {path}"
        content_type = "application/merge-patch+json" if method == "PATCH" else "application/json"
        try:
            prepared = await self._api.param_serialize(
                method=method,
                resource_path=path,
                query_params=list((query or {}).items()),
                header_params={"Accept": "application/json", "Content-Type": content_type},
                body=body,
                auth_settings=["BearerToken"],
            )
            answer = await self._api.call_api(*prepared, _request_timeout=self._timeout)
            raw = await answer.read()
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            # The exception's own text may quote the request; its type is all that is needed.
            raise Unavailable(action, None, type(error).__name__) from None
        return _read(action, answer, raw)


def _read(action: str, answer: Any, raw: bytes) -> Object:
    try:
        body = json.loads(raw)
    except ValueError:
        body = None
    if 200 <= answer.status < 300:
        if not isinstance(body, dict):
            raise Unavailable(action, answer.status, "unreadable answer")
        return body
    raise _refine(error_from(action, answer.status, body, _retry_after(answer)), action, body)


def _refine(error: KubeError, action: str, body: object) -> KubeError:
    """Tell apart the refusals that the API gives no machine-readable cause for.

    Quota and immutability have no ``causes`` entry of their own, so the texts of the API server's own admission and
    validation are read here and nowhere else (kubernetes, plugin/pkg/admission/resourcequota and
    pkg/apis/core/validation).
    """
    if type(error) is not Refused or not isinstance(body, dict):
        return error
    message = str(body.get("message") or "")
    if error.status == 403 and "exceeded quota" in message:
        return QuotaExceeded(action, error.status, "exceeded quota")
    if error.status == 422 and "field is immutable when `immutable` is set" in message:
        return Immutable(action, error.status, "immutable")
    return error


def _retry_after(answer: Any) -> float | None:
    text = answer.headers.get("Retry-After", "")
    return float(text) if text.isdigit() else None


@asynccontextmanager
async def connect(*, request_timeout: float, pool_size: int) -> AsyncIterator[RestKube]:
    """A ``RestKube`` with the credentials of the Pod, else of the current kubeconfig, as kopf finds them too.

    A token that a kubeconfig's plugin gives for a while (as those of the clouds do) is asked for anew before it expires;
    a Pod's own is read anew from its file. Raises NoCredentials when there are none.
    """
    configuration = kubernetes_client.Configuration()
    loader = None
    try:
        if not _in_cluster(configuration):
            loader = await kubernetes_config.load_kube_config(client_configuration=configuration)
    except kubernetes_config.ConfigException as error:
        raise NoCredentials(str(error)) from None
    refreshing = asyncio.ensure_future(_keep_fresh(loader, configuration))
    configuration.retries = None
    configuration.connection_pool_maxsize = pool_size
    api = kubernetes_client.ApiClient(configuration)
    try:
        yield RestKube(api, request_timeout=request_timeout)
    finally:
        refreshing.cancel()
        await api.close()


async def _keep_fresh(loader: Any, configuration: Any) -> None:
    """Ends at once where the credentials do not expire; else looks every minute, and logs what a plugin complains of."""
    if loader is not None:
        await kubernetes_config.refresh_token(loader, configuration, interval=_REFRESH_SECONDS)


def _in_cluster(configuration: Any) -> bool:
    try:
        kubernetes_config.load_incluster_config(client_configuration=configuration)
    except kubernetes_config.ConfigException:
        return False
    return True
