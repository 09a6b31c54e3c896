"""Labels and annotations for ``spec.secret``: put there, taken off again, and nobody else's touched."""

import json

import pytest

from saperly_operator.controller.secret_metadata import metadata_in_sync, patched_annotations, patched_labels
from saperly_operator.kube.secrets import SecretView
from saperly_operator.resources import annotations
from tests.builders import a_key

OURS = {annotations.MANAGED_BY_LABEL: annotations.MANAGED_BY}
BEFORE = a_key(secret={"labels": {"team": "a", "tier": "1"}, "annotations": {"note": "x"}})
AFTER = a_key(secret={"labels": {"tier": "1"}})
NOTE = '{"annotations":["note"],"labels":["team","tier"]}'


def a_view(labels: dict[str, str], marks: dict[str, str]) -> SecretView:
    metadata = {"namespace": "agents", "name": "support", "uid": "u", "resourceVersion": "1"}
    return SecretView.of({"metadata": {**metadata, "labels": labels, "annotations": marks}})


WRITTEN = a_view(
    {**OURS, "team": "a", "tier": "1", "theirs": "1"}, {"note": "x", "theirs": "1", annotations.APPLIED: NOTE}
)


def test_what_the_spec_asks_for_must_be_there_and_what_others_add_may() -> None:
    assert metadata_in_sync(WRITTEN, BEFORE)
    assert not metadata_in_sync(a_view(OURS, {}), BEFORE)
    assert metadata_in_sync(a_view({**OURS, "theirs": "1"}, {"theirs": "1"}), a_key())


@pytest.mark.parametrize("missing", ["team", annotations.MANAGED_BY_LABEL])
def test_a_label_that_somebody_took_off_is_missed(missing: str) -> None:
    labels = {name: value for name, value in WRITTEN.labels.items() if name != missing}
    assert not metadata_in_sync(a_view(labels, dict(WRITTEN.annotations)), BEFORE)


def test_what_left_the_spec_is_out_of_sync_and_comes_off() -> None:
    assert not metadata_in_sync(WRITTEN, AFTER)
    assert patched_labels(AFTER, WRITTEN) == {**OURS, "team": None, "tier": "1"}
    note = '{"annotations":[],"labels":["tier"]}'
    assert patched_annotations(AFTER, WRITTEN) == {"note": None, annotations.APPLIED: note}


def test_the_note_goes_with_the_last_of_them() -> None:
    assert patched_annotations(a_key(), WRITTEN) == {"note": None, annotations.APPLIED: None}


@pytest.mark.parametrize(
    "note", ["", "{}", "[]", "nonsense", '{"labels":{"a":1}}', '{"labels":7,"annotations":null}']
)
def test_a_note_that_somebody_wrote_over_takes_nothing_off(note: str) -> None:
    view = a_view({**OURS, "team": "a"}, {annotations.APPLIED: note})
    assert patched_labels(AFTER, view) == {**OURS, "tier": "1"}


def test_a_forged_note_takes_off_nothing_of_ours() -> None:
    names = [annotations.MANAGED_BY_LABEL, annotations.KEY_ID, "team"]
    note = json.dumps({"labels": names, "annotations": names})
    view = a_view({**OURS, "team": "a"}, {annotations.KEY_ID: "key-1", annotations.APPLIED: note})
    assert patched_labels(a_key(), view) == {**OURS, "team": None}
    assert patched_annotations(a_key(), view) == {annotations.APPLIED: None}
