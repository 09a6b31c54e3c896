"""Rotation on the real cluster: by schedule, on request, with an overlap in which both keys work.

The operator's clock is the real one, so a schedule is made due by setting the date of the last rotation back.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from saperly_operator.simulator.state import Operation
from tests.cluster.user import User, holds_key

LONG_AGO = "2020-01-01T00:00:00Z"
NO_JITTER = {"overlap": "1s", "jitter": "0s"}


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def last_rotated(user: User, name: str, at: str) -> None:
    """Let the key look as if it had been rotated last at that time, under the schedule that it has now."""
    user.patch(name, {"status": {"rotation": {"lastRotatedAt": at, "scheduleSince": at}}}, subresource="status")


def request_rotation(user: User, name: str, value: str) -> None:
    user.annotate(name, rotate_requested_at=value)


def triggers(user: User, name: str, count: int = 1) -> list[str]:
    """The causes of the rotations that were announced, oldest first; ``count`` of them are awaited."""
    user.world.reasons(name, "Rotated", count)
    notes = [event["note"] for event in user.world.events(name) if event["reason"] == "Rotated"]
    return [note.rpartition("Cause: ")[2].rstrip(".") for note in notes]


def ready_key(user: User, name: str, **spec: Any) -> str:
    """The id of the current key of a new Ready object."""
    key_id: str = user.ready(name, **spec)["status"]["current"]["id"]
    return key_id


def test_a_key_older_than_its_schedule_allows_is_rotated_once(user: User) -> None:
    first = ready_key(user, "aged", rotation=NO_JITTER | {"schedule": "30d"})
    minted_at = moment(user.status("aged")["current"]["mintedAt"])
    planned = moment(user.status("aged")["rotation"]["nextRotationAt"])
    assert abs(planned - minted_at - timedelta(days=30)) < timedelta(minutes=1)

    last_rotated(user, "aged", LONG_AGO)  # many times 30 days
    now = user.wait_rotated("aged", first)["status"]

    assert triggers(user, "aged") == ["RotationScheduled"]
    assert moment(now["rotation"]["nextRotationAt"]) > datetime.now(UTC) + timedelta(days=29)
    assert holds_key(user, "aged", now["current"]["id"])
    user.wait_revoked(first)
    assert len(user.minted("aged")) == 2


def test_a_moment_of_a_cron_expression_that_was_missed_is_made_up_for_once(user: User) -> None:
    first = ready_key(user, "cron", rotation=NO_JITTER | {"schedule": "TZ=Europe/Berlin 0 3 * * 1"})
    planned = moment(user.status("cron")["rotation"]["nextRotationAt"])
    assert planned.weekday() == 0
    assert planned.hour in {1, 2}  # 3 o'clock in Berlin

    last_rotated(user, "cron", LONG_AGO)
    user.wait_rotated("cron", first)

    assert triggers(user, "cron") == ["RotationScheduled"]
    assert moment(user.status("cron")["rotation"]["nextRotationAt"]) >= planned


def test_jitter_puts_a_rotation_off_by_no_more_than_it_says(user: User) -> None:
    ready_key(user, "jitter", rotation={"schedule": "30d", "jitter": "12h"})
    status = user.status("jitter")

    late_by = moment(status["rotation"]["nextRotationAt"]) - moment(status["rotation"]["lastRotatedAt"])

    assert timedelta(days=30) < late_by <= timedelta(days=30, hours=12)


def test_a_request_is_answered_once_per_value_and_echoed(user: User) -> None:
    first = ready_key(user, "asked", rotation=NO_JITTER)

    request_rotation(user, "asked", "2026-11-24T10:00:00Z")
    second = user.wait_rotated("asked", first)["status"]
    assert second["rotation"]["lastHandledRequest"] == "2026-11-24T10:00:00Z"

    user.change("asked", displayName="asked once")  # another look at the same value
    user.wait_settled("asked")
    assert user.status("asked")["current"]["id"] == second["current"]["id"]

    request_rotation(user, "asked", "any other text")
    third = user.wait_rotated("asked", second["current"]["id"])["status"]
    assert third["rotation"]["lastHandledRequest"] == "any other text"
    assert triggers(user, "asked", 2) == ["RotationRequested", "RotationRequested"]
    assert len(user.minted("asked")) == 3


def test_a_request_that_is_there_from_the_beginning_counts_as_answered(user: User) -> None:
    metadata = {"annotations": {"saperly.com/rotate-requested-at": "at birth"}}
    user.kubectl.apply(user.world.key_object("born", metadata), namespace=user.namespace)
    key = user.world.wait_ready("born")

    assert key["status"]["rotation"]["lastHandledRequest"] == "at birth"
    user.change("born", displayName="born once")
    user.wait_settled("born")
    assert len(user.minted("born")) == 1


def test_the_old_key_works_until_the_end_of_the_overlap(user: User) -> None:
    first = ready_key(user, "overlap", rotation={"overlap": "4s"})

    request_rotation(user, "overlap", "now")
    now = user.wait_rotated("overlap", first)["status"]

    (old,) = now["retiring"]
    assert (old["id"], old["reason"]) == (first, "RotationRequested")
    assert user.child(first).is_live
    assert user.child(now["current"]["id"]).is_live
    assert holds_key(user, "overlap", now["current"]["id"])

    revoked_at = user.wait_revoked(first).revoked_at
    assert revoked_at is not None
    assert revoked_at >= moment(old["revokeAfter"])
    user.wait("overlap", "nothing retires", lambda key: not key["status"].get("retiring"))
    assert user.only_live("overlap").id == now["current"]["id"]


def test_a_new_key_inherits_what_the_spec_says(user: User) -> None:
    first = ready_key(
        user, "alike", agentLabel="support", monthlyCapCents=5000, permissions="full", rotation=NO_JITTER
    )

    request_rotation(user, "alike", "now")
    second = user.wait_rotated("alike", first)["status"]["current"]["id"]

    old, new = user.child(first), user.child(second)
    assert (new.agent_label, new.monthly_cap_cents, new.permissions) == ("support", 5000, "full")
    assert old.name != new.name  # the serial in its tag


def test_the_annotation_wins_over_the_spec(user: User) -> None:
    first = ready_key(user, "annotated", rotation=NO_JITTER | {"schedule": "30d"})
    two_hours_ago = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)
    last_rotated(user, "annotated", two_hours_ago.isoformat())
    user.change("annotated", displayName="still thirty days")
    user.wait_settled("annotated")
    assert user.status("annotated")["current"]["id"] == first

    user.annotate("annotated", rotation_schedule="1h")
    now = user.wait_rotated("annotated", first)["status"]["rotation"]

    assert moment(now["nextRotationAt"]) - moment(now["lastRotatedAt"]) == timedelta(hours=1)
    assert triggers(user, "annotated") == ["RotationScheduled"]


def test_an_annotation_that_is_no_schedule_is_told_and_the_last_good_one_goes_on(user: User) -> None:
    first = ready_key(user, "unreadable", rotation=NO_JITTER | {"schedule": "30d"})
    planned = user.status("unreadable")["rotation"]

    user.annotate("unreadable", rotation_schedule="0 25 * * *")
    told = user.world.wait_reason("unreadable", "InvalidSchedule", "ScheduleRefused")
    assert "the hour '25' of the schedule '0 25 * * *' is wrong: use 0 to 23" in told["message"]
    conditions = user.conditions("unreadable")
    assert (conditions["Ready"]["status"], conditions["Stalled"]["reason"]) == ("True", "InvalidSchedule")
    assert user.world.reasons("unreadable", "InvalidSchedule")
    assert user.status("unreadable")["rotation"] == planned

    last_rotated(user, "unreadable", LONG_AGO)
    rotated = user.wait(
        "unreadable",
        "has another key",
        lambda key: key["status"]["current"]["id"] != first and not key["status"].get("intent"),
    )
    second = rotated["status"]["current"]["id"]
    user.wait_revoked(first)
    assert triggers(user, "unreadable") == ["RotationScheduled"]

    user.annotate("unreadable", rotation_schedule=None)
    user.wait("unreadable", "all is well", lambda key: "ScheduleRefused" not in types(key))
    assert "Stalled" not in user.conditions("unreadable")
    assert user.status("unreadable")["current"]["id"] == second


def types(key: dict[str, Any]) -> set[str]:
    """The types of an object's conditions."""
    return {condition["type"] for condition in key["status"]["conditions"]}


def test_a_schedule_denser_than_the_overlap_allows_is_refused_with_the_sums(user: User) -> None:
    ready_key(user, "dense", rotation={"schedule": "@daily", "overlap": "30d"})
    told = user.world.wait_reason("dense", "ScheduleTooDense", "ScheduleRefused")
    assert "every 1d" in told["message"]
    assert "30 old keys would wait to be revoked at once; 10 may" in told["message"]
    assert user.conditions("dense")["Ready"]["status"] == "True"


def test_a_cron_window_that_is_set_now_means_the_next_one(user: User) -> None:
    first = ready_key(user, "window", rotation=NO_JITTER)
    last_rotated(user, "window", LONG_AGO)
    user.annotate("window", rotation_schedule="TZ=Europe/Berlin 0 3 * * 1")
    user.wait("window", "it is planned", lambda key: "nextRotationAt" in key["status"]["rotation"])
    assert moment(user.status("window")["rotation"]["nextRotationAt"]) > datetime.now(UTC)
    assert user.status("window")["current"]["id"] == first


def test_a_rotation_that_waits_is_overdue_and_the_key_stays_ready(user: User) -> None:
    first = ready_key(user, "overdue", rotation=NO_JITTER | {"schedule": "30d"})
    user.change("overdue", suspend=True)
    last_rotated(user, "overdue", LONG_AGO)
    told = user.world.wait_reason("overdue", "Suspended", "RotationOverdue")
    assert "The rotation was due at 2020-01-31T00:00:00Z." in told["message"]
    assert user.conditions("overdue")["Ready"]["status"] == "True"
    assert "2020-01-31T00:00:00Z" in user.kubectl("get", "skey", "overdue", f"--namespace={user.namespace}")

    user.change("overdue", suspend=False)
    user.wait_rotated("overdue", first)
    user.wait("overdue", "it is done", lambda key: "RotationOverdue" not in types(key))


def test_in_one_step_the_old_key_is_dead_at_once_and_the_new_one_says_whose_place_it_took(user: User) -> None:
    first = ready_key(user, "atomic", agentLabel="support", rotation={"strategy": "Atomic"})
    before = user.call_number()

    request_rotation(user, "atomic", "leaked")
    now = user.wait_rotated("atomic", first)["status"]

    assert now["current"]["rotatedFrom"] == first
    assert holds_key(user, "atomic", now["current"]["id"])
    old, new = user.child(first), user.wait_named("atomic", now["current"]["serial"])
    assert (new.rotated_from, new.agent_label) == (first, "support")
    assert old.revoked_at is not None
    assert old.revoked_at <= new.created_at
    assert triggers(user, "atomic") == ["RotationRequested"]
    user.wait("atomic", "nothing retires", lambda key: not key["status"].get("retiring"))
    asked = [record.operation for record in user.vendor.calls(before) if record.key_id == first]
    assert asked == [Operation.ROTATE, Operation.GET], "a dead key needs no revoke"
    assert len(user.minted("atomic")) == 2


def test_a_schedule_rotates_in_one_step_too(user: User) -> None:
    first = ready_key(user, "atomic-aged", rotation=NO_JITTER | {"strategy": "Atomic", "schedule": "30d"})
    last_rotated(user, "atomic-aged", LONG_AGO)
    now = user.wait_rotated("atomic-aged", first)["status"]
    assert now["current"]["rotatedFrom"] == first
    assert triggers(user, "atomic-aged") == ["RotationScheduled"]


def test_suspend_puts_rotations_off_and_old_keys_still_end(user: User) -> None:
    first = ready_key(user, "paused", rotation={"overlap": "3s"})
    request_rotation(user, "paused", "before")
    second = user.wait_rotated("paused", first)["status"]["current"]["id"]

    user.change("paused", suspend=True)
    request_rotation(user, "paused", "meanwhile")
    user.world.wait_reason("paused", "Suspended")
    user.wait_revoked(first)  # what was open is finished
    suspended = user.status("paused")
    assert suspended["current"]["id"] == second
    assert user.conditions("paused")["Ready"]["status"] == "True"

    user.change("paused", suspend=False)
    third = user.wait_rotated("paused", second)["status"]
    assert third["rotation"]["lastHandledRequest"] == "meanwhile"
    assert [child.id for child in user.minted("paused")] == [first, second, third["current"]["id"]]


def test_a_suspended_object_gets_no_first_key_before_it_goes_on(user: User) -> None:
    user.world.apply_key("later", suspend=True)
    user.world.wait_reason("later", "Suspended")
    assert user.conditions("later")["Ready"]["status"] == "False"
    assert user.minted("later") == []

    user.change("later", suspend=False)
    user.world.wait_ready("later")
    assert len(user.minted("later")) == 1
