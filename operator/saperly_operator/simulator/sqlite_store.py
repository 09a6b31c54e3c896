"""The vendor's state in one SQLite file, so that a simulator killed with SIGKILL forgets nothing it answered.

Loaded whole at start; afterwards what changed is written in one transaction by ``flush``, before the answer leaves.
Records are JSON in typed rows (kind, id), which ``sqlite3`` and its JSON functions can read once the simulator has
let go of the file. It holds digests of credentials, never a plaintext.

Durability: WAL with ``synchronous=NORMAL``. A commit is handed to the kernel before the answer, so the death of the
process loses nothing; a power cut may lose the last commits, which a simulator can afford in exchange for its speed.
"""

import sqlite3
from pathlib import Path
from typing import assert_never

from pydantic import TypeAdapter

from saperly_operator.simulator.limits import WINDOW_SECONDS
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
from saperly_operator.simulator.store import Record, Store

_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
  kind TEXT NOT NULL, id TEXT NOT NULL, position INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS hits (operation TEXT NOT NULL, subject TEXT NOT NULL, at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""

_LOCK_TIMEOUT_SECONDS = 0.5

_UPSERT = """
INSERT INTO records (kind, id, position, body) VALUES (?, ?, ?, ?)
ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body
"""

_ADAPTERS: dict[type[Record], TypeAdapter[Record]] = {
    kind: TypeAdapter(kind) for kind in (ServiceKey, Line, Child, Block, IdempotentAnswer, Event)
}
_KINDS = {kind.__name__: kind for kind in _ADAPTERS}


class SqliteStore(Store):
    """A ``Store`` that survives its process.

    One process at a time may hold the file: a second one gets ``sqlite3.OperationalError`` ("database is locked").
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._loading = True
        self._pending: dict[tuple[str, str], Record | None] = {}
        self._pending_hits: list[tuple[str, str, float]] = []
        self._pending_settings: Settings | None = None
        self._position = 0
        self.boots = 0
        """How often the file was opened, this time included: seeded randomness must not repeat after a restart."""
        self._database = sqlite3.connect(path, timeout=_LOCK_TIMEOUT_SECONDS, isolation_level=None)
        try:
            self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = NORMAL")
            self._database.executescript(_SCHEMA)
            self._load()
        except BaseException:
            self._database.close()
            raise
        self._loading = False

    def close(self) -> None:
        """Flush and let go of the file."""
        self.flush()
        self._database.close()

    def put_settings(self, settings: Settings) -> None:
        super().put_settings(settings)
        if not self._loading:
            self._pending_settings = settings

    def record_hit(self, operation: Operation, subject: str, at: float) -> None:
        super().record_hit(operation, subject, at)
        if not self._loading:
            self._pending_hits.append((operation.value, subject, at))

    def flush(self) -> None:
        if not (self._pending or self._pending_hits or self._pending_settings):
            return
        execute = self._database.execute
        execute("BEGIN IMMEDIATE")
        for (kind, record_id), record in self._pending.items():
            if record is None:
                execute("DELETE FROM records WHERE kind = ? AND id = ?", (kind, record_id))
            else:
                self._position += 1
                body = _ADAPTERS[type(record)].dump_json(record).decode()
                execute(_UPSERT, (kind, record_id, self._position, body))
        if self._pending_hits:
            self._database.executemany("INSERT INTO hits VALUES (?, ?, ?)", self._pending_hits)
        if self._pending_settings:
            self._put_meta("settings", self._pending_settings.model_dump_json())
        execute("COMMIT")
        self._pending, self._pending_hits, self._pending_settings = {}, [], None

    def _changed(self, record: Record) -> None:
        if not self._loading:
            self._pending[type(record).__name__, record.id] = record

    def _dropped(self, record: Record) -> None:
        self._pending[type(record).__name__, record.id] = None

    def _load(self) -> None:
        """Fill the memory from the file, in the order of insertion, which ``position`` keeps."""
        rows = self._database.execute("SELECT kind, position, body FROM records ORDER BY position")
        for kind, position, body in rows:
            self._position = position
            self._restore(_ADAPTERS[_KINDS[kind]].validate_json(body))
        settings = self._meta("settings")
        if settings is not None:
            self.put_settings(Settings.model_validate_json(settings))
        self._database.execute("DELETE FROM hits WHERE at <= (SELECT max(at) FROM hits) - ?", (WINDOW_SECONDS,))
        for operation, subject, at in self._database.execute(
            "SELECT operation, subject, at FROM hits ORDER BY rowid"
        ):
            self.record_hit(Operation(operation), subject, at)
        self.boots = int(self._meta("boots") or 0) + 1
        self._put_meta("boots", str(self.boots))

    def _restore(self, record: Record) -> None:
        match record:
            case ServiceKey():
                self.put_service_key(record)
            case Line():
                self.put_line(record)
            case Child():
                self.put_child(record)
            case Block():
                self.put_block(record)
            case IdempotentAnswer():
                self.put_answer(record)
            case Event():
                self.add_event(record)
            case _:
                assert_never(record)

    def _meta(self, name: str) -> str | None:
        row = self._database.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def _put_meta(self, name: str, value: str) -> None:
        self._database.execute("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)", (name, value))
