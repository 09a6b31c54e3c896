"""From an answer of the API server to the class that says what to do about it."""

from typing import Any

import pytest

from saperly_operator.kube import errors
from saperly_operator.kube.errors import KubeError, error_from

Status = dict[str, Any]


def status(reason: str, *causes: str) -> Status:
    """A ``metav1.Status``; its message holds what no error may repeat."""
    details = {"causes": [{"reason": cause, "message": "NEVERSHOWTHIS"} for cause in causes]}
    return {"kind": "Status", "reason": reason, "message": "NEVERSHOWTHIS", "details": details}


TABLE: list[tuple[int, Any, type[KubeError]]] = [
    (404, status("NotFound"), errors.NotFound),
    (409, status("Conflict"), errors.Conflict),
    (409, status("AlreadyExists"), errors.AlreadyExists),
    (403, status("Forbidden"), errors.Refused),
    (403, status("Forbidden", "NamespaceTerminating"), errors.NamespaceTerminating),
    (400, status("BadRequest"), errors.Refused),
    (405, status("MethodNotAllowed"), errors.Refused),
    (413, None, errors.Refused),
    (415, status("UnsupportedMediaType"), errors.Refused),
    (422, status("Invalid", "FieldValueInvalid"), errors.Refused),
    (401, status("Unauthorized"), errors.Unavailable),
    (408, None, errors.Unavailable),
    (429, status("TooManyRequests"), errors.Unavailable),
    (500, status("InternalError"), errors.Unavailable),
    (503, "<html>", errors.Unavailable),
    (504, status("Timeout"), errors.Unavailable),
]


@pytest.mark.parametrize(("http_status", "body", "kind"), TABLE, ids=[f"{row[0]} {row[2].__name__}" for row in TABLE])
def test_the_class_of_an_answer(http_status: int, body: Any, kind: type[KubeError]) -> None:
    error = error_from("PATCH /api/v1/secrets/x", http_status, body, None)
    assert type(error) is kind
    assert error.status == http_status
    assert "NEVERSHOWTHIS" not in f"{error} {error!r}"
    assert "PATCH /api/v1/secrets/x" in str(error)


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "text",
        {"details": "text"},
        {"details": {"causes": None}},
        {"details": {"causes": ["text"]}},
        {"reason": 7},
    ],
    ids=repr,
)
def test_a_body_that_is_no_status_is_survived(body: Any) -> None:
    assert type(error_from("GET x", 403, body, None)) is errors.Refused


def test_the_time_to_wait_is_kept() -> None:
    error = error_from("GET x", 429, status("TooManyRequests"), 7.0)
    assert isinstance(error, errors.Unavailable)
    assert error.retry_after == 7.0


def test_without_any_answer_the_error_says_so() -> None:
    assert str(errors.Unavailable("GET x", None, "TimeoutError")) == "GET x: no answer TimeoutError"
