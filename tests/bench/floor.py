"""The least that anybody could do: the requests of a first mint, one after another, and nothing else.

Run by ``tests.bench`` as a process of its own, as the operator is, with the operator's own number of workers and the
same thin Kubernetes client, but no watch, no decision, no check, and nothing to recover from a crash. Prints the
seconds that it took, and of these the processor's.
"""

import argparse
import asyncio
import base64
import contextlib
import time
from pathlib import Path
from typing import Any

import httpx

from saperly_operator.kube.api import EVENTS, PLAIN, SAPERLY_KEYS, SECRETS, STATUS, Kube, Object, connect
from saperly_operator.kube.errors import NotFound
from saperly_operator.settings import Settings

_MOMENT = "2026-01-01T00:00:00Z"


class Floor:
    """Mints for every SaperlyKey of one namespace."""

    def __init__(self, kube: Kube, vendor: httpx.AsyncClient, namespace: str) -> None:
        self._kube = kube
        self._vendor = vendor
        self._namespace = namespace

    async def run(self, workers: int) -> float:
        """Seconds from the first request for an object to the last answer."""
        names = [body["metadata"]["name"] for body in await self._kube.list(SAPERLY_KEYS, self._namespace)]
        waiting = iter(names)
        began = time.perf_counter()
        await asyncio.gather(*(self._work(waiting) for _ in range(workers)))
        return time.perf_counter() - began

    async def _work(self, waiting: Any) -> None:
        for name in waiting:
            await self._mint(name)

    async def _mint(self, name: str) -> None:
        """Six writes, two reads, one call: what the design allows a first mint."""
        kube, namespace = self._kube, self._namespace
        finalizer = {"metadata": {"finalizers": ["saperly.com/revoke"]}}
        await kube.patch(SAPERLY_KEYS, namespace, name, finalizer, options=PLAIN)
        await kube.create(SECRETS, namespace, _secret(name, "x" * 64), dry_run=True)
        await kube.patch(SAPERLY_KEYS, namespace, name, {"status": {"intent": _intent(name)}}, options=STATUS)
        answer = await self._vendor.post(
            "/v1/keys",
            json={"name": f"{namespace}/{name}", "permissions": "call_only", "environment": "test"},
            headers={"Idempotency-Key": f"floor-{name}"},
        )
        key = answer.raise_for_status().json()["key"]
        with contextlib.suppress(NotFound):
            await kube.get(SECRETS, namespace, name)
        await kube.get(SAPERLY_KEYS, namespace, name)
        await kube.create(SECRETS, namespace, _secret(name, key["plaintext_key"]))
        await kube.patch(SAPERLY_KEYS, namespace, name, {"status": _record(name, key)}, options=STATUS)
        await kube.create(EVENTS, namespace, _event(namespace, name))


def _secret(name: str, plaintext: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "labels": {"app.kubernetes.io/managed-by": "floor"}},
        "data": {"SAPERLY_API_KEY": base64.b64encode(plaintext.encode()).decode()},
    }


def _intent(name: str) -> Object:
    return {
        "operation": "Mint",
        "serial": 1,
        "startedAt": _MOMENT,
        "idempotencyKey": f"floor-{name}",
        "request": "{}",
        "serviceKey": "main",
        "provider": "ClusterSaperlyProvider/floor",
        "holder": "floor",
        "trigger": "FirstSync",
    }


def _record(name: str, key: dict[str, Any]) -> Object:
    condition = {"status": "True", "lastTransitionTime": _MOMENT, "reason": "Available", "message": "It is there."}
    return {
        "intent": None,
        "serial": 1,
        "current": {
            "id": key["id"],
            "serial": 1,
            "provider": "ClusterSaperlyProvider/floor",
            "serviceKey": "main",
            "mintedAt": _MOMENT,
        },
        "secret": {"name": name, "key": "SAPERLY_API_KEY", "fingerprint": "0" * 16},
        "conditions": [condition | {"type": kind} for kind in ("Ready", "KeyActive", "SecretSynced")],
    }


def _event(namespace: str, name: str) -> Object:
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": f"{name}.floor", "namespace": namespace},
        "eventTime": "2026-01-01T00:00:00.000000Z",
        "reportingController": "saperly.com/floor",
        "reportingInstance": "floor",
        "action": "Mint",
        "reason": "Issued",
        "type": "Normal",
        "note": "The key is in the Secret.",
        "regarding": {
            "apiVersion": "saperly.com/v1alpha1",
            "kind": "SaperlyKey",
            "namespace": namespace,
            "name": name,
        },
    }


async def main(namespace: str, api_url: str, service_key: str, workers: int) -> None:
    """Run once. The kubeconfig comes from KUBECONFIG."""
    headers = {"Authorization": f"Bearer {service_key}"}
    async with (
        httpx.AsyncClient(base_url=api_url, headers=headers, timeout=60, trust_env=False) as vendor,
        connect(request_timeout=60, pool_size=workers * 2) as kube,
    ):
        before = time.process_time()
        seconds = await Floor(kube, vendor, namespace).run(workers)
        cpu_seconds = time.process_time() - before
    print(f"{seconds:.3f} {cpu_seconds:.3f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("namespace")
    parser.add_argument("api_url")
    parser.add_argument("service_key_file", type=Path)
    parser.add_argument("--workers", type=int, default=Settings().workers)
    given = parser.parse_args()
    asyncio.run(main(given.namespace, given.api_url, given.service_key_file.read_text().strip(), given.workers))
