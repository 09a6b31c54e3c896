"""What a sweep finds of keys that are referred to: revoked by somebody, hidden, changed; and keys in use that are not."""

from datetime import timedelta
from typing import Any

from saperly_operator.kube.api import CLUSTER_PROVIDERS, EVENTS, SAPERLY_KEYS, STATUS
from saperly_operator.lifecycle.naming import Owner
from saperly_operator.resources import reasons
from saperly_operator.saperly.models import UpdateRequest
from tests.unit.controller.test_sweep import HALF_AN_HOUR, plant
from tests.unit.controller.world import NAME, NAMESPACE, World

MANY = 12
DAY = 24 * 3600.0


async def delivered(world: World, **spec: Any) -> str:
    """An object at rest; returns its key's id. Time has passed since the mint."""
    await world.apply(**spec)
    await world.reconcile()
    current = (await world.key()).status.current
    assert current is not None
    world.clock.advance(60)
    world.forget_calls()
    return current.id


async def told(world: World, reason: str) -> int:
    """How many events have that reason."""
    return sum(event["reason"] == reason for event in await world.memory.list(EVENTS))


async def swept(world: World) -> None:
    """A sweep, and what it found looked at."""
    world.clock.advance(1)
    await world.sweep()
    await world.reconcile()


async def change_outside(world: World, key_id: str, **fields: object) -> None:
    """Somebody changes a key in the portal."""
    (handle,) = world.operator.tools.service_keys.entries().values()
    await handle.api.update_key(key_id, UpdateRequest.model_validate(fields))
    world.requests.clear()


# --- revoked by somebody else ----------------------------------------------------------------------------------------


async def test_a_key_revoked_outside_is_looked_at_and_replaced_by_one_mint(world: World) -> None:
    first = await delivered(world)
    world.control.revoke_key(first)
    await swept(world)
    assert world.requests == ["GET /v1/keys", f"GET /v1/keys/{first}", "POST /v1/keys"]
    status = (await world.key()).status
    assert status.current is not None
    assert world.live() == [status.current.id]
    assert (status.retiring, status.revoked) == ((), None), "a dead key is not revoked once more"
    assert await told(world, reasons.REVOKED_EXTERNALLY) == 1
    assert (await world.reasons())["Ready"] == reasons.AVAILABLE


async def test_with_hold_it_waits_for_a_person_and_says_so(world: World) -> None:
    first = await delivered(world, onRemoteRevocation="Hold")
    world.control.revoke_key(first)
    await swept(world)
    assert world.minted() == 0
    shown = await world.reasons()
    assert shown["Stalled"] == reasons.REVOKED_EXTERNALLY
    assert "Ready" not in shown
    assert "KeyActive" not in shown
    await swept(world)
    assert world.requests[-1] == "GET /v1/keys", "it is looked at once"
    await world.annotate(rotate_requested_at="now")
    await world.reconcile()
    assert len(world.live()) == 1
    assert (await world.reasons())["Ready"] == reasons.AVAILABLE


async def test_a_second_revocation_within_24_hours_holds_and_is_reminted_after_them(world: World) -> None:
    await delivered(world)
    for expected in (1, 0):
        world.control.revoke_key(world.live()[0])
        world.clock.advance(60)
        world.forget_calls()
        await swept(world)
        assert world.minted() == expected
    assert (await world.reasons())["Stalled"] == reasons.REVOKED_EXTERNALLY
    assert await world.secret() is not None
    await world.reconcile_after(DAY - 200)
    assert world.minted() == 0
    await world.reconcile_after(200)
    assert world.minted() == 1
    assert (await world.reasons())["Ready"] == reasons.AVAILABLE


async def test_a_key_that_only_the_list_lacks_is_left_as_it_is(world: World) -> None:
    first = await delivered(world)
    world.hidden.add(first)
    await swept(world)
    await world.reconcile()
    assert world.requests == ["GET /v1/keys", f"GET /v1/keys/{first}"]
    assert world.live() == [first]
    assert (await world.reasons())["Ready"] == reasons.AVAILABLE


async def test_too_many_absent_keys_at_once_are_not_judged_until_it_is_mended(world: World) -> None:
    for number in range(MANY):
        await world.apply(f"key-{number}")
        world.clock.advance(60)
        await world.reconcile(f"key-{number}")
    world.clock.advance(60)
    dead = world.live()[:6]
    for key_id in dead:
        world.control.revoke_key(key_id)
    world.forget_calls()
    await world.sweep()
    await world.refresh_provider()
    for number in range(MANY):
        await world.reconcile(f"key-{number}")
    assert world.requests == ["GET /v1/keys"], "nothing is looked at"
    shown = {each.type: each.message for each in (await world.provider()).status.conditions}
    assert "6 of 12 known keys" in shown[reasons.SWEEP_HELD]
    assert await told(world, reasons.SWEEP_HELD) == 1

    await world.annotate("key-0", rotate_requested_at="now")
    await world.reconcile("key-0")
    world.clock.advance(3601)  # the overlap; the sixth is gone from status then
    await world.reconcile("key-0")
    world.clock.advance(60)
    await world.sweep()
    await world.refresh_provider()
    assert reasons.SWEEP_HELD not in {each.type for each in (await world.provider()).status.conditions}
    for number in range(MANY):
        await world.reconcile(f"key-{number}")
    assert len(world.live()) == MANY


async def test_five_absent_keys_are_judged(world: World) -> None:
    for number in range(6):
        await world.apply(f"key-{number}")
        await world.reconcile(f"key-{number}")
    world.clock.advance(60)
    for key_id in world.live()[:5]:
        world.control.revoke_key(key_id)
    await world.sweep()
    (handle,) = world.operator.tools.service_keys.entries().values()
    assert world.operator.tools.service_keys.findings(handle.material).held is None
    for number in range(6):
        await world.reconcile(f"key-{number}")
    assert len(world.live()) == 6


# --- changed by somebody else ----------------------------------------------------------------------------------------


async def test_what_somebody_changed_is_put_back_and_announced(world: World) -> None:
    key_id = await delivered(world, agentLabel="support", monthlyCapCents=5000)
    await change_outside(world, key_id, agent_label="sales", permissions="full", name="renamed")
    await swept(world)
    assert world.requests == ["GET /v1/keys", f"PATCH /v1/keys/{key_id}"]
    assert await told(world, reasons.ATTRIBUTES_DRIFTED) == 1
    child = world.child(key_id)
    assert (child.agent_label, child.permissions, child.monthly_cap_cents) == ("support", "call_only", 5000)
    assert child.name.endswith("]")
    world.forget_calls()
    await swept(world)
    assert world.requests == ["GET /v1/keys"]
    assert world.kube.writes == []


async def test_what_is_not_managed_stays_as_somebody_set_it(world: World) -> None:
    key_id = await delivered(world)
    await change_outside(world, key_id, monthly_cap_cents=100, agent_label="sales")
    await swept(world)
    assert world.requests == ["GET /v1/keys"]


async def test_an_older_list_says_nothing_of_what_was_sent_since(world: World) -> None:
    key_id = await delivered(world, monthlyCapCents=100)
    await change_outside(world, key_id, monthly_cap_cents=7)
    world.clock.advance(1)
    await world.sweep()  # shows 7 …
    await world.apply(monthlyCapCents=200)
    await world.reconcile()  # … and before its worker looks, the spec has changed
    assert [each for each in world.requests if each.startswith("PATCH")] == [f"PATCH /v1/keys/{key_id}"]
    assert await told(world, reasons.ATTRIBUTES_DRIFTED) == 0


async def test_the_same_change_three_times_is_a_contest_and_waits_longer_and_longer(world: World) -> None:
    key_id = await delivered(world, monthlyCapCents=100)
    for count in (1, 2, 3):
        await change_outside(world, key_id, monthly_cap_cents=7)
        await swept(world)
        assert world.child(key_id).monthly_cap_cents == 100
        assert (reasons.ATTRIBUTES_CONTESTED in await world.reasons()) is (count == 3)
    await change_outside(world, key_id, monthly_cap_cents=7)
    await swept(world)
    assert world.child(key_id).monthly_cap_cents == 7, "it waits"
    await world.annotate(rotate_requested_at="now")
    await world.reconcile()
    assert world.minted() == 1, "a contest keeps nothing else from being done"


async def test_a_contest_is_forgotten_when_it_has_been_quiet_for_long(world: World) -> None:
    key_id = await delivered(world, monthlyCapCents=100)
    for _ in range(3):
        await change_outside(world, key_id, monthly_cap_cents=7)
        await swept(world)
    world.clock.advance(2 * DAY - 100)
    await swept(world)
    assert reasons.ATTRIBUTES_CONTESTED in await world.reasons()
    world.clock.advance(100)
    await swept(world)
    assert reasons.ATTRIBUTES_CONTESTED not in await world.reasons()
    assert (await world.key()).status.drift == ()


async def test_an_old_key_is_held_to_the_spec_and_the_policy_as_well(world: World) -> None:
    old = await delivered(world, rotation={"overlap": "7d"})
    await world.annotate(rotate_requested_at="now")
    await world.reconcile()
    world.clock.advance(60)
    await change_outside(world, old, permissions="full")
    await swept(world)
    assert world.child(old).permissions == "call_only"
    await world.change_provider(policy={"maxMonthlyCapCents": 50})
    await world.reconcile()
    await world.reconcile()
    assert {child.monthly_cap_cents for child in world.control.live_keys()} == {50}


# --- hidden ----------------------------------------------------------------------------------------------------------


async def test_another_service_key_is_not_used_before_it_shows_a_known_key(world: World) -> None:
    first = await delivered(world)
    former = await world.service_key_text()
    await world.put_service_key(world.control.create_service_key().plaintext)
    assert (await world.provider_reasons())["Stalled"] == reasons.SERVICE_KEY_REPLACED
    await world.annotate(rotate_requested_at="now")
    await world.reconcile()
    await world.sweep()
    await world.reconcile()
    assert world.minted() == 0
    assert world.live() == [first]
    assert (await world.reasons())["Stalled"] == reasons.SERVICE_KEY_REPLACED
    await world.restart()
    assert (await world.provider_reasons())["Stalled"] == reasons.SERVICE_KEY_REPLACED, "status remembers"
    await world.put_service_key(former)
    assert "Stalled" not in await world.provider_reasons()
    await world.reconcile()
    assert world.minted() == 1


async def test_a_first_service_key_needs_no_proof_and_a_restart_none_either(world: World) -> None:
    await world.put_service_key(world.control.create_service_key().plaintext)
    assert world.requests == []
    await delivered(world)
    await world.restart()
    assert world.requests == []


async def test_a_recreated_provider_is_trusted_when_it_shows_a_known_key(world: World) -> None:
    first = await delivered(world)
    body = await world.memory.get(CLUSTER_PROVIDERS, None, "default")
    await world.memory.patch(CLUSTER_PROVIDERS, None, "default", {"status": {"serviceKeys": None}}, options=STATUS)
    assert body["status"]["serviceKeys"]
    await world.restart()
    assert world.requests == [f"GET /v1/keys/{first}"]
    assert (await world.provider_reasons())["Ready"] == reasons.AVAILABLE


async def test_ten_old_keys_that_nobody_shows_do_not_keep_from_rotating(world: World) -> None:
    await delivered(world)
    key = await world.key()
    assert key.status.current is not None
    hidden = [
        {**key.status.current.to_api(), "id": f"gone-{number}", "reason": "RotationScheduled"}
        | {"revokeAfter": "2026-11-24T10:00:00Z", "hiddenSince": "2026-11-24T10:00:00Z"}
        for number in range(10)
    ]
    patched = await world.memory.patch(
        SAPERLY_KEYS, NAMESPACE, NAME, {"status": {"retiring": hidden}}, options=STATUS
    )
    world.operator.intake.key_event(None, patched)
    await world.annotate(rotate_requested_at="now")
    await world.reconcile()
    assert world.minted() == 1
    assert (await world.reasons())[reasons.KEY_NOT_VISIBLE] == reasons.KEY_NOT_VISIBLE


# --- in use and unowned ----------------------------------------------------------------------------------------------


async def test_a_used_key_of_an_object_is_shown_there_and_revoked_after_24_idle_hours(world: World) -> None:
    current = await delivered(world)
    orphan = await plant(world, Owner(NAMESPACE, NAME))
    world.control.use_key(orphan)
    world.clock.advance(HALF_AN_HOUR)
    await swept(world)
    await swept(world)
    assert set(world.live()) == {current, orphan}
    assert (await world.reasons())[reasons.IN_USE_ORPHAN] == reasons.IN_USE_ORPHAN
    assert [each.id for each in (await world.key()).status.unowned] == [orphan]
    assert await told(world, reasons.IN_USE_ORPHAN) == 1
    world.clock.advance(timedelta(hours=23, minutes=29))
    await swept(world)
    assert set(world.live()) == {current, orphan}
    world.clock.advance(timedelta(minutes=1))
    await swept(world)
    assert world.live() == [current]
    await swept(world)
    assert reasons.IN_USE_ORPHAN not in await world.reasons()


async def test_a_used_key_of_an_object_is_revoked_when_an_annotation_names_it(world: World) -> None:
    current = await delivered(world)
    orphan = await plant(world, Owner(NAMESPACE, NAME))
    world.control.use_key(orphan)
    world.clock.advance(HALF_AN_HOUR)
    await swept(world)
    await world.annotate(revoke_orphans=f"{current}, {orphan}")
    await world.reconcile()
    assert world.live() == [current], "the current key is not an orphan, whoever names it"


async def test_a_new_object_of_an_old_name_takes_a_serial_above_all_that_were_listed(world: World) -> None:
    await plant(world, Owner(NAMESPACE, NAME), serial=41)
    await world.sweep()
    await world.apply()
    await world.reconcile()
    current = (await world.key()).status.current
    assert current is not None
    assert current.serial == 42
