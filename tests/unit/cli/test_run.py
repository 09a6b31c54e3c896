"""``saperly-operator run`` with settings that cannot be."""

import pytest
from typer.testing import CliRunner

from saperly_operator.cli.main import app


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("SAPERLY_API_URL", "http://saperly.example/api", "plain http to saperly.example would show the credential"),
        ("SAPERLY_TIMINGS__MINT_LIMIT", "4", "less than or equal to 3"),
        ("SAPERLY_LOG_LEVEL", "LOUD", "LOUD"),
    ],
)
def test_a_wrong_setting_ends_it_at_the_start_in_words(variable: str, value: str, says: str) -> None:
    done = CliRunner().invoke(app, ["run"], env={variable: value})
    assert done.exit_code == 2
    assert "wrong settings" in done.output
    assert says in done.output
