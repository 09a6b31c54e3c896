"""What the demo plays on: a control plane, the simulated vendor, and the operator, each as processes of their own.

The operator runs under its own identity, with the rights of ``examples/rbac.yaml`` and no other. Everything lives in
the control plane's private folder and goes with it; after a failure the logs, and they alone, are kept.
"""

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from saperly_operator.cli.demo.failure import DemoFailure
from saperly_operator.cli.demo.kubectl import Kubectl
from saperly_operator.cli.demo.operator_log import OperatorLog
from saperly_operator.cli.demo.screen import Screen
from saperly_operator.envtest import Assets, ControlPlane, EnvtestError
from saperly_operator.envtest.process import Children
from saperly_operator.saperly.errors import SaperlyError
from saperly_operator.simulator.control_client import ControlError, SimulatorControl

NAMESPACE = "saperly-system"
SERVICE_ACCOUNT = "saperly-operator"
OPERATOR = f"system:serviceaccount:{NAMESPACE}:{SERVICE_ACCOUNT}"
"""Who the operator is to the API server."""

_COMMAND = (sys.executable, "-m", "saperly_operator.cli.main")
_PATIENCE = 60.0  # seconds for anything to come up or come true; all of it takes moments
_POLL = 0.05
_TOKEN_SECONDS = 24 * 3600
"""Longer than anybody keeps a demo running: a token in a file is not renewed."""


@dataclass(frozen=True)
class Vendor:
    """The simulated Saperly API."""

    base_url: str
    control_url: str
    service_key_file: Path

    @property
    def control(self) -> SimulatorControl:
        """Its control surface: the ledger, the calls, the faults."""
        return SimulatorControl(self.control_url)


class Stage:
    """Made by ``stage``, for as long as its block lasts."""

    def __init__(self, plane: ControlPlane, children: Children, kubectl: Kubectl, vendor: Vendor) -> None:
        self.plane = plane
        self.children = children
        self.kubectl = kubectl
        self.vendor = vendor
        self.operator_log: OperatorLog | None = None

    def start_operator(self) -> None:
        """As its ServiceAccount, which examples/rbac.yaml made. Returns once it watches."""
        kubeconfig = self.plane.service_account_kubeconfig(NAMESPACE, SERVICE_ACCOUNT, seconds=_TOKEN_SECONDS)
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("SAPERLY_")},
            "KUBECONFIG": str(kubeconfig),
            "SAPERLY_API_URL": self.vendor.base_url,
            "SAPERLY_NAMESPACE": NAMESPACE,
            "SAPERLY_LOG_LEVEL": "DEBUG",
        }
        log = OperatorLog(self.children.start("operator", (*_COMMAND, "run"), environment).log)
        self.wait("the operator", log.has_started)
        self.operator_log = log

    def new_steps(self) -> Iterator[str]:
        """What the operator did since the last look."""
        return self.operator_log.new_steps() if self.operator_log is not None else iter(())

    def wait(self, what: str, holds: Callable[[], bool], meanwhile: Callable[[], None] = lambda: None) -> None:
        """Look until ``holds``. Raises DemoFailure when it takes too long or a process has died."""
        deadline = time.monotonic() + _PATIENCE
        while not holds():
            meanwhile()
            self.check()
            if time.monotonic() > deadline:
                raise DemoFailure(f"waited {_PATIENCE:.0f} s in vain for {what}")
            time.sleep(_POLL)
        meanwhile()

    def check(self) -> None:
        """Raise when a process has died."""
        self.plane.check()
        self.children.check()


@contextmanager
def stage(screen: Screen, root: Path) -> Iterator[Stage]:
    """Control plane and vendor; CRDs and operator are the story's. ``root`` is the checkout.

    Whatever goes wrong inside is shown, with the last lines of the logs, and raised again as DemoFailure.
    """
    assets = Assets.of_this_machine(screen.note)
    with screen.waiting("starting etcd, kube-apiserver, controllers, scheduler and two nodes"):
        plane = ControlPlane(assets=assets)
        plane.start()
    children = Children(plane.logs)
    failed = True
    try:
        kubectl = Kubectl(_kubectl(assets), plane.kubeconfig(), root)
        with screen.waiting("starting the simulated Saperly API"):
            vendor = _start_vendor(children, plane.directory)
        yield Stage(plane, children, kubectl, vendor)
        failed = False
    except (DemoFailure, EnvtestError, SaperlyError, ControlError, OSError) as error:
        _explain(screen, children, error)
        screen.say(f"The logs are kept in {plane.logs}")
        raise DemoFailure(str(error)) from None
    except BaseException:  # an interruption is nobody's failure
        failed = False
        raise
    finally:
        children.close()
        plane.stop(keep_logs=failed)


def _kubectl(assets: Assets) -> Path:
    """Of the server's own version where it can be had, else the one on PATH."""
    try:
        return assets.path("kubectl")
    except EnvtestError:
        on_path = shutil.which("kubectl")
        if on_path is None:
            raise
        return Path(on_path)


def _start_vendor(children: Children, folder: Path) -> Vendor:
    ready, service_key = folder / "simulator.json", folder / "service-key.txt"
    options = ("--port=0", "--control", f"--service-key-file={service_key}", f"--ready-file={ready}")
    children.start("simulator", (*_COMMAND, "simulate", *options))
    deadline = time.monotonic() + _PATIENCE
    while not ready.exists():
        children.check()
        if time.monotonic() > deadline:
            raise DemoFailure("the simulated Saperly API did not start")
        time.sleep(_POLL)
    told = json.loads(ready.read_text())
    return Vendor(told["base_url"], told["control_url"], service_key)


def _explain(screen: Screen, children: Children, error: Exception) -> None:
    screen.failed(str(error) or repr(error))
    for name in ("operator", "simulator"):
        try:
            screen.output(children[name].last_words())
        except KeyError:  # it was not started yet
            continue
