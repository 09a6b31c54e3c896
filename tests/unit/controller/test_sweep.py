"""The sweep and the keys without an owner, against the simulated vendor."""

from datetime import timedelta

import pytest

from saperly_operator.kube import errors
from saperly_operator.kube.api import CONFIG_MAPS, EVENTS, PLAIN, SAPERLY_KEYS, SECRETS
from saperly_operator.lifecycle.naming import Owner, Tag, vendor_name
from saperly_operator.resources import annotations, reasons
from tests.builders import OTHER_INSTALLATION
from tests.support.faulty_kube import Fault
from tests.unit.controller.world import NAME, NAMESPACE, World

OWNER = Owner(NAMESPACE, NAME)
GONE = Owner(NAMESPACE, "gone")
HALF_AN_HOUR = 30 * 60.0


def installation(world: World) -> str:
    return world.operator.tools.observer.myself.installation


async def plant(world: World, owner: Owner = GONE, *, of: str | None = None, serial: int = 50, key: str = "x") -> str:
    """A live key at the vendor that this installation (or ``of``) minted for ``owner``; returns its id."""
    (handle,) = world.operator.tools.service_keys.entries().values()
    name = vendor_name("planted", Tag.of(of or installation(world), owner, serial))
    minted = await handle.api.mint(f'{{"environment":"test","name":"{name}","permissions":"call_only"}}', key)
    world.requests.clear()
    return minted.key.id


async def test_a_key_without_an_owner_is_revoked_when_it_is_half_an_hour_old(world: World) -> None:
    orphan = await plant(world)
    world.clock.advance(HALF_AN_HOUR - 1)
    await world.sweep()
    assert world.live() == [orphan]
    world.clock.advance(1)
    await world.sweep()
    assert world.live() == []
    assert world.requests[-2:] == [f"GET /v1/keys/{orphan}", f"DELETE /v1/keys/{orphan}"]


async def test_its_age_is_by_the_vendors_clock(world: World) -> None:
    orphan = await plant(world)
    assert world.live() == [orphan]
    world.clock.jump(timedelta(days=-1))  # ours is set back, and the vendor's with it …
    world.control.advance_clock(86400 + HALF_AN_HOUR)  # … which is put right, half an hour later
    await world.sweep()
    assert world.live() == []


async def test_a_used_key_without_an_owner_is_shown_on_its_provider_and_left_alone_for_24_idle_hours(
    world: World,
) -> None:
    orphan = await plant(world)
    world.control.use_key(orphan)
    world.clock.advance(HALF_AN_HOUR)
    for _ in range(2):
        await world.sweep()
        await world.refresh_provider()
    assert world.live() == [orphan]
    shown = (await world.provider()).status
    assert [each.id for each in shown.unowned] == [orphan]
    assert reasons.IN_USE_ORPHAN in {each.type for each in shown.conditions}
    announced = [event for event in await world.memory.list(EVENTS) if event["reason"] == reasons.IN_USE_ORPHAN]
    assert len(announced) == 1, "the same again is no news"
    world.clock.advance(timedelta(hours=23, minutes=30) - timedelta(seconds=1))
    await world.sweep()
    assert world.live() == [orphan]
    world.clock.advance(1)
    await world.sweep()
    await world.refresh_provider()
    assert world.live() == []
    assert (await world.provider()).status.unowned == ()


async def test_a_used_key_without_an_owner_is_revoked_when_its_provider_names_it(world: World) -> None:
    orphan, other = await plant(world), await plant(world, serial=51, key="other")
    for key_id in (orphan, other):
        world.control.use_key(key_id)
    world.clock.advance(HALF_AN_HOUR)
    await world.annotate_provider(orphan)
    await world.sweep()
    assert world.live() == [other]


async def test_a_key_of_another_installation_or_without_a_tag_is_nobodys_business(world: World) -> None:
    theirs = await plant(world, of=OTHER_INSTALLATION)
    (handle,) = world.operator.tools.service_keys.entries().values()
    by_hand = await handle.api.mint('{"environment":"test","name":"by hand","permissions":"full"}', "y")
    world.clock.advance(HALF_AN_HOUR)
    await world.sweep()
    assert set(world.live()) == {theirs, by_hand.key.id}


async def test_a_key_that_a_managed_secret_names_is_referenced_though_its_object_is_gone(world: World) -> None:
    kept = await plant(world)
    metadata = {
        "name": "restored",
        "labels": {annotations.MANAGED_BY_LABEL: annotations.MANAGED_BY},
        "annotations": {annotations.KEY_ID: kept},
    }
    await world.memory.create(SECRETS, NAMESPACE, {"metadata": metadata})
    world.clock.advance(HALF_AN_HOUR)
    await world.sweep()
    assert world.live() == [kept], "a restore brings Secrets first"


async def test_an_object_that_the_cache_does_not_know_yet_owns_its_keys(world: World) -> None:
    kept = await plant(world)
    await world.memory.create(SAPERLY_KEYS, NAMESPACE, {"metadata": {"name": GONE.name}, "spec": {}})
    world.clock.advance(HALF_AN_HOUR)
    await world.sweep()
    assert world.live() == [kept]


@pytest.mark.parametrize("kind", ["saperlykeys", "secrets"])
async def test_nothing_is_judged_without_a_live_look_at_everything(world: World, kind: str) -> None:
    orphan = await plant(world)
    world.clock.advance(HALF_AN_HOUR)
    world.kube.faults.append(Fault(f"LIST {kind}", errors.Unavailable("LIST", 503, "")))
    await world.sweep()
    assert world.live() == [orphan]


async def test_a_moved_installation_judges_nothing(world: World) -> None:
    orphan = await plant(world)
    body = await world.memory.get(CONFIG_MAPS, "saperly-system", "saperly-operator-installation")
    moved = {"data": {**body["data"], "clusterUid": "another"}}
    await world.memory.patch(CONFIG_MAPS, "saperly-system", "saperly-operator-installation", moved, options=PLAIN)
    await world.restart()
    world.clock.advance(HALF_AN_HOUR)
    await world.sweep()
    assert world.live() == [orphan]


async def test_an_orphan_of_an_object_is_found_adopted_and_revoked_by_its_own_worker(world: World) -> None:
    await world.apply()
    await world.reconcile()
    (current,) = world.live()
    orphan = await plant(world, OWNER)
    world.clock.advance(HALF_AN_HOUR)
    await world.sweep()
    assert set(world.live()) == {current, orphan}, "the sweep finds, the owner's worker decides"
    await world.reconcile()
    assert world.live() == [current]
    revoked = [entry for entry in world.kube.calls if entry == "PATCH saperlykeys/status"]
    assert len(revoked) >= 2, "I1: stored as retiring before it is revoked"


async def test_a_sweep_of_a_fleet_at_rest_is_one_call(world: World) -> None:
    for number in range(5):
        await world.apply(f"key-{number}")
        await world.reconcile(f"key-{number}")
    world.forget_calls()
    await world.sweep()
    assert world.requests == ["GET /v1/keys"]
    assert world.kube.writes == []


async def test_a_rejected_service_key_only_delays_the_next_sweep(world: World) -> None:
    orphan = await plant(world)
    world.clock.advance(HALF_AN_HOUR)
    service_key = world.control.live_keys()[0].created_by_service_key_id
    world.control.revoke_service_key(service_key)
    await world.sweep()
    assert world.live() == [orphan]
    assert world.requests == ["GET /v1/keys"]


async def test_a_force_deleted_objects_key_is_collected_later(world: World) -> None:
    await world.apply()
    await world.reconcile()
    marks = {"metadata": {"annotations": {annotations.FORCE_DELETE: "true"}}}
    await world.memory.patch(SAPERLY_KEYS, NAMESPACE, NAME, marks, options=PLAIN)
    await world.delete()
    world.forget_calls()
    await world.reconcile()
    assert world.requests == [], "no call to the vendor"
    assert len(world.live()) == 1
    world.clock.advance(HALF_AN_HOUR)
    await world.sweep()
    assert world.live() == []


async def test_a_force_deletion_is_announced_with_what_it_left(world: World) -> None:
    await world.apply()
    await world.reconcile()
    (left,) = world.live()
    marks = {"metadata": {"annotations": {annotations.FORCE_DELETE: "true"}}}
    await world.memory.patch(SAPERLY_KEYS, NAMESPACE, NAME, marks, options=PLAIN)
    await world.delete()
    await world.reconcile()
    notes = [event["note"] for event in await world.memory.list(EVENTS) if event["reason"] == reasons.FORCE_DELETED]
    assert len(notes) == 1
    assert left in notes[0]


async def test_a_list_that_the_hourly_limit_hardly_allows_is_made_more_rarely(world: World) -> None:
    await world.change_provider(sweepInterval="1s", limits={"listsPerHour": 12})
    world.forget_calls()
    await world.sweep()
    assert world.requests == ["GET /v1/keys"]
    await world.sweep_when_due(599)
    assert world.requests == ["GET /v1/keys"], "half of 12 an hour are for regular sweeps"
    await world.sweep_when_due(1)
    assert world.requests == ["GET /v1/keys"] * 2
