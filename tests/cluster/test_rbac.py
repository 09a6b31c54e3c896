"""What the roles of examples/rbac.yaml let the operator do, and what they keep from it, asked of the API server."""

import json
from pathlib import Path

import pytest
import yaml

from tests.cluster.conftest import Kubectl

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("roles")]

RBAC = Path(__file__).parents[2] / "examples" / "rbac.yaml"
SYSTEM = "saperly-system"
ACCOUNT = f"system:serviceaccount:{SYSTEM}:saperly-operator"
WORKLOADS = ("deployments", "statefulsets", "daemonsets")


@pytest.fixture(scope="session")
def roles(kubectl: Kubectl) -> None:
    kubectl("apply", "--server-side", "-f", str(RBAC))


def may(kubectl: Kubectl, user: str, action: str, namespace: str) -> bool:
    """The API server's own verdict; ``action`` is a verb, then resource.group, then after a slash a subresource."""
    verb, what = action.split()
    what, _, subresource = what.partition("/")
    resource, _, group = what.partition(".")
    attributes = {"verb": verb, "group": group, "resource": resource, "subresource": subresource}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": user, "resourceAttributes": {**attributes, "namespace": namespace}},
    }
    answer = json.loads(kubectl("create", "--filename=-", "--output=json", stdin=json.dumps(review)))
    allowed: bool = answer["status"]["allowed"]
    return allowed


@pytest.mark.parametrize(
    "action",
    [
        "list saperlykeys.saperly.com",
        "watch saperlykeys.saperly.com",
        "patch saperlykeys.saperly.com",
        "patch saperlykeys.saperly.com/status",
        "watch clustersaperlyproviders.saperly.com",
        "patch clustersaperlyproviders.saperly.com",
        "patch clustersaperlyproviders.saperly.com/status",
        "watch saperlyproviders.saperly.com",
        "patch saperlyproviders.saperly.com",
        "patch saperlyproviders.saperly.com/status",
        "get secrets",
        "watch secrets",
        "create secrets",
        "patch secrets",
        "delete secrets",
        "get namespaces",
        "watch namespaces",
        "create events.events.k8s.io",
        *(f"{verb} {kind}.apps" for verb in ("get", "patch") for kind in WORKLOADS),
    ],
)
def test_the_operator_may_do_its_work_in_every_namespace(action: str, kubectl: Kubectl) -> None:
    assert may(kubectl, ACCOUNT, action, "default")


@pytest.mark.parametrize(
    "action",
    [
        "create saperlykeys.saperly.com",
        "delete saperlykeys.saperly.com",
        "delete clustersaperlyproviders.saperly.com",
        "delete saperlyproviders.saperly.com",
        "deletecollection secrets",
        "get configmaps",
        "create configmaps",
        "get pods",
        "create pods",
        "create pods/exec",
        *(f"{verb} {kind}.apps" for verb in ("list", "watch", "create", "update", "delete") for kind in WORKLOADS),
        "patch replicasets.apps",
        "patch deployments.apps/scale",
        "create serviceaccounts/token",
        "delete namespaces",
        "patch namespaces",
        "create clusterrolebindings.rbac.authorization.k8s.io",
        "impersonate users",
        "get customresourcedefinitions.apiextensions.k8s.io",
        "get events",
        "patch events.events.k8s.io",
    ],
)
def test_the_operator_may_do_nothing_else(action: str, kubectl: Kubectl) -> None:
    assert not may(kubectl, ACCOUNT, action, "default")


@pytest.mark.parametrize("action", ["get configmaps", "create configmaps", "patch configmaps"])
def test_the_operator_keeps_its_own_records_in_its_own_namespace_only(action: str, kubectl: Kubectl) -> None:
    assert may(kubectl, ACCOUNT, action, SYSTEM)
    assert not may(kubectl, ACCOUNT, action, "kube-system")


def test_nobody_but_the_service_account_is_given_these_rights() -> None:
    objects = [each for each in yaml.safe_load_all(RBAC.read_text()) if each["kind"].endswith("RoleBinding")]
    assert [each["kind"] for each in objects] == ["ClusterRoleBinding", "RoleBinding"]
    for each in objects:
        assert each["subjects"] == [{"kind": "ServiceAccount", "name": "saperly-operator", "namespace": SYSTEM}]
