"""The operator's log, listened to while a history runs: no defect, no loop without rest, and no credential (I7)."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from saperly_operator.logs import JsonFormatter
from tests.simulation.invariants import Violation
from tests.support.leaks import Scanner


class LogCheck(logging.Handler):
    """Reports what must never be in a log line. Keeps nothing."""

    def __init__(self, report: Callable[[BaseException], None]) -> None:
        super().__init__()
        self._report = report
        self._scanner = Scanner()
        self.setFormatter(JsonFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        line = self.format(record)
        if record.levelno >= logging.ERROR and ("defect" in record.getMessage() or "no rest" in record.getMessage()):
            self._report(Violation(f"the operator's log says: {line}"))
        for finding in self._scanner.findings("a line of the log", line.encode()):
            self._report(Violation(f"I7: {finding}"))

    @contextmanager
    def attached(self, logger: logging.Logger) -> Iterator[None]:
        """Listen to ``logger`` at every level, alone: thousands of histories would fill any other handler."""
        before = (logger.level, logger.propagate)
        logger.addHandler(self)
        logger.setLevel(logging.DEBUG)
        logger.propagate = False
        try:
            yield
        finally:
            logger.removeHandler(self)
            logger.setLevel(before[0])
            logger.propagate = before[1]
