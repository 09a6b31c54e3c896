"""Logging: one line an event, in JSON with stable fields, or as text for a terminal. To stderr.

Third-party loggers that print URLs, headers or bodies are held at WARNING, whatever the level is.
"""

import json
import logging
from datetime import UTC, datetime

from saperly_operator.settings import LogFormat

_NOISY = ("httpx", "httpcore", "aiohttp", "kubernetes", "kopf", "asyncio", "urllib3")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


class JsonFormatter(logging.Formatter):
    """``time level logger message`` and whatever was passed as ``extra``."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **extras(record),
        }
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """The same for people."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S.%f")[:-3]
        details = " ".join(f"{name}={value}" for name, value in extras(record).items())
        line = f"{moment} {record.levelname:<7} {record.getMessage()} {details}".rstrip()
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def extras(record: logging.LogRecord) -> dict[str, object]:
    """What was passed as ``extra``."""
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


def configure_logging(level: str, log_format: LogFormat) -> None:
    """Set the root logger up. Raises ValueError for an unknown level."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if log_format is LogFormat.JSON else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
