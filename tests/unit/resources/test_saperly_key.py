"""``SaperlyKey``: reading what the API returns, its defaults, its derived values, and writing it back."""

from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from typing import Any

import pytest
from pydantic import ValidationError

from saperly_operator.resources import (
    DeletionPolicy,
    Intent,
    InvalidResourceError,
    KeyAttribute,
    KeyRef,
    Operation,
    Permissions,
    ProviderKind,
    ProviderRef,
    RotationStatus,
    SaperlyKey,
    SaperlyKeyStatus,
)

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def stored(**parts: Any) -> SaperlyKey:
    """A SaperlyKey as the API returns it: ``parts`` beside a name and an empty spec."""
    metadata = {"name": "support", "namespace": "agents", "uid": "u-1", "generation": 3, **parts.pop("metadata", {})}
    return SaperlyKey.from_api({"apiVersion": "saperly.com/v1alpha1", "metadata": metadata, "spec": {}, **parts})


def a_key_ref(**changes: Any) -> KeyRef:
    values = {"id": "k-1", "serial": 1, "provider": "ClusterSaperlyProvider/default", "service_key": "main"}
    return KeyRef.model_validate({**values, "minted_at": NOON, **changes})


def test_an_empty_spec_means_the_documented_defaults() -> None:
    key = stored()
    assert key.spec.provider_ref == ProviderRef(kind=ProviderKind.CLUSTER, name="default")
    assert key.spec.permissions is Permissions.CALL_ONLY
    assert key.spec.secret.key == "SAPERLY_API_KEY"
    assert (key.spec.rotation.overlap, key.spec.rotation.jitter) == ("1h", "10m")
    assert key.spec.deletion_policy is DeletionPolicy.REVOKE
    assert not key.spec.suspend
    assert key.status.observed_generation == -1


def test_the_secret_is_named_like_the_object_unless_the_spec_names_it() -> None:
    assert stored().secret_name == "support"
    assert stored(spec={"secret": {"name": "other"}}).secret_name == "other"


def test_the_schedule_of_the_annotation_wins_over_that_of_the_spec() -> None:
    spec = {"rotation": {"schedule": "@monthly"}}
    annotated = {"annotations": {"saperly.com/rotation-schedule": "30d"}}
    assert stored().schedule is None
    assert stored(spec=spec).schedule == "@monthly"
    assert stored(spec=spec, metadata=annotated).schedule == "30d"


def test_an_empty_annotation_asks_for_nothing() -> None:
    emptied = {"annotations": {"saperly.com/rotation-schedule": "", "saperly.com/rotate-requested-at": ""}}
    key = stored(spec={"rotation": {"schedule": "@monthly"}}, metadata=emptied)
    assert key.schedule == "@monthly"
    assert key.rotate_request is None


@pytest.mark.parametrize(
    ("token", "request_"),
    [
        pytest.param("x" * 1024, "x" * 1024, id="as long as status has room for: itself"),
        pytest.param("x" * 1025, f"sha256:{sha256(b'x' * 1025).hexdigest()}", id="one longer: its digest"),
    ],
)
def test_a_request_to_rotate_is_an_opaque_token_that_always_fits_into_status(token: str, request_: str) -> None:
    key = stored(metadata={"annotations": {"saperly.com/rotate-requested-at": token}})
    assert key.rotate_request == request_
    assert RotationStatus(last_handled_request=key.rotate_request).last_handled_request == request_


def test_only_the_word_true_forces_a_deletion() -> None:
    assert stored(metadata={"annotations": {"saperly.com/force-delete": "true"}}).is_force_deleted
    assert not stored(metadata={"annotations": {"saperly.com/force-delete": "yes"}}).is_force_deleted
    assert not stored().is_force_deleted


def test_deletion_and_finalizer_are_read_from_the_metadata() -> None:
    going = stored(metadata={"deletionTimestamp": "2026-11-24T12:00:00Z", "finalizers": ["saperly.com/revoke"]})
    assert (going.is_being_deleted, going.has_finalizer) == (True, True)
    assert (stored().is_being_deleted, stored().has_finalizer) == (False, False)


def test_fields_of_a_newer_schema_are_ignored() -> None:
    assert stored(spec={"displayName": "Support", "telepathy": True}).spec.display_name == "Support"


def test_an_object_of_another_shape_is_named_without_its_values() -> None:
    with pytest.raises(InvalidResourceError) as caught:
        stored(spec={"permissions": "a-secret-word", "secret": {"key": 7}})
    assert "spec.permissions: " in str(caught.value)
    assert "spec.secret.key: " in str(caught.value)
    assert "a-secret-word" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_refused_value_is_not_in_the_text_of_the_validation_error() -> None:
    with pytest.raises(ValidationError) as caught:
        a_key_ref(serial="a-secret-word")
    assert "a-secret-word" not in str(caught.value)


def test_models_cannot_be_altered() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        stored().spec.suspend = True  # type: ignore[misc]


def test_a_changed_copy_is_validated() -> None:
    assert a_key_ref().changed(serial=2).serial == 2
    with pytest.raises(ValidationError):
        a_key_ref().changed(serial=-1)


def test_times_are_held_in_utc_and_whole_seconds_as_they_will_be_read_back() -> None:
    berlin = timezone(timedelta(hours=1))
    ref = a_key_ref(minted_at=datetime(2026, 11, 24, 13, 0, 0, 999_999, tzinfo=berlin))
    assert ref.minted_at == NOON
    assert ref.to_api()["mintedAt"] == "2026-11-24T12:00:00Z"
    assert KeyRef.from_api(ref.to_api()) == ref


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValidationError, match="timezone"):
        a_key_ref(minted_at=datetime(2026, 11, 24, 12, 0))  # noqa: DTZ001 (the point of the test)


def test_a_status_survives_being_written_and_read() -> None:
    status = SaperlyKeyStatus(
        observed_generation=3,
        serial=2,
        current=a_key_ref(managed_attributes=(KeyAttribute.LINE_ID,)),
        intent=Intent(
            operation=Operation.MINT,
            serial=2,
            started_at=NOON,
            idempotency_key="i-1",
            request='{"name":"x"}',
            service_key="main",
            provider="ClusterSaperlyProvider/default",
            holder="pod-1",
            trigger="FirstSync",
        ),
        recent_intents=(NOON,),
    )
    assert SaperlyKeyStatus.from_api(status.to_api()) == status


def test_the_api_form_is_camel_case_and_leaves_out_what_is_unset() -> None:
    written = SaperlyKeyStatus(observed_generation=3, current=a_key_ref()).to_api()
    assert written["observedGeneration"] == 3
    assert written["current"]["serviceKey"] == "main"
    assert "createdBy" not in written["current"]
    assert "intent" not in written


def test_a_merge_patch_clears_what_is_unset_but_puts_no_null_into_a_list() -> None:
    conditions = [
        {"type": "Ready", "status": "True", "reason": "Available", "message": "", "lastTransitionTime": NOON}
    ]
    patch = SaperlyKeyStatus.model_validate({"current": a_key_ref(), "conditions": conditions}).to_merge_patch()
    assert patch["intent"] is None
    assert patch["current"]["createdBy"] is None
    (condition,) = patch["conditions"]
    assert "observedGeneration" not in condition


def test_a_provider_is_written_as_kind_and_name_and_read_back() -> None:
    ref = ProviderRef(kind=ProviderKind.NAMESPACED, name="team-a")
    assert str(ref) == "SaperlyProvider/team-a"
    assert ProviderRef.parse("SaperlyProvider/team-a") == ref


@pytest.mark.parametrize("text", ["", "default", "Secret/default", "SaperlyProvider/"])
def test_what_names_no_provider_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"ProviderKind|at least 1 character"):
        ProviderRef.parse(text)
