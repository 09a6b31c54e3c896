"""The dates of old keys: from what each entry records, and from the spec as it is now."""

from datetime import datetime, timedelta

import pytest

from saperly_operator.lifecycle.overlap import (
    awaits_rollout,
    overlap_started,
    redated,
    replaced,
    seen_in_secret,
    waiting_for,
)
from saperly_operator.resources import reasons
from saperly_operator.resources.saperly_key import RotationSpec, SaperlyKeySpec
from tests.builders import AGENT, DAY, HOUR, MINUTE, NOW, a_ref, a_retiring

LEAD = 2 * MINUTE


def spec(*, restart: bool = False, **rotation: str) -> SaperlyKeySpec:
    return SaperlyKeySpec.from_api({"rotation": rotation, "restart": [AGENT.to_api()] if restart else []})


def test_without_workloads_the_overlap_counts_from_the_replacement() -> None:
    entry = replaced(a_ref(1), reasons.ROTATION_SCHEDULED, NOW, spec(overlap="90m"))
    assert (entry.replaced_at, entry.overlap_started_at) == (NOW, NOW)
    assert (entry.revoke_after, entry.waiting_for) == (NOW + 90 * MINUTE, None)
    assert not awaits_rollout(entry)


def test_with_workloads_it_bears_the_latest_date_of_all_and_says_why() -> None:
    entry = replaced(a_ref(1), reasons.ROTATION_SCHEDULED, NOW, spec(restart=True, maxOverlap="3d"))
    assert (entry.replaced_at, entry.overlap_started_at) == (NOW, None)
    assert (entry.revoke_after, entry.waiting_for) == (NOW + 3 * DAY, "the rollout of Deployment/agent")
    assert awaits_rollout(entry)


def test_once_they_run_with_the_new_key_the_overlap_counts_from_then() -> None:
    entry = replaced(a_ref(1), reasons.ROTATION_SCHEDULED, NOW, spec(restart=True))
    started = overlap_started(entry, NOW + 10 * MINUTE, RotationSpec(overlap="1h"))
    assert (started.revoke_after, started.waiting_for) == (NOW + 70 * MINUTE, None)


@pytest.mark.parametrize(
    ("started_at", "rotation", "date"),
    [
        pytest.param(NOW, {"overlap": "2h"}, NOW + 2 * HOUR, id="a longer overlap"),
        pytest.param(NOW, {"overlap": "0s"}, NOW, id="none at all: it ends at once"),
        pytest.param(NOW + 8 * DAY, {}, NOW + 8 * DAY + HOUR, id="an overlap is never cut short by maxOverlap"),
        pytest.param(None, {"maxOverlap": "2d"}, NOW + 2 * DAY, id="another maxOverlap while it waits"),
        pytest.param(None, {"overlap": "9d"}, NOW + 9 * DAY, id="an overlap longer than maxOverlap wins"),
    ],
)
def test_the_spec_as_it_is_now_gives_the_date(
    started_at: datetime | None, rotation: dict[str, str], date: datetime
) -> None:
    entry = a_retiring(1, revoke_after=NOW).changed(replaced_at=NOW, overlap_started_at=started_at)
    assert redated(entry, RotationSpec.from_api(rotation), LEAD).revoke_after == date


def test_a_key_that_was_never_in_use_keeps_its_date() -> None:
    entry = a_retiring(1, reason=reasons.PLAINTEXT_LOST, revoke_after=NOW + MINUTE)
    assert redated(entry, RotationSpec(overlap="5h"), LEAD) == entry
    assert not awaits_rollout(entry)


def test_dates_are_stable_whatever_the_fraction_of_the_second() -> None:
    entry = replaced(a_ref(1), reasons.ROTATION_SCHEDULED, NOW + timedelta(milliseconds=999), spec())
    assert redated(entry, RotationSpec(), LEAD) == entry, "else each look would write"


def test_what_is_waited_for_fits_the_schema_however_much_it_is() -> None:
    many = tuple(AGENT.changed(name="x" * 250 + str(n)) for n in range(16))
    assert len(waiting_for(many)) <= 1024


@pytest.mark.parametrize(
    ("withdrawn_at", "date"),
    [
        pytest.param(NOW + HOUR - LEAD, NOW + HOUR, id="in time: the date stands"),
        pytest.param(NOW + HOUR, NOW + HOUR + LEAD, id="late: nobody is left with a key that dies at once"),
    ],
)
def test_a_key_lives_a_while_after_its_plaintext_left_the_secret(withdrawn_at: datetime, date: datetime) -> None:
    entry = replaced(a_ref(1), reasons.ROTATION_SCHEDULED, NOW, spec()).changed(withdrawn_at=withdrawn_at)
    assert redated(entry, RotationSpec(), LEAD).revoke_after == date


def test_what_the_secret_shows_is_noted_once_it_comes_and_once_it_goes() -> None:
    entry = replaced(a_ref(1), reasons.ROTATION_SCHEDULED, NOW, spec())
    assert seen_in_secret(entry, None, NOW) == entry, "one that never was there is not withdrawn"
    shown = seen_in_secret(entry, "OLD", NOW)
    assert (shown.previous_key, shown.withdrawn_at) == ("OLD", None)
    gone = seen_in_secret(shown, None, NOW + MINUTE)
    assert (gone.previous_key, gone.withdrawn_at) == (None, NOW + MINUTE)
    assert seen_in_secret(gone, None, NOW + HOUR) == gone
    assert seen_in_secret(gone, "OLD", NOW + HOUR).withdrawn_at is None, "somebody put it back"
