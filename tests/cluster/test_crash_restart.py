"""kill -9 at every step that follows a new key: workloads restarted and awaited, the old plaintext taken out, the old key
revoked.
"""

import pytest

from saperly_operator.simulator.state import Operation
from tests.cluster import crash_points as points
from tests.cluster.crash_points import Fate, at_kube, at_vendor
from tests.cluster.crash_site import CrashSite
from tests.cluster.user import User
from tests.cluster.workloads import mark, rolled_out

OLD = "SAPERLY_API_KEY_PREVIOUS"
SPEC = {
    "restart": [{"kind": "Deployment", "name": "{}"}],
    "rotation": {"overlap": "3s"},
    "secret": {"previousKey": OLD},
}
CASES = {
    "Secret with both plaintexts never written": at_kube(points.secret_patch, Fate.NEVER_ARRIVES, mints=3),
    "Secret with both plaintexts written late": at_kube(points.secret_patch, Fate.ARRIVES_LATE, mints=2),
    "Secret with both plaintexts written, answer lost": at_kube(points.secret_patch, Fate.ANSWER_LOST, mints=2),
    "record never stored": at_kube(points.recorded, Fate.NEVER_ARRIVES, mints=2),
    "record stored, answer lost": at_kube(points.recorded, Fate.ANSWER_LOST, mints=2),
    "workload never restarted": at_kube(points.workload_restart, Fate.NEVER_ARRIVES, mints=2),
    "workload restarted, answer lost": at_kube(points.workload_restart, Fate.ANSWER_LOST, mints=2),
    "restart never noted": at_kube(points.restart_noted, Fate.NEVER_ARRIVES, mints=2),
    "restart noted, answer lost": at_kube(points.restart_noted, Fate.ANSWER_LOST, mints=2),
    "event of the restart never written": at_kube(points.event("Restarted"), Fate.NEVER_ARRIVES, mints=2),
    "end of the rollout never noted": at_kube(points.rollout_noted, Fate.NEVER_ARRIVES, mints=2),
    "end of the rollout noted late": at_kube(points.rollout_noted, Fate.ARRIVES_LATE, mints=2),
    "end of the rollout noted, answer lost": at_kube(points.rollout_noted, Fate.ANSWER_LOST, mints=2),
    "old plaintext never taken out": at_kube(points.previous_withdrawn, Fate.NEVER_ARRIVES, mints=2),
    "old plaintext taken out late": at_kube(points.previous_withdrawn, Fate.ARRIVES_LATE, mints=2),
    "old plaintext taken out, answer lost": at_kube(points.previous_withdrawn, Fate.ANSWER_LOST, mints=2),
    "its absence never noted": at_kube(points.withdrawal_noted, Fate.NEVER_ARRIVES, mints=2),
    "its absence noted, answer lost": at_kube(points.withdrawal_noted, Fate.ANSWER_LOST, mints=2),
    "old key never revoked": at_vendor(Operation.REVOKE, Fate.NEVER_ARRIVES, mints=2),
    "old key revoked, answer lost": at_vendor(Operation.REVOKE, Fate.ANSWER_LOST, mints=2),
    "revocation never noted": at_kube(points.key_forgotten, Fate.NEVER_ARRIVES, mints=2),
}


@pytest.fixture(scope="module")
def agents(crash_site: CrashSite) -> User:
    """Who looks after the Deployments."""
    return User(crash_site.world)


@pytest.fixture(scope="module")
def names(crash_site: CrashSite, agents: User) -> dict[str, str]:
    """The object of each case, killed at its own request. Its Deployment has its name."""

    def begin(name: str) -> None:
        rolled_out(agents, "Deployment", name)
        agents.annotate(name, rotate_requested_at="now")

    return crash_site.wave(CASES, begin, **SPEC)


@pytest.mark.parametrize("case", CASES)
def test_a_rotation_with_everything_survives_kill_9(
    crash_site: CrashSite, agents: User, names: dict[str, str], case: str
) -> None:
    name = names[case]
    first = crash_site.rows(name)[0].id

    live = crash_site.assert_one_live_key(name, mints=CASES[case].mints, replaced=first)

    status = agents.status(name)
    assert status["restarted"]["finishedAt"]
    assert (mark(agents, "Deployment", name, name) or "").startswith(f"{status['current']['serial']}.")
    assert set(agents.secret(name)["data"]) == {"SAPERLY_API_KEY"}
    assert live.id == status["current"]["id"]
