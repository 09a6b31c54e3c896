"""What the demo plays on: a control plane, the simulator and the operator, each a process of its own.

The operator runs under its restricted identity and nothing else. Everything dies with this process.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from saperly_operator.envtest import Assets, AssetsError, ControlPlane
from saperly_operator.envtest.process import Children
from saperly_operator.resources.crd import KINDS, as_yaml, custom_resource_definition
from saperly_operator.simulator.control_client import SimulatorControl

OPERATOR = "saperly-operator"
SYSTEM_NAMESPACE = "saperly-system"
_PATIENCE = 60.0

Found = TypeVar("Found")


class DemoError(Exception):
    """The demo did not go as it must. The message is for people."""


class Stage:
    """The processes, and the ways to speak to them."""

    def __init__(self, plane: ControlPlane, assets: Assets, folder: Path, children: Children) -> None:
        self.plane = plane
        self.folder = folder
        self.children = children
        self.kubectl_path = _kubectl(assets)
        self._told: dict[str, Any] = {}

    @property
    def api_url(self) -> str:
        return str(self._told["base_url"])

    @property
    def control_url(self) -> str:
        return str(self._told["control_url"])

    @property
    def vendor(self) -> SimulatorControl:
        return SimulatorControl(self.control_url)

    def start_simulator(self) -> None:
        ready = self.folder / "simulator.json"
        argv = [*_ourselves(), "simulate", "--port=0", "--control", f"--ready-file={ready}"]
        argv.append(f"--service-key-file={self.service_key_file}")
        self.children.start("simulator", argv)
        self.wait_for(ready.exists, "the simulator answers")
        self._told = json.loads(ready.read_text())

    @property
    def service_key_file(self) -> Path:
        return self.folder / "service-key"

    def start_operator(self) -> None:
        log = self.folder / "logs" / "operator.log"
        settings = {
            "KUBECONFIG": self.plane.kubeconfig(OPERATOR),
            "SAPERLY_API_URL": self.api_url,
            "SAPERLY_NAMESPACE": SYSTEM_NAMESPACE,
            "SAPERLY_LOG_FORMAT": "text",
        }
        env = shutil.which("env") or "/usr/bin/env"
        assignments = [f"{name}={value}" for name, value in settings.items()]
        self.children.start("operator", [env, *assignments, *_ourselves(), "run"])
        self.wait_for(lambda: log.exists() and " started " in log.read_text(), "the operator watches")

    def install(self, rbac: Path) -> None:
        """CRDs and the operator's rights."""
        documents = "---\n".join(as_yaml(custom_resource_definition(kind)) for kind in KINDS)
        self.kubectl("apply", "--server-side", "--filename=-", stdin=documents)
        self.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
        self.kubectl("apply", f"--filename={rbac}")

    def kubectl(self, *args: str, stdin: str | None = None) -> str:
        """The real kubectl, as the administrator. Raises DemoError with what it said."""
        command = [str(self.kubectl_path), f"--kubeconfig={self.plane.kubeconfig()}", *args]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode != 0:
            raise DemoError(f"kubectl {' '.join(args[:2])}: {done.stderr.strip()}")
        return done.stdout

    def wait_for(self, probe: Callable[[], Found | None], what: str) -> Found:
        """The first truthy answer of ``probe``. Raises DemoError when none comes, or when a process ended."""
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            self.children.check()
            found = probe()
            if found:
                return found
            time.sleep(0.02)
        raise DemoError(f"waited {_PATIENCE:.0f} s in vain: {what}")


@contextmanager
def a_stage(report: Callable[[str], None]) -> Iterator[Stage]:
    """Everything below the operator: binaries, control plane, a folder for logs and the service key.

    After a failure the logs are kept; the exception's notes name their place. Raises EnvtestError, DemoError.
    """
    assets = Assets.of_this_machine(report)
    folder = Path(tempfile.mkdtemp(prefix="saperly-demo-"))
    logs = folder / "logs"
    logs.mkdir()
    children = Children(logs)
    try:
        with ControlPlane(users=(OPERATOR,), assets=assets) as plane:
            yield Stage(plane, assets, folder, children)
    except Exception as error:
        children.close()
        (folder / "service-key").unlink(missing_ok=True)
        error.add_note(f"logs of the operator and the simulator: {logs}")
        raise
    except BaseException:
        children.close()
        shutil.rmtree(folder, ignore_errors=True)
        raise
    children.close()
    shutil.rmtree(folder, ignore_errors=True)


def _ourselves() -> list[str]:
    return [sys.executable, "-m", "saperly_operator.cli.main"]


def _kubectl(assets: Assets) -> Path:
    """The server's own version; the one on PATH where that cannot be had."""
    try:
        return assets.path("kubectl")
    except AssetsError:
        found = shutil.which("kubectl")
        if found is None:
            raise
        return Path(found)
