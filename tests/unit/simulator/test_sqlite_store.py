"""The SQLite store: the same vendor after reopening, and no plaintext in the file."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from saperly_operator.simulator.sqlite_store import SqliteStore
from tests.unit.simulator.vendor import Vendor


class Reopened:
    """One database file, and a vendor on it that can be closed and opened again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.store = SqliteStore(path)
        self.vendor = Vendor(store=self.store)

    def again(self) -> Vendor:
        self.store.close()
        self.store = SqliteStore(self.path)
        self.vendor = self.vendor.restarted(self.store, seed=self.store.boots)
        return self.vendor


@pytest.fixture
def reopened(tmp_path: Path) -> Iterator[Reopened]:
    reopened = Reopened(tmp_path / "vendor.db")
    yield reopened
    reopened.store.close()


def test_everything_that_was_answered_is_there_after_reopening(reopened: Reopened) -> None:
    vendor = reopened.vendor
    line = vendor.control.create_line()
    vendor.control.release_line(vendor.control.create_line().id)
    kept = vendor.control.block("forbidden", scope_id="another")
    vendor.control.unblock(vendor.control.block("m3_fraud_block", scope_id="another").id)
    key = vendor.minted("k1", name="ключ 🔑", line_id=line.id, monthly_cap_cents=7)
    rotated = vendor.call("POST", f"/v1/keys/{key['id']}/rotate", key="r").key
    vendor.call("GET", "/v1/audit", by=rotated["plaintext_key"])
    vendor.control.revoke_service_key(vendor.another_service_key().service_key.id)
    vendor.configure(list_order="newest_first", limits={"mint": 2})
    vendor.control.advance_clock(90)
    store = reopened.store
    before = (list(store.children()), list(store.events()), list(store.lines()), list(store.service_keys()))

    vendor = reopened.again()

    store = reopened.store
    assert (list(store.children()), list(store.events()), list(store.lines()), list(store.service_keys())) == before
    assert list(store.blocks()) == [kept]
    assert store.settings.limits.mint == 2
    assert vendor.core.now().isoformat() == "2026-11-24T10:01:30+00:00"
    assert vendor.call("GET", "/v1/keys").json["keys"][0]["id"] == rotated["id"]
    assert vendor.call("GET", "/v1/audit", by=rotated["plaintext_key"]).status == 200


def test_idempotency_limits_and_a_sticky_402_survive(reopened: Reopened) -> None:
    vendor = reopened.vendor
    vendor.configure(limits={"mint": 6})
    first = vendor.minted("k1")["id"]
    block = vendor.control.block("insufficient_credits")
    vendor.mint("k2")
    vendor.control.unblock(block.id)

    vendor = reopened.again()

    assert vendor.mint("k1").key["id"] == first
    assert "plaintext_key" not in vendor.mint("k1").key
    assert vendor.mint("k1", name="another").refusal == (409, "idempotency_key_reused")
    assert vendor.mint("k2").refusal == (402, "insufficient_credits")
    assert vendor.mint("k3").refusal == (429, "rate_limited")
    vendor.clock.advance(3600)
    assert reopened.again().mint("k3").status == 201


def test_a_request_that_was_running_when_the_process_died_never_happened(reopened: Reopened) -> None:
    reopened.vendor.begin_mint("k")
    assert "plaintext_key" in reopened.again().mint("k").key


def test_the_file_holds_no_plaintext(reopened: Reopened, tmp_path: Path) -> None:
    vendor = reopened.vendor
    minted = vendor.minted()
    secrets = [vendor.service_key.plaintext, minted["plaintext_key"]]
    secrets.append(vendor.call("POST", f"/v1/keys/{minted['id']}/rotate", key="r").key["plaintext_key"])
    files = [path.read_bytes() for path in tmp_path.iterdir()]
    assert any(minted["id"].encode() in content for content in files), "the state must be in these files"
    assert not any(secret.encode() in content for secret in secrets for content in files)


def test_each_opening_is_counted_so_that_a_seed_does_not_repeat_itself(reopened: Reopened) -> None:
    first = reopened.vendor.minted("k1")["id"]
    assert reopened.store.boots == 1
    assert reopened.again().minted("k2")["id"] != first
    assert reopened.store.boots == 2


def test_a_second_process_cannot_open_the_file(reopened: Reopened) -> None:
    reopened.vendor.mint()
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        SqliteStore(reopened.path)
