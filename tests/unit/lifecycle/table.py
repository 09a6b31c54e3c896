"""Tables of decisions: a sentence, what was observed, and the step, reason and message that must follow."""

from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from saperly_operator.lifecycle.decide import decide
from saperly_operator.lifecycle.observed import Observed
from saperly_operator.lifecycle.steps import Step
from saperly_operator.lifecycle.timings import Timings
from tests.builders import NOW

TIMINGS = Timings()


@dataclass(frozen=True)
class Row:
    """``step`` is the whole step, or only its type where its fields are no question of the row; ``says`` is a part of
    the message."""

    given: Observed
    step: Step | type[Step]
    reason: str
    says: str


def rows(table: Mapping[str, Row]) -> pytest.MarkDecorator:
    """The table as parameters of a test, under its sentences."""
    return pytest.mark.parametrize("row", [pytest.param(row, id=sentence) for sentence, row in table.items()])


def verify(row: Row) -> None:
    """What is decided now is what the row says."""
    decision = decide(row.given, NOW, TIMINGS)
    if isinstance(row.step, type):
        assert type(decision.step) is row.step, decision
    else:
        assert decision.step == row.step, decision
    assert decision.reason == row.reason, decision
    assert row.says in decision.message, decision
