"""The record of every call the vendor got: for tests that count requests and prove that none was wasted."""

from collections import Counter, deque
from dataclasses import dataclass
from datetime import datetime

from saperly_operator.simulator.state import Operation

_REMEMBERED = 20_000


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One call, once it was answered or given up.

    ``status`` and ``code`` are what the vendor answered, also where a fault kept that from the client; both are None
    for a call that ended before it took effect and without an answer. ``replayed``: the answer was a remembered one.
    """

    number: int
    at: datetime
    operation: Operation
    service_key_id: str | None
    key_id: str | None
    idempotency_key: str | None
    status: int | None
    code: str | None
    replayed: bool
    fault: str | None


class CallLog:
    """In memory only: the last calls one by one, all calls by operation and status."""

    def __init__(self) -> None:
        self._records: deque[CallRecord] = deque(maxlen=_REMEMBERED)
        self._counts: Counter[tuple[Operation, int | None]] = Counter()

    def add(self, record: CallRecord) -> None:
        self._records.append(record)
        self._counts[record.operation, record.status] += 1

    def records(self, after: int = 0) -> list[CallRecord]:
        """The calls with a number above ``after``, in the order in which they ended."""
        return [record for record in self._records if record.number > after]

    def counts(self) -> dict[tuple[Operation, int | None], int]:
        """How many calls ended, by operation and status."""
        return dict(self._counts)

    def clear(self) -> None:
        self._records.clear()
        self._counts.clear()
