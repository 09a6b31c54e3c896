"""Waiting for a condition, never for a duration."""

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")

PATIENCE = 60.0
"""Seconds; far beyond what anything takes, since machines are shared. Only a failure ever waits for so long."""


def eventually(
    probe: Callable[[], Found | None], what: str, *, patience: float = PATIENCE, gap: float = 0.05
) -> Found:
    """The first truthy answer of ``probe``. Fails, naming ``what`` and the last answer or error, when none comes.

    ``gap``: seconds between two probes; more where a probe is dear and the machine has something better to do.
    """
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
        time.sleep(gap)  # between two probes; what is waited for is the condition
    raise AssertionError(f"not so after {patience:.0f} s: {what}; last: {last!r}")
