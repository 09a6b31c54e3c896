"""Each fault as the client meets it, on both sides of the commit, and what is left behind at the vendor."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from saperly_operator.simulator.faults import Fault, FaultKind
from saperly_operator.simulator.state import Operation
from tests.contract.simulator.conftest import Session
from tests.contract.simulator.process import SimulatorProcess

BOTH_SIDES = pytest.mark.parametrize(("when", "left"), [("before", []), ("after", ["a key"])])


def _mint_fault(session: Session, **fault: Any) -> str:
    return session.control.order_fault(
        Fault.model_validate({"operation": "mint", "service_key_id": session.service_key_id, **fault})
    ).id


@pytest.mark.contract("5xx-unknown")
@BOTH_SIDES
def test_a_5xx_leaves_what_its_side_of_the_commit_says(session: Session, when: str, left: list[str]) -> None:
    _mint_fault(session, kind="status", when=when, status=502, code="bad_gateway")
    answer = session.mint()
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "bad_gateway")
    assert session.live() == left
    again = session.mint()
    assert (again.status_code, "plaintext_key" in again.json()["key"]) == (201, not left)
    assert session.live() == ["a key"]


@pytest.mark.contract("5xx-unknown")
@BOTH_SIDES
@pytest.mark.parametrize(("kind", "error"), [("reset", httpx.ReadError), ("truncate", httpx.RemoteProtocolError)])
def test_a_broken_connection_leaves_what_its_side_of_the_commit_says(
    session: Session, when: str, left: list[str], kind: str, error: type[Exception]
) -> None:
    _mint_fault(session, kind=kind, when=when)
    with pytest.raises(error):
        session.mint()
    assert session.live() == left
    assert session.mint().status_code == 201


@BOTH_SIDES
@pytest.mark.parametrize(
    ("kind", "looks_wrong"),
    [
        ("garbage", lambda answer: answer.headers["content-type"] == "text/html"),
        ("oversized", lambda answer: len(answer.content) > 8 << 20 and "padding" in answer.json()),
        ("redirect", lambda answer: answer.status_code == 307 and "elsewhere.invalid" in answer.headers["location"]),
    ],
)
def test_a_wrong_answer_leaves_what_its_side_of_the_commit_says(
    session: Session, when: str, left: list[str], kind: str, looks_wrong: Callable[[httpx.Response], bool]
) -> None:
    _mint_fault(session, kind=kind, when=when)
    assert looks_wrong(session.mint())
    assert session.live() == left


@pytest.mark.contract("open-retry-after")
@pytest.mark.parametrize("retry_after", ["7", "Tue, 24 Nov 2026 10:00:00 GMT", None])
def test_a_429_carries_the_retry_after_that_was_ordered(session: Session, retry_after: str | None) -> None:
    _mint_fault(session, kind="status", status=429, code="rate_limited", retry_after=retry_after)
    answer = session.mint()
    assert (answer.status_code, answer.headers.get("Retry-After")) == (429, retry_after)
    assert session.live() == []


@pytest.mark.contract("open-5xx-cached")
@BOTH_SIDES
def test_a_5xx_is_replayed_when_the_vendor_caches_it(session: Session, when: str, left: list[str]) -> None:
    session.control.change_settings({"cached_failures": [402, 500]})
    try:
        _mint_fault(session, kind="status", when=when, status=500)
        assert [session.mint().status_code for _ in range(3)] == [500] * 3
        assert session.live() == left
    finally:
        session.control.change_settings({"cached_failures": [402]})


@BOTH_SIDES
def test_latency_delays_and_changes_nothing(session: Session, when: str, left: list[str]) -> None:
    _mint_fault(session, kind="latency", when=when, seconds=0.2)
    answer = session.mint()
    assert answer.status_code == 201
    assert answer.elapsed.total_seconds() >= 0.2
    assert left in ([], session.live())


def test_a_duplicate_is_carried_out_twice_and_answered_by_the_replay(session: Session) -> None:
    _mint_fault(session, kind="duplicate")
    answer = session.mint()
    assert (answer.status_code, "plaintext_key" in answer.json()["key"]) == (201, False)
    assert session.live() == ["a key"]
    own = [call for call in session.control.calls() if call.service_key_id == session.service_key_id]
    assert [(call.fault, call.replayed) for call in own] == [("duplicate", False), (None, True)]


async def _until_held(session: Session, fault_id: str) -> None:
    while not any(fault.holding for fault in await asyncio.to_thread(session.control.faults) if fault.id == fault_id):
        pass  # each look is a round trip to the simulator


@pytest.mark.contract("open-late")
@BOTH_SIDES
async def test_a_held_request_goes_on_when_released_though_its_client_is_gone(
    session: Session, simulator: SimulatorProcess, when: str, left: list[str]
) -> None:
    fault = _mint_fault(session, kind="hold", when=when)
    headers = {**session.http.headers, "Idempotency-Key": "k"}
    async with httpx.AsyncClient(base_url=simulator.base_url, headers=headers) as client:
        request = asyncio.create_task(client.post("/v1/keys", json={"name": "a key"}))
        await _until_held(session, fault)
        request.cancel()
    assert session.live() == left
    in_progress = when == "before"
    second = session.http.post("/v1/keys", json={"name": "a key"}, headers={"Idempotency-Key": "k"})
    assert second.status_code == (409 if in_progress else 201)
    session.control.release_fault(fault)
    while await asyncio.to_thread(session.live) != ["a key"]:
        pass  # each look is a round trip to the simulator
    assert "plaintext_key" not in session.mint("k").json()["key"]


async def test_a_held_request_is_answered_when_released(session: Session, simulator: SimulatorProcess) -> None:
    fault = _mint_fault(session, kind="hold", when="after")
    headers = {**session.http.headers, "Idempotency-Key": "k"}
    async with httpx.AsyncClient(base_url=simulator.base_url, headers=headers) as client:
        request = asyncio.create_task(client.post("/v1/keys", json={"name": "a key"}))
        await _until_held(session, fault)
        assert session.live() == ["a key"]
        session.control.cancel_fault(fault)
        assert "plaintext_key" in (await request).json()["key"]
    assert session.control.faults() == []


def test_a_fault_hits_the_operation_that_it_was_ordered_for(session: Session) -> None:
    ordered = session.control.order_fault(Fault(kind=FaultKind.RESET, operation=Operation.LIST))
    assert session.mint().status_code == 201
    with pytest.raises(httpx.ReadError):
        session.http.get("/v1/keys")
    assert session.http.get("/v1/keys").status_code == 200
    (spent,) = session.control.faults()
    assert (spent.id, spent.matched, spent.hits) == (ordered.id, 1, 1)
