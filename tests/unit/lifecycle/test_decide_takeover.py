"""An intent that another process stored: how long it is left alone, and by whose clock."""

from datetime import timedelta

from saperly_operator.lifecycle.observed import Observed, RedactedKey
from saperly_operator.lifecycle.steps import TakeOver, WaitUntil
from saperly_operator.resources import reasons
from tests.builders import (
    HOUR,
    MINUTE,
    NOW,
    OTHER_HOLDER,
    SECOND,
    a_row,
    changed,
    minting,
    myself,
    with_intent,
    with_memory,
)
from tests.unit.lifecycle.table import Row, rows, verify


def of_another(
    base: Observed, *, stored: timedelta = HOUR, up: timedelta = HOUR, seen: timedelta | None = None
) -> Observed:
    """Another process stored the intent that long ago by its clock; we are up, and have seen its name on it, so long."""
    theirs = with_intent(base, holder=OTHER_HOLDER, started_at=NOW - stored)
    since = NOW - (up if seen is None else seen)
    return with_memory(changed(theirs, myself=myself(started_at=NOW - up)), intent_seen_at=since)


TAKEOVER = {
    "another process's intent waits for what it may have under way": Row(
        of_another(minting(), up=59 * SECOND),
        WaitUntil(NOW + SECOND),
        reasons.RESUMING,
        "waiting for what it may have under way to settle",
    ),
    "another process's intent is taken over once we are up for a minute": Row(
        of_another(minting(), up=MINUTE), TakeOver(), reasons.RESUMING, "Taking over"
    ),
    "an intent that another process stored, or took over, while we were up waits as well": Row(
        of_another(minting(), seen=59 * SECOND), WaitUntil(NOW + SECOND), reasons.RESUMING, "to settle"
    ),
    "and is taken over after a minute": Row(
        of_another(minting(), seen=MINUTE), TakeOver(), reasons.RESUMING, "Taking over"
    ),
    "and one stored under a clock a day ahead, too": Row(
        of_another(minting(), stored=-24 * HOUR, seen=MINUTE), TakeOver(), reasons.RESUMING, "Taking over"
    ),
    "another process's intent is taken over before anything is made of a replay": Row(
        of_another(with_memory(minting(), redacted=RedactedKey(1, a_row(1)))),
        TakeOver(),
        reasons.RESUMING,
        "Taking over",
    ),
}


@rows(TAKEOVER)
def test_with_an_intent_of_another_process(row: Row) -> None:
    verify(row)
