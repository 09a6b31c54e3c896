"""What a SaperlyKey may say: for each field the values just inside and just outside its limits.

Every refusal must come from the API server, blame the field and name the rule, since that is all that a user sees.
"""

import pytest

from saperly_operator.lifecycle.schedule import ScheduleError, parse_schedule
from saperly_operator.resources import SaperlyKey
from tests.cluster.schema.judge import Judge
from tests.cluster.schema.rows import Accepted, Refused, spec_with, table, value_at

pytestmark = pytest.mark.cluster

UUID = "6f1f2c3a-0000-4000-8000-0123456789ab"
TRIMMED = "must not contain control characters, nor begin or end with a blank"
DNS_NAME = "must be a DNS name"
DURATION = "must be a duration: days, hours, minutes and seconds in this order"
SCHEDULE = "must be a cron expression of five fields such as '0 3 * * 1'"
RESERVED = "must not use names of the operator or of tools that would adopt and prune the Secret"
DATA_KEY = "must be a key of a Secret's data"

ANOTHER_KEY = "must be another key of the Secret's data than the one in spec.secret.key"


def workload(kind: str, name: str) -> dict[str, str]:
    return {"kind": kind, "name": name}


REFUSED = table(
    Refused("spec.displayName", "", "at least 1 chars"),
    Refused("spec.displayName", "x" * 65, "Too long"),
    Refused("spec.displayName", "support [1]", "must not contain '[' or ']'"),
    Refused("spec.displayName", "support]", "must not contain '[' or ']'"),
    Refused("spec.displayName", "support\tagent", TRIMMED),
    Refused("spec.displayName", "support\x7f", TRIMMED),
    Refused("spec.displayName", "support\n", TRIMMED),
    Refused("spec.displayName", " support", TRIMMED),
    Refused("spec.displayName", "support ", TRIMMED),
    Refused("spec.displayName", 7, "must be of type string"),
    Refused("spec.agentLabel", "", "at least 1 chars"),
    Refused("spec.agentLabel", "x" * 65, "Too long"),
    Refused("spec.agentLabel", "Support", "must be lower case"),
    Refused("spec.agentLabel", "supporT", "must be lower case"),
    Refused("spec.agentLabel", "équipe É", "must be lower case"),
    Refused("spec.agentLabel", "a\nb", TRIMMED),
    Refused("spec.agentLabel", " a", TRIMMED),
    Refused("spec.lineId", "", "at least 1 chars"),
    Refused("spec.lineId", "line-1", "must be a UUID in lower case"),
    Refused("spec.lineId", UUID.upper(), "must be a UUID in lower case"),
    Refused("spec.lineId", UUID[:-1], "must be a UUID in lower case"),
    Refused("spec.lineId", UUID.replace("-", ""), "must be a UUID in lower case"),
    Refused("spec.lineId", UUID + "0", "Too long"),
    Refused("spec.permissions", "all", 'supported values: "full", "call_only", "sms_only", "read_only"'),
    Refused("spec.permissions", "CALL_ONLY", "supported values"),
    Refused("spec.permissions", "legacy_full", "supported values"),
    Refused("spec.monthlyCapCents", 0, "greater than or equal to 1"),
    Refused("spec.monthlyCapCents", -1, "greater than or equal to 1"),
    Refused("spec.monthlyCapCents", 2**53, "less than or equal to 9007199254740991"),
    Refused("spec.monthlyCapCents", 1.5, "must be of type int64"),
    Refused("spec.monthlyCapCents", "5000", "must be of type integer"),
    Refused("spec.providerRef.kind", "Secret", 'supported values: "ClusterSaperlyProvider", "SaperlyProvider"'),
    Refused("spec.providerRef.name", "", "at least 1 chars"),
    Refused("spec.providerRef.name", "Default", DNS_NAME),
    Refused("spec.providerRef.name", "other/default", DNS_NAME),
    Refused("spec.providerRef.name", "x" * 254, "Too long"),
    Refused("spec.secret.name", "", "at least 1 chars"),
    Refused("spec.secret.name", "Support", DNS_NAME),
    Refused("spec.secret.name", "support_key", DNS_NAME),
    Refused("spec.secret.name", "-support", DNS_NAME),
    Refused("spec.secret.name", "x" * 254, "Too long"),
    Refused("spec.secret.key", "", "at least 1 chars"),
    Refused("spec.secret.key", "API KEY", DATA_KEY),
    Refused("spec.secret.key", "api/key", DATA_KEY),
    Refused("spec.secret.key", ".", DATA_KEY),
    Refused("spec.secret.key", "..", DATA_KEY),
    Refused("spec.secret.key", "..data", DATA_KEY),
    Refused("spec.secret.key", "x" * 254, "Too long"),
    Refused("spec.secret.type", "kubernetes.io/tls", 'supported values: "Opaque"'),
    Refused("spec.secret.type", "kubernetes.io/service-account-token", 'supported values: "Opaque"'),
    Refused("spec.secret.labels", {"saperly.com/owner": "a"}, RESERVED),
    Refused("spec.secret.labels", {"app.kubernetes.io/managed-by": "helm"}, RESERVED),
    Refused("spec.secret.labels", {"app.kubernetes.io/instance": "mine"}, RESERVED),
    Refused("spec.secret.labels", {"argocd.argoproj.io/instance": "mine"}, RESERVED),
    Refused("spec.secret.labels", {"kustomize.toolkit.fluxcd.io/name": "mine"}, RESERVED),
    Refused("spec.secret.labels", {"helm.toolkit.fluxcd.io/name": "mine"}, RESERVED),
    Refused("spec.secret.labels", {"good": "x", "kubectl.kubernetes.io/last": "mine"}, RESERVED),
    Refused("spec.secret.labels", {"not a name": "x"}, "every name must be an optional DNS prefix"),
    Refused("spec.secret.labels", {"x" * 64: "x"}, "every name must be an optional DNS prefix"),
    Refused("spec.secret.labels", {"team": "not a value"}, "every value must be empty, or at most 63"),
    Refused("spec.secret.labels.team", "x" * 64, "Too long"),
    Refused("spec.secret.labels", {f"l{i}": "x" for i in range(65)}, "must have at most 64 items"),
    Refused("spec.secret.annotations", {"saperly.com/key-id": "forged"}, RESERVED),
    Refused("spec.secret.annotations", {"argocd.argoproj.io/tracking-id": "mine"}, RESERVED),
    Refused("spec.secret.annotations", {"kubectl.kubernetes.io/last-applied-configuration": "{}"}, RESERVED),
    Refused("spec.secret.annotations", {"not a name": "x"}, "every name must be an optional DNS prefix"),
    Refused("spec.secret.annotations.note", "x" * 4097, "Too long"),
    Refused("spec.secret.annotations", {f"a{i}": "x" for i in range(65)}, "must have at most 64 items"),
    Refused("spec.rotation.schedule", "", "at least 1 chars"),
    Refused("spec.rotation.schedule", "every monday", SCHEDULE),
    Refused("spec.rotation.schedule", "0 3 * *", SCHEDULE),
    Refused("spec.rotation.schedule", "0 0 3 * * 1", SCHEDULE),
    Refused("spec.rotation.schedule", " 0 3 * * 1", SCHEDULE),
    Refused("spec.rotation.schedule", "@reboot", SCHEDULE),
    Refused("spec.rotation.schedule", "@every 30d", SCHEDULE),
    Refused("spec.rotation.schedule", "TZ=Europe/Berlin 30d", SCHEDULE),
    Refused("spec.rotation.schedule", "30", SCHEDULE),
    Refused("spec.rotation.schedule", "59m", SCHEDULE),
    Refused("spec.rotation.schedule", "0h", SCHEDULE),
    Refused("spec.rotation.schedule", "1w", SCHEDULE),
    Refused("spec.rotation.schedule", "0 3 * * 1 " + "1" * 128, "Too long"),
    Refused("spec.rotation.schedule", "60 3 * * 1", "the minute, the first field, must be one number from 0 to 59"),
    Refused("spec.rotation.schedule", "*/15 3 * * 1", "the minute, the first field, must be one number from 0 to 59"),
    Refused("spec.rotation.schedule", "0,30 3 * * 1", "a key is rotated at most once an hour"),
    Refused("spec.rotation.schedule", "* 3 * * 1", "a key is rotated at most once an hour"),
    Refused("spec.rotation.schedule", "0 24 * * 1", "the hour, the second field, must be made of 0 to 23"),
    Refused("spec.rotation.schedule", "0 3 0 * 1", "the day of the month, the third field, must be made of 1 to 31"),
    Refused("spec.rotation.schedule", "0 3 32 * 1", "the day of the month, the third field, must be made of 1 to 31"),
    Refused("spec.rotation.schedule", "0 3 * 13 1", "the month, the fourth field, must be made of 1 to 12"),
    Refused("spec.rotation.schedule", "0 3 * july 1", "the month, the fourth field, must be made of 1 to 12"),
    Refused("spec.rotation.schedule", "0 3 * * 8", "the weekday, the fifth field, must be made of 0 to 7"),
    Refused("spec.rotation.schedule", "TZ=UTC 0 3 * * mo", "the weekday, the fifth field, must be made of 0 to 7"),
    Refused("spec.rotation.overlap", "", "at least 1 chars"),
    Refused("spec.rotation.overlap", "1 hour", DURATION),
    Refused("spec.rotation.overlap", "30m1h", DURATION),
    Refused("spec.rotation.overlap", "-1h", DURATION),
    Refused("spec.rotation.overlap", "3600", DURATION),
    Refused("spec.rotation.overlap", 3600, "must be of type string"),
    Refused("spec.rotation.jitter", "10 min", DURATION),
    Refused("spec.rotation.maxOverlap", "a week", DURATION),
    Refused("spec.rotation.maxOverlap", "", "at least 1 chars"),
    Refused("spec.rotation.requireIdle", "yes", "must be of type boolean"),
    Refused("spec.secret.previousKey", "SAPERLY_API_KEY", ANOTHER_KEY),
    Refused("spec.secret.previousKey", "OLD KEY", DATA_KEY),
    Refused("spec.secret.previousKey", "", "at least 1 chars"),
    Refused("spec.restart", [workload("Deployment", "a")] * 2, "Duplicate value"),
    Refused("spec.restart", [workload("Deployment", f"a-{n}") for n in range(17)], "must have at most 16 items"),
    Refused("spec.rotation.strategy", "atomic", 'supported values: "Overlap", "Atomic"'),
    Refused("spec.deletionPolicy", "Delete", 'supported values: "Revoke", "Orphan"'),
    Refused("spec.onRemoteRevocation", "Ignore", 'supported values: "Remint", "Hold"'),
    Refused("spec.suspend", "yes", "must be of type boolean"),
)

ACCEPTED = table(
    Accepted("spec.displayName", "x"),
    Accepted("spec.displayName", "x" * 64),
    Accepted("spec.displayName", "ü" * 64),
    Accepted("spec.displayName", "Support agent (1)"),
    Accepted("spec.displayName", "客服 🤖"),
    Accepted("spec.agentLabel", "x" * 64),
    Accepted("spec.agentLabel", "équipe-1 été"),
    Accepted("spec.lineId", UUID),
    Accepted("spec.permissions", "full"),
    Accepted("spec.permissions", "call_only"),
    Accepted("spec.permissions", "sms_only"),
    Accepted("spec.permissions", "read_only"),
    Accepted("spec.monthlyCapCents", 1),
    Accepted("spec.monthlyCapCents", 2**53 - 1),
    Accepted("spec.providerRef.kind", "SaperlyProvider"),
    Accepted("spec.providerRef.name", "x" * 253),
    Accepted("spec.secret.name", "support.key-1"),
    Accepted("spec.secret.name", "x" * 253),
    Accepted("spec.secret.key", "x" * 253),
    Accepted("spec.secret.key", ".env"),
    Accepted("spec.secret.key", "-._aZ0"),
    Accepted("spec.secret.type", "Opaque"),
    Accepted("spec.secret.labels", {}),
    Accepted("spec.secret.labels", {"team": "", "example.com/team": "x" * 63, "x" * 63: "x"}),
    Accepted("spec.secret.labels", {"saperly.company/x": "x", "app.kubernetes.io/name": "agent"}),
    Accepted("spec.secret.labels", {f"l{i}": "x" for i in range(64)}),
    Accepted("spec.secret.annotations", {"example.com/note": "x" * 4096}),
    Accepted("spec.secret.annotations", {"reloader.stakater.com/match": "true"}),
    Accepted("spec.rotation.overlap", "0s"),
    Accepted("spec.rotation.overlap", "1d2h3m4s"),
    Accepted("spec.rotation.jitter", "0s"),
    Accepted("spec.rotation.maxOverlap", "30d"),
    Accepted("spec.rotation.requireIdle", True),
    Accepted("spec.secret.previousKey", "SAPERLY_API_KEY_PREVIOUS"),
    Accepted("spec.restart", [workload(kind, "a") for kind in ("Deployment", "StatefulSet", "DaemonSet")]),
    Accepted("spec.restart", [workload("Deployment", f"a-{n}") for n in range(16)]),
    Accepted("spec.rotation.strategy", "Overlap"),
    Accepted("spec.rotation.strategy", "Atomic"),
    Accepted("spec.deletionPolicy", "Revoke"),
    Accepted("spec.deletionPolicy", "Orphan"),
    Accepted("spec.onRemoteRevocation", "Hold"),
    Accepted("spec.suspend", True),
)

SCHEDULES = (
    "0 3 * * 1",
    "15 * * * *",
    "30 8-18/2 1,15 jan-jun MON-fri",
    "59 23 31 12 7",
    "00 03 01 01 0",
    "0 0 L * *",
    "0 0 LW * *",
    "0 9 * * 1#2",
    "0 9 * * 5L",
    "TZ=Europe/Berlin 0 3 * * 1",
    "TZ=America/Argentina/Buenos_Aires 0 3 * * 1",
    "TZ=Etc/GMT+5 0 3 * * 1",
    "TZ=UTC 0 3 * * 1",
    "@hourly",
    "@daily",
    "@midnight",
    "@weekly",
    "@monthly",
    "@yearly",
    "@annually",
    "TZ=Europe/Berlin @weekly",
    "1h",
    "12h",
    "30d",
    "1d12h",
    "1h30m",
    "9999d",
)


@pytest.mark.parametrize("row", REFUSED)
def test_a_value_outside_the_limits_is_refused_by_field_and_rule(row: Refused, judge: Judge) -> None:
    refusal = judge.refused(SaperlyKey, spec_with(row.field, row.value))
    assert refusal.says(row.field, row.rule), refusal.message


@pytest.mark.parametrize("row", ACCEPTED)
def test_a_value_inside_the_limits_is_stored_as_it_is_and_can_be_read(row: Accepted, judge: Judge) -> None:
    stored = judge.accepted(SaperlyKey, spec_with(row.field, row.value))
    assert value_at(stored, row.field) == row.value
    SaperlyKey.from_api(stored)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_schedule_that_the_schema_accepts_is_one_that_the_operator_can_follow(schedule: str, judge: Judge) -> None:
    judge.accepted(SaperlyKey, spec_with("spec.rotation.schedule", schedule))
    parse_schedule(schedule)


@pytest.mark.parametrize("schedule", [row.values[0].value for row in REFUSED if "schedule" in row.values[0].field])
def test_a_schedule_that_the_operator_cannot_follow_is_refused_by_the_schema_already(schedule: str) -> None:
    """The annotation takes the same grammar without a schema, so the parser has to refuse these by itself."""
    stricter_than_the_parser = {" 0 3 * * 1"}
    if schedule in stricter_than_the_parser:
        parse_schedule(schedule)
        return
    with pytest.raises(ScheduleError):
        parse_schedule(schedule)


@pytest.mark.parametrize(
    ("item", "field", "rule"),
    [
        (workload("ReplicaSet", "a"), "kind", 'supported values: "Deployment", "StatefulSet", "DaemonSet"'),
        (workload("Deployment", "A"), "name", DNS_NAME),
        (workload("Deployment", "other/a"), "name", DNS_NAME),
        ({"kind": "Deployment"}, "name", "Required value"),
        ({"name": "a"}, "kind", "Required value"),
    ],
)
def test_a_workload_of_another_kind_or_elsewhere_is_refused(
    item: dict[str, str], field: str, rule: str, judge: Judge
) -> None:
    refusal = judge.refused(SaperlyKey, spec_with("spec.restart", [item]))
    assert refusal.says(f"spec.restart[0].{field}", rule), refusal.message


def test_an_unknown_field_is_refused_by_name(judge: Judge) -> None:
    refusal = judge.refused(SaperlyKey, {"spec": {"monthlyCap": 5000}})
    assert 'unknown field "spec.monthlyCap"' in refusal.message


def test_a_spec_is_required(judge: Judge) -> None:
    assert judge.refused(SaperlyKey, {}).says("spec", "Required value")


def test_an_empty_spec_is_enough_and_shows_what_is_in_force(judge: Judge) -> None:
    assert judge.accepted(SaperlyKey, {"spec": {}})["spec"] == {
        "providerRef": {"kind": "ClusterSaperlyProvider", "name": "default"},
        "permissions": "call_only",
        "secret": {"key": "SAPERLY_API_KEY", "type": "Opaque"},
        "rotation": {
            "strategy": "Overlap",
            "overlap": "1h",
            "maxOverlap": "7d",
            "requireIdle": False,
            "jitter": "10m",
        },
        "deletionPolicy": "Revoke",
        "onRemoteRevocation": "Remint",
        "suspend": False,
    }


def test_the_defaults_of_the_schema_are_those_of_the_model(judge: Judge) -> None:
    stored = SaperlyKey.from_api(judge.accepted(SaperlyKey, {"spec": {}}))
    assert stored.spec == SaperlyKey.from_api({"metadata": {"name": "x"}, "spec": {}}).spec
