"""What a mutant is, and how it is made: a small change of the operator's source, in a copy of the tree."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = Path("operator") / "saperly_operator"

_COPIED = ("operator", "tests", "crds", "pyproject.toml")
_SIMULATION = "tests/simulation"


@dataclass(frozen=True, slots=True)
class Edit:
    """``old`` in ``file`` (below the package) is replaced by ``new``."""

    file: str
    old: str
    new: str

    def path(self, tree: Path) -> Path:
        return tree / PACKAGE / self.file


@dataclass(frozen=True, slots=True, init=False)
class Mutant:
    """A rule taken out. ``rule`` says which (an invariant, or a step of the design), ``why`` what follows of it in
    production; one of the tests ``caught_by`` has to fail."""

    name: str
    rule: str
    why: str
    edits: tuple[Edit, ...]
    caught_by: tuple[str, ...]

    def __init__(self, name: str, rule: str, why: str, *edits: Edit, caught_by: tuple[str, ...]) -> None:
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "rule", rule)
        object.__setattr__(self, "why", why)
        object.__setattr__(self, "edits", edits)
        object.__setattr__(self, "caught_by", caught_by)

    def misfits(self, tree: Path = ROOT) -> Iterator[str]:
        """What of it does not apply to ``tree``, as sentences: a text that is there never, or twice, says nothing."""
        for edit in self.edits:
            found = edit.path(tree).read_text().count(edit.old)
            if found != 1:
                yield f"{self.name}: its text is there {found} times in {edit.file}: {edit.old.strip()[:70]}"

    def apply(self, tree: Path) -> None:
        """Raises ValueError when it does not apply."""
        misfits = list(self.misfits(tree))
        if misfits:
            raise ValueError("\n".join(misfits))
        for edit in self.edits:
            path = edit.path(tree)
            path.write_text(path.read_text().replace(edit.old, edit.new))

    def revert(self, tree: Path) -> None:
        """Put the original back."""
        for edit in self.edits:
            shutil.copy(edit.path(ROOT), edit.path(tree))


def copy_tree(target: Path) -> Path:
    """A copy of what the tests need, below the empty folder ``target``."""
    for name in _COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, target / name)
    return target


def history(name: str) -> str:
    """One of the named histories of one cluster."""
    return f"{_SIMULATION}/test_named_histories.py::test_{name}"


def cluster_history(name: str) -> str:
    """One of the named histories of several clusters, backups and service keys."""
    return f"{_SIMULATION}/test_named_histories_of_clusters.py::test_{name}"


def rule(name: str) -> str:
    """One of the short histories of single rules."""
    return f"{_SIMULATION}/test_rules.py::test_{name}"


def clock_history(name: str) -> str:
    """One of the named histories of wrong clocks."""
    return f"{_SIMULATION}/test_clock_histories.py::test_{name}"


def unit(file: str, name: str) -> str:
    """One unit test, where the rule guards a moment that histories seldom meet."""
    return f"tests/unit/{file}::test_{name}"


def crash(kind: str, story: str, event: str) -> str:
    """One story of the crash matrix with one kind of trouble, at every call of it."""
    return f"{_SIMULATION}/test_crash_matrix.py::test_{kind}_survives_trouble_at_any_call[{story}-{event}]"
