"""kill -9 at every step of a rotation in one step: the old key is dead with the request, so a key must always follow."""

import pytest

from saperly_operator.lifecycle.naming import Tag
from saperly_operator.simulator.state import Operation
from tests.cluster import crash_points as points
from tests.cluster.crash_points import AtKube, AtVendor, Fate, Place, at_kube, at_vendor
from tests.cluster.crash_site import CrashSite
from tests.support.waiting import eventually

ATOMIC = {"strategy": "Atomic"}

ROTATED = {
    "dry run never made": at_kube(points.dry_run_over, Fate.NEVER_ARRIVES, mints=2),
    "intent never stored": at_kube(points.intent_stored, Fate.NEVER_ARRIVES, mints=2),
    "intent stored late": at_kube(points.intent_stored, Fate.ARRIVES_LATE, mints=2),
    "intent stored, answer lost": at_kube(points.intent_stored, Fate.ANSWER_LOST, mints=2),
    "POST never arrives": at_vendor(Operation.ROTATE, Fate.NEVER_ARRIVES, mints=2),
    "POST committed after the death": at_vendor(Operation.ROTATE, Fate.ARRIVES_LATE, mints=3),
    "POST committed, answer lost": at_vendor(Operation.ROTATE, Fate.ANSWER_LOST, mints=3),
    "Secret never written": at_kube(points.secret_patch, Fate.NEVER_ARRIVES, mints=3),
    "Secret written late": at_kube(points.secret_patch, Fate.ARRIVES_LATE, mints=2),
    "Secret written, answer lost": at_kube(points.secret_patch, Fate.ANSWER_LOST, mints=2),
    "record never stored": at_kube(points.recorded, Fate.NEVER_ARRIVES, mints=2),
    "record stored late": at_kube(points.recorded, Fate.ARRIVES_LATE, mints=2),
    "record stored, answer lost": at_kube(points.recorded, Fate.ANSWER_LOST, mints=2),
    "event never written": at_kube(points.event("Rotated"), Fate.NEVER_ARRIVES, mints=2),
    "old key never looked at": at_vendor(Operation.GET, Fate.NEVER_ARRIVES, mints=2),
    "old key looked at, answer lost": at_vendor(Operation.GET, Fate.ANSWER_LOST, mints=2),
    "old key's end never noted": at_kube(points.key_forgotten, Fate.NEVER_ARRIVES, mints=2),
    "old key's end noted, answer lost": at_kube(points.key_forgotten, Fate.ANSWER_LOST, mints=2),
}


def ask(site: CrashSite, name: str) -> None:
    site.world.kubectl(
        "annotate", "saperlykey", name, "saperly.com/rotate-requested-at=now", f"--namespace={site.world.namespace}"
    )


def assert_rotated(site: CrashSite, name: str, mints: int) -> None:
    """One live key of ``mints``, and not the first; named by its own serial; its lineage in status, if it has one."""
    first = site.rows(name)[0]
    live = site.assert_one_live_key(name, mints=mints, replaced=first.id)
    current = site.world.key(name)["status"]["current"]
    assert current.get("rotatedFrom") == live.rotated_from
    assert live.rotated_from == (first.id if mints == 2 else None)
    lost = [row for row in site.rows(name)[1:] if row.id != live.id]
    assert [row.rotated_from for row in lost] == [first.id] * len(lost)

    def is_named() -> bool:
        (row,) = site.live(name)
        tag = Tag.parse(row.name)
        return tag is not None and tag.serial == current["serial"]

    eventually(is_named, f"the key of {name} bears its own serial")


@pytest.fixture(scope="module")
def rotated(crash_site: CrashSite) -> dict[str, str]:
    return crash_site.wave(ROTATED, lambda name: ask(crash_site, name), rotation=ATOMIC)


@pytest.mark.parametrize("case", ROTATED)
def test_a_rotation_in_one_step_survives_kill_9(crash_site: CrashSite, rotated: dict[str, str], case: str) -> None:
    assert_rotated(crash_site, rotated[case], ROTATED[case].mints)


def rotating(site: CrashSite) -> tuple[str, str]:
    """An object whose operator died after the vendor replaced its key; its name, and the id of the dead key."""
    name = site.new_name()
    site.apply_ready([name], rotation=ATOMIC)
    old = site.rows(name)[0].id
    stop = site.stop_at(AtVendor(Operation.ROTATE), name, Fate.ANSWER_LOST)
    ask(site, name)
    stop.wait_held()
    site.kill()
    stop.settle()
    return name, old


@pytest.mark.parametrize(
    "fate",
    [
        pytest.param(Fate.NEVER_ARRIVES, id="the replay never arrives"),
        pytest.param(Fate.ARRIVES_LATE, id="the replay is answered to nobody"),
        pytest.param(Fate.ANSWER_LOST, id="the rotate answer is lost twice"),
    ],
)
def test_a_replay_of_it_survives_kill_9(site: CrashSite, fate: Fate) -> None:
    name, old = rotating(site)
    stop = site.stop_at(AtVendor(Operation.ROTATE, old), name, fate)
    site.restart()
    site.crash(stop)
    assert_rotated(site, name, 3)


@pytest.mark.parametrize(
    ("place", "fate", "mints"),
    [
        pytest.param(AtKube(points.fence), Fate.ANSWER_LOST, 3, id="fenced"),
        pytest.param(AtKube(points.intent_abandoned), Fate.NEVER_ARRIVES, 3, id="abandoning never stored"),
        pytest.param(AtKube(points.intent_abandoned), Fate.ANSWER_LOST, 3, id="abandoning stored, answer lost"),
        pytest.param(
            AtVendor(Operation.MINT), Fate.NEVER_ARRIVES, 3, id="the mint that makes up for it never arrives"
        ),
        pytest.param(AtKube(points.secret_patch), Fate.ANSWER_LOST, 3, id="the Secret written, answer lost"),
        pytest.param(AtKube(points.recorded), Fate.NEVER_ARRIVES, 3, id="the record never stored"),
    ],
)
def test_making_up_for_it_survives_kill_9(site: CrashSite, place: Place, fate: Fate, mints: int) -> None:
    name, _ = rotating(site)
    stop = site.stop_at(place, name, fate)
    site.restart()
    site.crash(stop)
    assert_rotated(site, name, mints)


@pytest.mark.parametrize("fate", list(Fate), ids=lambda fate: fate.value)
@pytest.mark.parametrize("policy", ["Revoke", "Orphan"])
def test_an_object_deleted_meanwhile_leaves_nothing_that_lives_unknown(
    site: CrashSite, policy: str, fate: Fate
) -> None:
    name = site.new_name()
    site.apply_ready([name], rotation=ATOMIC, deletionPolicy=policy)
    stop = site.stop_at(AtVendor(Operation.ROTATE), name, fate)
    ask(site, name)
    stop.wait_held()
    site.kill()
    site.world.kubectl("delete", "saperlykey", name, f"--namespace={site.world.namespace}", "--wait=false")
    stop.settle()
    site.world.vendor.forget_calls()
    site.restart()
    site.world.wait_gone(name)
    calls = {call.operation for call in site.world.vendor.calls()}
    assert not calls & {Operation.MINT, Operation.ROTATE}, "deletion never asks for a key"
    if policy == "Orphan" and fate is Fate.NEVER_ARRIVES:
        (live,) = site.live(name)
        assert site.digest(name) == live.digest
    else:
        assert site.live(name) == [], "with the plaintext lost there is nothing to leave"
