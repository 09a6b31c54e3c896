"""What the API server was asked, read back from its audit log: to count requests per user, verb and resource.

Used by tests and benchmarks. The log is written while the answer is, so a request whose answer was received is in it
(a watch from its beginning on). The control plane's own components are left out by the audit policy.
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})


@dataclass(frozen=True)
class Request:
    """One request. ``resource`` is ``secrets`` or ``saperlykeys/status``; for what is no resource, the path."""

    user: str
    verb: str
    group: str
    resource: str
    namespace: str
    name: str
    code: int
    dry_run: bool
    user_agent: str

    @property
    def is_write(self) -> bool:
        """A change that was asked for, whether or not it was granted; a dry run counts, since it costs the same."""
        return self.verb in WRITES


class AuditLog:
    """A reader; positions let a test count what happened between two moments."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def position(self) -> int:
        """Now, as a place in the log, for ``since``."""
        return self.path.stat().st_size if self.path.exists() else 0

    def requests(self, *, user: str | None = None, since: int = 0) -> list[Request]:
        """Every request once, in the order of their answers; of one user when named."""
        return [request for request in self._read(since) if user in {None, request.user}]

    def counts(self, *, user: str | None = None, since: int = 0) -> Counter[tuple[str, str]]:
        """How many requests for each ``(verb, resource)``."""
        return Counter((request.verb, request.resource) for request in self.requests(user=user, since=since))

    def _read(self, since: int) -> Iterator[Request]:
        seen: set[str] = set()
        with self.path.open("rb") as file:
            file.seek(since)
            for line in file:
                if not line.endswith(b"\n"):
                    return  # being written
                event = json.loads(line)
                if event["auditID"] not in seen:  # a watch appears at its beginning and at its end
                    seen.add(event["auditID"])
                    yield _request(event)


def _request(event: dict[str, Any]) -> Request:
    reference = event.get("objectRef", {})
    url = urlsplit(event["requestURI"])
    subresource = reference.get("subresource")
    resource = reference.get("resource", "")
    return Request(
        # With impersonation, who it was done as: that is whose rights counted.
        user=event.get("impersonatedUser", event["user"]).get("username", ""),
        verb=event["verb"],
        group=reference.get("apiGroup", ""),
        resource=(f"{resource}/{subresource}" if subresource else resource) or url.path,
        namespace=reference.get("namespace", ""),
        name=reference.get("name", ""),
        code=event.get("responseStatus", {}).get("code", 0),
        dry_run="dryRun" in parse_qs(url.query),
        user_agent=event.get("userAgent", ""),
    )
