"""Reading the API server's audit log back into counts."""

import json
from pathlib import Path
from typing import Any

import pytest

from saperly_operator.envtest.audit import AuditLog


def event(audit_id: str, verb: str = "get", user: str = "operator", **changes: Any) -> str:
    """One line of the log as the API server writes it, but for what no one reads."""
    base = {
        "kind": "Event",
        "auditID": audit_id,
        "stage": "ResponseComplete",
        "requestURI": "/api/v1/namespaces/a/secrets/s",
        "verb": verb,
        "user": {"username": user, "groups": ["system:authenticated"]},
        "userAgent": "agent/1",
        "objectRef": {"resource": "secrets", "namespace": "a", "name": "s", "apiVersion": "v1"},
        "responseStatus": {"metadata": {}, "code": 200},
    }
    return json.dumps(base | changes) + "\n"


@pytest.fixture
def log(tmp_path: Path) -> AuditLog:
    return AuditLog(tmp_path / "audit.log")


def test_requests_are_counted_by_verb_and_resource_for_one_user(log: AuditLog) -> None:
    status = {
        "resource": "saperlykeys",
        "subresource": "status",
        "apiGroup": "saperly.com",
        "namespace": "a",
        "name": "k",
    }
    log.path.write_text(
        event("1") + event("2") + event("3", "patch", objectRef=status) + event("4", user="somebody-else")
    )
    assert log.counts(user="operator") == {("get", "secrets"): 2, ("patch", "saperlykeys/status"): 1}
    assert log.counts()["get", "secrets"] == 3
    (patch,) = [request for request in log.requests() if request.is_write]
    assert (patch.group, patch.namespace, patch.name, patch.code) == ("saperly.com", "a", "k", 200)


def test_a_watch_counts_once_though_its_beginning_and_its_end_are_logged(log: AuditLog) -> None:
    log.path.write_text(event("1", "watch", stage="ResponseStarted") + event("1", "watch"))
    assert log.counts() == {("watch", "secrets"): 1}


def test_counting_from_a_position_leaves_out_what_was_before(log: AuditLog) -> None:
    assert log.position() == 0
    log.path.write_text(event("1"))
    position = log.position()
    with log.path.open("a") as file:
        file.write(event("2", "create"))
    assert log.counts(since=position) == {("create", "secrets"): 1}


def test_a_line_that_is_still_being_written_is_left_for_later(log: AuditLog) -> None:
    log.path.write_text(event("1") + event("2")[:50])
    assert sum(log.counts().values()) == 1


def test_a_dry_run_is_told_apart(log: AuditLog) -> None:
    log.path.write_text(
        event("1", "create", requestURI="/api/v1/namespaces/a/secrets?dryRun=All&fieldManager=x")
        + event("2", "create")
    )
    assert [request.dry_run for request in log.requests()] == [True, False]


def test_what_is_no_resource_is_counted_by_its_path(log: AuditLog) -> None:
    lines = json.loads(event("1", requestURI="/version?timeout=1s"))
    del lines["objectRef"]
    log.path.write_text(json.dumps(lines) + "\n")
    assert log.counts() == {("get", "/version"): 1}


def test_an_impersonated_request_counts_for_whom_it_was_made_as(log: AuditLog) -> None:
    log.path.write_text(event("1", user="admin", impersonatedUser={"username": "operator"}))
    assert [request.user for request in log.requests()] == ["operator"]
