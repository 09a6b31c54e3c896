"""Three hundred SaperlyKeys applied at once: each gets its own key, and nothing is live once they are deleted.

The figures are announced, not judged: they depend on the machine. ``make bench`` measures them beside a floor.
"""

import base64
import hashlib
import time
from collections.abc import Callable

import pytest

from saperly_operator.envtest import ControlPlane
from tests.cluster.conftest import OPERATOR
from tests.cluster.user import ENTRY, User
from tests.support.waiting import eventually

SIZE = 300
PATIENCE = 300.0
"""Seconds, on a machine that does much else."""


def names() -> list[str]:
    return [f"fleet-{number:03}" for number in range(SIZE)]


def is_ready(row: str) -> bool:
    """Whether a row of kubectl's table is of a Ready object."""
    return row.split()[1] == "True"


def rows(user: User) -> list[str]:
    """The table of the fleet, without its heading."""
    return user.kubectl("get", "skey", f"--namespace={user.namespace}", "--no-headers").splitlines()


class Stopwatch:
    """Announces what the operator did with the fleet, per second and per object."""

    def __init__(self, user: User, control_plane: ControlPlane, announce: Callable[[str], None]) -> None:
        self._user = user
        self._audit = control_plane.audit
        self._announce = announce
        self._since = self._audit.position()
        self._began = time.perf_counter()

    def announce(self, what: str) -> None:
        seconds = time.perf_counter() - self._began
        requests = len(self._audit.requests(user=OPERATOR, since=self._since))
        memory = self._user.operator.resident_megabytes
        self._announce(
            f"fleet of {SIZE}, {what}: {seconds:.1f} s, {SIZE / seconds:.1f} objects/s, "
            f"{requests / SIZE:.2f} API requests per object, operator {memory:.0f} MB"
        )


@pytest.fixture
def stopwatch(user: User, control_plane: ControlPlane, announce: Callable[[str], None]) -> Callable[[], Stopwatch]:
    """Begin to measure, by calling it."""
    return lambda: Stopwatch(user, control_plane, announce)


def test_a_fleet_gets_one_key_each_and_leaves_none_live(user: User, stopwatch: Callable[[], Stopwatch]) -> None:
    fleet = [user.world.key_object(name) for name in names()]
    up = stopwatch()
    user.kubectl.apply(*fleet, namespace=user.namespace)
    eventually(lambda: sum(map(is_ready, rows(user))) == SIZE, "the whole fleet is Ready", patience=PATIENCE, gap=0.5)
    up.announce("applied until Ready")

    live = user.vendor.live_keys()
    assert len(user.vendor.ledger()) == len(live) == SIZE
    delivered = held_digests(user)
    digests = {child.id: child.digest for child in live}
    keys = user.world.keys()
    current = {key["metadata"]["name"]: key["status"]["current"]["id"] for key in keys}
    assert delivered == {name: digests[current[name]] for name in names()}
    assert len(set(delivered.values())) == SIZE

    down = stopwatch()
    user.kubectl("delete", "skey", "--all", f"--namespace={user.namespace}", "--wait=false", timeout=PATIENCE)
    eventually(lambda: rows(user) == [], "the whole fleet is gone", patience=PATIENCE, gap=0.5)
    down.announce("deleted until gone")

    assert user.vendor.live_keys() == []
    assert user.world.secret_names() == set()
    assert len(user.vendor.ledger()) == SIZE


def held_digests(user: User) -> dict[str, str]:
    """The SHA-256 of the plaintext in each Secret of the namespace."""
    secrets = user.kubectl.read("Secret", namespace=user.namespace)["items"]
    return {
        secret["metadata"]["name"]: hashlib.sha256(base64.b64decode(secret["data"][ENTRY])).hexdigest()
        for secret in secrets
    }
