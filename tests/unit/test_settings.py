"""Settings: read from the environment, and refused by name."""

import os
from datetime import timedelta

import pytest
from pydantic import ValidationError

from saperly_operator.lifecycle.timings import Timings
from saperly_operator.settings import LogFormat, Settings


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of ours is set."""
    for name in list(os.environ):
        if name.startswith("SAPERLY_"):
            monkeypatch.delenv(name)


def test_nothing_needs_to_be_set() -> None:
    settings = Settings()
    assert settings.api_url == "https://saperly.com/api"
    assert settings.timings == Timings()
    assert settings.log_format is LogFormat.JSON


@pytest.mark.parametrize(
    ("variable", "value", "field", "expected"),
    [
        ("SAPERLY_API_URL", "http://127.0.0.1:1/api", "api_url", "http://127.0.0.1:1/api"),
        ("SAPERLY_WORKERS", "4", "workers", 4),
        ("SAPERLY_LOG_FORMAT", "text", "log_format", LogFormat.TEXT),
        ("SAPERLY_KUBE_TIMEOUT", "2.5", "kube_timeout", 2.5),
        ("SAPERLY_TIMINGS__TAKEOVER_SETTLE", "PT5S", "timings", Timings(takeover_settle=timedelta(seconds=5))),
        ("SAPERLY_TIMINGS__MINT_LIMIT", "1", "timings", Timings(mint_limit=1)),
    ],
)
def test_each_kind_of_setting_is_read(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, field: str, expected: object
) -> None:
    monkeypatch.setenv(variable, value)
    assert getattr(Settings(), field) == expected


@pytest.mark.parametrize(
    ("variable", "value", "location"),
    [
        ("SAPERLY_WORKERS", "0", ("workers",)),
        ("SAPERLY_WORKERS", "257", ("workers",)),
        ("SAPERLY_WORKERS", "many", ("workers",)),
        ("SAPERLY_KUBE_TIMEOUT", "0", ("kube_timeout",)),
        ("SAPERLY_LOG_FORMAT", "xml", ("log_format",)),
        ("SAPERLY_TIMINGS__TAKEOVER_SETTLE", "soon", ("timings", "takeover_settle")),
        ("SAPERLY_TIMINGS__MINT_LIMIT", "0", ("timings", "mint_limit")),
        ("SAPERLY_TIMINGS__MINT_LIMIT", "4", ("timings", "mint_limit")),
        ("SAPERLY_API_URL", "http://saperly.example/api", ("api_url",)),
        ("SAPERLY_API_URL", "https://user:NEVERSHOWTHIS@saperly.example/api", ("api_url",)),
        ("SAPERLY_API_URL", "saperly.example", ("api_url",)),
    ],
)
def test_a_wrong_value_is_refused_by_name_and_not_repeated(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, location: tuple[str, ...]
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValidationError) as caught:
        Settings()
    assert [error["loc"] for error in caught.value.errors()] == [location]
    assert "input_value" not in str(caught.value)
    assert "NEVERSHOWTHIS" not in str(caught.value)


def test_other_variables_are_nobodys_business(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAPERLY_SOMETHING_ELSE", "x")
    monkeypatch.setenv("WORKERS", "3")
    assert Settings().workers == 16


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        setattr(Settings(), "workers", 3)  # noqa: B010
