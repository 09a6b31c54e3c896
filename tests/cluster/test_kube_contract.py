"""The real API server keeps the contract that the one in memory is held to (tests/contract/kube)."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from kubernetes.aio import client as kubernetes_client
from kubernetes.aio import config as kubernetes_config

from saperly_operator.kube.api import Kube, Object, Resource, RestKube
from tests.cluster.conftest import Kubectl
from tests.contract.kube.contract import KubeContract
from tests.support.waiting import eventually

pytestmark = pytest.mark.cluster

CRDS = Path(__file__).parents[2] / "crds"


@pytest.fixture(scope="module", autouse=True)
def crds(kubectl: Kubectl) -> None:
    """The schemas that the SaperlyKeys of the contract are judged by."""
    kubectl("apply", "--server-side", f"--filename={CRDS}")
    kubectl("wait", "--for=condition=Established", "--timeout=30s", f"--filename={CRDS}")


class TestRealKube(KubeContract):
    """The contract, over HTTP, as the administrator."""

    @pytest.fixture(autouse=True)
    def administrator(self, kubectl: Kubectl) -> None:
        self.kubectl = kubectl

    @pytest.fixture
    async def kube(self, kubeconfig: Path) -> AsyncIterator[Kube]:
        configuration = kubernetes_client.Configuration()
        await kubernetes_config.load_kube_config(config_file=str(kubeconfig), client_configuration=configuration)
        api = kubernetes_client.ApiClient(configuration)
        yield RestKube(api, request_timeout=30)
        await api.close()

    async def fill_quota(self, kube: Kube, namespace: str) -> None:
        del kube
        self.kubectl("create", "quota", "full", "--hard=count/secrets=1", f"--namespace={namespace}")

        def counted() -> bool:
            # A controller has to look at what is there before anything is refused.
            status = self.kubectl.read("ResourceQuota", "full", namespace=namespace)["status"]
            return bool(status["used"]["count/secrets"] == "1")

        eventually(counted, "the quota has counted")

    async def begin_end(self, kube: Kube, namespace: str) -> None:
        del kube
        self.kubectl("delete", "namespace", namespace, "--wait=false")

    async def watched(
        self, kube: Kube, namespace: str, resource: Resource, since: str, labels: str = ""
    ) -> list[tuple[str, Object]]:
        del kube
        query = f"watch=1&resourceVersion={since}&timeoutSeconds=1&labelSelector={labels}"
        lines = self.kubectl("get", "--raw", f"{resource.path(namespace)}?{query}").splitlines()
        return [(event["type"], event["object"]) for event in map(json.loads, lines)]
