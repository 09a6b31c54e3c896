"""The moments that status notes by the operator's own clock, and from which something is counted. Pure.

``Case.happened_at`` judges them; a process that once ran under a wrong clock may have written any of them.
"""

from collections.abc import Iterator
from datetime import datetime

from saperly_operator.resources.saperly_key_status import SaperlyKeyStatus


def noted_moments(status: SaperlyKeyStatus) -> Iterator[datetime]:
    """All of them, in no order."""
    yield from status.recent_intents
    yield from (drift.last_at for drift in status.drift)
    yield from (lost.since for lost in status.rotation.lost) if status.rotation is not None else ()
    for old in status.retiring:
        noted = (old.replaced_at, old.overlap_started_at, old.withdrawn_at)
        yield from (moment for moment in noted if moment is not None)
    single = (
        status.intent.started_at if status.intent is not None else None,
        status.failure.retry_at if status.failure is not None else None,
        status.restarted.started_at if status.restarted is not None else None,
        status.reminted_at,
        status.redelivered.last_at if status.redelivered is not None else None,
    )
    yield from (moment for moment in single if moment is not None)
