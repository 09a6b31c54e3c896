"""The reference page: whole, current, and fit for a Markdown table; and the command that writes it."""

from pathlib import Path

import yaml
from typer.testing import CliRunner

from saperly_operator.cli.main import app
from saperly_operator.resources import crd, reference

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "api.md"


def test_the_committed_page_is_what_the_models_say() -> None:
    """``make manifests`` mends it."""
    assert PAGE.read_text(encoding="utf-8") == reference.as_markdown()


def test_every_row_of_a_table_has_the_cells_of_its_head() -> None:
    lines = reference.as_markdown().splitlines()
    for line, above in zip(lines[1:], lines, strict=False):
        if line.startswith("| ") and above.startswith("| "):
            assert line.replace("\\|", "").count("|") == above.replace("\\|", "").count("|"), line


def test_a_required_field_its_limits_its_default_and_its_rule_are_told() -> None:
    rows = {line.split("`")[1]: line for line in reference.as_markdown().splitlines() if line.startswith("| `")}
    assert "**Required.**" in rows["spec.environment"]
    assert "Default: `call_only`. One of `full`, `call_only`, `sms_only`, `read_only`." in rows["spec.permissions"]
    assert "Default: `false`." in rows["spec.suspend"]
    assert "At most 64 characters. Must be lower case." in rows["spec.agentLabel"]
    assert "Items: 1 or more. Items: 1 at most." in rows["spec.serviceKeys"]


def test_without_a_folder_all_crds_are_printed_as_one_stream() -> None:
    printed = CliRunner().invoke(app, ["crds"])
    assert printed.exit_code == 0
    assert list(yaml.safe_load_all(printed.stdout)) == [document for _, document in crd.definitions()]


def test_files_are_written_where_they_are_asked_for(tmp_path: Path) -> None:
    folder, page = tmp_path / "new" / "crds", tmp_path / "docs" / "api.md"
    done = CliRunner().invoke(app, ["crds", "--output", str(folder), "--reference", str(page)])
    assert (done.exit_code, done.stdout) == (0, "")
    assert sorted(path.name for path in folder.iterdir()) == sorted(name for name, _ in crd.definitions())
    assert page.read_text(encoding="utf-8") == reference.as_markdown()
