"""Times that travel in headers: ``Retry-After`` in its three forms, and ``Date``. Pure."""

import math
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_SECONDS = re.compile(r"[+-]?\d+(\.\d+)?")


def parse_http_date(value: str | None) -> datetime | None:
    """An HTTP date as an aware UTC datetime, or None for anything else."""
    if value is None:
        return None
    try:
        parsed = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if parsed.tzinfo is None:  # "-0000" says: UTC, from a machine that knows no zone
        return parsed.replace(tzinfo=UTC)
    try:
        return parsed.astimezone(UTC)
    except OverflowError:
        return None


def parse_retry_after(value: str | None, *, answered_at: datetime) -> float | None:
    """Seconds to wait, or None where the header is missing or says nothing.

    A date counts from ``answered_at``: the answer's own ``Date`` where it had one, so that the skew between the two
    clocks, which may be minutes, does not enter. Negative and absurd values are handed on; whoever waits clamps.
    """
    if value is None:
        return None
    text = value.strip()
    if _SECONDS.fullmatch(text):
        seconds = float(text)
        return seconds if math.isfinite(seconds) else None
    until = parse_http_date(text)
    return None if until is None else (until - answered_at).total_seconds()
