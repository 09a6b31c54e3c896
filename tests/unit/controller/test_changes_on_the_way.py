"""The spec is changed between an effect and the status that tells of it: nothing is left behind that nobody knows of."""

from dataclasses import replace

import pytest

from saperly_operator.kube import errors
from saperly_operator.kube.api import PLAIN, SAPERLY_KEYS
from saperly_operator.resources import reasons
from saperly_operator.simulator.state import Operation
from tests.support.faulty_kube import Fault
from tests.unit.controller.test_act_rotate import spoil
from tests.unit.controller.test_restart import request_rotation
from tests.unit.controller.world import NAME, NAMESPACE, World

LOST = errors.Unavailable("a call", None, "TimeoutError")
STATUS = "PATCH saperlykeys/status"


async def entries(world: World) -> set[str]:
    secret = await world.secret()
    assert secret is not None
    return set(secret["data"])


async def left_behind(world: World, call: str, nth: int) -> None:
    """The process dies at the ``nth`` such call from here; the caller changes the spec, then another one begins."""
    world.kube.faults.append(Fault(call, LOST, nth=nth))
    await world.reconcile()
    assert world.kube.faults == []


async def test_an_old_plaintext_is_found_where_it_was_kept_whatever_the_spec_says_by_now(world: World) -> None:
    await world.apply(secret={"previousKey": "OLD"})
    await world.reconcile()
    world.kube.faults.append(Fault(STATUS, LOST, nth=2))
    await request_rotation(world)
    assert await entries(world) == {"SAPERLY_API_KEY", "OLD"}, "written, and not recorded"
    await world.apply(secret={"previousKey": "OLDER"})
    await world.restart()
    await world.reconcile_after(120, times=3)
    assert await entries(world) == {"SAPERLY_API_KEY"}, "nobody reads it there any more"
    assert len(world.live()) == 2, "its key has its overlap all the same"
    await world.reconcile_after(3600, times=2)
    assert len(world.live()) == 1


async def test_a_first_key_is_found_under_the_entry_where_it_was_written(world: World) -> None:
    await world.apply()
    await left_behind(world, STATUS, nth=2)
    assert await entries(world) == {"SAPERLY_API_KEY"}, "written, and not recorded"
    await world.apply(secret={"key": "TOKEN"})
    await world.restart()
    await world.reconcile_after(120, times=3)
    assert len(world.control.ledger()) == 1, "the request was sent again, and nothing came of that"
    assert await entries(world) == {"TOKEN"}
    assert await world.digest(NAME, "TOKEN") == world.child(world.live()[0]).digest


async def test_a_secret_that_another_process_moved_the_key_to_is_not_a_stray_one(world: World) -> None:
    await world.apply()
    await world.reconcile()
    stale = await world.memory.get(SAPERLY_KEYS, NAMESPACE, NAME)
    other = await world.another_process()
    body = await world.memory.patch(
        SAPERLY_KEYS, NAMESPACE, NAME, {"spec": {"secret": {"name": "renamed"}}}, options=PLAIN
    )
    other.intake.key_event(None, body)
    await world.reconcile(operator=other)
    secret = await world.secret("renamed")
    assert secret is not None
    world.operator.intake.key_event(None, stale)
    world.operator.intake.secret_event("ADDED", secret)
    await world.reconcile()
    assert await world.digest("renamed") == world.child(world.live()[0]).digest


@pytest.mark.parametrize(("nth", "at_saperly"), [(1, None), (2, "support")], ids=["about to be set", "set"])
async def test_an_attribute_that_was_set_and_taken_away_before_status_knew_is_cleared(
    world: World, nth: int, at_saperly: str | None
) -> None:
    await world.apply()
    await world.reconcile()
    await world.apply(agentLabel="support")
    await left_behind(world, STATUS, nth=nth)
    assert world.child(world.live()[0]).agent_label == at_saperly
    await world.apply(agentLabel=None)
    await world.restart()
    await world.reconcile_after(120, times=2)
    assert world.child(world.live()[0]).agent_label is None
    assert (await world.reasons())["Ready"] == reasons.AVAILABLE


# --- attributes that were never set ------------------------------------------------------------------------------------


async def cap_refused(world: World, *, when: str) -> str:
    """A person's cap is at the vendor; the spec asks for another, which fails; it is taken out of the spec again."""
    await world.apply()
    await world.reconcile()
    (only,) = world.live()
    store = world.simulator.core.store
    store.put_child(replace(world.child(only), monthly_cap_cents=2500))
    spoil(world, operation=Operation.UPDATE, status=503, when=when)
    await world.apply(monthlyCapCents=5000)
    await world.reconcile()
    current = (await world.key()).status.current
    assert current is not None
    assert len(current.claimed_values) == 1
    await world.apply(monthlyCapCents=None)
    await world.reconcile_after(600)
    return only


async def test_a_cap_that_a_person_set_stays_when_the_specs_never_came_there(world: World) -> None:
    only = await cap_refused(world, when="before")
    assert world.child(only).monthly_cap_cents == 2500
    assert f"GET /v1/keys/{only}" in world.requests
    current = (await world.key()).status.current
    assert current is not None
    assert (current.claimed_values, current.managed_attributes) == ((), ())


async def test_a_cap_of_the_spec_that_came_there_although_its_answer_was_lost_is_cleared(world: World) -> None:
    only = await cap_refused(world, when="after")
    assert world.child(only).monthly_cap_cents is None


async def test_of_several_caps_that_may_have_come_there_any_is_cleared(world: World) -> None:
    await world.apply()
    await world.reconcile()
    (only,) = world.live()
    spoil(world, operation=Operation.UPDATE, status=503, when="after")
    spoil(world, operation=Operation.UPDATE, status=503, when="before", nth=2)
    for cap in (5000, 6000, None):
        await world.apply(monthlyCapCents=cap)
        await world.reconcile_after(600 if cap != 6000 else 60)
    await world.reconcile_after(600)
    assert world.child(only).monthly_cap_cents is None


async def test_a_cap_that_was_confirmed_is_cleared_without_a_look(world: World) -> None:
    await world.apply(monthlyCapCents=5000)
    await world.reconcile()
    (only,) = world.live()
    world.forget_calls()
    await world.apply(monthlyCapCents=None)
    await world.reconcile()
    assert world.child(only).monthly_cap_cents is None
    assert world.requests == [f"PATCH /v1/keys/{only}"]
