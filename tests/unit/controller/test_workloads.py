"""Workloads as the API server shows them, and the one patch that is made of one."""

from typing import Any

import pytest

from saperly_operator.controller.workloads import restart_patch, workload_of
from saperly_operator.lifecycle.workloads import Workload
from saperly_operator.resources.workload import RestartMark
from tests.support.workloads import DAEMON_SET, DEPLOYMENT, STATEFUL_SET

METADATA = {"uid": "u-1", "resourceVersion": "9", "generation": 4}
POD_COUNTS = {"replicas": 5, "updatedReplicas": 2, "availableReplicas": 3, "readyReplicas": 4}
NODE_COUNTS = {
    "desiredNumberScheduled": 6,
    "currentNumberScheduled": 5,
    "updatedNumberScheduled": 2,
    "numberAvailable": 3,
    "numberUnavailable": 3,
}


def body(spec: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    return {"metadata": METADATA, "spec": spec or {}, "status": {"observedGeneration": 3, **status}}


def test_a_deployment() -> None:
    seen = workload_of(DEPLOYMENT, body({"replicas": 3, "paused": True}, **POD_COUNTS), "support")
    assert seen == Workload("u-1", "9", None, 4, 3, wanted=3, existing=5, updated=2, available=3, is_paused=True)


def test_a_daemon_set_counts_by_node() -> None:
    seen = workload_of(DAEMON_SET, body({"updateStrategy": {"type": "OnDelete"}}, **NODE_COUNTS), "support")
    assert (seen.wanted, seen.existing, seen.updated, seen.available) == (6, 2, 2, 3)
    assert seen.is_on_delete


def test_a_stateful_set_with_a_partition() -> None:
    spec = {"replicas": 5, "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}}
    seen = workload_of(STATEFUL_SET, body(spec, **POD_COUNTS), "support")
    assert (seen.partition, seen.is_on_delete) == (2, False)


@pytest.mark.parametrize("kind", [DEPLOYMENT, STATEFUL_SET])
def test_one_whose_controller_never_looked_at_it_counts_nothing(kind: Any) -> None:
    seen = workload_of(kind, {"metadata": METADATA, "spec": {}}, "support")
    assert (seen.wanted, seen.existing, seen.updated, seen.observed_generation) == (1, 0, 0, 0)


def test_a_rollout_that_exceeded_its_deadline() -> None:
    failed = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
    well = {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}
    assert workload_of(DEPLOYMENT, body(conditions=[failed]), "support").has_failed
    assert not workload_of(DEPLOYMENT, body(conditions=[well]), "support").has_failed


def test_the_mark_of_the_object_itself_is_read_and_no_other() -> None:
    marks = {"saperly.com/restarted-support": "2.abc", "saperly.com/restarted-other": "9.def"}
    template = {"template": {"metadata": {"annotations": marks}}}
    assert workload_of(DEPLOYMENT, body(template), "support").mark == RestartMark(2, "abc")


def test_the_patch_is_of_that_state_and_of_one_annotation_only() -> None:
    seen = workload_of(DEPLOYMENT, body(), "support")
    assert restart_patch(seen, RestartMark(2, "abc"), "support") == {
        "metadata": {"uid": "u-1", "resourceVersion": "9"},
        "spec": {"template": {"metadata": {"annotations": {"saperly.com/restarted-support": "2.abc"}}}},
    }
