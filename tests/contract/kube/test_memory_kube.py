"""The Kubernetes in memory keeps the contract that the real one keeps (tests/cluster/test_kube_contract.py)."""

import pytest

from saperly_operator.clock import ManualClock
from saperly_operator.kube.api import NAMESPACES, SECRETS, Kube, Object, Resource
from tests.contract.kube.contract import KubeContract, a_secret, delete, named, version
from tests.support.memory_kube import MemoryKube, SecretQuota


class TestMemoryKube(KubeContract):
    """The contract, in memory."""

    @pytest.fixture
    async def kube(self) -> MemoryKube:
        return MemoryKube(ManualClock())

    @pytest.fixture
    async def namespace(self, kube: MemoryKube) -> str:
        await kube.create(NAMESPACES, "", {"metadata": {"name": "agents"}})
        return "agents"

    async def fill_quota(self, kube: Kube, namespace: str) -> None:
        assert isinstance(kube, MemoryKube)
        kube.admissions.append(SecretQuota(namespace))

    async def begin_end(self, kube: Kube, namespace: str) -> None:
        await delete(kube, NAMESPACES, "", await kube.get(NAMESPACES, None, namespace))

    async def watched(
        self, kube: Kube, namespace: str, resource: Resource, since: str, labels: str = ""
    ) -> list[tuple[str, Object]]:
        assert isinstance(kube, MemoryKube)
        latest = [change.new or change.old or {} for change in kube.changes]
        seen = sum(int(version(body)) <= int(since) for body in latest)
        events = kube.watched(resource, seen, labels)
        return [(kind, body) for kind, body in events if body["metadata"]["namespace"] == namespace]


async def test_what_is_handed_out_is_a_copy() -> None:
    kube = MemoryKube(ManualClock())
    await kube.create(NAMESPACES, "", {"metadata": {"name": "agents"}})
    body = a_secret()
    created = await kube.create(SECRETS, "agents", body)
    body["data"]["TOKEN"] = created["data"]["TOKEN"] = "altered"
    (await kube.list(SECRETS))[0]["data"]["TOKEN"] = "altered"
    assert (await kube.get(SECRETS, "agents", named(created)))["data"] == {"TOKEN": "aGVsbG8="}


async def test_what_is_no_json_is_no_object() -> None:
    kube = MemoryKube(ManualClock())
    with pytest.raises(TypeError):
        await kube.create(NAMESPACES, "", {"metadata": {"name": "agents", "labels": {"a": {1, 2}}}})


async def test_a_namespace_is_gone_with_the_last_of_what_holds_it() -> None:
    kube = MemoryKube(ManualClock())
    namespace = await kube.create(NAMESPACES, "", {"metadata": {"name": "agents"}})
    secret = await kube.create(SECRETS, "agents", a_secret())
    await delete(kube, NAMESPACES, "", namespace)
    assert [named(body) for body in await kube.list(NAMESPACES)] == ["agents"]
    await delete(kube, SECRETS, "agents", secret)
    assert await kube.list(NAMESPACES) == []
