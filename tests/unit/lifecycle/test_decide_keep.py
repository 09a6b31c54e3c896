"""A delivered key: what mints another, what is put right with the plaintext that is there, and what rests."""

from datetime import timedelta

import pytest

from saperly_operator.lifecycle.decide import decide
from saperly_operator.lifecycle.naming import Tag, vendor_name
from saperly_operator.lifecycle.observed import (
    GateClosed,
    Observed,
    PreflightPassed,
    PreflightRefused,
    ProviderAbsent,
    SecretAbsent,
    SecretForeign,
)
from saperly_operator.lifecycle.schedule import jitter_of
from saperly_operator.lifecycle.steps import (
    DeleteStraySecret,
    Done,
    MoveSecret,
    ReadLive,
    Record,
    RepairSecret,
    Stall,
    StoreIntent,
    UpdateKey,
    WaitUntil,
)
from saperly_operator.resources import annotations, reasons
from saperly_operator.resources.saperly_key_status import Failure, KeyAttribute, RotationStatus
from saperly_operator.saperly.models import Permissions, UpdateRequest
from tests.builders import (
    DAY,
    ENTRY,
    HOUR,
    INSTALLATION,
    KEPT,
    NOW,
    OWNER,
    PROVIDER,
    SECOND,
    UID,
    a_key,
    a_provider,
    a_provider_state,
    a_record,
    a_ref,
    a_secret,
    a_service_key,
    changed,
    delivered,
    live,
    with_memory,
    with_metadata,
    with_spec,
    with_status,
)
from tests.unit.lifecycle.table import TIMINGS, Row, rows, verify

SOON = NOW + TIMINGS.recheck
READY = with_memory(delivered(), preflight=PreflightPassed(NOW))
"""At rest, and proven to be writable, so that a reason to mint shows as an intent."""


def requested(token: str, *, handled: str | None) -> Observed:
    """A request to rotate, and the last one that was answered."""
    asked = with_metadata(READY, annotations={annotations.ROTATE_REQUESTED_AT: token})
    return with_status(asked, rotation=RotationStatus(last_rotated_at=NOW - DAY, last_handled_request=handled))


def rotated(ago: timedelta, **rotation: object) -> Observed:
    """A key rotated that long ago, under a schedule without jitter that was set before."""
    base = with_spec(READY, rotation={"jitter": "0s", **rotation})
    known = RotationStatus(
        last_rotated_at=NOW - ago,
        schedule=base.key.schedule,
        schedule_since=NOW - 1000 * DAY,
    )
    return with_status(base, rotation=known)


AT_REST = {
    "all as asked rests until something changes": Row(
        delivered(), Done(None), reasons.AVAILABLE, "The key is live, and in the Secret support."
    ),
    "under a schedule it rests until the rotation": Row(
        with_spec(delivered(), rotation={"schedule": "30d", "jitter": "10m"}),
        Done(NOW + 29 * DAY + jitter_of(UID, 600 * SECOND)),
        reasons.AVAILABLE,
        "The key is live",
    ),
    "nobody rests for the sake of another's labels": Row(
        with_metadata(delivered(), labels={"team": "a"}), Done(None), reasons.AVAILABLE, "live"
    ),
}

LOST = {
    "a Secret that the watch does not show is looked at live before it costs a key": Row(
        changed(READY, secret=SecretAbsent()), ReadLive(), reasons.SECRET_MISSING, "The Secret support is gone."
    ),
    "a Secret that is gone mints": Row(
        live(changed(READY, secret=SecretAbsent())), StoreIntent, reasons.MINTING, "Minting"
    ),
    "altered data is looked at live before it costs a key": Row(
        changed(READY, secret=a_secret(fingerprint="0000")), ReadLive(), reasons.SECRET_ALTERED, "was changed"
    ),
    "altered data mints": Row(
        live(changed(READY, secret=a_secret(fingerprint="0000"))), StoreIntent, reasons.MINTING, "Minting"
    ),
    "a missing entry mints": Row(
        live(changed(READY, secret=a_secret(fingerprint=None))), StoreIntent, reasons.MINTING, "Minting"
    ),
    "data that fits under a stripped record is only repaired": Row(
        changed(READY, secret=a_secret(record=None, metadata_in_sync=False)),
        RepairSecret(),
        reasons.WRITING_SECRET,
        "Putting labels and annotations of the Secret support right.",
    ),
    "data that fits is the key, whatever id somebody wrote beside it": Row(
        changed(READY, secret=a_secret(record=a_record(2))), Done(None), reasons.AVAILABLE, "live"
    ),
    "a Secret that seems foreign is looked at live, since nothing watches it": Row(
        changed(READY, secret=SecretForeign(None)), ReadLive(), reasons.SECRET_NOT_OWNED, "is not the operator's"
    ),
    "a Secret of somebody else in its place is not overwritten": Row(
        live(changed(READY, secret=SecretForeign(None))),
        Stall(SOON),
        reasons.SECRET_NOT_OWNED,
        "was replaced by one that is not the operator's",
    ),
}

REPAIR = {
    "stripped labels are put back, without a live look": Row(
        changed(READY, secret=a_secret(metadata_in_sync=False)),
        RepairSecret(),
        reasons.WRITING_SECRET,
        "Putting labels",
    ),
    "a repair that was not answered waits": Row(
        with_memory(changed(READY, secret=a_secret(metadata_in_sync=False)), not_before={"write": NOW + SECOND}),
        WaitUntil(NOW + SECOND),
        reasons.BACKING_OFF,
        "it is tried again by itself.",
    ),
    "a Secret left by a move is deleted": Row(
        changed(READY, stray_secrets=("old", "older")),
        DeleteStraySecret("old"),
        reasons.WRITING_SECRET,
        "Deleting the Secret old, which was moved.",
    ),
    "a Secret left by a move is left while its deletion is put off": Row(
        with_memory(changed(READY, stray_secrets=("old",)), not_before={"write": NOW + SECOND}),
        Done,
        reasons.AVAILABLE,
        "live",
    ),
}

RENAMED = with_spec(READY, secret={"name": "renamed"})
REKEYED = with_spec(READY, secret={"key": "TOKEN"})
TO_MOVE = live(changed(RENAMED, secret=SecretAbsent(), former_secret=a_secret()))

MOVE = {
    "a renamed Secret is looked at live": Row(
        changed(RENAMED, secret=SecretAbsent(), former_secret=a_secret()),
        ReadLive(),
        reasons.WRITING_SECRET,
        "Moving the key to SAPERLY_API_KEY of the Secret renamed.",
    ),
    "a renamed Secret gets the plaintext that is there, no mint": Row(
        TO_MOVE, MoveSecret("support", "SAPERLY_API_KEY"), reasons.WRITING_SECRET, "Moving"
    ),
    "a renamed entry gets the plaintext that is there, no mint": Row(
        live(changed(REKEYED, secret=a_secret(fingerprint=None), former_secret=a_secret())),
        MoveSecret("support", "SAPERLY_API_KEY"),
        reasons.WRITING_SECRET,
        "Moving the key to TOKEN",
    ),
    "a copy that is there is recorded": Row(
        live(changed(RENAMED, secret=a_secret(), former_secret=a_secret())),
        Record(a_ref(), KEPT.changed(name="renamed")),
        reasons.AVAILABLE,
        "The key is in the Secret renamed.",
    ),
    "a foreign Secret under the new name keeps the key where it is": Row(
        live(changed(RENAMED, secret=SecretForeign(None), former_secret=a_secret())),
        Stall(SOON),
        reasons.SECRET_NOT_OWNED,
        "the key stays in support until it is free",
    ),
    "a name that another SaperlyKey claims keeps the key where it is": Row(
        changed(TO_MOVE, older_claimant="first"), Stall(SOON), reasons.SECRET_NOT_OWNED, "the key stays in support"
    ),
    "a move that was not answered waits": Row(
        with_memory(TO_MOVE, not_before={"write": NOW + SECOND}),
        WaitUntil(NOW + SECOND),
        reasons.BACKING_OFF,
        "by itself.",
    ),
    "a move that was refused stalls with the refusal's own reason": Row(
        with_memory(
            TO_MOVE,
            not_before={"write": NOW + SECOND},
            write_refused=PreflightRefused(NOW, reasons.QUOTA_EXCEEDED, "The quota is full."),
        ),
        Stall(NOW + SECOND),
        reasons.QUOTA_EXCEEDED,
        "of the Secret renamed. The quota is full.",
    ),
    "a plaintext lost in both places mints": Row(
        live(changed(RENAMED, secret=SecretAbsent(), former_secret=SecretAbsent())),
        StoreIntent,
        reasons.MINTING,
        "Minting",
    ),
}

CAPPED = with_spec(READY, monthlyCapCents=5000)
RELABELLED = a_ref(managed_attributes=(KeyAttribute.AGENT_LABEL,), attributes_hash="1:other")


def closed(until: object) -> dict[object, object]:
    gate = GateClosed(until, reasons.WAITING_FOR_BUDGET, "By itself.")  # type: ignore[arg-type]
    return {(PROVIDER, ENTRY): a_service_key(manage=gate)}


def refusal(**changes: object) -> Failure:
    fields = {"code": reasons.LINE_NOT_FOUND, "count": 1, "retry_at": NOW + SECOND}
    return Failure.model_validate(fields | CAPPED.bound._asdict() | {"message": "Correct spec.lineId."} | changes)


ATTRIBUTES = {
    "a changed attribute is patched, no mint": Row(
        CAPPED, UpdateKey, reasons.UPDATING, "Changing the key's attributes at Saperly."
    ),
    "a policy that narrows the cap reaches a key that has none": Row(
        changed(READY, provider=a_provider_state(spec=a_provider(policy={"maxMonthlyCapCents": 700}))),
        UpdateKey,
        reasons.UPDATING,
        "Changing",
    ),
    "a shut gate delays the change": Row(
        changed(CAPPED, service_keys=closed(NOW + SECOND)),
        WaitUntil(NOW + SECOND),
        reasons.WAITING_FOR_BUDGET,
        "The key's attributes cannot be changed: By itself.",
    ),
    "a service key that is gone stalls the change": Row(
        changed(CAPPED, service_keys={}), Stall(SOON), "ServiceKeyMissing", "cannot be changed"
    ),
    "a change of unknown outcome waits": Row(
        with_memory(CAPPED, not_before={"update:key-1": NOW + SECOND}),
        WaitUntil(NOW + SECOND),
        reasons.BACKING_OFF,
        "as soon as Saperly answers",
    ),
    "a refused change is not repeated before its time": Row(
        with_status(CAPPED, failure=refusal()),
        Stall(NOW + SECOND),
        reasons.LINE_NOT_FOUND,
        "Correct spec.lineId.",
    ),
    "a refused change is repeated when its time has come": Row(
        with_status(CAPPED, failure=refusal(retry_at=NOW)), UpdateKey, reasons.UPDATING, "Changing"
    ),
    "a refused change is repeated at once after another edit": Row(
        with_status(CAPPED, failure=refusal(generation=1)), UpdateKey, reasons.UPDATING, "Changing"
    ),
    "a provider that is gone stalls, and the key lives on": Row(
        changed(CAPPED, provider=ProviderAbsent()), Stall(SOON), reasons.PROVIDER_NOT_FOUND, "There is no"
    ),
    "attributes are not sent to another provider's key: that is a mint": Row(
        with_status(CAPPED, current=a_ref(provider="SaperlyProvider/own")), StoreIntent, reasons.MINTING, "Minting"
    ),
}

ROTATION = {
    "a new request mints": Row(requested("now", handled=None), StoreIntent, reasons.MINTING, "Minting"),
    "another request mints": Row(requested("again", handled="now"), StoreIntent, reasons.MINTING, "Minting"),
    "an answered request rests": Row(requested("now", handled="now"), Done(None), reasons.AVAILABLE, "live"),
    "an age reached this second mints": Row(rotated(DAY, schedule="1d"), StoreIntent, reasons.MINTING, "Minting"),
    "an age reached in one second rests until then": Row(
        rotated(DAY - SECOND, schedule="1d"), Done(NOW + SECOND), reasons.AVAILABLE, "live"
    ),
    "however many moments were missed, one mint makes up for them": Row(
        rotated(400 * DAY, schedule="@daily"), StoreIntent, reasons.MINTING, "Minting"
    ),
    "the annotation's schedule wins over the spec's": Row(
        with_metadata(rotated(DAY, schedule="1d"), annotations={annotations.ROTATION_SCHEDULE: "2d"}),
        Done(NOW + DAY),
        reasons.AVAILABLE,
        "live",
    ),
    "a cron expression that was just set does not count the moments before it": Row(
        with_spec(READY, rotation={"schedule": "@daily", "jitter": "0s"}),
        Done(NOW + 14 * HOUR),
        reasons.AVAILABLE,
        "live",
    ),
    "a schedule that cannot be read is told, and stalls nothing else": Row(
        with_metadata(READY, annotations={annotations.ROTATION_SCHEDULE: "often"}),
        Stall(SOON),
        reasons.INVALID_SCHEDULE,
        "The rotation schedule is not followed: cannot read the schedule 'often'",
    ),
    "under a schedule that cannot be read the last good one mints": Row(
        with_metadata(rotated(DAY, schedule="1d"), annotations={annotations.ROTATION_SCHEDULE: "often"}),
        StoreIntent,
        reasons.MINTING,
        "Minting",
    ),
    "under a schedule that cannot be read the last good one is looked at when it is due": Row(
        with_metadata(rotated(DAY - SECOND, schedule="1d"), annotations={annotations.ROTATION_SCHEDULE: "often"}),
        Stall(NOW + SECOND),
        reasons.INVALID_SCHEDULE,
        "not followed",
    ),
    "under a schedule that cannot be read a request mints": Row(
        with_metadata(
            requested("now", handled=None),
            annotations={annotations.ROTATION_SCHEDULE: "often", annotations.ROTATE_REQUESTED_AT: "now"},
        ),
        StoreIntent,
        reasons.MINTING,
        "Minting",
    ),
    "under a schedule that cannot be read attributes are changed": Row(
        with_metadata(with_spec(READY, monthlyCapCents=5000), annotations={annotations.ROTATION_SCHEDULE: "often"}),
        UpdateKey,
        reasons.UPDATING,
        "Changing",
    ),
    "a schedule denser than the overlap allows is told with its sums": Row(
        with_spec(READY, rotation={"schedule": "@hourly", "overlap": "11h"}),
        Stall(SOON),
        reasons.SCHEDULE_TOO_DENSE,
        "may rotate every 1h, and each old key lives on for the overlap of 11h, so 11 old keys",
    ),
}


@rows({**AT_REST, **LOST, **REPAIR, **MOVE, **ATTRIBUTES, **ROTATION})
def test_a_delivered_key(row: Row) -> None:
    verify(row)


@pytest.mark.parametrize(
    ("given", "trigger"),
    [
        pytest.param(live(changed(READY, secret=SecretAbsent())), reasons.SECRET_MISSING, id="the Secret is gone"),
        pytest.param(
            live(changed(READY, secret=a_secret(fingerprint="0000"))), reasons.SECRET_ALTERED, id="it was altered"
        ),
        pytest.param(
            with_status(READY, current=a_ref(provider="SaperlyProvider/own")),
            reasons.PROVIDER_CHANGED,
            id="another provider",
        ),
        pytest.param(requested("now", handled=None), reasons.ROTATION_REQUESTED, id="a request"),
        pytest.param(rotated(DAY, schedule="1d"), reasons.ROTATION_SCHEDULED, id="the schedule"),
    ],
)
def test_each_cause_of_a_mint_is_named_in_its_intent(given: Observed, trigger: str) -> None:
    step = decide(given, NOW, TIMINGS).step
    assert isinstance(step, StoreIntent)
    assert step.intent.trigger == trigger
    assert step.intent.serial == 2


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param({"displayName": "renamed"}, id="another display name"),
        pytest.param({"agentLabel": "billing"}, id="another label"),
        pytest.param({"permissions": "read_only"}, id="other permissions"),
        pytest.param({"monthlyCapCents": 1}, id="another cap"),
        pytest.param({"secret": {"name": "renamed"}}, id="another Secret"),
        pytest.param({"secret": {"key": "TOKEN"}}, id="another entry"),
        pytest.param({"rotation": {"overlap": "2h"}}, id="another overlap"),
        pytest.param({"deletionPolicy": "Orphan"}, id="another deletion policy"),
    ],
)
def test_nothing_cosmetic_mints(edit: dict[str, object]) -> None:
    moving = "secret" in edit
    given = live(changed(with_spec(READY, **edit), former_secret=a_secret() if moving else None))
    if moving:
        given = changed(given, secret=a_secret(fingerprint=None))
    assert not isinstance(decide(given, NOW, TIMINGS).step, StoreIntent)


def update(given: Observed) -> UpdateKey:
    step = decide(given, NOW, TIMINGS).step
    assert isinstance(step, UpdateKey)
    return step


def test_a_change_sends_all_that_is_managed_and_remembers_it() -> None:
    step = update(with_spec(READY, monthlyCapCents=5000, agentLabel="billing"))
    assert step.update.monthly_cap_cents == 5000
    assert step.update.agent_label == "billing"
    assert "line_id" not in step.update.model_fields_set, "not managed: what a person set in the portal stays"
    assert set(step.managed) == {KeyAttribute.AGENT_LABEL, KeyAttribute.MONTHLY_CAP_CENTS}


def test_what_was_managed_and_is_no_more_is_cleared() -> None:
    step = update(with_status(READY, current=RELABELLED))
    assert "agent_label" in step.update.model_fields_set
    assert step.update.agent_label is None
    assert step.managed == ()


def test_a_change_leaves_the_serial_in_the_name_alone() -> None:
    step = update(with_spec(with_status(READY, serial=9), displayName="renamed"))
    name = vendor_name("renamed", Tag.of(INSTALLATION, OWNER, 1))
    assert step.update == UpdateRequest(name=name, permissions=Permissions.CALL_ONLY)


def test_a_key_minted_for_this_very_spec_needs_no_change() -> None:
    key = a_key(agentLabel="support", lineId="6f1f0a52-0001-4000-8000-000000000001", monthlyCapCents=5)
    assert isinstance(decide(delivered(key), NOW, TIMINGS).step, Done)


def test_rotation_counts_from_the_mint_where_status_lost_the_last_one() -> None:
    given = with_spec(with_status(READY, rotation=None), rotation={"schedule": "1d", "jitter": "0s"})
    due = with_status(given, current=a_ref(minted_at=NOW - DAY))
    assert isinstance(decide(due, NOW, TIMINGS).step, StoreIntent)
    not_yet = with_status(given, current=a_ref(minted_at=NOW - HOUR))
    assert decide(not_yet, NOW, TIMINGS).step == Done(NOW + 23 * HOUR)
