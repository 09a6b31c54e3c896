"""The simulator as a process: what it says, what it writes, and what outlives kill -9."""

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest

from saperly_operator.simulator.control_client import ControlError, SimulatorControl
from saperly_operator.simulator.faults import Fault, FaultKind
from saperly_operator.simulator.state import Operation
from tests.contract.simulator.process import SimulatorProcess


def test_everything_answered_outlives_kill_9(tmp_path: Path) -> None:
    first = SimulatorProcess(tmp_path)
    first.control.change_settings({"limits": {"mint": 4}})
    with first.client() as http:
        minted = http.post("/v1/keys", json={"name": "kept"}, headers={"Idempotency-Key": "k1"}).json()["key"]
        gone = http.post("/v1/keys", json={"name": "gone"}, headers={"Idempotency-Key": "k2"}).json()["key"]
        http.delete(f"/v1/keys/{gone['id']}")
    first.kill()

    with SimulatorProcess(tmp_path) as second, second.client() as http:
        assert second.service_key == first.service_key
        assert second.ready["service_key_id"] == first.ready["service_key_id"]
        assert [key["id"] for key in http.get("/v1/keys").json()["keys"]] == [minted["id"]]
        replay = http.post("/v1/keys", json={"name": "kept"}, headers={"Idempotency-Key": "k1"})
        assert replay.json()["key"]["id"] == minted["id"]
        assert "plaintext_key" not in replay.json()["key"]
        http.post("/v1/keys", json={"name": "fourth"}, headers={"Idempotency-Key": "k3"})
        assert http.post("/v1/keys", json={"name": "5th"}, headers={"Idempotency-Key": "k4"}).status_code == 429
        with second.client(minted["plaintext_key"]) as child:
            assert child.get("/v1/audit").status_code == 200


def test_killed_amid_mints_the_ledger_holds_every_key_that_was_answered(tmp_path: Path) -> None:
    first = SimulatorProcess(tmp_path)
    first.control.lift_limits()
    answered: list[str] = []
    enough = threading.Event()

    def mint_until_it_dies() -> None:
        with first.client() as http, contextlib.suppress(httpx.TransportError):
            for n in itertools.count():
                answer = http.post("/v1/keys", json={"name": "x"}, headers={"Idempotency-Key": f"k{n}"})
                answered.append(answer.json()["key"]["id"])
                if len(answered) == 100:
                    enough.set()

    minting = threading.Thread(target=mint_until_it_dies)
    minting.start()
    assert enough.wait(timeout=30)
    first.kill()
    minting.join()

    with SimulatorProcess(tmp_path) as second:
        live = [child.id for child in second.control.live_keys()]
        assert live[: len(answered)] == answered
        assert len(live) - len(answered) in (0, 1), "at most the one mint whose answer the kill took"


def test_what_took_effect_is_kept_when_the_kill_comes_before_the_answer(tmp_path: Path) -> None:
    first = SimulatorProcess(tmp_path)
    first.control.order_fault(Fault(kind=FaultKind.HOLD, when="after", operation=Operation.MINT))
    request = threading.Thread(target=_mint_in_vain, args=[first])
    request.start()
    _wait_until_held(first)
    first.kill()
    request.join()

    with SimulatorProcess(tmp_path) as second, second.client() as http:
        replay = http.post("/v1/keys", json={"name": "x"}, headers={"Idempotency-Key": "k"}).json()["key"]
        assert "plaintext_key" not in replay
        assert [child.id for child in second.control.live_keys()] == [replay["id"]]


def _mint_in_vain(simulator: SimulatorProcess) -> None:
    with simulator.client() as http, contextlib.suppress(httpx.TransportError):
        http.post("/v1/keys", json={"name": "x"}, headers={"Idempotency-Key": "k"})


def _wait_until_held(simulator: SimulatorProcess) -> None:
    while not simulator.control.faults()[0].holding:
        pass  # each look is a round trip to the simulator


def test_a_revoked_service_key_is_replaced_at_the_next_start(tmp_path: Path) -> None:
    first = SimulatorProcess(tmp_path)
    first.control.revoke_service_key(first.ready["service_key_id"])
    first.stop()
    with SimulatorProcess(tmp_path) as second, second.client() as http:
        assert second.service_key != first.service_key
        assert http.get("/v1/keys").status_code == 200


def test_no_credential_is_printed_and_what_is_written_is_for_the_owner_alone(tmp_path: Path) -> None:
    ready_file = tmp_path / "ready.json"
    with SimulatorProcess(tmp_path, "--ready-file", str(ready_file)) as simulator:
        simulator.control.clock()  # answered, hence past the writing of the ready file
        assert json.loads(ready_file.read_text()) == simulator.ready
        assert "service_key" not in simulator.ready
        arguments = Path(f"/proc/{simulator.process.pid}/cmdline").read_bytes()
        assert simulator.service_key.encode() not in arguments + simulator.errors.read_bytes()
        assert {path.stat().st_mode & 0o777 for path in (ready_file, simulator.service_key_file)} == {0o600}
        assert simulator.service_key.startswith("sk_svc_test_")


def test_the_service_key_is_shown_when_asked_for_and_is_of_the_environment_asked_for(tmp_path: Path) -> None:
    with SimulatorProcess(tmp_path, "--show-service-key", "--environment", "live") as simulator:
        assert simulator.ready["service_key"] == simulator.service_key
        assert simulator.service_key.startswith("sk_svc_live_")


def test_a_seed_makes_ids_and_keys_repeatable(tmp_path: Path) -> None:
    keys = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        with SimulatorProcess(tmp_path / name, "--seed", "7") as simulator:
            keys.append((simulator.ready["service_key_id"], simulator.service_key))
    assert keys[0] == keys[1]


def test_the_control_surface_wants_its_token(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("open sesame\n")
    with SimulatorProcess(tmp_path, "--control-token-file", str(token)) as simulator:
        with pytest.raises(ControlError, match=r"^401 "):
            simulator.control.clock()
        with pytest.raises(ControlError, match=r"^401 "):
            SimulatorControl(simulator.ready["control_url"], "wrong").clock()
        assert SimulatorControl(simulator.ready["control_url"], "open sesame").clock().offset_seconds == 0


def test_without_control_those_paths_do_not_exist(tmp_path: Path) -> None:
    with SimulatorProcess(tmp_path, control=False) as simulator:
        assert "control_url" not in simulator.ready
        root = simulator.base_url.removesuffix("/api")
        assert httpx.get(f"{root}/_control/keys").status_code == 404


def test_sigterm_ends_it_even_with_a_request_held(tmp_path: Path) -> None:
    simulator = SimulatorProcess(tmp_path)
    simulator.control.order_fault(Fault(kind=FaultKind.HOLD))
    request = threading.Thread(target=_mint_in_vain, args=[simulator])
    request.start()
    _wait_until_held(simulator)
    simulator.stop()
    request.join()
    assert simulator.process.returncode in (0, -signal.SIGTERM)


def test_the_other_commands_need_no_web_server() -> None:
    look = "import sys, saperly_operator.cli.main; print({'starlette', 'uvicorn'} & set(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, timeout=30, check=True)
    assert ended.stdout == "set()\n"


def test_a_database_in_use_is_refused_in_words(simulator: SimulatorProcess) -> None:
    wide = os.environ | {"COLUMNS": "500"}  # no line is broken
    ended = subprocess.run(simulator.command, capture_output=True, text=True, timeout=30, env=wide, check=False)
    assert ended.returncode == 2
    assert "database is locked" in ended.stderr
    assert "Traceback" not in ended.stderr
