"""Which schedule an object follows, what is remembered of it, and that the next rotation shown is always the true one."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from saperly_operator.lifecycle.rotation import Plan, plan_of
from saperly_operator.lifecycle.schedule import jitter_of
from saperly_operator.resources import annotations, reasons
from saperly_operator.resources.saperly_key import SaperlyKey
from saperly_operator.resources.saperly_key_status import RotationStatus, SaperlyKeyStatus
from tests.builders import DAY, HOUR, MINUTE, NOW, SECOND, UID, a_delivered_status, a_key, a_ref

MONDAY = datetime(2026, 11, 30, 3, 0, tzinfo=UTC)
"""The first Monday, three o'clock, after NOW (a Tuesday)."""
LAST_MONDAY = MONDAY - 7 * DAY


def asking(schedule: str | None = None, annotation: str | None = None, **rotation: str) -> SaperlyKey:
    """An object with a schedule in its spec, in its annotation, or none, and no jitter."""
    wanted = {"jitter": "0s", **({"schedule": schedule} if schedule is not None else {}), **rotation}
    marks = {annotations.ROTATION_SCHEDULE: annotation} if annotation is not None else {}
    return a_key(None, {"annotations": marks}, rotation=wanted)


def remembering(**rotation: Any) -> SaperlyKeyStatus:
    """A delivered key's status, rotated a day ago, that remembers this of its rotation."""
    return a_delivered_status(rotation=RotationStatus.model_validate({"last_rotated_at": NOW - DAY, **rotation}))


def followed(
    key: SaperlyKey, status: SaperlyKeyStatus | None = None, now: datetime = NOW
) -> tuple[str | None, datetime | None]:
    plan = plan_of(key, status or remembering(), now)
    return plan.schedule, plan.due


# --- when it is due ---------------------------------------------------------------------------------------------


def test_without_a_schedule_nothing_is_planned() -> None:
    assert plan_of(asking(), remembering(), NOW) == Plan()


def test_an_age_counts_from_the_last_rotation_whenever_it_was_set() -> None:
    assert followed(asking("30d")) == ("30d", NOW + 29 * DAY)
    assert followed(asking("2h")) == ("2h", NOW - 22 * HOUR), "overdue at once: the key is older than that"


def test_a_cron_expression_counts_from_when_it_was_first_seen() -> None:
    """A weekly window set on a Tuesday means the next Monday, though the key was rotated before last Monday."""
    status = remembering(last_rotated_at=NOW - 30 * DAY)
    assert followed(asking("0 3 * * 1"), status) == ("0 3 * * 1", MONDAY)


def test_a_moment_that_was_missed_since_then_is_due() -> None:
    status = remembering(last_rotated_at=NOW - 30 * DAY, schedule="0 3 * * 1", schedule_since=LAST_MONDAY - SECOND)
    assert followed(asking("0 3 * * 1"), status) == ("0 3 * * 1", LAST_MONDAY)


def test_the_very_moment_at_which_it_was_set_does_not_count() -> None:
    status = remembering(last_rotated_at=NOW - 30 * DAY, schedule="0 3 * * 1", schedule_since=LAST_MONDAY)
    assert followed(asking("0 3 * * 1"), status) == ("0 3 * * 1", MONDAY)


def test_after_many_missed_moments_the_first_is_due_and_after_the_rotation_none_of_them() -> None:
    long_ago = {"schedule": "@daily", "schedule_since": NOW - 400 * DAY}
    status = remembering(last_rotated_at=NOW - 400 * DAY, **long_ago)
    _, due = followed(asking("@daily"), status)
    assert due is not None
    assert due < NOW - 399 * DAY
    rotated = remembering(last_rotated_at=NOW, **long_ago)
    assert followed(asking("@daily"), rotated) == ("@daily", NOW + 14 * HOUR)


def test_a_request_or_a_lost_secret_before_the_moment_leaves_the_moment_where_it_was() -> None:
    before = remembering(last_rotated_at=MONDAY - MINUTE, schedule="0 3 * * 1", schedule_since=NOW - 30 * DAY)
    assert followed(asking("0 3 * * 1"), before, MONDAY - SECOND) == ("0 3 * * 1", MONDAY)


def test_the_jitter_is_added_and_an_edit_of_it_moves_what_is_shown() -> None:
    assert followed(asking("30d", jitter="1h")) == ("30d", NOW + 29 * DAY + jitter_of(UID, HOUR))
    assert followed(asking("30d", jitter="2h")) == ("30d", NOW + 29 * DAY + jitter_of(UID, 2 * HOUR))


def test_before_the_first_key_and_on_the_way_out_nothing_is_due() -> None:
    assert followed(asking("30d"), SaperlyKeyStatus()) == ("30d", None)
    leaving = asking("30d")
    leaving = leaving.changed(metadata=leaving.metadata.changed(deletion_timestamp=NOW))
    assert followed(leaving) == ("30d", None)


def test_a_status_without_a_last_rotation_counts_from_the_vendors_own_time() -> None:
    status = a_delivered_status(rotation=None, current=a_ref(minted_at=NOW - 2 * DAY))
    assert followed(asking("30d"), status) == ("30d", NOW + 28 * DAY)


@pytest.mark.parametrize(
    ("minted_at", "due"),
    [
        pytest.param(NOW - 5 * DAY, NOW + 25 * DAY, id="the vendor's clock tells how old the key is"),
        pytest.param(NOW + HOUR, NOW + 30 * DAY, id="the vendor's clock is ahead as well: it is new"),
    ],
)
def test_a_rotation_noted_in_the_future_does_not_put_the_next_off(minted_at: datetime, due: datetime) -> None:
    status = remembering(last_rotated_at=NOW + 300 * DAY).changed(current=a_ref(minted_at=minted_at))
    assert followed(asking("30d"), status) == ("30d", due)


def test_a_schedule_first_seen_in_the_future_counts_from_now() -> None:
    status = remembering(schedule="0 3 * * 1", schedule_since=NOW + 300 * DAY)
    plan = plan_of(asking("0 3 * * 1"), status, NOW)
    assert (plan.since, plan.due) == (NOW, MONDAY)


# --- what is remembered -----------------------------------------------------------------------------------------


def test_a_schedule_is_remembered_with_the_time_at_which_it_was_first_seen() -> None:
    first = plan_of(asking("@daily"), remembering(), NOW).kept_in(remembering())
    assert first.rotation is not None
    assert (first.rotation.schedule, first.rotation.schedule_since) == ("@daily", NOW)
    again = plan_of(asking("@daily"), first, NOW + HOUR).kept_in(first)
    assert again == first, "a look at an object at rest changes nothing"
    other = plan_of(asking("@weekly"), first, NOW + HOUR).kept_in(first)
    assert other.rotation is not None
    assert (other.rotation.schedule, other.rotation.schedule_since) == ("@weekly", NOW + HOUR)


def test_a_schedule_that_goes_away_leaves_nothing_behind() -> None:
    before = remembering(schedule="@daily", schedule_since=NOW - DAY, next_rotation_at=NOW + HOUR)
    after = plan_of(asking(), before, NOW).kept_in(before)
    assert after.rotation == RotationStatus(last_rotated_at=NOW - DAY)


def test_an_object_without_any_schedule_gets_no_empty_record_of_rotations() -> None:
    status = SaperlyKeyStatus()
    assert plan_of(asking(), status, NOW).kept_in(status) is status


# --- schedules that cannot be followed ------------------------------------------------------------------------------


def test_the_annotation_wins_over_the_spec() -> None:
    assert followed(asking("30d", "60d")) == ("60d", NOW + 59 * DAY)


def test_the_last_good_schedule_goes_on_and_the_wrong_part_is_quoted() -> None:
    status = remembering(schedule="20d", schedule_since=NOW - DAY)
    plan = plan_of(asking("30d", "0 25 * * *"), status, NOW)
    assert (plan.schedule, plan.since, plan.due) == ("20d", NOW - DAY, NOW + 19 * DAY)
    assert plan.refusal is not None
    assert plan.refusal.reason == reasons.INVALID_SCHEDULE
    assert "the hour '25' of the schedule '0 25 * * *' is wrong" in plan.refusal.message
    assert status.rotation is not None
    assert plan.kept_in(status).rotation == status.rotation.changed(next_rotation_at=plan.due)


def test_where_nothing_was_followed_before_the_specs_own_schedule_is() -> None:
    plan = plan_of(asking("30d", "every month"), remembering(), NOW)
    assert (plan.schedule, plan.due) == ("30d", NOW + 29 * DAY)
    assert plan.refusal is not None


@pytest.mark.parametrize("spec", [None, "0 0 30 2 *"])
def test_where_there_is_no_good_schedule_at_all_nothing_is_due(spec: str | None) -> None:
    plan = plan_of(asking(spec, "every month"), remembering(), NOW)
    assert (plan.schedule, plan.due) == (None, None)
    assert plan.refusal is not None
    assert "'every month'" in plan.refusal.message


def test_a_remembered_schedule_that_cannot_be_read_any_more_is_passed_over() -> None:
    status = remembering(schedule="TZ=Europe/Nowhere 0 3 * * 1", schedule_since=NOW - DAY)
    assert followed(asking("30d", "every month"), status) == ("30d", NOW + 29 * DAY)


def test_a_schedule_denser_than_the_overlap_allows_is_refused_with_the_sums() -> None:
    plan = plan_of(asking("@daily", overlap="30d"), remembering(), NOW)
    assert (plan.schedule, plan.due) == (None, None)
    assert plan.refusal is not None
    assert plan.refusal.reason == reasons.SCHEDULE_TOO_DENSE
    assert plan.refusal.message == (
        "The rotation schedule '@daily' is not followed: it may rotate every 1d, and each old key lives on for the "
        "overlap of 30d, so 30 old keys would wait to be revoked at once; 10 may. Rotate less often, or shorten "
        "spec.rotation.overlap."
    )


def test_a_schedule_that_a_longer_overlap_made_too_dense_goes_on_and_is_told() -> None:
    status = remembering(schedule="@daily", schedule_since=NOW - DAY)
    plan = plan_of(asking("@daily", overlap="30d"), status, NOW)
    assert (plan.schedule, plan.since) == ("@daily", NOW - DAY)
    assert plan.refusal is not None


@pytest.mark.parametrize("overlap", ["10d", "0s"])
def test_a_schedule_within_the_limit_is_followed(overlap: str) -> None:
    assert plan_of(asking("@daily", overlap=overlap), remembering(), NOW).refusal is None


def test_every_second_of_a_year_has_a_next_rotation_that_is_not_past_unless_one_was_missed() -> None:
    """As the operator lives: at each due moment the key is rotated, and what is shown is in the future again."""
    key, now = asking("TZ=Europe/Berlin 30 2 * * *", jitter="45m"), NOW
    status = plan_of(key, remembering(), now).kept_in(remembering())
    for _ in range(400):
        assert status.rotation is not None
        due = status.rotation.next_rotation_at
        assert due is not None
        assert now < due <= now + timedelta(hours=26)
        now = due
        rotated = status.changed(rotation=status.rotation.changed(last_rotated_at=now))
        status = plan_of(key, rotated, now).kept_in(rotated)
