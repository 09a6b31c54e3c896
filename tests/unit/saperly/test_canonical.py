"""The same request is the same string, always."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saperly_operator.saperly.canonical import mint_body, update_body
from saperly_operator.saperly.errors import Defect
from saperly_operator.saperly.models import Environment, MintRequest, Permissions, UpdateRequest


def test_a_mint_is_written_in_one_way_only() -> None:
    # Fixed: intents stored by one release are replayed by the next.
    request = MintRequest(
        name="née",
        agent_label="support",
        line_id="6f1f",
        permissions=Permissions.CALL_ONLY,
        monthly_cap_cents=5000,
        environment=Environment.LIVE,
    )
    assert mint_body(request) == (
        '{"agent_label":"support","environment":"live","line_id":"6f1f","monthly_cap_cents":5000,'
        r'"name":"n\u00e9e","permissions":"call_only"}'
    )


def test_a_mint_leaves_out_what_is_not_asked_for() -> None:
    assert mint_body(MintRequest(name="x")) == '{"name":"x"}'


names = st.text(min_size=1, max_size=64)


@given(name=names, cap=st.none() | st.integers(min_value=1), permissions=st.none() | st.sampled_from(Permissions))
def test_a_mint_survives_being_stored_and_read(name: str, cap: int | None, permissions: Permissions | None) -> None:
    request = MintRequest(name=name, monthly_cap_cents=cap, permissions=permissions)
    body = mint_body(request)
    assert body.isascii()
    assert MintRequest.model_validate_json(body) == request
    assert mint_body(MintRequest.model_validate_json(body)) == body


@given(name=names)
def test_an_update_sends_only_what_was_set(name: str) -> None:
    assert json.loads(update_body(UpdateRequest(name=name))) == {"name": name}


def test_an_update_clears_with_null() -> None:
    update = UpdateRequest(agent_label=None, line_id=None, monthly_cap_cents=None)
    assert update_body(update) == '{"agent_label":null,"line_id":null,"monthly_cap_cents":null}'


@pytest.mark.parametrize(
    ("update", "mistake"),
    [
        (UpdateRequest(), "at least one field"),
        (UpdateRequest(name=None), "name cannot be cleared"),
        (UpdateRequest(permissions=None, line_id=None), "permissions cannot be cleared"),
    ],
)
def test_an_update_that_the_vendor_would_refuse_is_a_defect_of_ours(update: UpdateRequest, mistake: str) -> None:
    with pytest.raises(Defect, match=mistake):
        update_body(update)
