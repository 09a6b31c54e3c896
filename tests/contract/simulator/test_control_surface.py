"""The control surface over HTTP, by its Python client: every method of it, and what is refused."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from saperly_operator.saperly.models import Environment, Permissions
from saperly_operator.simulator.control_client import ControlError
from saperly_operator.simulator.control_http import ROUTES
from saperly_operator.simulator.control_orders import BlockOrder, KeyOrder, LineOrder, ServiceKeyOrder
from saperly_operator.simulator.faults import Fault, FaultKind
from saperly_operator.simulator.settings import Limits, Settings
from saperly_operator.simulator.state import Scope, digest_of
from tests.contract.simulator.conftest import Session
from tests.contract.simulator.process import SimulatorProcess


def test_service_keys_are_made_listed_and_revoked(session: Session, simulator: SimulatorProcess) -> None:
    made = session.control.create_service_key(ServiceKeyOrder(environment=Environment.LIVE, name="made"))
    plaintext = made.plaintext.get_secret_value()
    assert plaintext not in repr(made)
    with simulator.client(plaintext) as http:
        assert http.get("/v1/keys").status_code == 200
        revoked = session.control.revoke_service_key(made.id)
        assert http.get("/v1/keys").status_code == 401
    assert revoked in session.control.service_keys()
    assert (revoked.name, revoked.environment, revoked.digest) == ("made", "live", digest_of(plaintext))


def test_lines_are_made_and_released(session: Session) -> None:
    line = session.control.create_line(LineOrder(environment=Environment.TEST))
    key = {"name": "x", "line_id": line.id}
    assert session.http.post("/v1/keys", json=key, headers={"Idempotency-Key": "k1"}).status_code == 201
    assert session.control.release_line(line.id).released_at is not None
    assert session.http.post("/v1/keys", json=key, headers={"Idempotency-Key": "k2"}).status_code == 404


def test_a_block_stands_until_it_is_taken_back(session: Session) -> None:
    order = BlockOrder(code="forbidden", scope=Scope.SERVICE_KEY, scope_id=session.service_key_id)
    block = session.control.block(order)
    assert session.control.blocks() == [block]
    assert session.mint("k1").json()["error"]["code"] == "forbidden"
    session.control.unblock(block.id)
    assert session.mint("k2").status_code == 201


def test_settings_change_by_name_and_the_rest_stays(session: Session) -> None:
    before = session.control.settings()
    changed = session.control.change_settings({"limits": {"mint": 1}, "list_order": "shuffled"})
    assert changed == before.model_copy(
        update={"limits": before.limits.model_copy(update={"mint": 1}), "list_order": "shuffled"}
    )
    assert session.control.lift_limits().limits == Limits(mint=None, rotate=None, list=None, audit=None)
    session.control.change_settings(json.loads(Settings().model_dump_json()))
    assert session.control.settings() == Settings()


def test_the_clock_moves_by_what_was_asked(session: Session) -> None:
    before = session.control.clock()
    moved = session.control.advance_clock(90)
    assert moved.offset_seconds == before.offset_seconds + 90
    assert moved.now - before.now >= timedelta(seconds=90)
    session.control.advance_clock(-90)


def test_the_ledger_can_be_used_revoked_and_added_to(session: Session) -> None:
    order = KeyOrder(
        service_key_id=session.service_key_id, name="by hand", permissions=Permissions.LEGACY_FULL, age_seconds=86400
    )
    planted = session.control.plant_key(order)
    assert session.live() == ["by hand"]
    assert session.control.use_key(planted.id, spend_cents=3).monthly_spend_cents == 3
    revoked = session.control.revoke_key(planted.id)
    assert session.live() == []
    assert revoked in session.control.ledger()
    assert revoked.digest == digest_of(planted.plaintext.get_secret_value())
    assert revoked.last_used_at is not None
    assert revoked.last_used_at - revoked.created_at >= timedelta(days=1)


def test_calls_are_counted_and_forgotten(session: Session) -> None:
    session.control.forget_calls()
    session.mint()
    session.mint()
    session.http.get("/v1/keys/nobody")
    counts = {(str(count.operation), count.status): count.count for count in session.control.call_counts()}
    assert counts == {("mint", 201): 2, ("get", 404): 1}
    first, second, third = session.control.calls()
    assert [first.replayed, second.replayed, third.code] == [False, True, "not_found"]
    assert session.control.calls(after=second.number) == [third]


def test_events_are_newest_first(session: Session) -> None:
    session.mint()
    session.http.get("/v1/keys")
    assert [event.data["name"] for event in session.control.events()[:2]] == [
        "service_key_list_read",
        "api_key_created",
    ]


def test_faults_are_listed_and_taken_back(session: Session) -> None:
    ordered = session.control.order_fault(Fault(kind=FaultKind.RESET))
    assert session.control.faults() == [ordered]
    session.control.release_fault(ordered.id)
    session.control.cancel_fault(ordered.id)
    assert session.control.faults() == []
    assert session.mint().status_code == 201


@pytest.mark.parametrize(
    "ask",
    [
        lambda control: control.revoke_service_key("nobody"),
        lambda control: control.release_line("nobody"),
        lambda control: control.unblock("nobody"),
        lambda control: control.revoke_key("nobody"),
        lambda control: control.use_key("nobody"),
        lambda control: control.cancel_fault("nobody"),
        lambda control: control.release_fault("nobody"),
        lambda control: control.plant_key(KeyOrder(service_key_id="nobody", name="x")),
    ],
)
def test_what_does_not_exist_is_not_found(session: Session, ask: Callable[[object], object]) -> None:
    with pytest.raises(ControlError, match=r"^404 .*not_found") as refused:
        ask(session.control)
    assert refused.value.status == 404


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/blocks", '{"code": "teapot"}'),
        ("POST", "/blocks", "{}"),
        ("POST", "/blocks", '{"code": "forbidden", "operations": ["audit"]}'),
        ("POST", "/service-keys", '{"environment": "prod"}'),
        ("POST", "/lines", "nonsense"),
        ("POST", "/clock", "{}"),
        ("POST", "/faults", '{"kind": "earthquake"}'),
        ("PATCH", "/settings", '{"limits": {"mint": 0}}'),
        ("PATCH", "/settings", '{"limits": {"call": 1}}'),
        ("PATCH", "/settings", '{"colour": "red"}'),
        ("GET", "/calls?after=x", ""),
    ],
)
def test_what_makes_no_sense_is_a_validation_error(session: Session, method: str, path: str, body: str) -> None:
    url = str(session.http.base_url).removesuffix("/api/") + "/_control" + path
    refused = httpx.request(method, url, content=body)
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "validation_error")
    assert session.control.settings() == Settings()


def test_the_reference_in_the_documents_names_every_route() -> None:
    reference = (Path(__file__).parents[3] / "docs" / "simulator.md").read_text()
    missing = [f"{method} {path}" for method, path in ROUTES if f"`{method} {path}" not in reference]
    assert missing == []
