"""What a person sees of ``saperly-operator cluster`` when it cannot start."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from saperly_operator.cli.main import app


@pytest.mark.parametrize("option", [[], ["--prepare"]])
def test_a_useless_folder_of_binaries_is_one_line_that_says_so(
    option: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    result = CliRunner().invoke(app, ["cluster", *option])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "has no etcd and no kube-apiserver; unset it or complete it" in " ".join(result.stderr.split())
