"""The schemas in a real API server."""

import ssl
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from saperly_operator.envtest.api import wait_until
from saperly_operator.resources import API_VERSION
from saperly_operator.resources.crd import KINDS
from tests.cluster.conftest import Kubectl, KubectlError
from tests.cluster.schema.judge import Judge

CRDS = Path(__file__).parents[3] / "crds"


@pytest.fixture(scope="session")
def crds(kubectl: Kubectl) -> None:
    """The CRDs are installed, served, and published to clients that ask for the schema (a moment later)."""
    kubectl("apply", "--server-side", "-f", str(CRDS))
    kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(CRDS))

    def published() -> bool:
        try:
            document = kubectl("get", "--raw", f"/openapi/v3/apis/{API_VERSION}")
        except KubectlError:
            return False
        return all(f'"{kind.definition.schema_name}"' in document for kind in KINDS)

    wait_until("the published schemas", published, lambda: None, 30.0)


@pytest.fixture(scope="session")
def judge(crds: None, kubectl: Kubectl) -> Iterator[Judge]:
    config = yaml.safe_load(kubectl.kubeconfig.read_text(encoding="utf-8"))
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    trusted = ssl.create_default_context(cadata=b64decode(cluster["certificate-authority-data"]).decode())
    with httpx.Client(
        base_url=cluster["server"],
        verify=trusted,
        trust_env=False,
        headers={"Authorization": f"Bearer {user['token']}"},
        params={"dryRun": "All", "fieldValidation": "Strict"},
    ) as client:
        yield Judge(client)
