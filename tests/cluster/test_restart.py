"""Rotation with workloads to restart, against the real controllers: what is restarted, awaited, and what holds a key."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.cluster.user import User, holds_key
from tests.cluster.workloads import mark, patch, pods, rolled_out
from tests.support.waiting import eventually

SHORT = {"overlap": "2s"}


def ready_key(user: User, name: str, *workloads: tuple[str, str], **spec: Any) -> str:
    """The id of the current key of a new Ready object that restarts these workloads (kind and name)."""
    restart = [{"kind": kind, "name": workload} for kind, workload in workloads]
    key_id: str = user.ready(name, **{"restart": restart, "rotation": SHORT, **spec})["status"]["current"]["id"]
    return key_id


def rotate(user: User, name: str, before: str, token: str = "now") -> str:
    """Rotate on request; returns the new key's id."""
    user.annotate(name, rotate_requested_at=token)
    key_id: str = user.wait_rotated(name, before)["status"]["current"]["id"]
    return key_id


def pending(user: User, name: str, reason: str) -> str:
    """Wait until RolloutPending has that reason; returns its message. The key is Ready all the while."""
    condition = user.world.wait_reason(name, reason, "RolloutPending")
    assert condition["status"] == "True"
    assert user.conditions(name)["Ready"]["status"] == "True"
    assert "Stalled" not in user.conditions(name)
    message: str = condition["message"]
    return message


def wait_rolled_out(user: User, name: str) -> dict[str, Any]:
    """Until nothing is awaited any more; returns the status."""
    key = user.wait(name, "rolled out", lambda key: key["status"].get("restarted", {}).get("finishedAt"))
    status: dict[str, Any] = key["status"]
    assert "RolloutPending" not in {each["type"] for each in status["conditions"]}
    return status


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
def test_each_kind_is_restarted_once_and_the_old_key_dies_after_the_overlap(user: User, kind: str) -> None:
    name = f"whole-{kind.lower()}"
    rolled_out(user, kind, name)
    before = pods(user, name)
    first = ready_key(user, name, (kind, name))
    assert mark(user, kind, name, name) is None, "a first key restarts nobody"

    second = rotate(user, name, first)
    status = wait_rolled_out(user, name)

    assert not set(pods(user, name)) & set(before)
    assert (mark(user, kind, name, name) or "").startswith(f"{status['current']['serial']}.")
    assert status["restarted"]["workloads"] == [f"{kind}/{name}"]
    revoked_at = user.wait_revoked(first).revoked_at
    assert revoked_at is not None
    assert f"{revoked_at:%Y-%m-%dT%H:%M:%SZ}" > status["restarted"]["finishedAt"]
    assert holds_key(user, name, second)
    told = user.world.reasons(name, "RolledOut")
    assert [reason for reason in told if reason in {"Restarted", "RolledOut"}] == ["Restarted", "RolledOut"]


def test_a_workload_scaled_to_zero_runs_with_no_old_key(user: User) -> None:
    rolled_out(user, "Deployment", "nobody", replicas=0)
    first = ready_key(user, "nobody", ("Deployment", "nobody"))
    rotate(user, "nobody", first)
    wait_rolled_out(user, "nobody")
    user.wait_revoked(first)


def test_a_paused_deployment_holds_the_old_key_until_it_is_resumed(user: User) -> None:
    rolled_out(user, "Deployment", "paused")
    first = ready_key(user, "paused", ("Deployment", "paused"))
    patch(user, "Deployment", "paused", {"spec": {"paused": True}})

    rotate(user, "paused", first)
    assert "Deployment/paused is paused: resume its rollout." in pending(user, "paused", "RolloutStalled")
    (old,) = user.status("paused")["retiring"]
    assert old["waitingFor"] == "the rollout of Deployment/paused"
    assert user.child(first).is_live

    user.kubectl("rollout", "resume", "deployment/paused", f"--namespace={user.namespace}")
    wait_rolled_out(user, "paused")
    user.wait_revoked(first)


@contextmanager
def no_room(user: User) -> Iterator[None]:
    """No new pod finds a node within the block."""
    nodes = [item["metadata"]["name"] for item in user.kubectl.read("Node")["items"]]
    user.kubectl("cordon", *nodes)
    try:
        yield
    finally:
        user.kubectl("uncordon", *nodes)


def test_a_rollout_that_fails_holds_the_old_key_and_goes_on_once_it_is_mended(user: User) -> None:
    rolled_out(user, "Deployment", "failing", progressDeadlineSeconds=2)
    first = ready_key(user, "failing", ("Deployment", "failing"))

    with no_room(user):
        rotate(user, "failing", first)
        assert "exceeded its progress deadline: look at its pods." in pending(user, "failing", "RolloutStalled")
        assert user.child(first).is_live
        assert user.world.reasons("failing", "RolloutStalled")

    wait_rolled_out(user, "failing")
    user.wait_revoked(first)


def test_at_max_overlap_the_old_key_dies_although_the_rollout_failed(user: User) -> None:
    rolled_out(user, "Deployment", "for-good")
    patch(user, "Deployment", "for-good", {"spec": {"paused": True}})
    limited = {"overlap": "1s", "maxOverlap": "4s"}
    first = ready_key(user, "for-good", ("Deployment", "for-good"), rotation=limited)

    rotate(user, "for-good", first)
    (old,) = user.status("for-good")["retiring"]
    revoked_at = user.wait_revoked(first).revoked_at
    assert revoked_at is not None
    assert f"{revoked_at:%Y-%m-%dT%H:%M:%SZ}" >= old["revokeAfter"]
    user.wait("for-good", "waits no more", lambda key: not key["status"].get("retiring"))
    eventually(lambda: "RolloutPending" not in user.conditions("for-good"), "nothing is pending")


@pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet"])
def test_pods_that_are_replaced_by_hand_are_told_of_and_awaited(user: User, kind: str) -> None:
    name = f"by-hand-{kind.lower()}"
    rolled_out(user, kind, name, updateStrategy={"type": "OnDelete"})
    first = ready_key(user, name, (kind, name))

    rotate(user, name, first)
    assert "has the update strategy OnDelete: delete its pods" in pending(user, name, "RolloutStalled")
    assert user.child(first).is_live

    user.kubectl("delete", "pods", f"--selector=app={name}", f"--namespace={user.namespace}", "--wait=false")
    wait_rolled_out(user, name)
    user.wait_revoked(first)


def test_a_partition_that_keeps_pods_as_they_were_is_told_of(user: User) -> None:
    strategy: dict[str, Any] = {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}
    rolled_out(user, "StatefulSet", "parted", replicas=2, updateStrategy=strategy)
    first = ready_key(user, "parted", ("StatefulSet", "parted"))

    rotate(user, "parted", first)
    assert "The partition 1 of StatefulSet/parted leaves pods" in pending(user, "parted", "RolloutStalled")

    strategy["rollingUpdate"]["partition"] = 0
    patch(user, "StatefulSet", "parted", {"spec": {"updateStrategy": strategy}})
    wait_rolled_out(user, "parted")
    user.wait_revoked(first)


def test_a_workload_that_is_missing_is_told_of_and_awaited_when_it_comes(user: User) -> None:
    first = ready_key(user, "missing", ("Deployment", "missing"))

    rotate(user, "missing", first)
    told = pending(user, "missing", "WorkloadNotFound")
    assert "There is no Deployment named missing: create it, or take it out of spec.restart." in told

    rolled_out(user, "Deployment", "missing")
    wait_rolled_out(user, "missing")
    user.wait_revoked(first)


def test_a_workload_taken_out_of_the_list_is_awaited_no_more(user: User) -> None:
    first = ready_key(user, "given-up", ("Deployment", "given-up"))
    rotate(user, "given-up", first)
    pending(user, "given-up", "WorkloadNotFound")

    user.change("given-up", restart=[])
    wait_rolled_out(user, "given-up")
    user.wait_revoked(first)


def test_without_the_right_to_restart_the_old_key_is_held_and_the_missing_right_is_named(user: User) -> None:
    rolled_out(user, "Deployment", "forbidden")
    first = ready_key(user, "forbidden", ("Deployment", "forbidden"))
    rules = user.kubectl.read("ClusterRole", "saperly-operator")["rules"]
    fewer = [rule for rule in rules if rule["apiGroups"] != ["apps"]]
    assert len(fewer) == len(rules) - 1

    give_rules(user, fewer)
    try:
        rotate(user, "forbidden", first)
        told = pending(user, "forbidden", "RestartRefused")
        assert "does not let the operator read and patch Deployment/forbidden (403 Forbidden)" in told
    finally:
        give_rules(user, rules)

    wait_rolled_out(user, "forbidden")
    user.wait_revoked(first)


def give_rules(user: User, rules: Any) -> None:
    user.kubectl(
        "patch", "clusterrole", "saperly-operator", "--type=merge", f"--patch={json.dumps({'rules': rules})}"
    )


def test_an_operator_that_was_away_finds_the_rollout_finished(user: User) -> None:
    rolled_out(user, "Deployment", "resumed")
    first = ready_key(user, "resumed", ("Deployment", "resumed"))
    with no_room(user):
        rotate(user, "resumed", first)
        user.wait("resumed", "is restarted", lambda key: key["status"]["restarted"].get("workloads"))
        user.operator.kill()
    user.kubectl("rollout", "status", "deployment/resumed", f"--namespace={user.namespace}", "--timeout=60s")
    generation = user.kubectl.read("Deployment", "resumed", namespace=user.namespace)["metadata"]

    user.world.start_operator()
    wait_rolled_out(user, "resumed")
    user.wait_revoked(first)
    again = user.kubectl.read("Deployment", "resumed", namespace=user.namespace)["metadata"]
    assert again["generation"] == generation["generation"], "restarted once"
