"""kill -9 again while the successor clears up: takeover, redacted replay, fence, abandoned intent, revocation.

In a second wave each object dies once more, at a step of the recovery from its first death. And what a dead process
sent can arrive when its successor has already moved on: then the guards of the protocol have to hold it off.
"""

import pytest

from saperly_operator.lifecycle.timings import Timings
from saperly_operator.simulator.faults import Fault, FaultKind
from saperly_operator.simulator.state import Operation
from tests.cluster import crash_points as points
from tests.cluster.crash_points import AtKube, AtVendor, Fate, at_kube, at_vendor
from tests.cluster.crash_site import CrashSite
from tests.support.kube_proxy import Hold, When
from tests.support.waiting import eventually

LOST = at_vendor(Operation.MINT, Fate.ANSWER_LOST)
"""First death: a key was minted and nobody holds its plaintext."""
WRITTEN = at_kube(points.secret_create, Fate.ANSWER_LOST)
"""First death: the Secret holds the key and no record says so."""

SECOND_DEATHS = {
    "takeover never stored": (LOST, at_kube(points.intent_stored, Fate.NEVER_ARRIVES, mints=2)),
    "takeover stored late": (LOST, at_kube(points.intent_stored, Fate.ARRIVES_LATE, mints=2)),
    "takeover stored, answer lost": (LOST, at_kube(points.intent_stored, Fate.ANSWER_LOST, mints=2)),
    "abandoning never stored": (LOST, at_kube(points.intent_abandoned, Fate.NEVER_ARRIVES, mints=2)),
    "abandoning stored late": (LOST, at_kube(points.intent_abandoned, Fate.ARRIVES_LATE, mints=2)),
    "abandoning stored, answer lost": (LOST, at_kube(points.intent_abandoned, Fate.ANSWER_LOST, mints=2)),
    "lost key never revoked": (LOST, at_vendor(Operation.REVOKE, Fate.NEVER_ARRIVES, mints=2)),
    "lost key revoked late": (LOST, at_vendor(Operation.REVOKE, Fate.ARRIVES_LATE, mints=2)),
    "lost key revoked, answer lost": (LOST, at_vendor(Operation.REVOKE, Fate.ANSWER_LOST, mints=2)),
    "second Secret never created": (LOST, at_kube(points.secret_create, Fate.NEVER_ARRIVES, mints=3)),
    "second record never stored": (LOST, at_kube(points.recorded, Fate.NEVER_ARRIVES, mints=2)),
    "fence never set": (WRITTEN, at_kube(points.fence, Fate.NEVER_ARRIVES)),
    "fence set late": (WRITTEN, at_kube(points.fence, Fate.ARRIVES_LATE)),
    "fence set, answer lost": (WRITTEN, at_kube(points.fence, Fate.ANSWER_LOST)),
    "record of the written key never stored": (WRITTEN, at_kube(points.recorded, Fate.NEVER_ARRIVES)),
    "record of the written key stored late": (WRITTEN, at_kube(points.recorded, Fate.ARRIVES_LATE)),
}


@pytest.fixture(scope="module")
def twice_dead(crash_site: CrashSite) -> dict[str, str]:
    """The object of each case, after both deaths."""
    names = {case: crash_site.new_name() for case in SECOND_DEATHS}
    first = []
    for case, name in names.items():
        death = SECOND_DEATHS[case][0]
        stop = crash_site.stop_at(death.place, name, death.fate)
        crash_site.world.apply_key(name)
        stop.wait_held()
        first.append(stop)
    crash_site.kill()
    for stop in first:
        stop.settle()
    second = [
        crash_site.stop_at(SECOND_DEATHS[case][1].place, name, SECOND_DEATHS[case][1].fate)
        for case, name in names.items()
    ]
    crash_site.restart()
    crash_site.crash(*second)
    return names


@pytest.mark.parametrize("case", SECOND_DEATHS)
def test_a_recovery_survives_kill_9(crash_site: CrashSite, twice_dead: dict[str, str], case: str) -> None:
    crash_site.assert_one_live_key(twice_dead[case], mints=SECOND_DEATHS[case][1].mints)


@pytest.mark.parametrize(
    ("fate", "mints"),
    [
        pytest.param(Fate.NEVER_ARRIVES, 2, id="the replay never arrives"),
        pytest.param(Fate.ARRIVES_LATE, 2, id="the replay is answered to nobody"),
        pytest.param(Fate.ANSWER_LOST, 2, id="the redacted answer is lost"),
    ],
)
def test_a_replay_survives_kill_9(site: CrashSite, fate: Fate, mints: int) -> None:
    name = site.new_name()
    stop = site.stop_at(LOST.place, name, LOST.fate)
    site.world.apply_key(name)
    site.crash(stop)
    site.crash(site.stop_at(AtVendor(Operation.MINT), name, fate))
    site.assert_one_live_key(name, mints=mints)


def test_each_of_two_kills_after_a_mint_costs_one_key_more(site: CrashSite) -> None:
    name = site.new_name()
    stop = site.stop_at(AtKube(points.secret_create), name, Fate.NEVER_ARRIVES)
    site.world.apply_key(name)
    stop.wait_held()
    site.kill()
    stop.settle()
    stop = site.stop_at(AtKube(points.secret_create), name, Fate.NEVER_ARRIVES)
    site.restart()
    site.crash(stop)
    site.assert_one_live_key(name, mints=3)


def test_a_post_that_commits_while_the_successor_asks_again_costs_one_key_more(site: CrashSite) -> None:
    name = site.new_name()
    stop = site.stop_at(AtVendor(Operation.MINT), name, Fate.ARRIVES_LATE)
    site.world.apply_key(name)
    stop.wait_held()
    site.kill()
    site.world.vendor.forget_calls()
    site.restart()
    refused = site.await_call(Operation.MINT, 409)
    assert refused.code == "idempotency_in_progress"
    stop.settle()
    site.assert_one_live_key(name, mints=2)


def test_a_secret_created_by_the_dead_while_the_successor_creates_its_own_is_overwritten(site: CrashSite) -> None:
    name = site.new_name()
    dead = site.stop_at(AtKube(points.secret_create), name, Fate.ARRIVES_LATE)
    site.world.apply_key(name)
    dead.wait_held()
    site.kill()
    successor = site.proxy.order(points.secret_create(name), Hold(When.BEFORE))
    site.restart()
    successor.wait_held()
    dead.settle()
    assert successor.let_pass() == 409
    site.assert_one_live_key(name, mints=2)


def test_a_secret_written_by_the_dead_after_the_fence_is_refused(site: CrashSite) -> None:
    name = site.new_name()
    site.apply_ready([name], rotation={"overlap": "1s"})
    first = site.rows(name)[0].id
    dead = site.proxy.order(points.secret_patch(name), Hold(When.BEFORE))
    site.world.kubectl(
        "annotate", "saperlykey", name, f"--namespace={site.world.namespace}", "saperly.com/rotate-requested-at=now"
    )
    dead.wait_held()
    site.kill()
    abandoning = site.proxy.order(points.intent_abandoned(name), Hold(When.BEFORE))
    site.restart()
    abandoning.wait_held()
    assert dead.let_pass() == 409, "the successor has concluded that this write will never be"
    abandoning.let_pass()
    site.assert_one_live_key(name, mints=3, replaced=first)


def test_a_failure_that_the_vendor_remembers_is_left_behind_with_its_idempotency_key(site: CrashSite) -> None:
    name = site.new_name()
    site.world.vendor.change_settings({"cached_failures": [402, 500, 503]})
    site.world.vendor.order_fault(Fault(kind=FaultKind.STATUS, status=503, operation=Operation.MINT))
    site.world.vendor.forget_calls()
    site.world.apply_key(name)
    # Asked of the vendor, who remembers: on a slow machine the status may have moved on before anybody looks.
    eventually(
        lambda: any(call.operation is Operation.MINT for call in site.world.vendor.calls()), "the vendor failed once"
    )
    site.kill()
    site.restart()
    site.assert_one_live_key(name, mints=1)
    answers = [call.status for call in site.world.vendor.calls() if call.operation is Operation.MINT]
    assert len(answers) > Timings().unknown_attempts
    assert answers == [*([503] * (len(answers) - 1)), 201], "the same request at least three times, and then another"
