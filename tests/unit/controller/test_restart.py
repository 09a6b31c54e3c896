"""A rotation with workloads to restart, between both APIs: what it costs, what a fault leaves, what holds the old key."""

from typing import Any

import pytest

from saperly_operator.kube import errors
from saperly_operator.kube.api import EVENTS, PLAIN, SAPERLY_KEYS, Object, Resource
from saperly_operator.resources import annotations, reasons
from saperly_operator.resources.workload import WorkloadKind
from tests.support.faulty_kube import Fault
from tests.support.workloads import DAEMON_SET, DEPLOYMENT, STATEFUL_SET, Controllers, template_annotations
from tests.unit.controller.world import NAME, NAMESPACE, World

MARK = f"{annotations.RESTARTED_PREFIX}{NAME}"
RESTART = [{"kind": "Deployment", "name": "agent"}]
FORBIDDEN = errors.Refused("a call", 403, "Forbidden")
LOST = errors.Unavailable("a call", None, "TimeoutError")
HOUR, DAY = 3600, 86400


@pytest.fixture
def apps(world: World) -> Controllers:
    return Controllers(world.memory, NAMESPACE)


async def request_rotation(world: World, token: str = "now") -> None:
    marks = {"metadata": {"annotations": {annotations.ROTATE_REQUESTED_AT: token}}}
    body = await world.memory.patch(SAPERLY_KEYS, NAMESPACE, NAME, marks, options=PLAIN)
    world.operator.intake.key_event(None, body)
    await world.reconcile()


async def delivered(world: World, apps: Controllers, restart: Any = RESTART, **spec: Any) -> str:
    """A Deployment runs with the first key; returns that key's id."""
    await apps.create(DEPLOYMENT, "agent")
    await world.apply(restart=restart, **spec)
    await world.reconcile()
    (first,) = world.live()
    world.forget_calls()
    return first


async def mark_of(apps: Controllers, kind: WorkloadKind = DEPLOYMENT, name: str = "agent") -> str | None:
    return template_annotations(await apps.get(kind, name)).get(MARK)


async def retiring(world: World) -> Any:
    return (await world.key()).status.retiring


async def pending(world: World) -> tuple[str, str] | None:
    """Reason and message of RolloutPending, while it is there."""
    for condition in (await world.key()).status.conditions:
        if condition.type == reasons.ROLLOUT_PENDING:
            assert condition.status.value == "True"
            return condition.reason, condition.message
    return None


async def events(world: World) -> list[str]:
    return [event["reason"] for event in await world.memory.list(EVENTS)]


async def test_a_first_key_restarts_nobody(world: World, apps: Controllers) -> None:
    await delivered(world, apps)
    assert await mark_of(apps) is None
    assert (await world.key()).status.restarted is None


async def test_the_overlap_counts_from_the_finished_rollout(world: World, apps: Controllers) -> None:
    first = await delivered(world, apps)
    await request_rotation(world)
    assert (await mark_of(apps) or "").startswith("2.")
    assert await pending(world) is not None

    await world.reconcile_after(1800)
    (old,) = await retiring(world)
    assert old.waiting_for == "the rollout of Deployment/agent"
    assert (old.revoke_after - old.replaced_at).days == 7

    await apps.roll_out(DEPLOYMENT, "agent")
    await world.reconcile_after(60)
    (old,) = await retiring(world)
    assert (old.waiting_for, old.overlap_started_at) == (None, world.clock.now())
    assert await pending(world) is None
    await world.reconcile_after(HOUR - 1)
    assert first in world.live()
    await world.reconcile_after(1)
    assert first not in world.live()


async def test_what_a_rotation_with_a_restart_costs(world: World, apps: Controllers) -> None:
    await delivered(world, apps)
    await request_rotation(world)
    await apps.roll_out(DEPLOYMENT, "agent")
    await world.reconcile_after(2)
    assert world.kube.writes == [
        "PATCH secrets dry",
        "PATCH saperlykeys/status",  # the intent
        "PATCH secrets",
        "PATCH saperlykeys/status",  # the record
        "POST events",
        "PATCH deployments",
        "PATCH saperlykeys/status",  # restarted
        "POST events",
        "PATCH saperlykeys/status",  # rolled out
        "POST events",
    ]
    assert [call for call in world.kube.calls if call == "GET deployments"] == ["GET deployments"] * 2
    assert sorted(await events(world)) == sorted(
        [reasons.ISSUED, reasons.ROTATED, reasons.RESTARTED, reasons.ROLLED_OUT]
    )


async def test_once_rolled_out_nobody_looks_at_the_workload_again(world: World, apps: Controllers) -> None:
    await delivered(world, apps)
    await request_rotation(world)
    await apps.roll_out(DEPLOYMENT, "agent")
    await world.reconcile_after(2)
    world.forget_calls()
    await world.reconcile_after(60, times=10)
    await world.restart()
    await world.reconcile()
    assert [call for call in world.kube.calls if "deployments" in call] == []


async def test_a_rollout_under_way_is_looked_at_ever_more_rarely_and_written_about_once(
    world: World, apps: Controllers
) -> None:
    await delivered(world, apps)
    await request_rotation(world)
    world.forget_calls()
    await world.reconcile_after(1)
    assert world.kube.calls == []
    await world.reconcile_after(1, times=120)
    assert set(world.kube.calls) == {"GET deployments"}
    assert 5 <= len(world.kube.calls) <= 20


async def test_every_kind_is_restarted_and_all_are_awaited(world: World, apps: Controllers) -> None:
    everyone = [{"kind": kind.value, "name": "agent"} for kind in WorkloadKind]
    await apps.create(STATEFUL_SET, "agent")
    await apps.create(DAEMON_SET, "agent")
    first = await delivered(world, apps, everyone)
    await request_rotation(world)
    for kind in WorkloadKind:
        assert await mark_of(apps, kind) is not None
        (old,) = await retiring(world)
        assert old.overlap_started_at is None
        await apps.roll_out(kind, "agent")
        await world.reconcile_after(60)
    (old,) = await retiring(world)
    assert (old.id, old.overlap_started_at) == (first, world.clock.now())


async def test_only_our_annotation_is_changed(world: World, apps: Controllers) -> None:
    await delivered(world, apps)
    before = await apps.get(DEPLOYMENT, "agent")
    await request_rotation(world)
    after = await apps.get(DEPLOYMENT, "agent")
    template_annotations(after).pop(MARK)
    after["spec"]["template"]["metadata"].pop("annotations")
    assert after["spec"] == before["spec"]
    assert after["metadata"].keys() == before["metadata"].keys()


@pytest.mark.parametrize(
    ("call", "after"),
    [
        pytest.param("GET deployments", False, id="the look fails"),
        pytest.param("PATCH deployments", False, id="the restart never arrives"),
        pytest.param("PATCH deployments", True, id="the answer to the restart is lost"),
    ],
)
async def test_a_lost_call_is_made_up_for(call: str, after: bool, world: World, apps: Controllers) -> None:
    await delivered(world, apps)
    world.kube.faults.append(Fault(call, LOST, after=after))
    await request_rotation(world)
    await world.reconcile_after(5)
    generation = (await apps.get(DEPLOYMENT, "agent"))["metadata"]["generation"]
    assert (await mark_of(apps), generation) == ((await mark_of(apps)), 2)
    assert await mark_of(apps) is not None


@pytest.mark.parametrize("nth", [3, 4])
async def test_a_crash_around_the_notes_on_a_restart_restarts_once(nth: int, world: World, apps: Controllers) -> None:
    await delivered(world, apps)
    world.kube.faults.append(Fault("PATCH saperlykeys/status", LOST, nth=nth))
    await request_rotation(world)
    await apps.roll_out(DEPLOYMENT, "agent")
    await world.restart()
    await world.reconcile_after(60)
    await world.reconcile_after(60)
    assert (await apps.get(DEPLOYMENT, "agent"))["metadata"]["generation"] == 2
    (old,) = await retiring(world)
    assert old.overlap_started_at is not None


async def test_a_conflict_on_the_workload_is_read_again(world: World, apps: Controllers) -> None:
    await delivered(world, apps)
    world.kube.faults.append(Fault("PATCH deployments", errors.Conflict("a call", 409, "Conflict")))
    await request_rotation(world)
    assert await mark_of(apps) is not None


async def test_a_missing_workload_holds_the_old_key_until_max_overlap_and_is_restarted_when_it_comes(
    world: World, apps: Controllers
) -> None:
    absent = [{"kind": "StatefulSet", "name": "absent"}]
    first = await delivered(world, apps, absent, rotation={"maxOverlap": "2d"})
    await request_rotation(world)
    reason, message = await pending(world) or ("", "")
    assert reason == reasons.WORKLOAD_NOT_FOUND
    assert "There is no StatefulSet named absent: create it" in message
    assert (await world.reasons())["Ready"] == reasons.AVAILABLE
    assert reasons.WORKLOAD_NOT_FOUND in await events(world)

    await world.reconcile_after(2 * DAY - 1)
    assert first in world.live()
    await world.reconcile_after(1)
    assert first not in world.live()
    assert await pending(world) is None
    assert reasons.ROLLOUT_GIVEN_UP in await events(world)
    world.forget_calls()
    await world.reconcile_after(3600)
    assert world.kube.calls == []


async def test_a_workload_that_appears_late_is_restarted_and_awaited(world: World, apps: Controllers) -> None:
    await delivered(world, apps, [{"kind": "StatefulSet", "name": "late"}])
    await request_rotation(world)
    await apps.create(STATEFUL_SET, "late")
    await world.reconcile_after(60)
    assert await mark_of(apps, STATEFUL_SET, "late") is not None


async def test_a_refused_restart_is_told_and_tried_again(world: World, apps: Controllers) -> None:
    await delivered(world, apps)
    world.kube.faults.append(Fault("PATCH deployments", FORBIDDEN))
    await request_rotation(world)
    reason, message = await pending(world) or ("", "")
    assert reason == reasons.RESTART_REFUSED
    assert "Deployment/agent (403 Forbidden)" in message
    await world.reconcile_after(60)
    assert await mark_of(apps) is not None


async def test_a_webhook_that_takes_the_mark_away_is_told_and_not_fought(world: World, apps: Controllers) -> None:
    def strip(resource: Resource, new: Object, old: Object | None, *, dry_run: bool) -> None:
        if resource.plural == "deployments":
            new["spec"]["template"]["metadata"].pop("annotations", None)

    await delivered(world, apps)
    world.memory.admissions.append(strip)
    await request_rotation(world)
    reason, message = await pending(world) or ("", "")
    assert reason == reasons.RESTART_REFUSED
    assert "takes the annotation off" in message
    assert world.kube.writes.count("PATCH deployments") == 1


async def test_a_rollout_that_was_undone_is_told_and_not_restarted_again(world: World, apps: Controllers) -> None:
    await delivered(world, apps)
    await request_rotation(world)
    template = (await apps.get(DEPLOYMENT, "agent"))["spec"]["template"]
    template["metadata"]["annotations"][MARK] = None
    await apps.edit(DEPLOYMENT, "agent", template=template)
    await apps.roll_out(DEPLOYMENT, "agent")
    await world.reconcile_after(60)
    reason, message = await pending(world) or ("", "")
    assert reason == reasons.ROLLOUT_STALLED
    assert "was changed back" in message
    assert await mark_of(apps) is None


async def test_a_stalled_rollout_is_one_warning_however_long_it_lasts(world: World, apps: Controllers) -> None:
    await delivered(world, apps)
    await apps.edit(DEPLOYMENT, "agent", paused=True)
    await request_rotation(world)
    await apps.observe(DEPLOYMENT, "agent", existing=1, available=1)
    await world.reconcile_after(60, times=5)
    reason, message = await pending(world) or ("", "")
    assert (reason, "is paused: resume" in message) == (reasons.ROLLOUT_STALLED, True)
    assert (await events(world)).count(reasons.ROLLOUT_STALLED) == 1
    world.forget_calls()
    await world.restart()
    await world.reconcile_after(60)
    assert world.kube.writes == []


async def test_a_rotation_during_a_rotation_makes_both_old_keys_wait_for_the_newest_rollout(
    world: World, apps: Controllers
) -> None:
    first = await delivered(world, apps)
    await request_rotation(world, "once")
    await request_rotation(world, "twice")
    assert (await mark_of(apps) or "").startswith("3.")
    assert [old.overlap_started_at for old in await retiring(world)] == [None, None]
    await apps.roll_out(DEPLOYMENT, "agent")
    await world.reconcile_after(60)
    started = {old.id: old.overlap_started_at for old in await retiring(world)}
    assert first in started
    assert set(started.values()) == {world.clock.now()}


async def test_an_old_key_in_its_overlap_keeps_its_date_through_the_next_rotation(
    world: World, apps: Controllers
) -> None:
    first = await delivered(world, apps)
    await request_rotation(world, "once")
    await apps.roll_out(DEPLOYMENT, "agent")
    await world.reconcile_after(60)
    (before,) = await retiring(world)
    await world.reconcile_after(60)
    await request_rotation(world, "twice")
    after = {old.id: old for old in await retiring(world)}
    assert after[first] == before
    assert len(after) == 2


async def test_another_object_that_restarts_the_same_workload_does_not_undo_the_mark(
    world: World, apps: Controllers
) -> None:
    await delivered(world, apps)
    await world.apply("other", restart=RESTART)
    await world.reconcile("other")
    await request_rotation(world)
    marks = {"metadata": {"annotations": {annotations.ROTATE_REQUESTED_AT: "now"}}}
    body = await world.memory.patch(SAPERLY_KEYS, NAMESPACE, "other", marks, options=PLAIN)
    world.operator.intake.key_event(None, body)
    await world.reconcile("other")
    assert len(template_annotations(await apps.get(DEPLOYMENT, "agent"))) == 2
    await apps.roll_out(DEPLOYMENT, "agent")
    await world.reconcile_after(60)
    await world.reconcile("other")
    for name in (NAME, "other"):
        assert (await world.key(name)).status.retiring[0].overlap_started_at is not None


async def test_a_recreated_object_does_not_take_its_predecessors_mark_for_its_own(
    world: World, apps: Controllers
) -> None:
    await delivered(world, apps)
    await request_rotation(world)
    before = await mark_of(apps)
    await world.delete()
    await world.reconcile_after(60)
    await world.apply(restart=RESTART)
    await world.reconcile()
    await request_rotation(world, "later")
    assert await mark_of(apps) not in (None, before)


async def test_suspended_in_the_middle_the_rollout_is_brought_to_its_end(world: World, apps: Controllers) -> None:
    first = await delivered(world, apps)
    await request_rotation(world)
    await world.apply(suspend=True)
    await apps.roll_out(DEPLOYMENT, "agent")
    await world.reconcile_after(60)
    await world.reconcile_after(HOUR)
    assert first not in world.live()


async def test_deleted_in_the_middle_with_revoke_nothing_is_awaited(world: World, apps: Controllers) -> None:
    await delivered(world, apps)
    await request_rotation(world)
    await world.delete()
    await world.reconcile()
    assert world.live() == []


async def test_deleted_in_the_middle_with_orphan_the_old_key_lives_until_its_overlap_ends(
    world: World, apps: Controllers
) -> None:
    first = await delivered(world, apps, deletionPolicy="Orphan")
    await request_rotation(world)
    await world.delete()
    await world.reconcile_after(DAY)
    assert first in world.live()
    await apps.roll_out(DEPLOYMENT, "agent")
    await world.reconcile_after(60)
    await world.reconcile_after(HOUR - 1)
    assert first in world.live()
    await world.reconcile_after(1)
    assert len(world.live()) == 1
    assert first not in world.live()


async def test_a_workload_taken_out_of_the_list_is_awaited_no_more(world: World, apps: Controllers) -> None:
    await delivered(world, apps)
    await request_rotation(world)
    await world.apply(restart=[])
    await world.reconcile()
    (old,) = await retiring(world)
    assert old.overlap_started_at == world.clock.now()


async def test_a_workload_added_in_the_middle_is_restarted_and_awaited_too(world: World, apps: Controllers) -> None:
    await delivered(world, apps)
    await apps.create(STATEFUL_SET, "second")
    await request_rotation(world)
    await world.apply(restart=[*RESTART, {"kind": "StatefulSet", "name": "second"}])
    await apps.roll_out(DEPLOYMENT, "agent")
    await world.reconcile_after(60)
    assert await mark_of(apps, STATEFUL_SET, "second") is not None
    (old,) = await retiring(world)
    assert old.waiting_for == "the rollout of StatefulSet/second"


@pytest.mark.parametrize(("overlap", "seconds"), [("2h", 7200), ("30m", 1800)])
async def test_another_overlap_reaches_the_old_key_that_lives(
    overlap: str, seconds: int, world: World, apps: Controllers
) -> None:
    await delivered(world, apps, [])
    await request_rotation(world)
    await world.apply(rotation={"overlap": overlap})
    await world.reconcile()
    (old,) = await retiring(world)
    assert (old.revoke_after - old.overlap_started_at).total_seconds() == seconds


async def test_where_the_old_key_is_dead_workloads_are_restarted_all_the_same(
    world: World, apps: Controllers
) -> None:
    first = await delivered(world, apps, rotation={"strategy": "Atomic"})
    await world.reconcile_after(2 * HOUR)
    await request_rotation(world)
    assert (await mark_of(apps) or "").startswith("2.")
    assert first not in world.live()
    assert await retiring(world) == ()
    told = await pending(world)
    assert told is not None
    assert "The old key is dead: whatever still runs with it fails." in told[1]

    await world.reconcile_after(6 * DAY)
    assert await pending(world) is not None, "it is waited for as long as a living key would be"
    await apps.roll_out(DEPLOYMENT, "agent")
    await world.reconcile_after(60)
    assert await pending(world) is None
    world.forget_calls()
    await world.reconcile_after(60, times=3)
    assert world.kube.calls == []


async def test_after_a_revocation_by_somebody_else_workloads_are_restarted(world: World, apps: Controllers) -> None:
    first = await delivered(world, apps)
    world.control.revoke_key(first)
    await world.reconcile_after(2 * HOUR)
    await world.sweep()
    await world.reconcile()
    assert first not in world.live()
    assert len(world.live()) == 1
    assert await mark_of(apps) is not None
    await apps.roll_out(DEPLOYMENT, "agent")
    await world.reconcile_after(60)
    assert await pending(world) is None


async def test_a_move_of_the_secret_restarts_nobody(world: World, apps: Controllers) -> None:
    await delivered(world, apps)
    await world.apply(secret={"name": "renamed"})
    await world.reconcile()
    assert await world.secret("renamed") is not None
    assert await mark_of(apps) is None


async def test_after_a_revocation_outside_workloads_are_restarted_although_no_old_key_lives(
    world: World, apps: Controllers
) -> None:
    first = await delivered(world, apps, secret={"previousKey": "OLD"})
    world.control.revoke_key(first)
    world.clock.advance(1)
    await world.sweep()
    await world.reconcile()
    assert (await world.key()).status.retiring == ()
    assert await mark_of(apps) is not None
    assert await world.digest(NAME, "OLD") is None, "a dead key is of no use to anybody"
    await apps.roll_out(DEPLOYMENT, "agent")
    await world.reconcile_after(60)
    assert await pending(world) is None


async def test_the_end_of_an_old_key_is_written_once(world: World, apps: Controllers) -> None:
    await delivered(world, apps, [])
    await request_rotation(world)
    world.forget_calls()
    await world.reconcile_after(HOUR)
    assert world.kube.writes == ["PATCH saperlykeys/status", "POST events"]
    assert (await world.reasons())["Ready"] == reasons.AVAILABLE
