"""Three hundred objects at once: exactly as many mints, as many live keys, the right plaintext in each Secret.

The figures are printed, not judged: these machines are shared.
"""

import base64
import hashlib
import time
from collections.abc import Callable
from pathlib import Path

from saperly_operator.envtest import ControlPlane
from tests.cluster.conftest import OPERATOR
from tests.cluster.world import World
from tests.support.waiting import eventually

_COUNT = 300
_PATIENCE = 300.0


def test_three_hundred_objects_are_three_hundred_mints(
    control_plane: ControlPlane, world: World, announce: Callable[[str], None]
) -> None:
    limits = {"mintsPerHour": 100_000, "rotatesPerHour": 100_000, "listsPerHour": 100_000}
    world.kubectl.apply(world.provider_object(limits=limits))
    world.vendor.lift_limits()
    operator = world.start_operator()
    since, began = control_plane.audit.position(), time.monotonic()
    names = [f"agent-{number:03}" for number in range(_COUNT)]
    world.kubectl.apply(*(world.key_object(name) for name in names), namespace=world.namespace)
    eventually(lambda: _ready(world) == _COUNT, f"{_COUNT} objects are Ready", patience=_PATIENCE)
    seconds = time.monotonic() - began
    requests = control_plane.audit.requests(user=OPERATOR, since=since)
    writes = sum(request.is_write for request in requests)
    memory = _resident_megabytes(operator.pid)

    ledger = {child.id: child for child in world.vendor.ledger()}
    assert len(ledger) == _COUNT
    assert all(child.revoked_at is None for child in ledger.values())
    secrets = world.kubectl.json("get", "secrets", f"--namespace={world.namespace}")["items"]
    held = {item["metadata"]["name"]: base64.b64decode(item["data"]["SAPERLY_API_KEY"]) for item in secrets}
    for key in world.keys():  # noqa: SIM118 (a World is no dict)
        child = ledger.pop(key["status"]["current"]["id"])
        assert hashlib.sha256(held[key["metadata"]["name"]]).hexdigest() == child.digest
    assert ledger == {}
    announce(
        f"fleet: {_COUNT} objects Ready in {seconds:.1f} s ({_COUNT / seconds:.0f}/s), {len(requests) / _COUNT:.1f} API "
        f"requests per object ({writes / _COUNT:.1f} writes), operator {memory:.0f} MB"
    )
    world.kubectl(
        "delete", "saperlykeys", "--all", f"--namespace={world.namespace}", "--wait=false", timeout=_PATIENCE
    )
    eventually(lambda: not world.keys(), "all objects are gone", patience=_PATIENCE)
    assert world.vendor.live_keys() == []
    assert world.secret_names() == set()


def test_a_first_mint_costs_six_writes_two_live_reads_and_one_call(control_plane: ControlPlane, world: World) -> None:
    world.start_operator()
    world.apply_key("warm-up")
    world.wait_ready("warm-up")
    since = control_plane.audit.position()
    calls = len(world.vendor.calls())
    world.apply_key("thrifty")
    world.wait_ready("thrifty")
    eventually(lambda: world.events("thrifty"), "the event is there")
    requests = [
        request
        for request in control_plane.audit.requests(user=OPERATOR, since=since)
        if request.namespace == world.namespace and request.verb not in ("list", "watch")
    ]
    writes = [f"{request.verb} {request.resource}" for request in requests if request.is_write]
    reads = [f"{request.verb} {request.resource}" for request in requests if not request.is_write]
    assert sorted(writes) == sorted(
        [
            "patch saperlykeys",  # finalizer
            "create secrets",  # dry run
            "patch saperlykeys/status",  # intent
            "create secrets",
            "patch saperlykeys/status",  # record
            "create events",
        ]
    )
    assert reads == ["get secrets", "get saperlykeys"]
    assert [call.operation for call in world.vendor.calls()[calls:]] == ["mint"]


def test_a_ready_object_at_rest_costs_nothing(control_plane: ControlPlane, world: World) -> None:
    world.start_operator()
    world.apply_key("resting")
    world.wait_ready("resting")
    eventually(lambda: world.events("resting"), "the event is there")
    since, calls = control_plane.audit.position(), len(world.vendor.calls())

    def looked_again() -> bool:
        requests = control_plane.audit.requests(user=OPERATOR, since=since)
        return sum(request.name == "saperly-service-key" for request in requests) >= 4

    eventually(looked_again, "the operator has looked at its provider four times")
    mine = [
        request
        for request in control_plane.audit.requests(user=OPERATOR, since=since)
        if request.namespace == world.namespace or request.is_write
    ]
    assert mine == []
    assert world.vendor.calls()[calls:] == []


def _ready(world: World) -> int:
    conditions = '{range .items[*]}{.status.conditions[?(@.type=="Ready")].status}{"\\n"}{end}'
    told = world.kubectl("get", "saperlykeys", f"--namespace={world.namespace}", f"--output=jsonpath={conditions}")
    return told.split().count("True")


def _resident_megabytes(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise LookupError("no VmRSS")
