"""Whether a workload runs with the new key: each state of one, and what is said of it."""

import pytest

from saperly_operator.lifecycle.rollout import Awaited, NotRestarted, RolledOut, Rollout, pending, rollouts
from saperly_operator.lifecycle.workloads import WorkloadAbsent, WorkloadLook, WorkloadRefused, WorkloadState
from saperly_operator.resources import reasons
from saperly_operator.resources.workload import RestartMark
from tests.builders import AGENT, NOW, a_look, a_workload, restarting, with_memory, with_spec, with_status


def judged(state: WorkloadState, *, is_overdue: bool = False, is_known: bool = False) -> Rollout | None:
    given = restarting(a_look(state, is_overdue=is_overdue))
    if is_known:
        restarted = given.key.status.restarted
        assert restarted is not None
        given = with_status(given, restarted=restarted.changed(workloads=(str(AGENT),)))
    return rollouts(given)[AGENT]


ROLLED_OUT = {
    "every pod is updated and available": a_workload(),
    "it is scaled to zero": a_workload(wanted=0, existing=0, updated=0, available=0),
    "it is scaled to zero and paused": a_workload(wanted=0, existing=0, updated=0, available=0, is_paused=True),
    "it was restarted for a later key": a_workload(3),
    "more pods are there than wanted, all of them updated": a_workload(existing=2, updated=2, available=2),
    "a failed rollout that came through after all": a_workload(has_failed=True),
    "its pods were deleted by hand": a_workload(is_on_delete=True),
    "a partition that leaves no pod behind": a_workload(partition=1),
}


@pytest.mark.parametrize("state", [pytest.param(state, id=sentence) for sentence, state in ROLLED_OUT.items()])
def test_it_runs_with_the_new_key(state: WorkloadState) -> None:
    assert judged(state) == RolledOut()


HALFWAY = a_workload(wanted=3, existing=4, updated=1, available=3)
IN_PROGRESS = {
    "its controller has not seen the template": a_workload(generation=3),
    "pods are still to be updated": a_workload(wanted=3, existing=3, updated=1, available=3),
    "an old pod is still there": a_workload(wanted=1, existing=2, updated=1, available=1),
    "a new pod is not available": a_workload(available=0),
    "half of it": HALFWAY,
    "a failure of the rollout before": a_workload(generation=3, has_failed=True),
    "scaled to zero, and the last pod still runs": a_workload(wanted=0, existing=1, updated=0, available=0),
}


@pytest.mark.parametrize("state", [pytest.param(state, id=sentence) for sentence, state in IN_PROGRESS.items()])
def test_it_is_awaited(state: WorkloadState) -> None:
    assert judged(state) == Awaited(reasons.ROLLOUT_IN_PROGRESS, "Deployment/agent is restarted for the new key.")


STALLED = {
    "it is paused": (a_workload(updated=0, is_paused=True), "Deployment/agent is paused: resume"),
    "its pods are replaced by hand": (a_workload(updated=0, is_on_delete=True), "OnDelete: delete its pods"),
    "a partition": (a_workload(wanted=3, existing=3, updated=1, available=3, partition=2), "The partition 2 of"),
    "its deadline passed": (a_workload(available=0, has_failed=True), "exceeded its progress deadline"),
}


@pytest.mark.parametrize(("state", "says"), [pytest.param(*row, id=sentence) for sentence, row in STALLED.items()])
def test_a_person_has_to_look(state: WorkloadState, says: str) -> None:
    rollout = judged(state)
    assert isinstance(rollout, Awaited)
    assert rollout.reason == reasons.ROLLOUT_STALLED
    assert says in rollout.message


@pytest.mark.parametrize("state", [HALFWAY, a_workload(generation=3)])
def test_what_takes_very_long_is_stalled_although_no_deadline_passed(state: WorkloadState) -> None:
    rollout = judged(state, is_overdue=True)
    assert isinstance(rollout, Awaited)
    assert (rollout.reason, "takes very long" in rollout.message) == (reasons.ROLLOUT_STALLED, True)


@pytest.mark.parametrize(
    "mark",
    [
        pytest.param(None, id="none"),
        pytest.param(RestartMark.of("uid-1", 1), id="of the key before"),
        pytest.param(RestartMark.of("another uid", 9), id="of another object of that name"),
    ],
)
def test_a_template_without_the_mark_is_restarted_once(mark: RestartMark | None) -> None:
    seen = a_workload(mark=mark)
    assert judged(seen) == NotRestarted(seen)
    again = judged(seen, is_known=True)
    assert isinstance(again, Awaited)
    assert (again.reason, "was changed back" in again.message) == (reasons.ROLLOUT_STALLED, True)


def test_one_that_is_not_there_or_not_shown_says_what_to_do() -> None:
    absent, refused = judged(WorkloadAbsent()), judged(WorkloadRefused("403 Forbidden"))
    assert isinstance(absent, Awaited)
    assert isinstance(refused, Awaited)
    assert (absent.reason, refused.reason) == (reasons.WORKLOAD_NOT_FOUND, reasons.RESTART_REFUSED)
    assert "create it, or take it out of spec.restart" in absent.message
    assert "Deployment/agent (403 Forbidden): permit it" in refused.message


OTHER = AGENT.changed(name="other")


def test_several_are_told_together_under_the_worst_reason() -> None:
    given = with_spec(restarting(), restart=[AGENT.to_api(), OTHER.to_api()])
    looks = {AGENT: a_look(HALFWAY), OTHER: a_look(WorkloadAbsent())}
    told = pending(with_memory(given, workloads=looks))
    assert told is not None
    assert told.reason == reasons.WORKLOAD_NOT_FOUND
    assert told.message.startswith(
        "Deployment/agent is restarted for the new key. There is no Deployment named other"
    )


@pytest.mark.parametrize(
    "looks", [{}, {AGENT: a_look(WorkloadAbsent())}, {AGENT: a_look(a_workload()), OTHER: a_look(a_workload())}]
)
def test_nothing_is_told_before_all_were_looked_at_nor_once_all_are_through(
    looks: dict[object, WorkloadLook],
) -> None:
    given = with_spec(restarting(since=NOW), restart=[AGENT.to_api(), OTHER.to_api()])
    assert pending(with_memory(given, workloads=looks)) is None
