"""The simulator over real HTTP: what the core says reaches the client as it is."""

import json
from email.utils import parsedate_to_datetime

import httpx
import pytest

from saperly_operator.simulator.openapi import document
from tests.contract.simulator.conftest import Session
from tests.contract.simulator.process import SimulatorProcess


def test_a_key_lives_through_all_six_endpoints(session: Session) -> None:
    minted = session.mint()
    assert minted.status_code == 201
    key = minted.json()["key"]["id"]
    assert session.http.get(f"/v1/keys/{key}").json()["key"]["name"] == "a key"
    assert session.http.patch(f"/v1/keys/{key}", json={"name": "new"}).json()["key"]["name"] == "new"
    rotated = session.http.post(f"/v1/keys/{key}/rotate", headers={"Idempotency-Key": "r"})
    successor = rotated.json()["key"]
    assert (rotated.status_code, successor["rotated_from"]) == (201, key)
    assert session.http.get("/v1/keys", params={"limit": 1, "offset": 0}).json()["total"] == 1
    assert session.http.delete(f"/v1/keys/{successor['id']}").status_code == 200
    assert session.http.delete(f"/v1/keys/{successor['id']}").status_code == 404
    assert session.live() == []


@pytest.mark.contract("tier-api-key")
def test_a_child_key_reads_the_audit_trail_and_nothing_under_keys(
    session: Session, simulator: SimulatorProcess
) -> None:
    with simulator.client(session.mint().json()["key"]["plaintext_key"]) as child:
        assert child.get("/v1/audit", params={"api_key_id": "self"}).status_code == 200
        assert child.get("/v1/keys").status_code == 401


@pytest.mark.contract("path-encoding")
def test_an_encoded_slash_in_an_id_does_not_reach_another_endpoint(session: Session) -> None:
    key = session.mint().json()["key"]["id"]
    assert session.http.delete(f"/v1/keys/{key}%2Frotate").status_code == 404
    assert session.http.get(f"/v1/keys/%{ord(key[0]):x}{key[1:]}").status_code == 200


@pytest.mark.contract("open-clock-skew")
def test_the_date_header_is_the_vendors_clock_and_the_only_one(session: Session) -> None:
    before = session.control.clock()
    session.control.advance_clock(3600)
    try:
        answer = session.http.get("/v1/keys")
        assert len(answer.headers.get_list("date")) == 1
        shown = parsedate_to_datetime(answer.headers["date"])
        assert 3599 <= (shown - before.now).total_seconds() < 3700
        assert "server" not in answer.headers
    finally:
        session.control.advance_clock(-3600)


def test_a_body_beyond_a_mebibyte_is_refused_unread(session: Session) -> None:
    answer = session.http.post("/v1/keys", content=b"x" * (2 << 20), headers={"Idempotency-Key": "k"})
    assert answer.status_code == 413
    assert session.live() == []


def test_one_connection_serves_many_requests(session: Session) -> None:
    for n in range(20):
        assert session.mint(f"k{n}").status_code == 201
    assert len(session.live()) == 20


def test_health_and_the_openapi_document_are_served(simulator: SimulatorProcess) -> None:
    root = simulator.base_url.removesuffix("/api")
    assert httpx.get(f"{root}/healthz").text == "ok"
    assert httpx.get(f"{root}/openapi.json").json() == json.loads(json.dumps(document()))
    assert httpx.get(f"{root}/elsewhere").status_code == 404
