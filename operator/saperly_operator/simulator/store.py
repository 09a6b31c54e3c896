"""Where the vendor's state lives: the ``Store`` that the core works on.

``Store`` itself keeps everything in memory. Its one point of extension is ``_changed``, called with every record that
was put, and ``flush``, called before an answer leaves: ``sqlite_store`` writes what changed in between in one
transaction, and loads it all at start. So there is one set of queries, and one order of events, for both.
"""

from collections import deque
from collections.abc import Iterable, Iterator

from saperly_operator.saperly.models import Environment
from saperly_operator.simulator.settings import Settings
from saperly_operator.simulator.state import (
    Block,
    Child,
    Event,
    IdempotentAnswer,
    Line,
    Operation,
    ServiceKey,
)

Record = ServiceKey | Line | Child | Block | IdempotentAnswer | Event


class Store:
    """The state in memory. Not thread-safe: one writer, as the core is one sequence of calls."""

    def __init__(self) -> None:
        self._settings = Settings()
        self._service_keys: dict[str, ServiceKey] = {}
        self._lines: dict[str, Line] = {}
        self._children: dict[str, Child] = {}
        self._live: dict[str, dict[str, Child]] = {}
        self._blocks: dict[str, Block] = {}
        self._answers: dict[str, IdempotentAnswer] = {}
        self._events: list[Event] = []
        self._service_key_of_digest: dict[str, str] = {}
        self._child_of_digest: dict[str, str] = {}
        self._hits: dict[tuple[Operation, str], deque[float]] = {}

    @property
    def settings(self) -> Settings:
        return self._settings

    def put_settings(self, settings: Settings) -> None:
        self._settings = settings

    def service_key(self, service_key_id: str) -> ServiceKey | None:
        return self._service_keys.get(service_key_id)

    def service_keys(self) -> Iterable[ServiceKey]:
        return self._service_keys.values()

    def service_key_of(self, digest: str) -> ServiceKey | None:
        return self._service_keys.get(self._service_key_of_digest.get(digest, ""))

    def put_service_key(self, service_key: ServiceKey) -> None:
        self._service_keys[service_key.id] = service_key
        self._service_key_of_digest[service_key.digest] = service_key.id
        self._changed(service_key)

    def line(self, line_id: str) -> Line | None:
        return self._lines.get(line_id)

    def lines(self) -> Iterable[Line]:
        return self._lines.values()

    def put_line(self, line: Line) -> None:
        self._lines[line.id] = line
        self._changed(line)

    def child(self, child_id: str) -> Child | None:
        return self._children.get(child_id)

    def children(self) -> Iterable[Child]:
        """Every key ever minted, oldest first."""
        return self._children.values()

    def child_of(self, digest: str) -> Child | None:
        return self._children.get(self._child_of_digest.get(digest, ""))

    def live_children(self, service_key_id: str) -> Iterable[Child]:
        """The keys that this service key minted and nobody revoked, oldest first."""
        return self._live.get(service_key_id, {}).values()

    def put_child(self, child: Child) -> None:
        self._children[child.id] = child
        self._child_of_digest[child.digest] = child.id
        live = self._live.setdefault(child.created_by_service_key_id, {})
        if child.is_live:
            live[child.id] = child
        else:
            live.pop(child.id, None)
        self._changed(child)

    def blocks(self) -> Iterable[Block]:
        return self._blocks.values()

    def put_block(self, block: Block) -> None:
        self._blocks[block.id] = block
        self._changed(block)

    def drop_block(self, block_id: str) -> bool:
        """False when there is no such block."""
        block = self._blocks.pop(block_id, None)
        if block is not None:
            self._dropped(block)
        return block is not None

    def answer(self, answer_id: str) -> IdempotentAnswer | None:
        return self._answers.get(answer_id)

    def put_answer(self, answer: IdempotentAnswer) -> None:
        self._answers[answer.id] = answer
        self._changed(answer)

    def add_event(self, event: Event) -> None:
        self._events.append(event)
        self._changed(event)

    def events(self) -> Iterator[Event]:
        """The audit trail, newest first."""
        return reversed(self._events)

    def events_of(self, account_id: str, environment: Environment, api_key_id: str) -> Iterator[Event]:
        """What the audit trail says about one API key, newest first."""
        wanted = (account_id, environment, api_key_id)
        return (e for e in self.events() if (e.account_id, e.environment, e.api_key_id) == wanted)

    def hits(self, operation: Operation, subject: str) -> deque[float]:
        """When the requests still in the rolling window were made: epoch seconds, oldest first.

        The caller takes out from the left what has left the window; ``record_hit`` adds on the right.
        """
        return self._hits.setdefault((operation, subject), deque())

    def record_hit(self, operation: Operation, subject: str, at: float) -> None:
        self.hits(operation, subject).append(at)

    def flush(self) -> None:
        """Make everything put so far durable. Called before an answer leaves."""

    def _changed(self, record: Record) -> None:
        """A record was added or replaced."""

    def _dropped(self, record: Record) -> None:
        """A record was taken away."""
