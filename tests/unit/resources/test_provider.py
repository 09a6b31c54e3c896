"""Providers: whom they allow, and what an entry means that leaves something out."""

from typing import Any

import pytest

from saperly_operator.resources import ClusterSaperlyProvider, InvalidResourceError, ProviderRef, SaperlyProvider

SPEC: dict[str, Any] = {
    "environment": "test",
    "serviceKeys": [{"name": "main", "secretRef": {"name": "service-key"}}],
}


def a_cluster_provider(allowed: dict[str, Any] | None = None) -> ClusterSaperlyProvider:
    spec = SPEC if allowed is None else {**SPEC, "allowedNamespaces": allowed}
    return ClusterSaperlyProvider.from_api({"metadata": {"name": "default"}, "spec": spec})


def an_expression(operator: str, *values: str) -> dict[str, Any]:
    return {"selector": {"matchExpressions": [{"key": "tier", "operator": operator, "values": list(values)}]}}


PROD, DEV, BARE = {"tier": "prod"}, {"tier": "dev"}, dict[str, str]()


@pytest.mark.parametrize(
    ("allowed", "labels", "expected"),
    [
        pytest.param(None, PROD, False, id="nothing said allows nobody"),
        pytest.param({}, PROD, False, id="an empty object allows nobody"),
        pytest.param({"names": ["agents"]}, BARE, True, id="a listed name is allowed"),
        pytest.param({"names": ["agents-2", "agent"]}, BARE, False, id="a name that only resembles it is not"),
        pytest.param({"all": True}, BARE, True, id="all allows all"),
        pytest.param({"all": False}, BARE, False, id="all being false allows nobody"),
        pytest.param({"selector": {}}, PROD, False, id="an empty selector, were it stored, allows nobody"),
        pytest.param({"selector": {"matchLabels": {"tier": "prod"}}}, PROD, True, id="the label fits"),
        pytest.param({"selector": {"matchLabels": {"tier": "prod"}}}, DEV, False, id="the label has another value"),
        pytest.param({"selector": {"matchLabels": {"tier": "prod"}}}, BARE, False, id="the label is missing"),
        pytest.param(
            {"selector": {"matchLabels": {"tier": "prod", "x": "y"}}}, PROD, False, id="one of two is missing"
        ),
        pytest.param(
            {"names": ["agents"], "selector": {"matchLabels": {"a": "b"}}}, BARE, True, id="name or selector"
        ),
        pytest.param(an_expression("In", "prod", "stage"), PROD, True, id="In fits"),
        pytest.param(an_expression("In", "stage"), PROD, False, id="In does not fit"),
        pytest.param(an_expression("In", "stage"), BARE, False, id="In needs the label"),
        pytest.param(an_expression("NotIn", "dev"), PROD, True, id="NotIn fits"),
        pytest.param(an_expression("NotIn", "dev"), DEV, False, id="NotIn excludes"),
        pytest.param(an_expression("NotIn", "dev"), BARE, True, id="NotIn includes whoever lacks the label"),
        pytest.param(an_expression("Exists"), DEV, True, id="Exists fits"),
        pytest.param(an_expression("Exists"), BARE, False, id="Exists needs the label"),
        pytest.param(an_expression("DoesNotExist"), BARE, True, id="DoesNotExist fits"),
        pytest.param(an_expression("DoesNotExist"), DEV, False, id="DoesNotExist excludes"),
    ],
)
def test_a_cluster_provider_allows_namespaces(
    allowed: dict[str, Any] | None, labels: dict[str, str], expected: bool
) -> None:
    assert a_cluster_provider(allowed).allows("agents", labels) is expected


def test_a_namespaced_provider_serves_its_own_namespace_only() -> None:
    provider = SaperlyProvider.from_api({"metadata": {"name": "p", "namespace": "team-a"}, "spec": SPEC})
    assert provider.allows("team-a", {})
    assert not provider.allows("team-b", {})


def test_a_provider_knows_how_keys_name_it() -> None:
    namespaced = SaperlyProvider.from_api({"metadata": {"name": "p", "namespace": "n"}, "spec": SPEC})
    assert a_cluster_provider().ref == ProviderRef.parse("ClusterSaperlyProvider/default")
    assert namespaced.ref == ProviderRef.parse("SaperlyProvider/p")


def test_what_is_left_out_means_the_published_limits_and_no_policy() -> None:
    spec = a_cluster_provider().spec
    assert (spec.limits.mints_per_hour, spec.limits.rotates_per_hour, spec.limits.lists_per_hour) == (60, 30, 600)
    assert spec.policy.permissions is None
    assert spec.policy.max_monthly_cap_cents is None
    assert not spec.policy.require_line
    assert spec.sweep_interval == "10m"
    assert spec.service_keys[0].secret_ref.key == "SAPERLY_SERVICE_KEY"


def test_a_provider_without_a_service_key_cannot_be_read() -> None:
    with pytest.raises(InvalidResourceError, match=r"spec\.serviceKeys: "):
        ClusterSaperlyProvider.from_api(
            {"metadata": {"name": "p"}, "spec": {"environment": "test", "serviceKeys": []}}
        )
