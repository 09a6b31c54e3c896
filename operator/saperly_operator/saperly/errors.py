"""Every way in which a call can fail, as one class per decision that the caller makes.

    SaperlyError
    ├── OutcomeUnknown          it may have happened: find out, or send the same again
    │   └── NotSent             no request left this machine; nothing happened
    ├── InProgress              the first request under this key still runs: wait
    ├── IdempotencyKeyReused    this key was used with another request: treat as unknown
    ├── Throttled               wait for ``retry_after``, this endpoint only
    ├── ServiceKeyRejected      the credential is wrong or revoked: breaker
    ├── AccountBlocked          the account is short of money or barred: breaker
    ├── Refused                 definite, for this object: a person has to change something
    ├── NotVisible              no such key, or another service key's; proves nothing else
    └── Defect                  our own mistake; never sent, or refused as malformed

``classify`` builds them from answers, ``transport`` from what the network did. Nothing here ever holds a credential,
a plaintext, a body, or the vendor's ``message``: ``str()`` names operation, status and code only, and exceptions of
httpx (which hold the request, headers included) are neither chained nor kept as context.
"""

from dataclasses import dataclass
from enum import StrEnum

from saperly_operator.saperly.operation import Operation


@dataclass(frozen=True, slots=True)
class Detail:
    """One entry of the vendor's ``details``, cut to length and scrubbed of anything that looks like a key.

    Both are the vendor's words: show ``field``; treat ``message`` as text from outside.
    """

    field: str
    message: str


class SaperlyError(Exception):
    """A call to the Saperly API that did not succeed.

    ``http_status``, ``code`` and ``details`` are None or empty where there was no such answer; ``code`` is an
    identifier or None, never free text. ``retry_after`` is in seconds as the vendor asked for, unclamped (it may be
    negative or absurd), or None.
    """

    def __init__(
        self,
        operation: Operation,
        *,
        http_status: int | None = None,
        code: str | None = None,
        retry_after: float | None = None,
        details: tuple[Detail, ...] = (),
    ) -> None:
        super().__init__(operation, http_status, code)
        self.operation = operation
        self.http_status = http_status
        self.code = code
        self.retry_after = retry_after
        self.details = details

    def __str__(self) -> str:
        parts = [] if self.http_status is None else [f"HTTP {self.http_status}"]
        if self.code is not None:
            parts.append(self.code)
        return f"{self.operation}: {' '.join(parts) or type(self).__name__}"


class Doubt(StrEnum):
    """Why nothing is known about a call; a word for metrics and conditions."""

    CONNECT = "connect"
    """No connection: refused, no such host, TLS refused, timed out, no free connection in the pool, proxy."""
    TIMEOUT = "timeout"
    """Connected, but the answer, or the rest of it, did not come in time."""
    DISCONNECTED = "disconnected"
    """Reset or closed before the answer was complete, or what came was not HTTP."""
    SERVER_ERROR = "server_error"
    """5xx, or a status by which a server gives up on a request (408, 425)."""
    UNREADABLE = "unreadable"
    """An answer that is not what the API sends: wrong JSON, another key's row, a redirect, a compressed body."""
    OVERSIZED = "oversized"
    """An answer beyond the size that the client reads."""


class OutcomeUnknown(SaperlyError):
    """It may have happened, now or some seconds from now. A mint is repeated only with the same key and body."""

    def __init__(
        self,
        operation: Operation,
        doubt: Doubt,
        *,
        http_status: int | None = None,
        code: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(operation, http_status=http_status, code=code, retry_after=retry_after)
        self.doubt = doubt

    def __str__(self) -> str:
        answer = (
            "" if self.http_status is None else f" (HTTP {self.http_status}{f' {self.code}' if self.code else ''})"
        )
        return f"{self.operation}: outcome unknown, {self.doubt}{answer}"


class NotSent(OutcomeUnknown):
    """The request never left: no connection was made. A caller may treat it as any unknown outcome."""

    def __init__(self, operation: Operation) -> None:
        super().__init__(operation, Doubt.CONNECT)


class InProgress(SaperlyError):
    """409: the first request under this Idempotency-Key still runs."""


class IdempotencyKeyReused(SaperlyError):
    """409: this Idempotency-Key was used with another body, or for another child."""


class Throttled(SaperlyError):
    """429: one of the hourly limits, which are per service key and endpoint."""


class ServiceKeyRejected(SaperlyError):
    """401: the credential is wrong, revoked, or of the other tier. For ``READ_AUDIT``, that is the API key."""


class AccountBlocked(SaperlyError):
    """402 for money, 403 for the account: nothing about this object would change it."""


class Refused(SaperlyError):
    """A definite no to this object's request. Repeating it unchanged is of no use, a person is needed."""


class NotVisible(SaperlyError):
    """404: no key of this id is visible to this service key; it may still live, under another one.

    ``may_be_line`` is True when the request also named a line, which may be what was not found: GET the key to tell.
    """

    def __init__(
        self,
        operation: Operation,
        *,
        http_status: int | None = None,
        code: str | None = None,
        details: tuple[Detail, ...] = (),
        may_be_line: bool = False,
    ) -> None:
        super().__init__(operation, http_status=http_status, code=code, details=details)
        self.may_be_line = may_be_line


class Defect(SaperlyError):
    """A mistake of ours: an argument that no request can be made of, or a request without its Idempotency-Key."""

    def __init__(
        self, operation: Operation, mistake: str = "", *, http_status: int | None = None, code: str | None = None
    ) -> None:
        super().__init__(operation, http_status=http_status, code=code)
        self.mistake = mistake

    def __str__(self) -> str:
        return f"{super().__str__()}{f': {self.mistake}' if self.mistake else ''}"
