"""Which tests say that they cover which line of the vendor's contract: ``@pytest.mark.contract("mint", …)``."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path


@cache
def covering(*folders: Path) -> dict[str, list[str]]:
    """Of every line that a test below ``folders`` is marked with, the names of these tests."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for folder in folders:
        for path in sorted(folder.rglob("test_*.py")):
            for line, test in _marked(path):
                found[line].append(f"{path.name}::{test}")
    return dict(found)


def _marked(path: Path) -> Iterator[tuple[str, str]]:
    """(line of the contract, name of the test) for every marked test of one file, parametrized marks included."""
    for function in ast.walk(ast.parse(path.read_text())):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) and function.name.startswith("test_"):
            for decorator in function.decorator_list:
                for call in ast.walk(decorator):
                    if isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.mark.contract":
                        yield from ((ast.literal_eval(line), function.name) for line in call.args)
