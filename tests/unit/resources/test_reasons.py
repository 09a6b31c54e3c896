"""The vocabulary of conditions and events: one meaning a word, one word a meaning, in the form Kubernetes accepts."""

import re
from datetime import UTC, datetime
from types import ModuleType

import pytest

from saperly_operator.resources import Condition, ConditionStatus, annotations, reasons, reference


def constants(module: ModuleType) -> dict[str, str]:
    return {name: value for name, value in vars(module).items() if name.isupper() and isinstance(value, str)}


@pytest.mark.parametrize(("name", "word"), constants(reasons).items())
def test_a_reason_is_its_constant_in_camel_case_and_fits_a_condition(name: str, word: str) -> None:
    assert word == "".join(part.capitalize() for part in name.split("_"))
    moment = datetime(2026, 11, 24, tzinfo=UTC)
    Condition(type=word, status=ConditionStatus.TRUE, last_transition_time=moment, reason=word, message="")


@pytest.mark.parametrize("module", [reasons, annotations])
def test_every_constant_is_documented_once_with_a_sentence(module: ModuleType) -> None:
    documented = [(name, meaning) for name, _, meaning in reference.documented(module)]
    assert [name for name, _ in documented] == list(constants(module))
    assert [name for name, meaning in documented if not meaning.endswith(".")] == []


def test_no_two_constants_mean_the_same_word() -> None:
    for module in (reasons, annotations):
        words = list(constants(module).values())
        assert len(words) == len(set(words))


def test_every_name_of_ours_on_an_object_has_our_prefix() -> None:
    ours = {name: value for name, value in constants(annotations).items() if not name.startswith("MANAGED_BY")}
    assert [value for value in ours.values() if not re.fullmatch(r"saperly\.com/[a-z-]*", value)] == []
