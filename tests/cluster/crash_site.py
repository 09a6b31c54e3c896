"""A world in which the operator is killed with -9 while one of its requests is held.

Used by ``test_crash*``. Held at the proxy before the kube-apiserver, or in the simulator, a request either never
arrives, arrives after the death of its sender, or arrived and only its answer is lost. What must be true in the end is
asserted here, by the simulator's ledger and the plaintext in the Secret.

One death serves many cases at once: each has an object of its own, stopped at a request of its own (``wave``).
"""

import hashlib
import itertools
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from saperly_operator.simulator.calls import CallRecord
from saperly_operator.simulator.faults import Fault, FaultKind
from saperly_operator.simulator.state import Child, Operation
from tests.cluster.conftest import Kubectl
from tests.cluster.crash_points import AtKube, AtVendor, Case, Fate, Place
from tests.cluster.world import World
from tests.support.kube_proxy import Hold, KubeProxy, Order, When
from tests.support.processes import OperatorProcess
from tests.support.waiting import eventually

_names = itertools.count(1)

_PATIENT = {
    "SAPERLY_WORKERS": "64",
    "SAPERLY_KUBE_TIMEOUT": "120",
    "SAPERLY_VENDOR_READ_TIMEOUT": "120",
    "SAPERLY_VENDOR_TIMEOUT": "120",
}
"""Requests are held until all cases of a wave are in place, and each keeps a worker busy."""

_UNLIMITED = {"mintsPerHour": 10000, "rotatesPerHour": 10000, "listsPerHour": 10000}


class Stop(ABC):
    """A request that will be held, and what becomes of it."""

    @abstractmethod
    def wait_held(self) -> None:
        """Until the request is there."""

    @abstractmethod
    def settle(self) -> None:
        """Its sender is dead: let its fate happen."""


class CrashSite:
    """See the module's text; its operator speaks to the kube-apiserver through ``proxy``."""

    def __init__(self, world: World, proxy: KubeProxy, direct: Path) -> None:
        """``direct`` is the operator's kubeconfig past the proxy."""
        self.world = world
        self.proxy = proxy
        self._direct = direct

    # --- objects ------------------------------------------------------------------------------------------------

    def new_name(self) -> str:
        return f"key-{next(_names)}"

    def apply_ready(self, names: Iterable[str], **spec: Any) -> None:
        """Apply SaperlyKeys and wait until they all are Ready. ``"{}"`` in the spec is the object's own name."""
        names = list(names)
        template = json.dumps(spec)
        specs = {name: json.loads(template.replace('"{}"', json.dumps(name))) for name in names}
        objects = [self.world.key_object(name, **own) for name, own in specs.items()]
        self.world.kubectl.apply(*objects, namespace=self.world.namespace)
        for name in names:
            self.world.wait_ready(name)

    def rows(self, name: str) -> list[Child]:
        """Every key ever minted for the SaperlyKey of that name, oldest first; released ones too."""
        readable = f"{self.world.namespace}/{name}"
        return [row for row in self.world.vendor.ledger() if f"{row.name} ".startswith(f"{readable} ")]

    def live(self, name: str) -> list[Child]:
        return [row for row in self.rows(name) if row.revoked_at is None]

    def digest(self, secret: str, entry: str = "SAPERLY_API_KEY") -> str:
        """Of the plaintext in a Secret, as the ledger has it for each key."""
        return hashlib.sha256(self.world.plaintext(secret, entry).encode()).hexdigest()

    # --- crashes ------------------------------------------------------------------------------------------------

    def stop_at(self, place: Place, name: str, fate: Fate) -> Stop:
        """Order the request of ``name`` at ``place`` to be held, on the side of its effect that ``fate`` needs."""
        match place:
            case AtKube(step):
                when = When.AFTER if fate is Fate.ANSWER_LOST else When.BEFORE
                return _StopAtKube(self.proxy.order(step(name), Hold(when)), fate)
            case AtVendor(Operation.MINT):
                return _StopAtVendor(self.world, Operation.MINT, None, fate)
            case AtVendor(operation, key_id):
                return _StopAtVendor(self.world, operation, key_id or self.rows(name)[-1].id, fate)

    @property
    def operator(self) -> OperatorProcess:
        assert self.world.operator is not None
        return self.world.operator

    def kill(self) -> None:
        """kill -9 of the operator."""
        self.operator.kill()

    def restart(self, settings: Mapping[str, str] | None = None) -> None:
        """Start the operator, the one before it having ended; ``settings`` beside the usual ones."""
        self.world.start_operator({**_PATIENT, **(settings or {})})

    @contextmanager
    def second_operator(self, settings: Mapping[str, str] | None = None) -> Iterator[OperatorProcess]:
        """One more operator of the same installation, for as long as the block lasts; not through the proxy."""
        folder = self.world.folder / f"second-{next(_names)}"
        folder.mkdir()
        second = OperatorProcess(
            folder,
            kubeconfig=self._direct,
            api_url=self.world.simulator.base_url,
            namespace=self.world.system,
            settings={**_PATIENT, **(settings or {})},
        )
        try:
            yield second.wait_started()
        finally:
            assert second.terminate() == 0

    def crash(self, *stops: Stop) -> None:
        """Once all requests are held: kill the operator, decide the requests' fates, start the operator again."""
        for stop in stops:
            stop.wait_held()
        self.kill()
        for stop in stops:
            stop.settle()
        self.restart()

    def wave(self, cases: Mapping[str, Case], begin: Callable[[str], None], **spec: Any) -> dict[str, str]:
        """One death for all cases. ``begin`` starts an object's history; with a ``spec`` objects are Ready before it.

        Returns the object's name for each case.
        """
        names = {case: self.new_name() for case in cases}
        if spec:
            self.apply_ready(names.values(), **spec)
        stops = []
        for case, name in names.items():
            stop = self.stop_at(cases[case].place, name, cases[case].fate)
            begin(name)
            try:
                stop.wait_held()
            except TimeoutError:
                raise AssertionError(f"no request to hold: {case}") from None
            stops.append(stop)
        self.crash(*stops)
        return names

    def await_call(self, operation: Operation, status: int) -> CallRecord:
        """The first call of ``operation`` that the vendor answered with ``status``, once there is one."""

        def answered() -> CallRecord | None:
            calls = self.world.vendor.calls()
            return next((call for call in calls if (call.operation, call.status) == (operation, status)), None)

        return eventually(answered, f"the vendor answered a {operation.value} with {status}")

    def heal(self) -> None:
        """Undo what a test that failed may have left behind."""
        self.proxy.cancel_all()
        self.world.vendor.cancel_all_faults()
        if self.world.operator is None or self.world.operator.exit_code is not None:
            self.restart()

    # --- what must be true in the end ----------------------------------------------------------------------------

    def assert_one_live_key(
        self,
        name: str,
        *,
        mints: int | None = None,
        replaced: str | None = None,
        secret: str | None = None,
        entry: str = "SAPERLY_API_KEY",
    ) -> Child:
        """By itself: Ready, nothing open, and the Secret holds the one live key; of ``mints`` in all.

        ``replaced`` is the id of a key that must not be the current one any more. Returns the ledger's row.
        """

        def at_rest() -> dict[str, Any] | None:
            status: dict[str, Any] = self.world.wait_ready(name)["status"]
            is_open = status.get("intent") or status.get("retiring") or status["current"]["id"] == replaced
            return None if is_open else status

        status = eventually(at_rest, f"{name} has nothing left to do")
        (live,) = self.live(name)
        assert live.id == status["current"]["id"]
        assert self.digest(secret or name, entry) == live.digest, "the Secret holds the plaintext of the live key"
        assert mints in {None, len(self.rows(name))}
        return live


class _StopAtKube(Stop):
    def __init__(self, order: Order, fate: Fate) -> None:
        self._order = order
        self._fate = fate

    def wait_held(self) -> None:
        self._order.wait_held()

    def settle(self) -> None:
        if self._fate is Fate.ARRIVES_LATE:
            assert self._order.let_pass() < 300, "what arrives late arrives intact"
        else:
            self._order.lose()


class _StopAtVendor(Stop):
    def __init__(self, world: World, operation: Operation, key_id: str | None, fate: Fate) -> None:
        self._world = world
        hold = Fault(kind=FaultKind.HOLD, operation=operation, key_id=key_id)
        if fate is Fate.ANSWER_LOST:
            hold = hold.model_copy(update={"when": "after"})
        self._hold = world.vendor.order_fault(hold)
        if fate is Fate.NEVER_ARRIVES:  # let go, it breaks before it took effect
            world.vendor.order_fault(Fault(kind=FaultKind.RESET, operation=operation, key_id=key_id))

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
    kubectl("create", "namespace", namespace)
    proxy = KubeProxy(operator_kubeconfig, folder)
    world = World(kubectl, proxy.kubeconfig, folder, namespace)
    try:
        world.install(limits=_UNLIMITED)
        world.vendor.lift_limits()
        site = CrashSite(world, proxy, operator_kubeconfig)
        site.restart()
        yield site
    finally:
        world.close()
        proxy.close()
        kubectl("delete", "namespace", namespace, "--wait=false")
