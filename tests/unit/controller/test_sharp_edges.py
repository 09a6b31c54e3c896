"""Histories that a hostile reading of the code found: each lost, leaked or wrongly revoked a key, or went in circles."""

from base64 import b64encode
from dataclasses import replace
from typing import Any

import pytest

from saperly_operator.kube import errors
from saperly_operator.kube.api import CLUSTER_PROVIDERS, PLAIN, SAPERLY_KEYS, SECRETS, Object, Resource
from saperly_operator.lifecycle.naming import released_name
from saperly_operator.resources import annotations, reasons
from saperly_operator.saperly.models import Environment
from saperly_operator.simulator.faults import Fault as VendorFault
from saperly_operator.simulator.faults import FaultKind
from tests.support.faulty_kube import Fault
from tests.support.memory_kube import SecretQuota
from tests.unit.controller.world import NAME, NAMESPACE, World

LOST = errors.Unavailable("a call", None, "TimeoutError")


async def delivered(world: World, **spec: Any) -> str:
    """An object at rest; returns the id of its key."""
    await world.apply(**spec)
    await world.reconcile()
    (key_id,) = world.live()
    world.forget_calls()
    return key_id


async def edit(world: World, patch: Object) -> None:
    """Somebody changes the object; the watch shows it."""
    body = await world.memory.patch(SAPERLY_KEYS, NAMESPACE, NAME, patch, options=PLAIN)
    world.operator.intake.key_event("MODIFIED", body)


async def edit_secret(world: World, patch: Object) -> None:
    body = await world.memory.patch(SECRETS, NAMESPACE, NAME, patch, options=PLAIN)
    world.operator.intake.secret_event("MODIFIED", body)


# --- two processes ------------------------------------------------------------------------------------------------------


async def test_an_intent_taken_over_a_moment_ago_is_not_taken_back_before_its_requests_have_settled(
    world: World,
) -> None:
    first = world.operator
    world.kube.faults.append(Fault("POST secrets", LOST))
    await world.apply()
    await world.reconcile()
    second = await world.another_process()
    await world.reconcile(operator=second)
    world.clock.advance(61)
    world.simulator.faults.order(VendorFault(kind=FaultKind.STATUS))
    await world.reconcile(operator=second)
    body = await world.memory.get(SAPERLY_KEYS, NAMESPACE, NAME)
    holder = second.tools.observer.myself.holder
    assert body["status"]["intent"]["holder"] == holder, "and its requests come to nothing for now"

    first.intake.key_event("MODIFIED", body)
    await world.reconcile(operator=first)
    world.clock.advance(59)
    await world.reconcile(operator=first)
    body = await world.memory.get(SAPERLY_KEYS, NAMESPACE, NAME)
    assert body["status"]["intent"]["holder"] == holder
    world.clock.advance(2)
    await world.reconcile(operator=first)
    key = await world.key()
    assert key.status.intent is None or key.status.intent.holder == first.tools.observer.myself.holder


# --- the finalizer ------------------------------------------------------------------------------------------------------


async def test_a_finalizer_that_was_taken_off_is_put_back(world: World) -> None:
    await delivered(world)
    await edit(world, {"metadata": {"finalizers": None}})
    await world.reconcile()
    assert annotations.FINALIZER in (await world.key()).metadata.finalizers
    await world.delete()
    await world.reconcile()
    assert world.live() == []


# --- the end of an object -----------------------------------------------------------------------------------------------


async def test_a_forced_end_with_orphan_leaves_a_secret_whose_key_no_sweep_revokes(world: World) -> None:
    key_id = await delivered(world, deletionPolicy="Orphan")
    await edit(world, {"metadata": {"annotations": {annotations.FORCE_DELETE: "true"}}})
    await world.delete()
    await world.reconcile()
    assert world.requests == []
    assert await world.secret() is not None
    world.clock.advance(3600)
    await world.sweep()
    assert world.live() == [key_id]


async def test_a_policy_that_was_changed_before_the_watch_showed_it_decides_how_the_key_ends(world: World) -> None:
    key_id = await delivered(world)
    await world.memory.patch(SAPERLY_KEYS, NAMESPACE, NAME, {"spec": {"deletionPolicy": "Orphan"}}, options=PLAIN)
    body = await world.memory.get(SAPERLY_KEYS, NAMESPACE, NAME)
    stale = world.operator.tools.cache.key((NAMESPACE, NAME))
    assert stale is not None
    deleting = {**stale, "metadata": {**stale["metadata"], "deletionTimestamp": world.clock.now().isoformat()}}
    metadata = body["metadata"]
    await world.memory.delete(SAPERLY_KEYS, NAMESPACE, NAME, uid=metadata["uid"], version=metadata["resourceVersion"])
    world.operator.tools.cache.drop_key((NAMESPACE, NAME))
    world.operator.intake.key_event("MODIFIED", deleting)
    await world.reconcile()
    assert world.live() == [key_id]


async def test_a_key_that_was_released_while_a_list_was_under_way_is_not_revoked_as_an_orphan(world: World) -> None:
    key_id = await delivered(world)
    (mine,) = world.control.live_keys()
    stray = world.control.plant_key(mine.created_by_service_key_id, mine.name.removesuffix("1]") + "9]").child
    world.clock.advance(3600)
    await world.sweep()
    world.simulator.core.store.put_child(replace(stray, name=released_name(stray.name)))
    await world.reconcile_after(120, times=3)
    assert set(world.live()) == {key_id, stray.id}
    assert (await world.key()).status.retiring == ()


# --- nothing cosmetic mints ---------------------------------------------------------------------------------------------


async def test_an_entry_that_is_renamed_and_back_before_status_knew_costs_no_mint(world: World) -> None:
    key_id = await delivered(world)
    world.kube.faults.append(Fault("PATCH saperlykeys/status", LOST))
    await world.apply(secret={"key": "TOKEN"})
    await world.reconcile()
    secret = await world.secret()
    assert secret is not None
    assert set(secret["data"]) == {"TOKEN"}, "moved, and status does not say so yet"
    await world.apply(secret={"key": "SAPERLY_API_KEY"})
    await world.reconcile_after(60)
    secret = await world.secret()
    assert secret is not None
    assert set(secret["data"]) == {"SAPERLY_API_KEY"}
    assert world.live() == [key_id]
    assert world.minted() == 0


async def test_a_rename_into_a_full_quota_says_so_and_goes_on_when_there_is_room(world: World) -> None:
    key_id = await delivered(world)
    full = SecretQuota(NAMESPACE)
    world.memory.admissions.append(full)
    await world.apply(secret={"name": "renamed"})
    await world.reconcile()
    told = await world.reasons()
    assert (told["Ready"], told["Stalled"]) == (reasons.QUOTA_EXCEEDED, reasons.QUOTA_EXCEEDED)
    world.memory.admissions.remove(full)
    await world.reconcile_after(400)
    assert await world.secret("renamed") is not None
    assert await world.secret() is None
    assert world.live() == [key_id]
    assert "Stalled" not in await world.reasons()


# --- fights over the Secret ---------------------------------------------------------------------------------------------


async def test_labels_that_something_takes_off_are_put_back_more_and_more_rarely(world: World) -> None:
    await delivered(world, secret={"labels": {"team": "support"}})

    def strip(resource: Resource, new: Object, old: Object | None, *, dry_run: bool) -> None:
        del old, dry_run
        if resource.plural == "secrets":
            new["metadata"].get("labels", {}).pop("team", None)

    world.memory.admissions.append(strip)
    await edit_secret(world, {"metadata": {"labels": {"team": None}}})
    world.forget_calls()
    await world.reconcile_after(5, times=120)
    assert world.kube.writes.count("PATCH secrets") <= 9, "ten minutes at 5 s, 10 s, … 5 min"
    assert (await world.reasons())["Reconciling"] == reasons.SECRET_CONTESTED
    assert (await world.reasons())["Ready"] == reasons.SECRET_CONTESTED


@pytest.mark.parametrize("strategy", ["Atomic", "Overlap"])
async def test_labels_that_something_takes_off_for_ever_hold_no_rotation_up(world: World, strategy: str) -> None:
    await delivered(world, secret={"labels": {"team": "support"}}, rotation={"strategy": strategy})
    old = await world.current_id()

    def strip(resource: Resource, new: Object, old: Object | None, *, dry_run: bool) -> None:
        del old
        if resource.plural == "secrets" and not dry_run:
            new["metadata"].get("labels", {}).pop("team", None)

    world.memory.admissions.append(strip)
    await edit_secret(world, {"metadata": {"labels": {"team": None}}})
    await world.reconcile_after(5, times=10)
    assert (await world.reasons())["Reconciling"] == reasons.SECRET_CONTESTED
    await edit(world, {"metadata": {"annotations": {annotations.ROTATE_REQUESTED_AT: "now"}}})
    await world.reconcile()
    assert await world.current_id() != old
    assert (await world.reasons())["Reconciling"] == reasons.SECRET_CONTESTED


async def test_a_key_that_something_changes_while_it_is_written_is_given_up_and_not_minted_again_and_again(
    world: World,
) -> None:
    def scramble(resource: Resource, new: Object, old: Object | None, *, dry_run: bool) -> None:
        del old
        if resource.plural == "secrets" and not dry_run:
            new["data"] = {name: b64encode(b"scrambled").decode() for name in new["data"]}

    world.memory.admissions.append(scramble)
    await world.apply()
    await world.reconcile_after(30, times=2 * 60 * 24)
    assert world.minted() <= 12, "a day of tries that back off up to six hours"
    assert len(world.live()) <= 1


# --- what a key is minted for -------------------------------------------------------------------------------------------


async def test_a_provider_of_another_environment_replaces_the_key(world: World) -> None:
    key_id = await delivered(world)
    live_key = world.control.create_service_key(environment=Environment.LIVE).plaintext
    data = {"SAPERLY_SERVICE_KEY": b64encode(live_key.encode()).decode()}
    secret = {"metadata": {"name": "live-key", "namespace": "saperly-system"}, "data": data}
    await world.memory.create(SECRETS, "saperly-system", secret)
    spec = {
        "environment": "live",
        "serviceKeys": [{"name": "live", "secretRef": {"name": "live-key"}}],
    }
    body = await world.memory.patch(CLUSTER_PROVIDERS, None, "default", {"spec": spec}, options=PLAIN)
    world.operator.intake.provider_event("ClusterSaperlyProvider", "MODIFIED", body)
    await world.operator.provider_worker.handle(("ClusterSaperlyProvider", "", "default"))
    await world.reconcile_after(60)
    current = (await world.key()).status.current
    assert current is not None
    assert current.id != key_id
    assert current.prefix.startswith("sk_live_")


async def test_a_secret_of_another_type_is_never_written_to_whatever_record_it_carries(world: World) -> None:
    await delivered(world)
    mine = await world.secret()
    assert mine is not None
    metadata = mine["metadata"]
    await world.memory.delete(SECRETS, NAMESPACE, NAME, uid=metadata["uid"], version=metadata["resourceVersion"])
    forged = {
        "metadata": {key: metadata[key] for key in ("name", "namespace", "labels", "annotations")},
        "type": "kubernetes.io/tls",
        "data": {"tls.crt": "", "tls.key": ""},
    }
    world.operator.intake.secret_event("DELETED", mine)
    world.operator.intake.secret_event("ADDED", await world.memory.create(SECRETS, NAMESPACE, forged))
    await world.reconcile_after(60)
    assert (await world.reasons())["Stalled"] == reasons.SECRET_NOT_OWNED
    secret = await world.secret()
    assert secret is not None
    assert set(secret["data"]) == {"tls.crt", "tls.key"}


async def test_a_secret_that_another_controller_rewrites_after_each_delivery_is_left_to_it_more_and_more_rarely(
    world: World,
) -> None:
    await delivered(world)
    fields: Object = {"f:data": {"f:SAPERLY_API_KEY": {}}}
    theirs = {
        "metadata": {"managedFields": [{"manager": "vault", "operation": "Update", "fieldsV1": fields}]},
        "data": {"SAPERLY_API_KEY": b64encode(b"theirs").decode()},
    }
    for _ in range(115):
        await edit_secret(world, theirs)
        await world.reconcile_after(60)
    assert world.minted() == 3, "as soon as the hourly limit lets them"
    status = (await world.key()).status
    stalled = next(each for each in status.conditions if each.type == reasons.STALLED)
    assert stalled.reason == reasons.SECRET_CONTESTED
    assert "vault" in stalled.message
    assert status.redelivered is not None
    await world.restart()
    await world.reconcile_after(60)
    assert world.minted() == 3, "and another process knows of it"
    await edit(world, {"metadata": {"annotations": {annotations.ROTATE_REQUESTED_AT: "mended"}}})
    await world.reconcile_after(60)
    assert (await world.reasons())["Ready"] == reasons.AVAILABLE
