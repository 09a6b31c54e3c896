"""Twenty rotations under agents that never pause: with Overlap and a restart, no call fails."""

import pytest

from tests.cluster.user import User
from tests.cluster.workloads import rolled_out
from tests.support.agents import Cluster, living_in_pods, rereading
from tests.support.waiting import eventually

ROTATIONS = 20


@pytest.fixture(scope="module")
def hurried(user: User) -> User:
    """An operator that may mint for one object as often as it is asked to."""
    user.operator.terminate()
    user.world.start_operator({"SAPERLY_TIMINGS__MINT_LIMIT_WINDOW": "PT0.01S"})
    return user


def test_no_call_fails_through_twenty_rotations(hurried: User) -> None:
    user, name = hurried, "agents"
    rolled_out(user, "Deployment", name, replicas=2)
    rolled_out(user, "Deployment", "left-out")
    restart = [{"kind": "Deployment", "name": name}]
    current = user.ready(name, restart=restart, rotation={"overlap": "2s"})["status"]["current"]["id"]
    cluster, url = Cluster(user.kubectl.kubeconfig, user.namespace), user.world.simulator.base_url

    with (
        rereading(cluster, url, name) as always,
        living_in_pods(cluster, url, name, name) as restarted,
        living_in_pods(cluster, url, name, "left-out") as left_out,
    ):
        eventually(lambda: min(each.calls.total for each in (always, restarted, left_out)), "all agents call")
        for number in range(ROTATIONS):
            user.annotate(name, rotate_requested_at=str(number))
            status = user.wait_rotated(name, current)["status"]
            current = status["current"]["id"]
            wait_in_use(user, name, current)
        user.wait(name, "no old key is left", lambda key: not key["status"].get("retiring"))

    for agent in (always, restarted, left_out):
        assert agent.error is None
    assert (always.calls.failed, restarted.calls.failed) == (0, 0)
    assert min(len(always.calls.keys), len(restarted.calls.keys)) == ROTATIONS + 1
    assert left_out.calls.by_status.get(401), "an agent that nobody restarts shows that the old keys do die"
    assert len(user.minted(name)) == ROTATIONS + 1
    assert user.only_live(name).id == current


def wait_in_use(user: User, name: str, key_id: str) -> None:
    """Until every workload runs with that key, and the vendor has seen it used."""
    user.wait(name, "rolled out", lambda key: key["status"].get("restarted", {}).get("finishedAt"))
    eventually(lambda: user.child(key_id).last_used_at, "the new key is in use")
