"""kill -9 at every step of a change that mints nothing: other attributes of the key, another place for the plaintext."""

from typing import Any

import pytest

from saperly_operator.simulator.state import Operation
from tests.cluster import crash_points as points
from tests.cluster.crash_points import Fate, at_kube, at_vendor
from tests.cluster.crash_site import CrashSite
from tests.support.kube_proxy import Match
from tests.support.waiting import eventually


def moved_secret_create(name: str) -> Match:
    return points.secret_create(f"{name}-moved")


UPDATED = {
    "PATCH never arrives": at_vendor(Operation.UPDATE, Fate.NEVER_ARRIVES),
    "PATCH arrives late": at_vendor(Operation.UPDATE, Fate.ARRIVES_LATE),
    "PATCH done, answer lost": at_vendor(Operation.UPDATE, Fate.ANSWER_LOST),
    "change never noted": at_kube(points.recorded, Fate.NEVER_ARRIVES),
    "change noted late": at_kube(points.recorded, Fate.ARRIVES_LATE),
    "change noted, answer lost": at_kube(points.recorded, Fate.ANSWER_LOST),
    "event never written": at_kube(points.event("Updated"), Fate.NEVER_ARRIVES),
}
MOVED = {
    "new Secret never created": at_kube(moved_secret_create, Fate.NEVER_ARRIVES),
    "new Secret created late": at_kube(moved_secret_create, Fate.ARRIVES_LATE),
    "new Secret created, answer lost": at_kube(moved_secret_create, Fate.ANSWER_LOST),
    "move never noted": at_kube(points.recorded, Fate.NEVER_ARRIVES),
    "move noted late": at_kube(points.recorded, Fate.ARRIVES_LATE),
    "move noted, answer lost": at_kube(points.recorded, Fate.ANSWER_LOST),
    "old Secret never deleted": at_kube(points.secret_delete, Fate.NEVER_ARRIVES),
    "old Secret deleted late": at_kube(points.secret_delete, Fate.ARRIVES_LATE),
    "old Secret deleted, answer lost": at_kube(points.secret_delete, Fate.ANSWER_LOST),
}
RENAMED_ENTRY = {
    "new entry never written": at_kube(points.secret_patch, Fate.NEVER_ARRIVES),
    "new entry written late": at_kube(points.secret_patch, Fate.ARRIVES_LATE),
    "new entry written, answer lost": at_kube(points.secret_patch, Fate.ANSWER_LOST),
    "move never noted": at_kube(points.recorded, Fate.NEVER_ARRIVES),
    "move noted, answer lost": at_kube(points.recorded, Fate.ANSWER_LOST),
}
BEFORE: dict[str, Any] = {"agentLabel": "support", "monthlyCapCents": 5000}


@pytest.fixture(scope="module")
def updated(crash_site: CrashSite) -> dict[str, str]:
    return crash_site.wave(UPDATED, lambda name: crash_site.world.apply_key(name, agentLabel="sales"), **BEFORE)


@pytest.fixture(scope="module")
def moved(crash_site: CrashSite) -> dict[str, str]:
    def begin(name: str) -> None:
        crash_site.world.apply_key(name, **BEFORE, secret={"name": f"{name}-moved"})

    return crash_site.wave(MOVED, begin, **BEFORE)


@pytest.fixture(scope="module")
def renamed_entry(crash_site: CrashSite) -> dict[str, str]:
    def begin(name: str) -> None:
        crash_site.world.apply_key(name, **BEFORE, secret={"key": "TOKEN"})

    return crash_site.wave(RENAMED_ENTRY, begin, **BEFORE)


@pytest.mark.parametrize("case", UPDATED)
def test_a_change_of_attributes_survives_kill_9(crash_site: CrashSite, updated: dict[str, str], case: str) -> None:
    name = updated[case]
    eventually(lambda: crash_site.rows(name)[0].agent_label == "sales", "the change is made")
    row = crash_site.assert_one_live_key(name, mints=1)
    assert (row.agent_label, row.monthly_cap_cents) == ("sales", None)


@pytest.mark.parametrize("case", MOVED)
def test_a_move_of_the_secret_survives_kill_9(crash_site: CrashSite, moved: dict[str, str], case: str) -> None:
    name = moved[case]
    eventually(lambda: name not in crash_site.world.secret_names(), "the old Secret is gone")
    crash_site.assert_one_live_key(name, mints=1, secret=f"{name}-moved")


@pytest.mark.parametrize("case", RENAMED_ENTRY)
def test_a_move_within_the_secret_survives_kill_9(
    crash_site: CrashSite, renamed_entry: dict[str, str], case: str
) -> None:
    name, world = renamed_entry[case], crash_site.world
    eventually(lambda: world.key(name)["status"]["secret"]["key"] == "TOKEN", "the move is noted")
    crash_site.assert_one_live_key(name, mints=1, entry="TOKEN")
    assert set(world.kubectl.read("Secret", name, namespace=world.namespace)["data"]) == {"TOKEN"}
