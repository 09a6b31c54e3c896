"""What can go wrong with a request to the Kubernetes API, classified once, by status and reason, never by message.

    KubeError
    ├── NotFound          404: the object is not there
    ├── Conflict          409: another writer was first, or the uid is another's; read again and decide anew
    │   └── AlreadyExists 409 on a create
    ├── Refused           403, 400, 405, 413, 415, 422: the same request will be refused again
    │   ├── QuotaExceeded        403 with the quota's cause
    │   ├── NamespaceTerminating 403 with the namespace's cause
    │   └── Immutable            422: a field that may not change (an immutable Secret)
    └── Unavailable       429, 5xx, 401, timeouts, resets: it may have happened; try again later

``str()`` of each holds the verb, the resource, the status and the API's own one-line reason, and never a header
or a body: bodies of Secrets travel here.
"""


class KubeError(Exception):
    """A request to the Kubernetes API that did not do what it was asked."""

    def __init__(self, action: str, status: int | None, reason: str) -> None:
        super().__init__(f"{action}: {status if status is not None else 'no answer'} {reason}")
        self.status = status
        self.reason = reason


class NotFound(KubeError):
    """The object does not exist."""


class Conflict(KubeError):
    """The object changed since it was read, or is another one under the same name."""


class AlreadyExists(Conflict):
    """A create met an object of that name."""


class Refused(KubeError):
    """Definite: authorization, admission or validation said no."""


class QuotaExceeded(Refused):
    """A ResourceQuota of the namespace is full."""


class NamespaceTerminating(Refused):
    """Nothing can be created: the namespace is being deleted."""


class Immutable(Refused):
    """The object may not be changed (``immutable: true``)."""


class Unavailable(KubeError):
    """No definite answer. A write may have happened."""

    def __init__(self, action: str, status: int | None, reason: str, retry_after: float | None = None) -> None:
        super().__init__(action, status, reason)
        self.retry_after = retry_after


def error_from(action: str, http_status: int, body: object, retry_after: float | None) -> KubeError:
    """The error for a failed answer whose body is a ``metav1.Status`` (or anything else)."""
    status = body if isinstance(body, dict) else {}
    reason = str(status.get("reason") or "")
    details = status.get("details")
    causes = details.get("causes") or [] if isinstance(details, dict) else []
    cause_types = {cause.get("reason") for cause in causes if isinstance(cause, dict)}
    shown = reason or "no reason given"
    if http_status == 404:
        return NotFound(action, http_status, shown)
    if http_status == 409:
        return (AlreadyExists if reason == "AlreadyExists" else Conflict)(action, http_status, shown)
    if http_status in {401, 408, 429} or http_status >= 500:
        return Unavailable(action, http_status, shown, retry_after)
    if "NamespaceTerminating" in cause_types:
        return NamespaceTerminating(action, http_status, "NamespaceTerminating")
    return Refused(action, http_status, shown)
