"""What the roles of examples/rbac.yaml let the operator do, and what they keep from it, asked of the API server."""

import json
from pathlib import Path

import pytest

from tests.cluster.conftest import OPERATOR, Kubectl

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("roles")]

RBAC = Path(__file__).parents[2] / "examples" / "rbac.yaml"
SYSTEM = "saperly-system"
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
    assert may(kubectl, OPERATOR, action, "default")


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
    assert not may(kubectl, OPERATOR, action, "default")


@pytest.mark.parametrize("action", ["get configmaps", "create configmaps", "patch configmaps"])
def test_the_operator_keeps_its_own_records_in_its_own_namespace_only(action: str, kubectl: Kubectl) -> None:
    assert may(kubectl, OPERATOR, action, SYSTEM)
    assert not may(kubectl, OPERATOR, action, "kube-system")


def test_a_pod_under_the_service_account_has_the_same_rights(kubectl: Kubectl) -> None:
    account = f"system:serviceaccount:{SYSTEM}:saperly-operator"
    assert may(kubectl, account, "create secrets", "default")
    assert may(kubectl, account, "patch configmaps", SYSTEM)
    assert not may(kubectl, account, "create saperlykeys.saperly.com", "default")
