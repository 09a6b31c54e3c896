"""The list of the contract's lines and the tests that say to cover them fit each other."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.contract.simulator.contract_lines import LINES

_TESTS = Path(__file__).parents[2]
_ROOMS = (_TESTS / "unit" / "simulator", _TESTS / "contract" / "simulator")


def _marked(path: Path) -> Iterator[tuple[str, str]]:
    """(line of the contract, name of the test) for every marked test of one file, parametrized marks included."""
    for function in ast.walk(ast.parse(path.read_text())):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) and function.name.startswith("test_"):
            for decorator in function.decorator_list:
                for call in ast.walk(decorator):
                    if isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.mark.contract":
                        yield ast.literal_eval(call.args[0]), function.name


@cache
def _covering() -> dict[str, list[str]]:
    covering: defaultdict[str, list[str]] = defaultdict(list)
    for room in _ROOMS:
        for path in room.rglob("test_*.py"):
            for line, test in _marked(path):
                covering[line].append(f"{path.name}::{test}")
    return covering


@pytest.mark.parametrize("line", LINES)
def test_the_line_has_a_test(line: str) -> None:
    assert _covering()[line], f"no test covers: {LINES[line]}"


def test_no_test_claims_a_line_that_does_not_exist() -> None:
    assert set(_covering()) <= set(LINES)
