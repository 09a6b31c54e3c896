"""The published hourly limits, as a rolling window over the times of past requests.

Every authenticated request counts, replays and refusals too; one that is answered 429 does not, or a client that
hammers would never be let in again. Called by the core before it looks at anything else of a request.
"""

from datetime import datetime
from math import ceil

from saperly_operator.simulator.errors import RateLimitedError
from saperly_operator.simulator.state import Operation
from saperly_operator.simulator.store import Store

WINDOW_SECONDS = 3600.0

ROTATE_RETRY_AFTER_SECONDS = 120
"""The vendor sends this with a rotate's 429, however long the window still is."""


def spend(store: Store, operation: Operation, subject: str, now: datetime) -> None:
    """Count one request of ``subject`` (a service key id, for audit an account id), or raise ``RateLimitedError``."""
    at = now.timestamp()
    hits = store.hits(operation, subject)
    while hits and hits[0] <= at - WINDOW_SECONDS:
        hits.popleft()
    limit = store.settings.limits.of(operation)
    if limit is not None and len(hits) >= limit:
        raise RateLimitedError(_seconds_until_free(operation, hits[len(hits) - limit] + WINDOW_SECONDS - at))
    store.record_hit(operation, subject, at)


def _seconds_until_free(operation: Operation, wait: float) -> int:
    if operation is Operation.ROTATE:
        return ROTATE_RETRY_AFTER_SECONDS
    return max(1, ceil(wait))
