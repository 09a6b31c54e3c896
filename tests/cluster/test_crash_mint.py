"""kill -9 at every step of a first mint: before its request arrives, late, or with the answer lost."""

import pytest

from saperly_operator.simulator.state import Operation
from tests.cluster import crash_points as points
from tests.cluster.crash_points import Fate, at_kube, at_vendor
from tests.cluster.crash_site import CrashSite

CASES = {
    "finalizer never set": at_kube(points.finalizer_set, Fate.NEVER_ARRIVES),
    "finalizer set late": at_kube(points.finalizer_set, Fate.ARRIVES_LATE),
    "finalizer set, answer lost": at_kube(points.finalizer_set, Fate.ANSWER_LOST),
    "dry run never made": at_kube(points.dry_run, Fate.NEVER_ARRIVES),
    "dry run passed, answer lost": at_kube(points.dry_run, Fate.ANSWER_LOST),
    "intent never stored": at_kube(points.intent_stored, Fate.NEVER_ARRIVES),
    "intent stored late": at_kube(points.intent_stored, Fate.ARRIVES_LATE),
    "intent stored, answer lost": at_kube(points.intent_stored, Fate.ANSWER_LOST),
    "POST never arrives": at_vendor(Operation.MINT, Fate.NEVER_ARRIVES),
    "POST committed after the death": at_vendor(Operation.MINT, Fate.ARRIVES_LATE, mints=2),
    "POST committed, answer lost": at_vendor(Operation.MINT, Fate.ANSWER_LOST, mints=2),
    "Secret never created": at_kube(points.secret_create, Fate.NEVER_ARRIVES, mints=2),
    "Secret created late": at_kube(points.secret_create, Fate.ARRIVES_LATE),
    "Secret created, answer lost": at_kube(points.secret_create, Fate.ANSWER_LOST),
    "record never stored": at_kube(points.recorded, Fate.NEVER_ARRIVES),
    "record stored late": at_kube(points.recorded, Fate.ARRIVES_LATE),
    "record stored, answer lost": at_kube(points.recorded, Fate.ANSWER_LOST),
    "event never written": at_kube(points.event("Issued"), Fate.NEVER_ARRIVES),
    "event written, answer lost": at_kube(points.event("Issued"), Fate.ANSWER_LOST),
}


@pytest.fixture(scope="module")
def names(crash_site: CrashSite) -> dict[str, str]:
    """The object of each case; the operator was killed when every one had come to its request."""
    return crash_site.wave(CASES, crash_site.world.apply_key)


@pytest.mark.parametrize("case", CASES)
def test_a_first_mint_survives_kill_9(crash_site: CrashSite, names: dict[str, str], case: str) -> None:
    crash_site.assert_one_live_key(names[case], mints=CASES[case].mints)
