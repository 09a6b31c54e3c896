"""Rotations of one object between both APIs: by schedule, on request, late, and under a schedule that is wrong."""

from datetime import timedelta
from typing import Any

import pytest

from saperly_operator.kube.api import EVENTS, PLAIN, SAPERLY_KEYS
from saperly_operator.kube.errors import Unavailable
from saperly_operator.lifecycle.schedule import jitter_of
from saperly_operator.resources import annotations, reasons
from saperly_operator.resources.saperly_key_status import RotationStatus
from tests.support.faulty_kube import Fault
from tests.unit.controller.world import NAME, NAMESPACE, World

READY = {"Ready": reasons.AVAILABLE, "KeyActive": reasons.AVAILABLE, "SecretSynced": reasons.AVAILABLE}
DAY = 86_400.0


async def annotate(world: World, **marks: str | None) -> None:
    """Set annotations of ours; underscores stand for dashes. The watch shows it at once."""
    values = {f"{annotations.PREFIX}{name.replace('_', '-')}": value for name, value in marks.items()}
    patch: dict[str, Any] = {"metadata": {"annotations": values}}
    world.operator.intake.key_event(
        None, await world.memory.patch(SAPERLY_KEYS, NAMESPACE, NAME, patch, options=PLAIN)
    )


async def rotation(world: World) -> RotationStatus:
    found = (await world.key()).status.rotation
    assert found is not None
    return found


async def announced(world: World) -> list[str]:
    return [event["reason"] for event in await world.memory.list(EVENTS)]


async def delivered(world: World, **rotation: str) -> None:
    await world.apply(rotation={"jitter": "0s", **rotation})
    await world.reconcile()
    assert await world.reasons() == READY
    world.forget_calls()


async def test_a_schedule_rotates_at_its_moment_and_says_the_next_one(world: World) -> None:
    await delivered(world, schedule="30d")
    first = await rotation(world)
    assert first.last_rotated_at is not None
    assert first.next_rotation_at == first.last_rotated_at + timedelta(days=30)
    await world.reconcile_after(30 * DAY - 1)
    assert world.minted() == 0
    await world.reconcile_after(1)
    assert world.minted() == 1
    second = await rotation(world)
    assert second.next_rotation_at == first.next_rotation_at + timedelta(days=30)
    assert await world.reasons() == READY, "it was never overdue"


async def test_an_outage_of_many_moments_costs_one_rotation(world: World) -> None:
    await delivered(world, schedule="@daily")
    await world.restart()
    await world.reconcile_after(100 * DAY)
    await world.reconcile_after(1, times=3)
    assert world.minted() == 1
    planned = (await rotation(world)).next_rotation_at
    assert planned is not None
    assert timedelta(0) < planned - world.clock.now() <= timedelta(days=1)


async def test_what_is_planned_is_true_after_every_edit(world: World) -> None:
    await delivered(world, schedule="30d")
    last, uid = (await rotation(world)).last_rotated_at, (await world.key()).metadata.uid
    assert last is not None

    await world.apply(rotation={"jitter": "1h"})
    await world.reconcile()
    assert (await rotation(world)).next_rotation_at == last + timedelta(days=30) + jitter_of(uid, timedelta(hours=1))

    await world.apply(rotation={"jitter": "0s"})
    await annotate(world, rotation_schedule="60d")
    await world.reconcile()
    assert (await rotation(world)).next_rotation_at == last + timedelta(days=60)

    await annotate(world, rotation_schedule=None)
    await world.reconcile()
    assert (await rotation(world)).next_rotation_at == last + timedelta(days=30)

    await world.apply(rotation={"schedule": None})
    await world.reconcile()
    gone = await rotation(world)
    assert (gone.next_rotation_at, gone.schedule, gone.schedule_since) == (None, None, None)
    assert world.minted() == 0


async def test_a_cron_window_set_today_does_not_rotate_for_the_one_of_last_week(world: World) -> None:
    await delivered(world)
    await world.reconcile_after(60 * DAY)
    await annotate(world, rotation_schedule="TZ=Europe/Berlin 0 3 * * 1")
    await world.reconcile()
    assert world.minted() == 0
    planned = (await rotation(world)).next_rotation_at
    assert planned is not None
    assert planned > world.clock.now()
    await world.reconcile_after((planned - world.clock.now()).total_seconds())
    assert world.minted() == 1


async def test_a_rotation_that_has_to_wait_is_overdue_until_it_is_done(world: World) -> None:
    await delivered(world, schedule="30d")
    block = world.control.block("insufficient_credits")
    await world.reconcile_after(30 * DAY)
    held = await world.reasons()
    assert (held["Ready"], held["RotationOverdue"]) == (reasons.INSUFFICIENT_CREDITS, reasons.INSUFFICIENT_CREDITS)
    planned = (await rotation(world)).next_rotation_at
    assert planned is not None
    assert planned <= world.clock.now()
    await world.reconcile_after(3600, times=5)
    assert (await announced(world)).count(reasons.ROTATION_OVERDUE) == 1, "news once"

    world.control.unblock(block.id)
    await world.reconcile_after(3600)
    assert await world.reasons() == READY
    assert len(world.live()) == 2
    planned = (await rotation(world)).next_rotation_at
    assert planned is not None
    assert planned > world.clock.now()


async def test_a_suspended_object_shows_that_its_rotation_is_overdue(world: World) -> None:
    await delivered(world, schedule="30d")
    await world.apply(suspend=True)
    await world.reconcile_after(30 * DAY - 1)
    assert "RotationOverdue" not in await world.reasons()
    await world.reconcile_after(1)
    assert (await world.reasons())["RotationOverdue"] == reasons.SUSPENDED
    await world.apply(suspend=False)
    await world.reconcile()
    assert await world.reasons() == READY
    assert world.minted() == 1


async def test_a_bad_schedule_is_told_once_and_holds_nothing_up(world: World) -> None:
    await delivered(world, schedule="30d")
    await annotate(world, rotation_schedule="0 25 * * *")
    await world.reconcile()
    told = await world.reasons()
    assert told["ScheduleRefused"] == told["Stalled"] == reasons.INVALID_SCHEDULE
    assert (await announced(world)).count(reasons.INVALID_SCHEDULE) == 1

    await world.apply(agentLabel="sales")
    await world.reconcile()
    assert [request.split()[0] for request in world.requests] == ["PATCH"]
    await annotate(world, rotate_requested_at="now")
    await world.reconcile()
    assert world.minted() == 1
    await world.reconcile_after(30 * DAY)
    assert world.minted() == 2, "the last good schedule goes on"
    assert (await announced(world)).count(reasons.INVALID_SCHEDULE) == 1, "news once"

    await annotate(world, rotation_schedule="60d")
    await world.reconcile()
    assert await world.reasons() == READY


async def test_the_last_good_schedule_outlives_the_process(world: World) -> None:
    await delivered(world)
    await annotate(world, rotation_schedule="20d")
    await world.reconcile()
    await annotate(world, rotation_schedule="every 20 days")
    await world.reconcile()
    await world.restart()
    await world.reconcile_after(20 * DAY)
    assert world.minted() == 1


async def test_a_hundred_requests_in_an_hour_cost_two_mints_and_the_last_one_is_answered(world: World) -> None:
    await delivered(world)
    for number in range(100):
        await annotate(world, rotate_requested_at=f"request {number}")
        await world.reconcile_after(36)
    assert world.minted() <= 3, "one of them in the second hour"
    assert (await world.reasons())["Ready"] in {reasons.AVAILABLE, reasons.MINT_LIMIT_REACHED}
    await world.reconcile_after(60, times=60)
    assert (await rotation(world)).last_handled_request == "request 99"
    assert world.minted() <= 4
    assert await world.reasons() == READY


async def test_a_hundred_requests_within_one_hour_begin_no_more_than_three_mints(world: World) -> None:
    await delivered(world)
    for number in range(100):
        await annotate(world, rotate_requested_at=f"request {number}")
        await world.reconcile_after(35)
    assert world.minted() == 2, "and the first of all makes three"


async def test_a_request_made_while_a_key_is_on_its_way_gets_a_key_of_its_own(world: World) -> None:
    await delivered(world)
    await annotate(world, rotate_requested_at="first")
    world.kube.faults.append(Fault("PATCH secrets", Unavailable("a call", None, "TimeoutError")))
    await world.reconcile()
    assert world.operator.tools.scratchpads.holding() == 1
    await annotate(world, rotate_requested_at="second")
    await world.reconcile_after(10, times=2)
    assert world.minted() == 2
    assert (await rotation(world)).last_handled_request == "second"
    secret = await world.secret()
    assert secret is not None
    assert secret["metadata"]["annotations"][annotations.HANDLED_REQUEST] == "second"


async def test_a_request_taken_away_and_put_back_rotates_nothing(world: World) -> None:
    await delivered(world)
    for value in ("now", None, "now"):
        await annotate(world, rotate_requested_at=value)
        await world.reconcile()
    assert world.minted() == 1


@pytest.mark.parametrize("length", [1024, 1025, 5000])
async def test_a_request_of_any_length_is_answered_once(world: World, length: int) -> None:
    await delivered(world)
    await annotate(world, rotate_requested_at="x" * length)
    await world.reconcile()
    await world.reconcile_after(60, times=3)
    assert world.minted() == 1
