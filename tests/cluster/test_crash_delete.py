"""kill -9 at every step of a deletion: with ``Revoke`` nothing lives on, with ``Orphan`` exactly the key in the Secret.

Nothing is minted once deletion has begun, and an object never goes before its keys are accounted for.
"""

import pytest

from saperly_operator.simulator.state import Operation
from tests.cluster import crash_points as points
from tests.cluster.crash_points import AtKube, Case, Fate, at_kube, at_vendor
from tests.cluster.crash_site import CrashSite, Stop
from tests.support.waiting import eventually

REVOKED = {
    "DELETE never arrives": at_vendor(Operation.REVOKE, Fate.NEVER_ARRIVES),
    "DELETE arrives late": at_vendor(Operation.REVOKE, Fate.ARRIVES_LATE),
    "DELETE done, answer lost": at_vendor(Operation.REVOKE, Fate.ANSWER_LOST),
    "revocation never noted": at_kube(points.key_forgotten, Fate.NEVER_ARRIVES),
    "revocation noted late": at_kube(points.key_forgotten, Fate.ARRIVES_LATE),
    "revocation noted, answer lost": at_kube(points.key_forgotten, Fate.ANSWER_LOST),
    "Secret never deleted": at_kube(points.secret_delete, Fate.NEVER_ARRIVES),
    "Secret deleted late": at_kube(points.secret_delete, Fate.ARRIVES_LATE),
    "Secret deleted, answer lost": at_kube(points.secret_delete, Fate.ANSWER_LOST),
    "finalizer never removed": at_kube(points.finalizer_removal, Fate.NEVER_ARRIVES),
    "finalizer removed late": at_kube(points.finalizer_removal, Fate.ARRIVES_LATE),
    "finalizer removed, answer lost": at_kube(points.finalizer_removal, Fate.ANSWER_LOST),
}
RELEASED = {
    "name never changed": at_vendor(Operation.UPDATE, Fate.NEVER_ARRIVES),
    "name changed late": at_vendor(Operation.UPDATE, Fate.ARRIVES_LATE),
    "name changed, answer lost": at_vendor(Operation.UPDATE, Fate.ANSWER_LOST),
    "release never noted": at_kube(points.key_forgotten, Fate.NEVER_ARRIVES),
    "release noted, answer lost": at_kube(points.key_forgotten, Fate.ANSWER_LOST),
    "Secret never released": at_kube(points.secret_release, Fate.NEVER_ARRIVES),
    "Secret released late": at_kube(points.secret_release, Fate.ARRIVES_LATE),
    "Secret released, answer lost": at_kube(points.secret_release, Fate.ANSWER_LOST),
    "finalizer never removed": at_kube(points.finalizer_removal, Fate.NEVER_ARRIVES),
}
LATE_POST = at_vendor(Operation.MINT, Fate.ARRIVES_LATE)
OPEN_MINTS = {
    "POST never arrives": at_vendor(Operation.MINT, Fate.NEVER_ARRIVES),
    "POST committed after the death": LATE_POST,
    "POST committed, answer lost": at_vendor(Operation.MINT, Fate.ANSWER_LOST),
    "Secret never created": at_kube(points.secret_create, Fate.NEVER_ARRIVES),
    "Secret created late": at_kube(points.secret_create, Fate.ARRIVES_LATE),
    "record never stored": at_kube(points.recorded, Fate.NEVER_ARRIVES),
}


def delete(site: CrashSite, name: str) -> None:
    site.world.kubectl("delete", "saperlykey", name, f"--namespace={site.world.namespace}", "--wait=false")


@pytest.fixture(scope="module")
def revoked(crash_site: CrashSite) -> dict[str, str]:
    return crash_site.wave(REVOKED, lambda name: delete(crash_site, name), deletionPolicy="Revoke")


@pytest.fixture(scope="module")
def released(crash_site: CrashSite) -> dict[str, str]:
    return crash_site.wave(RELEASED, lambda name: delete(crash_site, name), deletionPolicy="Orphan")


@pytest.mark.parametrize("case", REVOKED)
def test_a_revoking_deletion_survives_kill_9(crash_site: CrashSite, revoked: dict[str, str], case: str) -> None:
    name = revoked[case]
    crash_site.world.wait_gone(name)
    assert [row.revoked_at is not None for row in crash_site.rows(name)] == [True], "its one key was revoked"
    assert name not in crash_site.world.secret_names()


@pytest.mark.parametrize("case", RELEASED)
def test_a_releasing_deletion_survives_kill_9(crash_site: CrashSite, released: dict[str, str], case: str) -> None:
    name = released[case]
    crash_site.world.wait_gone(name)
    (row,) = crash_site.rows(name)
    assert row.revoked_at is None
    assert row.name == f"{crash_site.world.namespace}/{name}", "no tag is left by which a sweep could take it"
    assert crash_site.digest(name) == row.digest
    secret = crash_site.world.kubectl.read("Secret", name, namespace=crash_site.world.namespace)
    assert not any(key.startswith("saperly.com/") for key in secret["metadata"].get("annotations", {}))
    assert "labels" not in secret["metadata"]


def die_minting_and_be_deleted(site: CrashSite, name: str, at: Case = LATE_POST) -> Stop:
    """Kill the operator at a step of a first mint, and delete the object while nobody watches."""
    stop = site.stop_at(at.place, name, at.fate)
    site.world.apply_key(name)
    stop.wait_held()
    site.kill()
    delete(site, name)
    return stop


@pytest.mark.parametrize("case", OPEN_MINTS)
def test_a_mint_left_open_is_revoked_when_its_object_is_deleted(site: CrashSite, case: str) -> None:
    name = site.new_name()
    die_minting_and_be_deleted(site, name, OPEN_MINTS[case]).settle()
    site.world.vendor.forget_calls()
    site.restart()
    site.world.wait_gone(name)
    assert site.live(name) == []
    assert name not in site.world.secret_names()
    assert Operation.MINT not in {call.operation for call in site.world.vendor.calls()}, "deletion never mints"


def test_a_mint_whose_record_is_missing_is_the_key_that_an_orphaning_deletion_leaves(site: CrashSite) -> None:
    name = site.new_name()
    stop = site.stop_at(AtKube(points.recorded), name, Fate.NEVER_ARRIVES)
    site.world.apply_key(name, deletionPolicy="Orphan")
    stop.wait_held()
    site.kill()
    delete(site, name)
    stop.settle()
    site.restart()
    site.world.wait_gone(name)
    (row,) = site.rows(name)
    assert row.revoked_at is None
    assert row.name == f"{site.world.namespace}/{name}"
    assert site.digest(name) == row.digest


def test_a_mint_that_arrives_after_its_object_is_gone_is_swept(site: CrashSite) -> None:
    late = site.new_name()
    stop = die_minting_and_be_deleted(site, late)
    site.restart()
    site.world.wait_gone(late)
    stop.settle()
    eventually(lambda: site.live(late), "the request took effect, with nobody left to tell")
    site.world.vendor.advance_clock(31 * 60)  # beyond the age from which an unused key without an owner is an orphan

    other = site.new_name()
    die_minting_and_be_deleted(site, other).settle()
    site.restart()  # which lists the keys at the vendor, for the sake of the other's open mint
    site.world.wait_gone(other)
    eventually(lambda: not site.live(late), "the list showed the orphan, and it was revoked")
