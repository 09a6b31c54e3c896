"""What the operator costs: requests to the Kubernetes API, by its audit log, and calls to the vendor, by its books."""

from collections import Counter
from collections.abc import Callable

import pytest

from saperly_operator.envtest import ControlPlane
from saperly_operator.envtest.audit import Request
from saperly_operator.simulator.state import Operation
from tests.cluster.conftest import OPERATOR
from tests.cluster.user import User
from tests.support.waiting import eventually

REFRESHES = 4
"""Looks at the provider's Secret, one a second here, that an object at rest is watched for."""


class Meter:
    """Counts what the operator asked for since it was made."""

    def __init__(self, user: User, control_plane: ControlPlane) -> None:
        self._user = user
        self._audit = control_plane.audit
        self._since = self._audit.position()
        self._calls = user.call_number()

    def requests(self) -> list[Request]:
        """The operator's requests to the Kubernetes API."""
        return self._audit.requests(user=OPERATOR, since=self._since)

    def writes(self) -> list[tuple[str, str]]:
        """Verb and resource of every write, in their order; a dry run is marked."""
        return [
            (f"{request.verb} (dry run)" if request.dry_run else request.verb, request.resource)
            for request in self.requests()
            if request.is_write
        ]

    def reads(self) -> Counter[str]:
        """Live reads of single objects in the user's namespace, by resource."""
        return Counter(
            request.resource
            for request in self.requests()
            if request.verb == "get" and request.namespace == self._user.namespace
        )

    def vendor_calls(self) -> Counter[str]:
        """Calls to the vendor, by operation."""
        return Counter(record.operation.value for record in self._user.vendor.calls(self._calls))

    def wait_refreshes(self) -> None:
        """Until the operator has looked at the provider's Secret some times more."""

        def looks() -> int:
            return sum(
                1
                for request in self.requests()
                if (request.verb, request.resource, request.namespace) == ("get", "secrets", self._user.world.system)
            )

        enough = looks() + REFRESHES
        eventually(lambda: looks() >= enough, "several refreshes of the provider have gone by")


@pytest.fixture
def meter(user: User, control_plane: ControlPlane) -> Callable[[], Meter]:
    """Begin to count, by calling it."""
    return lambda: Meter(user, control_plane)


@pytest.fixture(scope="module", autouse=True)
def warm(user: User) -> None:
    """The operator knows the namespace and the provider before anything is counted."""
    user.ready("warm-up")
    user.wait_settled("warm-up")


def test_a_first_mint_costs_six_writes_two_live_reads_and_one_call(user: User, meter: Callable[[], Meter]) -> None:
    counted = meter()

    user.ready("first")
    user.wait_settled("first")
    eventually(lambda: user.world.events("first"), "the event is there")

    assert counted.writes() == [
        ("patch", "saperlykeys"),  # the finalizer
        ("create (dry run)", "secrets"),
        ("patch", "saperlykeys/status"),  # the intent
        ("create", "secrets"),
        ("patch", "saperlykeys/status"),  # the record
        ("create", "events"),
    ]
    assert counted.reads() == {"secrets": 1, "saperlykeys": 1}
    assert counted.vendor_calls() == {"mint": 1}


def test_a_rotation_costs_no_more_than_a_first_mint(user: User, meter: Callable[[], Meter]) -> None:
    first = user.ready("rotated", rotation={"overlap": "7d"})["status"]["current"]["id"]
    user.world.reasons("rotated", "Issued")
    counted = meter()

    user.annotate("rotated", rotate_requested_at="now")
    user.wait_rotated("rotated", first)
    eventually(lambda: len(user.world.events("rotated")) == 2, "the event is there")

    assert counted.writes() == [
        ("patch (dry run)", "secrets"),
        ("patch", "saperlykeys/status"),
        ("patch", "secrets"),
        ("patch", "saperlykeys/status"),
        ("create", "events"),
    ]
    assert counted.reads() == {"secrets": 1, "saperlykeys": 1}
    assert counted.vendor_calls() == {"mint": 1}


def test_a_change_costs_one_call_and_one_patch(user: User, meter: Callable[[], Meter]) -> None:
    user.ready("changed", agentLabel="support")
    user.world.reasons("changed", "Issued")
    counted = meter()

    user.change("changed", agentLabel="sales")
    user.wait_settled("changed")
    eventually(lambda: len(user.world.events("changed")) == 2, "the event is there")

    writes = counted.writes()
    assert writes.count(("create", "events")) == 1
    assert set(writes) == {("patch", "saperlykeys/status"), ("create", "events")}
    assert len(writes) <= 3
    assert counted.reads() == {}
    assert counted.vendor_calls() == {"update": 1}


def test_ready_objects_at_rest_cost_nothing(user: User, meter: Callable[[], Meter]) -> None:
    for number in range(5):
        user.ready(f"rest-{number}")
        user.wait_settled(f"rest-{number}")
        user.world.reasons(f"rest-{number}", "Issued")
    counted = meter()

    counted.wait_refreshes()

    assert counted.writes() == []
    assert counted.reads() == {}
    assert counted.vendor_calls() == {}


def test_a_restart_costs_ready_objects_nothing(user: User, meter: Callable[[], Meter]) -> None:
    names = [f"restart-{number}" for number in range(5)]
    for name in names:
        user.ready(name, agentLabel="support", rotation={"schedule": "30d"})
        user.wait_settled(name)
        user.world.reasons(name, "Issued")
    versions = {name: user.world.key(name)["metadata"]["resourceVersion"] for name in names}
    counted = meter()

    with user.operator_down():
        pass
    counted.wait_refreshes()

    assert counted.writes() == []
    assert counted.reads() == {}
    assert counted.vendor_calls().keys() <= {Operation.LIST.value}
    assert {name: user.world.key(name)["metadata"]["resourceVersion"] for name in names} == versions


def test_a_sweep_costs_one_call_for_all_objects(user: User, meter: Callable[[], Meter]) -> None:
    for number in range(3):
        user.ready(f"swept-{number}")
        user.wait_settled(f"swept-{number}")
        user.world.reasons(f"swept-{number}", "Issued")
    user.patch_provider({"spec": {"sweepInterval": "1s"}})
    user.wait_sweeps(1)
    counted = meter()

    user.wait_sweeps(2)

    assert counted.writes() == []
    assert counted.reads() == {}
    assert counted.vendor_calls().keys() == {Operation.LIST.value}
    user.patch_provider({"spec": {"sweepInterval": None}})
