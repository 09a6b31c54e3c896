"""The project keeps its own promises: targets, pins, links, records, names, sizes. Reads what git tracks."""

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from saperly_operator import __version__
from saperly_operator.resources import reasons
from saperly_operator.settings import Settings

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = dict(re.findall(r"^([a-z-]+):[^#\n=]*(?:## (.*))?$", MAKEFILE, flags=re.MULTILINE))
SOURCE_LIMIT, TEST_LIMIT = 320, 500


def tracked(*patterns: str) -> list[Path]:
    """The files of those patterns that git tracks and that are there; without git (an unpacked archive), skips."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", *patterns], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def pins(name: str) -> dict[str, str]:
    """Package and version of every pin of one requirements file."""
    lines = (ROOT / "requirements" / name).read_text()
    return {found[1].lower(): found[2] for found in re.finditer(r"^([\w.-]+)==([^\s;]+)", lines, re.MULTILINE)}


# --- what can be run --------------------------------------------------------------------------------------------


PROMISED = (
    *("help", "setup", "demo", "run", "cluster", "lint", "format", "manifests", "verify-manifests", "bench", "pins"),
    *("test", "test-unit", "test-simulation", "test-cluster", "mutants"),
)


@pytest.mark.parametrize("target", PROMISED)
def test_a_promised_target_exists_and_says_what_it_does(target: str) -> None:
    assert TARGETS[target]


def test_every_target_that_a_document_names_exists() -> None:
    for page in tracked("*.md", ".ci/run", ".pre-commit-config.yaml"):
        for target in re.findall(r"(?:\$ |`|^|entry: )make ([a-z-]+)", page.read_text(), flags=re.MULTILINE):
            assert target in TARGETS, f"{page.relative_to(ROOT)}: make {target}"


def test_the_console_scripts_are_installed_and_load() -> None:
    scripts = {script.name: script for script in entry_points(group="console_scripts")}
    for name, value in PROJECT["project"]["scripts"].items():
        assert scripts[name].value == value
        assert callable(scripts[name].load())


def test_the_version_is_one() -> None:
    assert PROJECT["project"]["version"] == __version__


def test_the_hooks_need_no_other_repository() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    assert {repo["repo"] for repo in config["repos"]} == {"local"}


# --- pins -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["run.txt", "dev.txt"])
def test_every_pin_carries_hashes_and_no_address(name: str) -> None:
    text = (ROOT / "requirements" / name).read_text()
    pinned = re.split(r"\n(?=\S)", "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#")))
    for block in filter(None, pinned):
        assert re.match(r"[\w.-]+==", block), block
        assert "--hash=sha256:" in block, block
    assert "://" not in text
    assert "--index" not in text
    assert "--find-links" not in text


def test_what_is_released_is_what_is_tested() -> None:
    assert pins("run.txt").items() <= pins("dev.txt").items()


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("run.txt", PROJECT["project"]["dependencies"]),
        ("run.txt", PROJECT["project"]["optional-dependencies"]["simulator"]),
        ("dev.txt", PROJECT["dependency-groups"]["dev"]),
    ],
    ids=["the operator's", "the simulator's", "the developer's"],
)
def test_pins_satisfy_what_the_project_asks_for(name: str, wanted: list[str]) -> None:
    pinned = pins(name)
    for requirement in map(Requirement, wanted):
        assert requirement.specifier.contains(pinned[requirement.name.lower()]), requirement


# --- documents --------------------------------------------------------------------------------------------------


def links() -> Iterator[tuple[Path, str]]:
    for page in tracked("*.md"):
        prose = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
        for target in re.findall(r"\]\(([^)\s]+)\)", prose):
            yield page, target


def test_every_link_within_the_repository_leads_somewhere() -> None:
    local = [(page, target) for page, target in links() if not re.match(r"[a-z]+:", target)]
    assert len(local) > 10
    for page, target in local:
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{page.relative_to(ROOT)} links to {target}"
        if anchor:
            assert anchor in anchors(file), f"{page.relative_to(ROOT)} links to {target}"


def anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.*)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def test_every_page_of_the_documentation_is_on_its_first_page() -> None:
    first = ROOT / "docs" / "README.md"
    reached = {(first.parent / target).resolve() for page, target in links() if page == first}
    pages = set(tracked("docs/*.md")) - set(tracked("docs/decisions/0*.md")) - {first}
    assert pages <= reached


def test_decision_records_are_numbered_without_a_gap_and_listed() -> None:
    records = sorted(page.name for page in tracked("docs/decisions/0*.md"))
    assert [int(name[:4]) for name in records] == list(range(1, len(records) + 1))
    index = (ROOT / "docs" / "decisions" / "README.md").read_text()
    assert re.findall(r"\]\((0[^)]*)\)", index) == records


def test_the_reasons_that_the_documents_explain_exist_and_no_problem_is_left_out() -> None:
    known = {value for name, value in vars(reasons).items() if name.isupper() and isinstance(value, str)}
    operations = (ROOT / "docs" / "operations.md").read_text()
    rows = [line.split("|")[1] for line in operations.splitlines() if line.startswith("| `")]
    told = {word for row in rows for word in re.findall(r"`([A-Z][a-z][A-Za-z]+)`", row)}
    assert told <= known
    assert {reason for reason in stalling() if reason in known} <= told


def stalling() -> set[str]:
    """The reasons that the deciding code gives to ``stall`` or ``Refusal``: a person has to act."""
    found = set()
    for file in (ROOT / "operator" / "saperly_operator" / "lifecycle").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in {"stall", "Refusal"}:
                first = node.args[0]
                if isinstance(first, ast.Attribute) and ast.unparse(first.value) == "reasons":
                    found.add(getattr(reasons, first.attr))
    return found


def test_every_setting_is_documented() -> None:
    operations = (ROOT / "docs" / "operations.md").read_text()
    for name in Settings.model_fields.keys() - {"timings"}:
        assert f"`SAPERLY_{name.upper()}`" in operations, name


# --- what no file holds -----------------------------------------------------------------------------------------

# Taken apart, so that this file may be searched as well.
FORBIDDEN = {
    "a registry's address": re.compile("py" + r"pi\.org|python" + r"hosted|npm" + r"js\.|proxy" + r"\.golang"),
    "an index": re.compile("--(extra-)?index" + r"-url\s+\S+:"),
    "a path of one machine": re.compile(r"(?<![\w.~-])/(wo" + r"rk|ro" + r"ot|ho" + r"me/\w+|Use" + r"rs/\w+)/"),
    "a private key": re.compile("-----BEGIN [A-Z ]*PRIVATE" + r" KEY-----\s+[A-Za-z0-9+/]{16}"),
    "a live credential (an invented one spells words)": re.compile("sk_(svc_)?li" + r"ve_(?=[a-zA-Z]*\d)[A-Za-z0-9]{20}"),
}  # fmt: skip


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_holds(what: str) -> None:
    for file in tracked():
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found = FORBIDDEN[what].search(text)
        assert found is None, f"{file.relative_to(ROOT)}: {found}"


VOCABULARY = ROOT / "operator" / "saperly_operator" / "resources" / "reasons.py"
"""A list of words to look things up in: as long as there are words."""


def test_files_stay_small_enough_to_be_read() -> None:
    long = {
        str(file.relative_to(ROOT)): lines
        for pattern, limit in (("operator/*.py", SOURCE_LIMIT), ("tests/*.py", TEST_LIMIT))
        for file in tracked(pattern)
        if (lines := len(file.read_text().splitlines())) > limit and file != VOCABULARY
    }
    assert long == {}
