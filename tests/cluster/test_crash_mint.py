"""kill -9 at every step of a first mint, on the real cluster: before a request arrives, late, or with its answer lost."""

import pytest

from saperly_operator.simulator.state import Operation
from tests.cluster import crash_site as at
from tests.cluster.crash_site import AtKube, AtVendor, CrashSite, Fate, Place

CASES: dict[str, tuple[Place, Fate, int]] = {
    "finalizer never set": (AtKube(at.finalizer_set), Fate.NEVER_ARRIVES, 1),
    "finalizer set late": (AtKube(at.finalizer_set), Fate.ARRIVES_LATE, 1),
    "finalizer set, answer lost": (AtKube(at.finalizer_set), Fate.ANSWER_LOST, 1),
    "dry run never made": (AtKube(at.dry_run), Fate.NEVER_ARRIVES, 1),
    "dry run passed, answer lost": (AtKube(at.dry_run), Fate.ANSWER_LOST, 1),
    "intent never stored": (AtKube(at.intent_stored), Fate.NEVER_ARRIVES, 1),
    "intent stored late": (AtKube(at.intent_stored), Fate.ARRIVES_LATE, 1),
    "intent stored, answer lost": (AtKube(at.intent_stored), Fate.ANSWER_LOST, 1),
    "POST never arrives": (AtVendor(Operation.MINT), Fate.NEVER_ARRIVES, 1),
    "POST committed after the death": (AtVendor(Operation.MINT), Fate.ARRIVES_LATE, 2),
    "POST committed, answer lost": (AtVendor(Operation.MINT), Fate.ANSWER_LOST, 2),
    "Secret never created": (AtKube(at.secret_create), Fate.NEVER_ARRIVES, 2),
    "Secret created late": (AtKube(at.secret_create), Fate.ARRIVES_LATE, 1),
    "Secret created, answer lost": (AtKube(at.secret_create), Fate.ANSWER_LOST, 1),
    "record never stored": (AtKube(at.recorded), Fate.NEVER_ARRIVES, 1),
    "record stored late": (AtKube(at.recorded), Fate.ARRIVES_LATE, 1),
    "record stored, answer lost": (AtKube(at.recorded), Fate.ANSWER_LOST, 1),
    "event never written": (AtKube(at.event("Issued")), Fate.NEVER_ARRIVES, 1),
    "event written, answer lost": (AtKube(at.event("Issued")), Fate.ANSWER_LOST, 1),
}


@pytest.mark.parametrize("case", list(CASES))
def test_a_first_mint_survives_kill_9(site: CrashSite, case: str) -> None:
    place, fate, mints = CASES[case]
    name = site.new_name()
    stop = site.stop_at(place, name, fate)
    site.world.apply_key(name)
    site.crash(stop)
    site.assert_ready_with_one_live_key(name, mints=mints)
