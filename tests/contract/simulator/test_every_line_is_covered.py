"""The list of the contract's lines and the tests that say to cover them fit each other."""

from pathlib import Path

import pytest

from tests.contract.simulator.contract_lines import LINES
from tests.contract.simulator.marked import covering

_TESTS = Path(__file__).parents[2]
_COVERING = covering(_TESTS / "unit" / "simulator", _TESTS / "contract" / "simulator")


@pytest.mark.parametrize("line", LINES)
def test_the_line_has_a_test(line: str) -> None:
    assert line in _COVERING, f"no test covers: {LINES[line]}"


def test_no_test_claims_a_line_that_does_not_exist() -> None:
    assert set(_COVERING) <= set(LINES)
