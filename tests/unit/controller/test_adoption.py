"""Taking over the key that a Secret holds: after a restore, and by name; with every proof, and never without one."""

from base64 import b64encode
from typing import Any

import pytest

from saperly_operator.kube import errors
from saperly_operator.kube.api import CONFIG_MAPS, EVENTS, PLAIN, SAPERLY_KEYS, SECRETS, Object
from saperly_operator.lifecycle.naming import Tag
from saperly_operator.resources import annotations, reasons
from saperly_operator.simulator.faults import Fault as VendorFault
from saperly_operator.simulator.faults import FaultKind
from saperly_operator.simulator.state import Operation
from tests.builders import OTHER_INSTALLATION
from tests.support.faulty_kube import Fault
from tests.unit.controller.world import NAME, NAMESPACE, SYSTEM, World

READY = {"Ready": reasons.AVAILABLE, "KeyActive": reasons.AVAILABLE, "SecretSynced": reasons.AVAILABLE}


async def delivered(world: World, **spec: Any) -> str:
    await world.apply(**spec)
    await world.reconcile()
    (live,) = world.live()
    world.clock.advance(60)
    return live


async def back_up(world: World, name: str = NAME) -> tuple[Object, Object]:
    """What a backup keeps of an object and its Secret: no uid, no status, no ownerReferences."""
    key = await world.memory.get(SAPERLY_KEYS, NAMESPACE, name)
    secret = await world.memory.get(SECRETS, NAMESPACE, name)
    marks = ("name", "labels", "annotations", "finalizers")
    saved: tuple[Object, Object] = (
        {"metadata": {each: key["metadata"][each] for each in marks if each in key["metadata"]}, "spec": key["spec"]},
        {
            "metadata": {each: secret["metadata"][each] for each in marks if each in secret["metadata"]},
            "data": secret["data"],
        },
    )
    return saved


async def lose(world: World, name: str = NAME) -> None:
    """The object and its Secret are gone from the cluster, and nobody told the operator."""
    await world.memory.patch(SAPERLY_KEYS, NAMESPACE, name, {"metadata": {"finalizers": None}}, options=PLAIN)
    for resource in (SAPERLY_KEYS, SECRETS):
        body = await world.memory.get(resource, NAMESPACE, name)
        uid, version = body["metadata"]["uid"], body["metadata"]["resourceVersion"]
        await world.memory.delete(resource, NAMESPACE, name, uid=uid, version=version)


async def restore(world: World, saved: tuple[Object, Object], *, namespace: str = NAMESPACE) -> None:
    """Secrets first, then objects, into a cluster whose operator starts on that."""
    key, secret = saved
    await world.memory.create(SECRETS, namespace, secret)
    await world.memory.create(SAPERLY_KEYS, namespace, key)
    await world.restart()
    world.forget_calls()


async def restored(world: World, **spec: Any) -> str:
    key_id = await delivered(world, **spec)
    saved = await back_up(world)
    await lose(world)
    await restore(world, saved)
    return key_id


# --- after a restore -------------------------------------------------------------------------------------------------


async def test_a_restored_object_takes_its_key_over_for_one_get_and_no_mint(world: World) -> None:
    key_id = await restored(world, monthlyCapCents=100)
    await world.reconcile()
    assert world.requests == [f"GET /v1/keys/{key_id}"]
    assert world.kube.writes == ["PATCH saperlykeys/status", "POST events"]
    assert await world.reasons() == READY
    status = (await world.key()).status
    assert status.current is not None
    assert (status.current.id, status.serial, status.retiring) == (key_id, 1, ())
    await world.reconcile_after(3600)
    assert world.minted() == 0
    assert [event["reason"] for event in await world.memory.list(EVENTS)].count(reasons.ADOPTED) == 1


async def test_what_the_spec_wants_otherwise_is_sent_after_it(world: World) -> None:
    key_id = await delivered(world, monthlyCapCents=100)
    key, secret = await back_up(world)
    await lose(world)
    await restore(world, ({**key, "spec": {**key["spec"], "monthlyCapCents": 200}}, secret))
    await world.reconcile()
    assert world.requests == [f"GET /v1/keys/{key_id}", f"PATCH /v1/keys/{key_id}"]
    assert world.child(key_id).monthly_cap_cents == 200


async def test_a_lost_status_alone_is_rebuilt_from_the_secret(world: World) -> None:
    key_id = await delivered(world)
    await world.wipe_status()
    await world.reconcile()
    assert await world.current_id() == key_id
    assert len(world.live()) == 1


async def test_a_suspended_object_is_taken_over_too(world: World) -> None:
    key_id = await delivered(world)
    key, secret = await back_up(world)
    await lose(world)
    await restore(world, ({**key, "spec": {**key["spec"], "suspend": True}}, secret))
    await world.reconcile()
    assert await world.current_id() == key_id


async def test_the_rotate_request_that_came_with_the_backup_counts_as_answered(world: World) -> None:
    await delivered(world)
    await world.annotate(rotate_requested_at="just before the backup")
    saved = await back_up(world)
    await lose(world)
    await restore(world, saved)
    await world.reconcile()
    await world.reconcile_after(3600)
    assert world.minted() == 0
    await world.annotate(rotate_requested_at="after it")
    await world.reconcile()
    assert world.minted() == 1


async def test_the_schedule_goes_on_from_the_keys_own_age(world: World) -> None:
    await restored(world, rotation={"schedule": "30d", "jitter": "0s"})
    await world.reconcile()
    status = (await world.key()).status
    assert status.current is not None
    assert status.rotation is not None
    assert status.rotation.last_rotated_at == status.current.minted_at


async def test_a_key_revoked_since_the_backup_is_replaced(world: World) -> None:
    key_id = await restored(world)
    world.control.revoke_key(key_id)
    await world.reconcile()
    assert world.minted() == 1
    assert await world.reasons() == READY


async def test_data_altered_since_it_was_written_is_not_adopted(world: World) -> None:
    await delivered(world)
    key, secret = await back_up(world)
    secret["data"]["SAPERLY_API_KEY"] = b64encode(b"sk_test_somebody_elses").decode()
    await lose(world)
    await restore(world, (key, secret))
    await world.reconcile()
    assert world.minted() == 1


async def test_a_hidden_key_is_not_written_over(world: World) -> None:
    key_id = await delivered(world)
    saved = await back_up(world)
    await lose(world)
    await world.put_service_key(world.control.create_service_key().plaintext)
    before = world.digest_of(saved[1])
    await restore(world, saved)
    await world.reconcile()
    await world.reconcile_after(60, times=5)
    assert (await world.reasons())["Stalled"] == reasons.KEY_NOT_VISIBLE
    assert world.requests == [f"GET /v1/keys/{key_id}"], "it is not asked again and again"
    assert await world.digest() == before
    assert world.minted() == 0


async def test_a_vendor_that_does_not_answer_puts_it_off(world: World) -> None:
    key_id = await restored(world)
    world.simulator.faults.order(VendorFault(kind=FaultKind.STATUS, status=500, operation=Operation.GET, count=1))
    await world.reconcile()
    assert world.live() == [key_id]
    assert "KeyActive" not in await world.reasons()
    await world.reconcile_after(5)
    assert await world.reasons() == READY
    assert world.minted() == 0


async def test_a_copied_record_does_not_adopt_the_key_of_another_object(world: World) -> None:
    key_id = await delivered(world)
    _, secret = await back_up(world)
    marks = {**secret["metadata"]["annotations"], annotations.OWNER: f"{NAMESPACE}/thief"}
    forged = {**secret, "metadata": {**secret["metadata"], "name": "thief", "annotations": marks}}
    await world.memory.create(SECRETS, NAMESPACE, forged)
    await world.restart()
    await world.apply("thief")
    await world.reconcile("thief")
    thief = (await world.key("thief")).status.current
    assert thief is not None
    assert thief.id != key_id
    assert set(world.live()) == {key_id, thief.id}
    await world.delete("thief")
    await world.reconcile("thief")
    assert world.live() == [key_id]


async def test_a_record_of_another_installation_is_nobodys_business(world: World) -> None:
    await delivered(world)
    key, secret = await back_up(world)
    secret["metadata"]["annotations"][annotations.INSTALLATION] = OTHER_INSTALLATION
    await lose(world)
    await restore(world, (key, secret))
    await world.reconcile()
    assert (await world.reasons())["Stalled"] == reasons.SECRET_NOT_OWNED
    assert world.requests == []


async def test_a_crash_before_the_status_is_written_is_made_good(world: World) -> None:
    key_id = await restored(world)
    world.kube.faults.append(Fault("PATCH saperlykeys/status", errors.Unavailable("PATCH", None, "TimeoutError")))
    await world.reconcile()
    await world.restart()
    await world.sweep()
    await world.reconcile()
    assert world.live() == [key_id]
    assert await world.reasons() == READY


async def test_a_restored_object_that_is_deleted_at_once_takes_its_key_along(world: World) -> None:
    await restored(world)
    await world.delete()
    await world.reconcile()
    assert world.live() == []
    assert await world.secret() is None


async def test_a_moved_installation_adopts_nothing(world: World) -> None:
    await delivered(world)
    saved = await back_up(world)
    await lose(world)
    patch = {"data": {"clusterUid": "another"}}
    await world.memory.patch(CONFIG_MAPS, SYSTEM, "saperly-operator-installation", patch, options=PLAIN)
    await restore(world, saved)
    await world.reconcile()
    assert world.requests == []
    assert (await world.reasons())["Stalled"] == reasons.INSTALLATION_MOVED


# --- by name ---------------------------------------------------------------------------------------------------------


async def by_hand(
    world: World, *, secret: bool = True, marked: bool = True, plaintext: str | None = None, **metadata: Any
) -> str:
    """A key that a person made with the service key, and its Secret; returns its id."""
    made = world.control.plant_key(world.service_key_id(), "made by hand")
    if secret:
        marks = {annotations.ADOPT_FOR: NAME} if marked else {}
        data = {"SAPERLY_API_KEY": b64encode((plaintext or made.plaintext).encode()).decode()}
        body = {"metadata": {"name": NAME, "annotations": marks, **metadata}, "data": data}
        await world.memory.create(SECRETS, NAMESPACE, body)
    await world.apply()
    await world.annotate(adopt_key_id=made.child.id)
    world.forget_calls()
    return made.child.id


async def test_a_key_made_by_hand_is_recorded_then_tagged_then_adopted(world: World) -> None:
    key_id = await by_hand(world)
    await world.reconcile()
    assert world.minted() == 0
    assert world.live() == [key_id]
    assert await world.reasons() == READY
    child = world.child(key_id)
    tag = Tag.parse(child.name)
    assert tag is not None
    assert tag.serial == 1
    assert child.permissions == "call_only"
    secret = await world.secret()
    assert secret is not None
    assert secret["metadata"]["annotations"][annotations.KEY_ID] == key_id
    writes = [call for call in world.kube.writes if call != "POST events"]
    assert writes[:3] == ["PATCH saperlykeys", "PATCH secrets", "PATCH saperlykeys/status"]
    assert world.requests[:3] == [f"GET /v1/keys/{key_id}", f"GET /v1/keys/{key_id}", f"PATCH /v1/keys/{key_id}"]


async def test_it_is_rotated_and_revoked_like_any_other(world: World) -> None:
    key_id = await by_hand(world)
    await world.reconcile()
    await world.annotate(rotate_requested_at="now")
    await world.reconcile()
    await world.reconcile_after(3601)
    assert key_id not in world.live()
    assert len(world.live()) == 1
    await world.delete()
    await world.reconcile()
    assert world.live() == []


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        pytest.param({"secret": False}, reasons.ADOPTION_SECRET_MISSING, id="no Secret"),
        pytest.param({"marked": False}, reasons.ADOPTION_SECRET_UNMARKED, id="nobody who may edit it agreed"),
        pytest.param(
            {"ownerReferences": [{"kind": "Thing", "name": "x"}]}, reasons.ADOPTION_SECRET_OWNED, id="a dependent"
        ),
        pytest.param({"plaintext": "sk_test_zzz_another"}, reasons.ADOPTION_KEY_MISMATCH, id="another plaintext"),
    ],
)
async def test_what_does_not_fit_is_said_and_nothing_is_touched(world: World, given: Any, reason: str) -> None:
    key_id = await by_hand(world, **given)
    before = await world.secret()
    await world.reconcile()
    await world.reconcile_after(60)
    assert (await world.reasons())["Stalled"] == reason
    assert world.live() == [key_id]
    assert [each for each in world.requests if not each.startswith("GET")] == []
    assert await world.secret() == before


async def test_a_revoked_key_is_not_adopted_and_nothing_minted_in_its_place(world: World) -> None:
    key_id = await by_hand(world)
    world.control.revoke_key(key_id)
    await world.reconcile()
    assert (await world.reasons())["Stalled"] == reasons.ADOPTION_KEY_REVOKED
    assert world.minted() == 0


async def test_a_key_that_the_service_key_does_not_see_is_not_adopted(world: World) -> None:
    other = world.control.create_service_key().service_key.id
    made = world.control.plant_key(other, "somebody else's")
    await by_hand(world, plaintext=made.plaintext)
    await world.annotate(adopt_key_id=made.child.id)
    await world.reconcile()
    assert (await world.reasons())["Stalled"] == reasons.KEY_NOT_VISIBLE
    assert world.minted() == 0


async def test_the_key_of_another_object_is_not_adopted(world: World) -> None:
    await world.apply("first")
    await world.reconcile("first")
    (theirs,) = world.live()
    await by_hand(world)
    await world.annotate(adopt_key_id=theirs)
    await world.reconcile()
    assert (await world.reasons())["Stalled"] == reasons.ADOPTION_KEY_FOREIGN
    assert world.child(theirs).name.startswith(f"{NAMESPACE}/first")


async def test_what_was_mended_is_taken_over_at_once(world: World) -> None:
    key_id = await by_hand(world, marked=False)
    await world.reconcile()
    marks = {"metadata": {"annotations": {annotations.ADOPT_FOR: NAME}}}
    await world.memory.patch(SECRETS, NAMESPACE, NAME, marks, options=PLAIN)
    await world.reconcile_after(60)
    assert await world.current_id() == key_id


@pytest.mark.parametrize("call", ["PATCH secrets", "PATCH saperlykeys/status"])
@pytest.mark.parametrize("after", [False, True], ids=["lost before", "lost after"])
async def test_a_crash_at_any_write_is_made_good(world: World, call: str, after: bool) -> None:
    key_id = await by_hand(world)
    world.kube.faults.append(Fault(call, errors.Unavailable(call, None, "TimeoutError"), after=after))
    await world.reconcile()
    await world.restart()
    world.clock.advance(3600)
    await world.sweep()
    await world.reconcile()
    await world.reconcile_after(60)
    assert world.live() == [key_id]
    assert await world.reasons() == READY
    assert world.minted() == 0
