"""kill -9 at every step of adoption: of a key whose object was restored, and of one that a person names."""

import base64
import json
from typing import Any

import pytest

from saperly_operator.resources import annotations
from saperly_operator.simulator.control_orders import KeyOrder
from saperly_operator.simulator.state import Operation
from tests.cluster import crash_points as points
from tests.cluster.crash_points import Fate, at_kube, at_vendor
from tests.cluster.crash_site import CrashSite
from tests.cluster.test_restore import saved
from tests.support.kube_proxy import Match
from tests.support.leaks import EVIDENCE


def secret_claim(name: str) -> Match:
    """The record of a key that a person named, into that person's Secret."""
    return Match(
        "PATCH",
        rf"/secrets/{name}\?(?!.*dryRun)",
        lambda body: body["metadata"].get("annotations", {}).get(annotations.KEY_ID) is not None,
    )


NAMED = {
    "finalizer never arrives": at_kube(points.finalizer_set, Fate.NEVER_ARRIVES),
    "finalizer set, answer lost": at_kube(points.finalizer_set, Fate.ANSWER_LOST),
    "record never arrives": at_kube(secret_claim, Fate.NEVER_ARRIVES),
    "record arrives late": at_kube(secret_claim, Fate.ARRIVES_LATE),
    "record written, answer lost": at_kube(secret_claim, Fate.ANSWER_LOST),
    "tag never arrives": at_vendor(Operation.UPDATE, Fate.NEVER_ARRIVES),
    "tag arrives late": at_vendor(Operation.UPDATE, Fate.ARRIVES_LATE),
    "tagged, answer lost": at_vendor(Operation.UPDATE, Fate.ANSWER_LOST),
    "status never arrives": at_kube(points.recorded, Fate.NEVER_ARRIVES),
    "status arrives late": at_kube(points.recorded, Fate.ARRIVES_LATE),
    "adopted, answer lost": at_kube(points.recorded, Fate.ANSWER_LOST),
}
RESTORED = {
    "status never arrives": at_kube(points.recorded, Fate.NEVER_ARRIVES),
    "status arrives late": at_kube(points.recorded, Fate.ARRIVES_LATE),
    "adopted, answer lost": at_kube(points.recorded, Fate.ANSWER_LOST),
    "event never arrives": at_kube(points.event("Adopted"), Fate.NEVER_ARRIVES),
}


@pytest.fixture(scope="module")
def named(crash_site: CrashSite) -> dict[str, tuple[str, str]]:
    """For each case the object's name and the id of the key that it was told to adopt, when all is well again."""
    names = {case: crash_site.new_name() for case in NAMED}
    ids = {case: planted(crash_site, name) for case, name in names.items()}
    stops = [crash_site.stop_at(NAMED[case].place, name, NAMED[case].fate) for case, name in names.items()]
    crash_site.world.kubectl.apply(
        *(
            crash_site.world.key_object(name, metadata={"annotations": {annotations.ADOPT_KEY_ID: ids[case]}})
            for case, name in names.items()
        ),
        namespace=crash_site.world.namespace,
    )
    crash_site.crash(*stops)
    return {case: (name, ids[case]) for case, name in names.items()}


def planted(site: CrashSite, name: str) -> str:
    """A key that a person made, in a Secret that may be taken over; returns its id."""
    holder = site.world.vendor.service_keys()[0].id
    made = site.world.vendor.plant_key(KeyOrder(service_key_id=holder, name=f"{site.world.namespace}/{name}"))
    plaintext = EVIDENCE.learn(made.plaintext.get_secret_value())
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "annotations": {annotations.ADOPT_FOR: name}},
        "data": {"SAPERLY_API_KEY": base64.b64encode(plaintext.encode()).decode()},
    }
    site.world.kubectl("create", f"--namespace={site.world.namespace}", "--filename=-", stdin=json.dumps(secret))
    return str(made.id)


@pytest.mark.parametrize("case", NAMED)
def test_a_named_key_is_adopted_and_nothing_minted(
    site: CrashSite, named: dict[str, tuple[str, str]], case: str
) -> None:
    name, key_id = named[case]
    assert site.assert_one_live_key(name, mints=1).id == key_id


@pytest.fixture(scope="module")
def restored(crash_site: CrashSite) -> dict[str, tuple[str, str]]:
    """For each case the object's name and the id of its key, after a backup was restored under an operator that dies."""
    world = crash_site.world
    names = {case: crash_site.new_name() for case in RESTORED}
    crash_site.apply_ready(names.values())
    ids = {case: crash_site.live(name)[0].id for case, name in names.items()}
    backup = {name: back_up(crash_site, name) for name in names.values()}
    crash_site.kill()
    for name in names.values():
        here = f"--namespace={world.namespace}"
        world.kubectl("patch", "skey", name, here, "--type=merge", '--patch={"metadata":{"finalizers":null}}')
        world.kubectl("delete", "skey", name, here, "--ignore-not-found")
        world.kubectl("delete", "secret", name, here)
    stops = [crash_site.stop_at(RESTORED[case].place, name, RESTORED[case].fate) for case, name in names.items()]
    for bodies in backup.values():
        for body in bodies:  # the Secret first
            world.kubectl("create", f"--namespace={world.namespace}", "--filename=-", stdin=json.dumps(body))
    crash_site.restart()
    crash_site.crash(*stops)
    return {case: (name, ids[case]) for case, name in names.items()}


def back_up(site: CrashSite, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    world = site.world
    secret = world.kubectl.read("Secret", name, namespace=world.namespace)
    return saved(secret), saved(world.key(name))


@pytest.mark.parametrize("case", RESTORED)
def test_a_restored_key_is_adopted_and_nothing_minted(
    site: CrashSite, restored: dict[str, tuple[str, str]], case: str
) -> None:
    name, key_id = restored[case]
    assert site.assert_one_live_key(name, mints=1).id == key_id
