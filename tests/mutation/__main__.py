"""``python -m tests.mutation [word …]``: make each mutant (or those with these words in their names) and expect red.

First the tests that are to catch them run on an unchanged copy and have to pass: a test that is red anyway catches
nothing. Then each mutant is made in a copy of the tree, in turn, and its tests have to fail; not because the mutant is no
program any more, which counts as a mistake of this list. Ends with 1 when a mutant survived or was none.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from tests.mutation.mutant import PACKAGE, Mutant, copy_tree
from tests.mutation.mutants import MUTANTS, table

_PYTEST = (sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--no-header", "--tb=short")
_SECONDS = 600
_NO_PROGRAM = ("NameError", "ImportError", "SyntaxError", "AttributeError", "TypeError", "UnboundLocalError")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a mutant. ``told`` is what the test said, or what is wrong."""

    mutant: Mutant
    caught: bool
    told: str


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("words", nargs="*", help="only mutants whose names contain one of these")
    parser.add_argument("--list", action="store_true", help="print them as the table of docs/simulation.md")
    arguments = parser.parse_args()
    if arguments.list:
        print(table())
        return 0
    words = arguments.words
    chosen = [mutant for mutant in MUTANTS if not words or any(word in mutant.name for word in words)]
    workers = min(2, os.cpu_count() or 1)
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        trees: SimpleQueue[Path] = SimpleQueue()
        for number in range(workers):
            trees.put(copy_tree(Path(folder) / str(number)))
        _check_baseline(chosen, trees)
        with ThreadPoolExecutor(workers) as pool:
            verdicts = []
            for verdict in pool.map(lambda mutant: _judge(mutant, trees), chosen):
                verdicts.append(verdict)
                print(
                    f"{'red     ' if verdict.caught else 'SURVIVED'}  {verdict.mutant.name}: {verdict.told}",
                    flush=True,
                )
    survivors = sum(not verdict.caught for verdict in verdicts)
    print(f"{len(verdicts) - survivors} of {len(verdicts)} mutants were caught")
    return 1 if survivors else 0


def _check_baseline(chosen: list[Mutant], trees: "SimpleQueue[Path]") -> None:
    """Ends the run when the tests are red by themselves, or would test another tree than the copy."""
    tree = trees.get()
    where = _run(
        tree, sys.executable, "-c", "import saperly_operator; print(saperly_operator.__file__)"
    ).stdout.strip()
    if not Path(where).is_relative_to(tree / PACKAGE):
        raise SystemExit(f"the tests would import {where}, which no mutant changes")
    tests = sorted({test for mutant in chosen for test in mutant.caught_by})
    done = _run(tree, *_PYTEST, *tests)
    if done.returncode != 0:
        raise SystemExit(f"without any mutant, the tests are red:\n{done.stdout[-3000:]}{done.stderr[-1000:]}")
    trees.put(tree)


def _judge(mutant: Mutant, trees: "SimpleQueue[Path]") -> Verdict:
    misfits = list(mutant.misfits())
    if misfits:
        return Verdict(mutant, False, "; ".join(misfits))
    tree = trees.get()
    try:
        mutant.apply(tree)
        done = _run(tree, *_PYTEST, *mutant.caught_by)
        return _verdict(mutant, done.returncode, done.stdout)
    except subprocess.TimeoutExpired:
        return Verdict(mutant, True, f"no end within {_SECONDS} s")
    finally:
        mutant.revert(tree)
        trees.put(tree)


def _verdict(mutant: Mutant, code: int, output: str) -> Verdict:
    if code == 0:
        return Verdict(mutant, False, f"green: {', '.join(mutant.caught_by)}")
    said = [line[1:].strip() for line in output.splitlines() if line.startswith("E  ")]
    told = next((line for line in reversed(said) if line.startswith("AssertionError")), said[0] if said else "")
    if code != 1 or not said:
        return Verdict(mutant, False, f"pytest ended with {code}:\n{output[-1500:]}")
    if any(name in line for line in said[:3] for name in _NO_PROGRAM):
        return Verdict(mutant, False, f"it is no program any more: {said[0]}")
    return Verdict(mutant, True, told.removeprefix("AssertionError: ")[:150])


def _run(tree: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    path = os.pathsep.join([str(tree / "operator"), str(tree)])
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        command, cwd=tree, env=environment, capture_output=True, text=True, timeout=_SECONDS, check=False
    )


if __name__ == "__main__":
    raise SystemExit(main())
