"""Waiting for a condition, never for a duration."""

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")

PATIENCE = 60.0
"""Seconds; far beyond what anything takes, since machines are shared. Only a failure ever waits for so long."""


def eventually(probe: Callable[[], Found | None], what: str, *, patience: float = PATIENCE) -> Found:
    """The first truthy answer of ``probe``. Fails, naming ``what`` and the last answer or error, when none comes."""
    deadline = time.monotonic() + patience
    last: object = None
    while time.monotonic() < deadline:
        try:
            found = probe()
        except (OSError, AssertionError, LookupError, RuntimeError) as error:
            last = error
        else:
            if found:
                return found
            last = found
        time.sleep(0.05)  # between two probes; what is waited for is the condition
    raise AssertionError(f"not so after {patience:.0f} s: {what}; last: {last!r}")
