"""What a provider may say, for both kinds; and what only the cluster-wide one may."""

from typing import Any

import pytest

from saperly_operator.resources import ClusterSaperlyProvider, SaperlyProvider
from saperly_operator.resources.crd import Kind
from tests.cluster.schema.judge import Judge
from tests.cluster.schema.rows import Accepted, Refused, spec_with, table, value_at

pytestmark = pytest.mark.cluster

SERVICE_KEY = {"name": "main", "secretRef": {"name": "saperly-service-key"}}
BASE: dict[str, Any] = {"environment": "test", "serviceKeys": [SERVICE_KEY]}
BOTH = pytest.mark.parametrize("kind", [ClusterSaperlyProvider, SaperlyProvider])


def a_selector(**parts: Any) -> dict[str, Any]:
    return {"selector": parts}


def an_expression(operator: str, *values: str) -> dict[str, Any]:
    expression: dict[str, Any] = {"key": "tier", "operator": operator}
    return a_selector(matchExpressions=[expression | ({"values": list(values)} if values else {})])


EXCLUDES = "names and selector mean nothing beside all"
NEEDS_VALUES = "In and NotIn need values; Exists and DoesNotExist take none"
NOT_EMPTY = "must not be empty, since that would choose every namespace"

REFUSED = table(
    Refused("spec.environment", "prod", 'supported values: "test", "live"'),
    Refused("spec.environment", "", 'supported values: "test", "live"'),
    Refused("spec.serviceKeys", [], "at least 1 items"),
    Refused("spec.serviceKeys", [SERVICE_KEY, {**SERVICE_KEY, "name": "other"}], "must have at most 1 item"),
    Refused("spec.limits.mintsPerHour", 0, "greater than or equal to 1"),
    Refused("spec.limits.rotatesPerHour", 0, "greater than or equal to 1"),
    Refused("spec.limits.listsPerHour", 1_000_001, "less than or equal to 1000000"),
    Refused("spec.policy.permissions", [], "must not be empty, or nothing could be minted"),
    Refused("spec.policy.permissions", ["full", "full"], "Duplicate value"),
    Refused("spec.policy.maxMonthlyCapCents", 0, "greater than or equal to 1"),
    Refused("spec.policy.requireLine", "no", "must be of type boolean"),
    Refused("spec.sweepInterval", "often", "must be a duration"),
)

ACCEPTED = table(
    Accepted("spec.environment", "live"),
    Accepted("spec.limits.mintsPerHour", 1),
    Accepted("spec.limits.listsPerHour", 1_000_000),
    Accepted("spec.policy.permissions", ["read_only"]),
    Accepted("spec.policy.permissions", ["full", "call_only", "sms_only", "read_only"]),
    Accepted("spec.policy.maxMonthlyCapCents", 1),
    Accepted("spec.policy.requireLine", True),
    Accepted("spec.sweepInterval", "1h30m"),
)

SERVICE_KEYS_REFUSED = table(
    Refused("name", "Main", "must be a DNS label"),
    Refused("name", "a.b", "must be a DNS label"),
    Refused("name", "x" * 64, "Too long"),
    Refused("secretRef.name", "Service_Key", "must be a DNS name"),
    Refused("secretRef.key", "SERVICE KEY", "must be a key of a Secret's data"),
    Refused("secretRef.key", "..data", "must be a key of a Secret's data"),
)

NAMESPACES_REFUSED = table(
    Refused("spec.allowedNamespaces", {"all": True, "names": ["a"]}, EXCLUDES),
    Refused("spec.allowedNamespaces", {"all": True, **a_selector(matchLabels={"a": "b"})}, EXCLUDES),
    Refused("spec.allowedNamespaces.names", ["a", "a"], "Duplicate value"),
    Refused("spec.allowedNamespaces.names", [f"n{i}" for i in range(257)], "must have at most 256 items"),
    Refused("spec.allowedNamespaces.selector", {}, NOT_EMPTY),
    Refused("spec.allowedNamespaces.selector", {"matchLabels": {}}, NOT_EMPTY),
    Refused("spec.allowedNamespaces.selector", {"matchExpressions": []}, NOT_EMPTY),
)

NAMESPACES_ACCEPTED = table(
    Accepted("spec.allowedNamespaces", {"all": True}),
    Accepted("spec.allowedNamespaces", {"all": True, "names": []}),
    Accepted("spec.allowedNamespaces", {"all": False, "names": ["agents"], **a_selector(matchLabels={"a": "b"})}),
    Accepted("spec.allowedNamespaces.names", [f"n{i}" for i in range(256)]),
    Accepted("spec.allowedNamespaces", {"all": False, **an_expression("In", "prod")}),
    Accepted("spec.allowedNamespaces", {"all": False, **an_expression("NotIn", "dev", "stage")}),
    Accepted("spec.allowedNamespaces", {"all": False, **an_expression("Exists")}),
    Accepted("spec.allowedNamespaces", {"all": False, **an_expression("DoesNotExist")}),
)


@BOTH
@pytest.mark.parametrize("row", REFUSED)
def test_a_value_outside_the_limits_is_refused_by_field_and_rule(kind: Kind, row: Refused, judge: Judge) -> None:
    refusal = judge.refused(kind, spec_with(row.field, row.value, BASE))
    assert refusal.says(row.field, row.rule), refusal.message


@BOTH
@pytest.mark.parametrize("row", ACCEPTED)
def test_a_value_inside_the_limits_is_stored_as_it_is_and_can_be_read(
    kind: Kind, row: Accepted, judge: Judge
) -> None:
    stored = judge.accepted(kind, spec_with(row.field, row.value, BASE))
    assert value_at(stored, row.field) == row.value
    kind.from_api(stored)


@BOTH
@pytest.mark.parametrize("row", SERVICE_KEYS_REFUSED)
def test_a_bad_service_key_entry_is_refused_by_field_and_rule(kind: Kind, row: Refused, judge: Judge) -> None:
    entry = spec_with(row.field, row.value, SERVICE_KEY)["spec"]
    refusal = judge.refused(kind, {"spec": {**BASE, "serviceKeys": [entry]}})
    assert refusal.says(f"spec.serviceKeys[0].{row.field}", row.rule), refusal.message


@BOTH
@pytest.mark.parametrize("missing", ["environment", "serviceKeys"])
def test_environment_and_service_key_are_required(kind: Kind, missing: str, judge: Judge) -> None:
    spec = {name: value for name, value in BASE.items() if name != missing}
    assert judge.refused(kind, {"spec": spec}).says(f"spec.{missing}", "Required value")


@pytest.mark.parametrize("row", NAMESPACES_REFUSED)
def test_contradictory_or_boundless_namespaces_are_refused(row: Refused, judge: Judge) -> None:
    refusal = judge.refused(ClusterSaperlyProvider, spec_with(row.field, row.value, BASE))
    assert refusal.says(row.field, row.rule), refusal.message


@pytest.mark.parametrize("row", NAMESPACES_ACCEPTED)
def test_namespaces_are_stored_as_they_are(row: Accepted, judge: Judge) -> None:
    stored = judge.accepted(ClusterSaperlyProvider, spec_with(row.field, row.value, BASE))
    assert value_at(stored, row.field) == row.value
    ClusterSaperlyProvider.from_api(stored)


@pytest.mark.parametrize(
    "expression",
    [
        pytest.param(an_expression("In"), id="In without values"),
        pytest.param(an_expression("NotIn"), id="NotIn without values"),
        pytest.param(an_expression("Exists", "prod"), id="Exists with values"),
        pytest.param(an_expression("DoesNotExist", "prod"), id="DoesNotExist with values"),
    ],
)
def test_an_expression_whose_values_do_not_fit_its_operator_is_refused(
    expression: dict[str, Any], judge: Judge
) -> None:
    refusal = judge.refused(ClusterSaperlyProvider, {"spec": {**BASE, "allowedNamespaces": expression}})
    assert refusal.says("spec.allowedNamespaces.selector.matchExpressions[0].values", NEEDS_VALUES), refusal.message


def test_a_namespaced_provider_has_no_allowed_namespaces(judge: Judge) -> None:
    refusal = judge.refused(SaperlyProvider, {"spec": {**BASE, "allowedNamespaces": {"all": True}}})
    assert 'unknown field "spec.allowedNamespaces"' in refusal.message


@BOTH
def test_what_is_left_out_is_shown_and_denies_every_other_namespace(kind: Kind, judge: Judge) -> None:
    spec = judge.accepted(kind, {"spec": BASE})["spec"]
    denied = {"allowedNamespaces": {"all": False}} if kind is ClusterSaperlyProvider else {}
    assert spec == BASE | denied | {
        "limits": {"mintsPerHour": 60, "rotatesPerHour": 30, "listsPerHour": 600},
        "policy": {"requireLine": False},
        "sweepInterval": "10m",
    }
