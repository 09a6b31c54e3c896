"""What a key is to look like, and the smallest request that makes it so."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saperly_operator.lifecycle.attributes import needs_update, policy_violation, wanted_attributes
from saperly_operator.lifecycle.references import minted_ref
from saperly_operator.resources.saperly_key_status import KeyAttribute
from saperly_operator.saperly.models import UpdateRequest
from tests.builders import INSTALLATION, a_key, a_provider, a_ref, a_row, an_intent

LINE = "6f1f0a52-0001-4000-8000-000000000001"
SPECS = st.fixed_dictionaries(
    {},
    optional={
        "agentLabel": st.sampled_from(["support", "billing", "é"]),
        "lineId": st.just(LINE),
        "monthlyCapCents": st.integers(min_value=1, max_value=2**53 - 1),
        "permissions": st.sampled_from(["full", "call_only", "sms_only", "read_only"]),
        "displayName": st.sampled_from(["a", "support agent", "☎" * 60]),
    },
)


@settings(deadline=None)
@given(spec=SPECS)
def test_a_key_just_minted_is_as_wanted_and_its_reference_knows_it(spec: dict[str, Any]) -> None:
    key = a_key(**spec)
    ref = minted_ref(a_row(), an_intent(key=key), None)
    assert not needs_update(ref, wanted_attributes(key, a_provider(), INSTALLATION, 1))


@settings(deadline=None)
@given(before=SPECS, after=SPECS)
def test_after_a_change_the_key_is_as_wanted(before: dict[str, Any], after: dict[str, Any]) -> None:
    ref = minted_ref(a_row(), an_intent(key=a_key(**before)), None)
    target = wanted_attributes(a_key(**after), a_provider(), INSTALLATION, 1)
    defaults = {"permissions": "call_only"}
    assert needs_update(ref, target) == (defaults | before != defaults | after)

    row = {**json.loads(an_intent(key=a_key(**before)).request)}
    update = target.update_from(ref.managed_attributes)
    row |= update.model_dump(mode="json", include=update.model_fields_set)
    left = {name: value for name, value in row.items() if value is not None and name != "environment"}
    assert left == dict(target.values)
    assert not needs_update(ref.changed(attributes_hash=target.hash, managed_attributes=target.managed), target)


def test_what_is_left_out_is_not_managed() -> None:
    attributes = wanted_attributes(a_key(), a_provider(), INSTALLATION, 1)
    assert attributes.managed == ()
    assert {name for name, _ in attributes.values} == {"name", "permissions"}


def test_permissions_are_always_sent_since_the_vendors_default_is_full() -> None:
    assert json.loads(an_intent().request)["permissions"] == "call_only"


def test_clearing_sends_null_for_what_was_ours_and_nothing_for_what_was_not() -> None:
    update = wanted_attributes(a_key(), a_provider(), INSTALLATION, 1).update_from((KeyAttribute.LINE_ID,))
    assert update.model_fields_set == {"name", "permissions", "line_id"}
    assert update == UpdateRequest(name=update.name, permissions=update.permissions, line_id=None)


def test_the_policys_maximum_is_the_cap_of_a_key_without_one_and_not_of_one_with() -> None:
    provider = a_provider(policy={"maxMonthlyCapCents": 700})
    assert dict(wanted_attributes(a_key(), provider, INSTALLATION, 1).values)["monthly_cap_cents"] == 700
    lower = wanted_attributes(a_key(monthlyCapCents=5), provider, INSTALLATION, 1)
    assert dict(lower.values)["monthly_cap_cents"] == 5


def test_the_hash_is_of_the_values_and_says_by_which_recipe() -> None:
    attributes = wanted_attributes(a_key(agentLabel="support"), a_provider(), INSTALLATION, 1)
    assert attributes.hash == "1:3d2aa52eb9712b8148c589b8", "stored hashes are compared with it"
    assert len(attributes.hash) <= 64


def test_a_hash_by_another_recipe_means_sending_once_more() -> None:
    assert needs_update(a_ref(attributes_hash="0:abc"), wanted_attributes(a_key(), a_provider(), INSTALLATION, 1))


@pytest.mark.parametrize(
    ("spec", "policy", "complaint"),
    [
        pytest.param({}, {}, None, id="no policy"),
        pytest.param({}, {"permissions": ["call_only"]}, None, id="a permission that is allowed"),
        pytest.param({"permissions": "full"}, {"permissions": ["call_only"]}, "spec.permissions is full", id="not"),
        pytest.param({"monthlyCapCents": 10}, {"maxMonthlyCapCents": 10}, None, id="at the maximum"),
        pytest.param({"monthlyCapCents": 11}, {"maxMonthlyCapCents": 10}, "at most 10", id="above it"),
        pytest.param({}, {"maxMonthlyCapCents": 10}, None, id="no cap: the maximum is sent"),
        pytest.param({"lineId": LINE}, {"requireLine": True}, None, id="a line"),
        pytest.param({}, {"requireLine": True}, "spec.lineId is missing", id="no line"),
    ],
)
def test_what_the_policy_forbids(spec: dict[str, Any], policy: dict[str, Any], complaint: str | None) -> None:
    violation = policy_violation(a_key(**spec).spec, a_provider(policy=policy).policy)
    assert violation is None if complaint is None else complaint in (violation or "")
