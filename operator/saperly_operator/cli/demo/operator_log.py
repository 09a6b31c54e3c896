"""The operator's own account of what it does, read from its log while it is written.

With ``SAPERLY_LOG_LEVEL=DEBUG`` the operator names each step before it takes it; this turns those names into sentences.
"""

import json
from collections.abc import Iterator
from pathlib import Path

_SENTENCES = {
    "AddFinalizer": "finalizer on: the object cannot vanish before its key is accounted for",
    "Preflight": "dry run of the Secret: no mint is wasted on one that Kubernetes would refuse",
    "StoreIntent": "intent into status, with its Idempotency-Key: nothing was sent before it is stored",
    "Mint": "POST /v1/keys: the only answer that carries the plaintext",
    "WriteSecret": "plaintext into the Secret, with the record of which key it is",
    "Record": "key into status, intent closed",
    "UpdateKey": "PATCH /v1/keys/{id}: the same key with other attributes",
    "Retire": "DELETE /v1/keys/{id}: an old key",
    "RevokeCurrent": "DELETE /v1/keys/{id}: the key in the Secret",
    "DeleteSecret": "Secret deleted, after its key",
    "RemoveFinalizer": "finalizer off: nothing is owed any more",
}
"""Each is said when the step begins."""


class OperatorLog:
    """Reads on from where it stopped."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = 0

    def has_started(self) -> bool:
        """Whether the operator says that it looked at everything and watches."""
        return any(entry.get("message") == "started" for entry in self._entries())

    def new_steps(self) -> Iterator[str]:
        """The steps taken since the last look, as sentences."""
        for entry in self._entries():
            if entry.get("message") == "step":
                name = str(entry["step"])
                yield _SENTENCES.get(name, name)

    def _entries(self) -> Iterator[dict[str, object]]:
        with self._path.open("rb") as file:
            file.seek(self._position)
            for line in file:
                if not line.endswith(b"\n"):
                    return  # being written
                self._position += len(line)
                if line.startswith(b"{"):
                    yield json.loads(line)
