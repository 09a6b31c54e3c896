"""Where the operator is killed: the requests of the protocol by name, and a world in which each can be held.

Used by ``test_crash*`` and ``test_shutdown``. A case applies an object of its own, holds one request of its history (at
the proxy before the kube-apiserver, or in the simulator), kills the operator with -9, decides what becomes of the held
request, and starts the operator again; what must be true in the end is asserted here, by the simulator's ledger.
"""

import hashlib
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from saperly_operator.resources import annotations
from saperly_operator.simulator.faults import Fault, FaultKind
from saperly_operator.simulator.state import Child, Operation
from tests.cluster.conftest import Kubectl
from tests.cluster.world import World
from tests.support.kube_proxy import Body, Hold, KubeProxy, Match, Order, When
from tests.support.waiting import eventually

_names = itertools.count(1)


class Fate(Enum):
    """What becomes of the request in flight when its sender dies."""

    NEVER_ARRIVES = "the request never arrives"
    ARRIVES_LATE = "the request arrives after the death"
    ANSWER_LOST = "the request arrives and its answer is lost"


# --- requests to the kube-apiserver ----------------------------------------------------------------------------------

KubeStep = Callable[[str], Match]
"""The request of one step, for the SaperlyKey (or the Secret) of that name."""


def _metadata_patch(holds: Callable[[list[str]], bool]) -> KubeStep:
    def of(name: str) -> Match:
        return Match("PATCH", rf"/saperlykeys/{name}\?", lambda body: holds(body["metadata"].get("finalizers", [])))

    return of


def _status_patch(holds: Callable[[dict[str, Any]], bool]) -> KubeStep:
    def of(name: str) -> Match:
        return Match("PATCH", rf"/saperlykeys/{name}/status\?", lambda body: holds(body["status"]))

    return of


def _named(name: str) -> Callable[[Body], bool]:
    return lambda body: bool(body["metadata"]["name"] == name)


def dry_run(name: str) -> Match:
    """The preflight of a Secret that is not there yet."""
    return Match("POST", r"/secrets\?.*dryRun=All", _named(name))


def secret_create(name: str) -> Match:
    return Match("POST", r"/secrets\?(?!.*dryRun)", _named(name))


def secret_patch(name: str) -> Match:
    """A new plaintext into a Secret that exists."""
    return Match("PATCH", rf"/secrets/{name}\?(?!.*dryRun)", lambda body: bool(body.get("data")))


def fence(name: str) -> Match:
    return Match(
        "PATCH", rf"/secrets/{name}\?", lambda body: annotations.FENCED_BY in body["metadata"].get("annotations", {})
    )


def secret_release(name: str) -> Match:
    """Our record taken off the Secret (``Orphan``)."""
    return Match(
        "PATCH",
        rf"/secrets/{name}\?",
        lambda body: annotations.KEY_ID in body["metadata"]["annotations"] and not body.get("data"),
    )


def secret_delete(name: str) -> Match:
    return Match("DELETE", rf"/secrets/{name}(\?|$)")


def event(reason: str) -> KubeStep:
    return lambda name: Match(
        "POST", "/events", lambda body: (body["regarding"]["name"], body["reason"]) == (name, reason)
    )


finalizer_set = _metadata_patch(lambda finalizers: annotations.FINALIZER in finalizers)
finalizer_removal = _metadata_patch(lambda finalizers: annotations.FINALIZER not in finalizers)
intent_stored = _status_patch(lambda status: status["intent"] is not None)
"""After a restart: the takeover of the dead process's intent."""
intent_abandoned = _status_patch(lambda status: status["intent"] is None and bool(status["retiring"]))
recorded = _status_patch(lambda status: status["intent"] is None and status["current"] is not None)
key_forgotten = _status_patch(lambda status: status["intent"] is None and not status["retiring"])


# --- the world -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AtKube:
    """Stop at this request to the kube-apiserver."""

    step: KubeStep


@dataclass(frozen=True, slots=True)
class AtVendor:
    """Stop at the next call of this operation."""

    operation: Operation


Place = AtKube | AtVendor


class CrashSite:
    """A world whose operator speaks to the kube-apiserver through a proxy."""

    def __init__(self, world: World, proxy: KubeProxy) -> None:
        self.world = world
        self.proxy = proxy

    # --- objects ------------------------------------------------------------------------------------------------

    def new_name(self) -> str:
        return f"key-{next(_names)}"

    def rows(self, name: str) -> list[Child]:
        """Every key ever minted for the SaperlyKey of that name, oldest first."""
        readable = f"{self.world.namespace}/{name}"
        return [
            row for row in self.world.vendor.ledger() if row.name == readable or row.name.startswith(f"{readable} [")
        ]

    def live(self, name: str) -> list[Child]:
        return [row for row in self.rows(name) if row.revoked_at is None]

    # --- crashes ------------------------------------------------------------------------------------------------

    def stop_at(self, place: Place, name: str, fate: Fate) -> "Stop":
        """Order the request of ``name`` at ``place`` to be held, on the side of its effect that ``fate`` needs."""
        when = When.AFTER if fate is Fate.ANSWER_LOST else When.BEFORE
        match place:
            case AtKube(step):
                return StopAtKube(self.proxy, self.proxy.order(step(name), Hold(when)), fate)
            case AtVendor(operation):
                return StopAtVendor(self.world, operation, fate)

    def kill(self) -> None:
        """kill -9 of the operator."""
        assert self.world.operator is not None
        self.world.operator.kill()

    def restart(self) -> None:
        self.world.start_operator()

    def crash(self, stop: "Stop") -> None:
        """Once the request is held: kill the operator, decide the request's fate, start the operator again."""
        stop.wait_held()
        self.kill()
        stop.settle()
        self.restart()

    # --- what must be true in the end ----------------------------------------------------------------------------

    def assert_ready_with_one_live_key(self, name: str, *, mints: int, secret: str | None = None) -> None:
        """Ready by itself; the Secret holds the one live key; nothing is open; so many were minted in all."""

        def at_rest() -> dict[str, Any] | None:
            status = self.world.wait_ready(name)["status"]
            is_open = status.get("intent") or status.get("retiring")
            return None if is_open else status

        status = eventually(at_rest, f"{name} has nothing left to do")
        (live,) = self.live(name)
        assert live.id == status["current"]["id"]
        digest = hashlib.sha256(self.world.plaintext(secret or name).encode()).hexdigest()
        assert digest == live.digest, "the plaintext in the Secret is that of the live key"
        assert len(self.rows(name)) == mints


class Stop:
    """A request that will be held, and what becomes of it."""

    def wait_held(self) -> None:
        raise NotImplementedError

    def settle(self) -> None:
        """Its sender is dead: let its fate happen."""
        raise NotImplementedError


class StopAtKube(Stop):
    def __init__(self, proxy: KubeProxy, order: Order, fate: Fate) -> None:
        self._proxy = proxy
        self._order = order
        self._fate = fate

    def wait_held(self) -> None:
        self._order.wait_held()

    def settle(self) -> None:
        if self._fate is Fate.ARRIVES_LATE:
            assert self._order.let_pass() < 300, "what arrives late arrives intact"
        else:
            self._order.lose()


class StopAtVendor(Stop):
    def __init__(self, world: World, operation: Operation, fate: Fate) -> None:
        self._world = world
        when = "after" if fate is Fate.ANSWER_LOST else "before"
        self._hold = world.vendor.order_fault(Fault(kind=FaultKind.HOLD, when=when, operation=operation))
        if fate is Fate.NEVER_ARRIVES:  # once let go, the connection breaks before anything took effect
            world.vendor.order_fault(Fault(kind=FaultKind.RESET, when="before", operation=operation))

    def wait_held(self) -> None:
        eventually(self._is_holding, "the call is held at the vendor")

    def settle(self) -> None:
        self._world.vendor.release_fault(self._hold.id)
        eventually(lambda: not self._is_holding(), "the call has been let go")

    def _is_holding(self) -> bool:
        (order,) = [each for each in self._world.vendor.faults() if each.id == self._hold.id]
        return bool(order.holding)


@contextmanager
def a_crash_site(kubectl: Kubectl, operator_kubeconfig: Path, folder: Path, namespace: str) -> Iterator[CrashSite]:
    """An installed world with its operator running through a proxy; closed in the end."""
    proxy = KubeProxy(operator_kubeconfig, folder)
    kubectl("create", "namespace", namespace)
    world = World(kubectl, proxy.kubeconfig, folder, namespace)
    try:
        world.install()
        world.vendor.lift_limits()
        world.start_operator()
        yield CrashSite(world, proxy)
    finally:
        world.close()
        proxy.close()
        kubectl("delete", "namespace", namespace, "--wait=false")
