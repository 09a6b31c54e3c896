"""Log lines: one JSON object each, or text; and the loggers of others held back."""

import json
import logging
import sys
from collections.abc import Iterator

import pytest

from saperly_operator.logs import JsonFormatter, TextFormatter, configure_logging
from saperly_operator.settings import LogFormat

NOISY = ("httpx", "httpcore", "aiohttp", "kubernetes", "kopf", "asyncio", "urllib3")


def a_record(message: str = "hello %s", *args: object, **extra: object) -> logging.LogRecord:
    record = logging.makeLogRecord(
        {"name": "saperly_operator.test", "levelno": 30, "levelname": "WARNING", "msg": message, "args": args}
    )
    record.created = 1795514400.25  # 2026-11-24 10:00
    vars(record).update(extra)
    return record


@pytest.fixture
def untouched() -> Iterator[None]:
    """The loggers are as before in the end."""
    names = ["", *NOISY]
    root = logging.getLogger()
    before = list(root.handlers), {name: logging.getLogger(name).level for name in names}
    yield
    root.handlers[:] = before[0]
    for name, level in before[1].items():
        logging.getLogger(name).setLevel(level)


def test_a_json_line_says_when_how_bad_who_and_what() -> None:
    line = json.loads(JsonFormatter().format(a_record("hello %s", "world", object="agents/support", count=3)))
    assert line == {
        "time": "2026-11-24T10:00:00.250+00:00",
        "level": "WARNING",
        "logger": "saperly_operator.test",
        "message": "hello world",
        "object": "agents/support",
        "count": 3,
    }


def test_a_json_line_is_one_line_whatever_is_in_it() -> None:
    text = JsonFormatter().format(a_record("two\nlines", thing=object(), text="é\n"))
    assert "\n" not in text
    assert json.loads(text)["message"] == "two\nlines"


def test_a_text_line_is_for_people() -> None:
    line = TextFormatter().format(a_record("hello", object="agents/support"))
    assert line == "10:00:00.250 WARNING hello object=agents/support"


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()], ids=["json", "text"])
def test_an_exception_shows_its_traceback(formatter: logging.Formatter) -> None:
    try:
        int("broken")
    except ValueError:
        record = a_record("a defect")
        record.exc_info = sys.exc_info()
    text = formatter.format(record)
    assert "ValueError: invalid literal" in text
    assert "Traceback" in text


@pytest.mark.parametrize(
    ("level", "held_at"),
    [("DEBUG", logging.WARNING), ("info", logging.WARNING), ("ERROR", logging.ERROR)],
)
@pytest.mark.usefixtures("untouched")
def test_loggers_that_print_urls_headers_or_bodies_are_held(level: str, held_at: int) -> None:
    configure_logging(level, LogFormat.JSON)
    for name in NOISY:
        assert logging.getLogger(f"{name}.deeper").getEffectiveLevel() == held_at
    assert logging.getLogger("saperly_operator").getEffectiveLevel() == logging.getLevelName(level.upper())


@pytest.mark.parametrize(("chosen", "kind"), [(LogFormat.JSON, JsonFormatter), (LogFormat.TEXT, TextFormatter)])
@pytest.mark.usefixtures("untouched")
def test_there_is_one_handler_with_the_chosen_format(chosen: LogFormat, kind: type[logging.Formatter]) -> None:
    configure_logging("INFO", chosen)
    configure_logging("INFO", chosen)
    (handler,) = logging.getLogger().handlers
    assert isinstance(handler.formatter, kind)


@pytest.mark.usefixtures("untouched")
def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ValueError, match="LOUD"):
        configure_logging("loud", LogFormat.JSON)
