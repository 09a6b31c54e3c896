"""One HTTP exchange as plain values: what the shell hands to the core and gets back.

The shell (``server``), the deterministic simulation and the tests all build these; nothing here knows a socket.
Credentials travel in headers and plaintext keys in bodies, hence neither is part of a repr.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Request:
    """A request under the API's base URL.

    ``path`` is the raw, still percent-encoded path without the base (``/v1/keys/a%2Fb``), ``query`` the raw query
    string, and the names in ``headers`` are lower case.
    """

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Response:
    """An answer; the body is JSON unless a fault made it something else."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)
