"""One simulator process for all tests of a module; every test has a service key of its own and finds no faults."""

from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from saperly_operator.simulator.control_client import SimulatorControl
from tests.contract.simulator.process import SimulatorProcess


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    with SimulatorProcess(tmp_path_factory.mktemp("simulator")) as simulator:
        yield simulator


@dataclass(frozen=True)
class Session:
    """A client with a fresh service key, and the levers."""

    http: httpx.Client
    control: SimulatorControl
    service_key_id: str

    def mint(self, key: str = "k", name: str = "a key") -> httpx.Response:
        return self.http.post("/v1/keys", json={"name": name}, headers={"Idempotency-Key": key})

    def live(self) -> list[str]:
        """The names of this service key's live keys."""
        return [
            child.name for child in self.control.live_keys() if child.created_by_service_key_id == self.service_key_id
        ]


@pytest.fixture
def session(simulator: SimulatorProcess) -> Iterator[Session]:
    created = simulator.control.create_service_key()
    with simulator.client(created.plaintext.get_secret_value()) as http:
        yield Session(http, simulator.control, created.id)
    simulator.control.cancel_all_faults()
    for block in simulator.control.blocks():
        simulator.control.unblock(block.id)
