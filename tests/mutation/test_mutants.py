"""Cheap promises about the mutants; whether each is caught, ``make mutants`` finds out."""

import ast

import pytest

from tests.mutation.mutant import ROOT, Mutant
from tests.mutation.mutants import MUTANTS, table

_FEWEST = 20


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_finds_its_text_once_and_stays_a_program(mutant: Mutant) -> None:
    assert list(mutant.misfits()) == []
    for edit in mutant.edits:
        assert edit.old != edit.new
        ast.parse(edit.path(ROOT).read_text().replace(edit.old, edit.new))


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_says_what_it_takes_out_and_names_tests_that_exist(mutant: Mutant) -> None:
    assert mutant.rule
    assert mutant.why.endswith(".")
    assert mutant.caught_by
    for test in mutant.caught_by:
        file, _, name = test.partition("::")
        assert f"def {name.partition('[')[0]}(" in (ROOT / file).read_text(), test


def test_there_are_enough_of_them_and_each_has_its_own_name() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= _FEWEST


def test_they_are_documented() -> None:
    assert table() in (ROOT / "docs" / "simulation.md").read_text(), (
        "python -m tests.mutation --list prints the table"
    )
