"""kill -9 at every step of a mint that replaces a key: its Secret was altered, was deleted, or it is to be rotated."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import pytest

from saperly_operator.simulator.state import Operation
from tests.cluster import crash_points as points
from tests.cluster.crash_points import Fate, at_kube, at_vendor
from tests.cluster.crash_site import CrashSite

ALTERED = {
    "dry run never made": at_kube(points.dry_run_over, Fate.NEVER_ARRIVES, mints=2),
    "intent never stored": at_kube(points.intent_stored, Fate.NEVER_ARRIVES, mints=2),
    "intent stored late": at_kube(points.intent_stored, Fate.ARRIVES_LATE, mints=2),
    "POST never arrives": at_vendor(Operation.MINT, Fate.NEVER_ARRIVES, mints=2),
    "POST committed after the death": at_vendor(Operation.MINT, Fate.ARRIVES_LATE, mints=3),
    "POST committed, answer lost": at_vendor(Operation.MINT, Fate.ANSWER_LOST, mints=3),
    "Secret never written": at_kube(points.secret_patch, Fate.NEVER_ARRIVES, mints=3),
    "Secret written late": at_kube(points.secret_patch, Fate.ARRIVES_LATE, mints=2),
    "Secret written, answer lost": at_kube(points.secret_patch, Fate.ANSWER_LOST, mints=2),
    "record never stored": at_kube(points.recorded, Fate.NEVER_ARRIVES, mints=2),
    "record stored late": at_kube(points.recorded, Fate.ARRIVES_LATE, mints=2),
    "record stored, answer lost": at_kube(points.recorded, Fate.ANSWER_LOST, mints=2),
}
DELETED = {
    "dry run never made": at_kube(points.dry_run, Fate.NEVER_ARRIVES, mints=2),
    "POST committed, answer lost": at_vendor(Operation.MINT, Fate.ANSWER_LOST, mints=3),
    "Secret never created": at_kube(points.secret_create, Fate.NEVER_ARRIVES, mints=3),
    "Secret created late": at_kube(points.secret_create, Fate.ARRIVES_LATE, mints=2),
    "record never stored": at_kube(points.recorded, Fate.NEVER_ARRIVES, mints=2),
}
ROTATED = {
    "POST committed, answer lost": at_vendor(Operation.MINT, Fate.ANSWER_LOST, mints=3),
    "Secret never written": at_kube(points.secret_patch, Fate.NEVER_ARRIVES, mints=3),
    "Secret written, answer lost": at_kube(points.secret_patch, Fate.ANSWER_LOST, mints=2),
    "record never stored": at_kube(points.recorded, Fate.NEVER_ARRIVES, mints=2),
    "event never written": at_kube(points.event("Rotated"), Fate.NEVER_ARRIVES, mints=2),
    "old key never revoked": at_vendor(Operation.REVOKE, Fate.NEVER_ARRIVES, mints=2),
    "old key revoked late": at_vendor(Operation.REVOKE, Fate.ARRIVES_LATE, mints=2),
    "old key revoked, answer lost": at_vendor(Operation.REVOKE, Fate.ANSWER_LOST, mints=2),
    "revocation never noted": at_kube(points.key_forgotten, Fate.NEVER_ARRIVES, mints=2),
    "revocation noted, answer lost": at_kube(points.key_forgotten, Fate.ANSWER_LOST, mints=2),
}
TABLES = {"Secret altered": ALTERED, "Secret deleted": DELETED, "rotation requested": ROTATED}


COMMANDS = {
    "Secret altered": ("patch", "secret", "{}", '--patch={"stringData":{"SAPERLY_API_KEY":"altered"}}'),
    "Secret deleted": ("delete", "secret", "{}"),
    "rotation requested": ("annotate", "saperlykey", "{}", "saperly.com/rotate-requested-at=now"),
}


@dataclass(frozen=True)
class Wave:
    """What one death left behind: the object of each case, and the id of the key that it had before."""

    names: dict[str, str]
    replaced: dict[str, str]


@pytest.fixture(scope="module")
def wave_of(crash_site: CrashSite) -> Callable[[str], Wave]:
    """The deaths of one table, by its cause; died once, when first asked for."""

    @cache
    def wave(cause: str) -> Wave:
        namespace = f"--namespace={crash_site.world.namespace}"

        def begin(name: str) -> None:
            crash_site.world.kubectl(*(name if word == "{}" else word for word in COMMANDS[cause]), namespace)

        names = crash_site.wave(TABLES[cause], begin, rotation={"overlap": "1s"})
        return Wave(names, {case: crash_site.rows(name)[0].id for case, name in names.items()})

    return wave


@pytest.mark.parametrize(
    ("cause", "case"),
    [pytest.param(cause, case, id=f"{cause}: {case}") for cause, table in TABLES.items() for case in table],
)
def test_a_replacement_survives_kill_9(
    crash_site: CrashSite, wave_of: Callable[[str], Wave], cause: str, case: str
) -> None:
    wave = wave_of(cause)
    mints = TABLES[cause][case].mints
    crash_site.assert_one_live_key(wave.names[case], mints=mints, replaced=wave.replaced[case])
