"""The names by which an installation recognises its own keys."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saperly_operator.lifecycle.naming import (
    NAME_LIMIT_BYTES,
    Owner,
    Tag,
    canonical_json,
    idempotency_key,
    released_name,
    vendor_name,
)
from tests.builders import INSTALLATION, NOW, OTHER_INSTALLATION, OWNER

TAG = Tag.of(INSTALLATION, OWNER, 7)
SERIALS = st.integers(min_value=1, max_value=2**53 - 1)


@given(readable=st.text(max_size=80), serial=SERIALS)
def test_a_vendor_name_fits_and_its_tag_is_read_back(readable: str, serial: int) -> None:
    tag = Tag.of(INSTALLATION, OWNER, serial)
    name = vendor_name(readable, tag)
    assert 1 <= len(name.encode()) <= NAME_LIMIT_BYTES
    assert Tag.parse(name) == tag
    assert tag.belongs_to(INSTALLATION, OWNER)


@pytest.mark.parametrize(
    ("readable", "name"),
    [
        pytest.param("support agent", f"support agent {TAG}", id="as it is"),
        pytest.param("", str(TAG), id="nothing readable"),
        pytest.param("x" * 80, f"{'x' * 38} {TAG}", id="cut to 64 bytes"),
        pytest.param("é" * 80, f"{'é' * 19} {TAG}", id="two bytes a letter, never half a letter"),
        pytest.param("☎" * 80, f"{'☎' * 12} {TAG}", id="three bytes a letter"),
        pytest.param("x" * 37 + " y", f"{'x' * 37} {TAG}", id="no blank left by the cut"),
    ],
)
def test_the_readable_part_is_cut_to_fit(readable: str, name: str) -> None:
    assert vendor_name(readable, TAG) == name
    assert len(name.encode()) <= NAME_LIMIT_BYTES


def test_only_the_last_bracket_counts() -> None:
    other = Tag.of(OTHER_INSTALLATION, OWNER, 3)
    assert Tag.parse(f"{other} {TAG}") == TAG
    assert Tag.parse(f"{TAG} {other}") == other


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("support", id="no tag"),
        pytest.param("", id="nothing"),
        pytest.param(f"{TAG} and more", id="not at the end"),
        pytest.param(f"{TAG}\n", id="a line break after it"),
        pytest.param(str(TAG).upper(), id="upper case"),
        pytest.param(str(TAG).replace(".7]", ".0]"), id="serial 0"),
        pytest.param(str(TAG).replace(".7]", ".07]"), id="a leading zero"),
        pytest.param(str(TAG).replace(".7]", ".٧]"), id="a digit of another script"),
        pytest.param(str(TAG).replace(".7]", "]"), id="no serial"),
        pytest.param(str(TAG)[1:], id="no opening bracket"),
    ],
)
def test_what_is_no_tag(name: str) -> None:
    assert Tag.parse(name) is None


def test_a_tag_belongs_to_one_installation_and_one_object() -> None:
    assert not TAG.belongs_to(OTHER_INSTALLATION, OWNER)
    assert not TAG.belongs_to(INSTALLATION, Owner("agents", "supporter"))
    assert not TAG.belongs_to(INSTALLATION, Owner("agent", "s/support"))
    assert TAG.is_of_installation(INSTALLATION)
    assert not TAG.is_of_installation(OTHER_INSTALLATION)


@pytest.mark.parametrize(
    ("name", "released"),
    [
        pytest.param(f"support {TAG}", "support", id="without its tag"),
        pytest.param(f"a [b] {TAG}", "a [b]", id="with a user's brackets"),
        pytest.param(str(TAG), "released", id="never empty"),
        pytest.param("support", "support", id="released already"),
    ],
)
def test_a_released_name_bears_no_tag(name: str, released: str) -> None:
    assert released_name(name) == released
    assert Tag.parse(released_name(name)) is None
    assert released_name(released) == released


def test_the_idempotency_key_of_an_intent_is_always_the_same() -> None:
    key = idempotency_key(INSTALLATION, OWNER, 1, NOW)
    assert key == "saperly-operator-871c98d9feb2d7c3910bcd6075421fea37c16c69", "stored intents are replayed with it"
    assert len(key) <= 255
    rotating = idempotency_key(INSTALLATION, OWNER, 1, NOW, "key-1")
    assert rotating == "saperly-operator-8e314883c85a6f94b11d56fed06a4fe74cb4dbc8"


def test_no_two_intents_share_an_idempotency_key() -> None:
    intents: list[tuple[str, Owner, int, datetime, str | None]] = [
        (INSTALLATION, OWNER, 1, NOW, None),
        (INSTALLATION, OWNER, 1, NOW, "key-1"),
        (INSTALLATION, OWNER, 1, NOW, "key-2"),
        (OTHER_INSTALLATION, OWNER, 1, NOW, None),
        (INSTALLATION, Owner("agents", "other"), 1, NOW, None),
        (INSTALLATION, Owner("agents-support", ""), 1, NOW, None),
        (INSTALLATION, OWNER, 2, NOW, None),
        (INSTALLATION, OWNER, 1, NOW + timedelta(seconds=1), None),
    ]
    assert len({idempotency_key(*intent) for intent in intents}) == len(intents)


@pytest.mark.parametrize(
    ("text", "owner"),
    [
        ("agents/support", OWNER),
        ("agents", None),
        ("agents/", None),
        ("/support", None),
        ("agents/support/x", None),
        ("", None),
    ],
)
def test_an_owner_is_read_from_namespace_and_name(text: str, owner: Owner | None) -> None:
    assert Owner.parse(text) == owner


def test_canonical_json_has_one_spelling() -> None:
    assert canonical_json({"b": 1, "a": "é"}) == '{"a":"é","b":1}'
    assert canonical_json({"a": "é", "b": 1}) == canonical_json({"b": 1, "a": "é"})
