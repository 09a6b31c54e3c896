"""The operator and the simulator as processes of their own, started as a user starts them."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from saperly_operator.simulator.control_client import SimulatorControl
from tests.support.waiting import eventually

_COMMAND = (sys.executable, "-m", "saperly_operator.cli.main")

FAST = {
    "TAKEOVER_SETTLE": "PT0.5S",
    "DELIVERY_SETTLE": "PT0.5S",
    "UNKNOWN_PATIENCE": "PT2S",
    "WRITE_PATIENCE": "PT1S",
    "WRITE_SETTLE": "PT0.5S",
    "BACKOFF_FIRST": "PT1S",
    "BACKOFF_LIMIT": "PT4S",
    "RETRY_FIRST": "PT0.2S",
    "RETRY_LIMIT": "PT1S",
    "MINT_LIMIT_WINDOW": "PT30S",
    "HELD_RECHECK": "PT2S",
    "ROLLOUT_POLL_FIRST": "PT0.2S",
    "ROLLOUT_POLL_LIMIT": "PT1S",
    "PREVIOUS_KEY_LEAD": "PT1S",
    "RECHECK": "PT1S",
}
"""The protocol's waits (ISO 8601 durations), so that a test lives through hours of them. Their order is the design's."""


class Process:
    """A child process with its log in a file."""

    def __init__(self, argv: tuple[str, ...], log: Path, environment: Mapping[str, str]) -> None:
        self.log = log
        self._file = log.open("ab")
        self._log_begins = self._file.tell()
        self._process = subprocess.Popen(
            argv, stdout=self._file, stderr=self._file, stdin=subprocess.DEVNULL, env=dict(environment)
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        return self._process.poll()

    @property
    def resident_megabytes(self) -> float:
        """Its resident memory, by Linux."""
        found = re.search(r"^VmRSS:\s+(\d+) kB$", Path(f"/proc/{self.pid}/status").read_text(), re.MULTILINE)
        assert found is not None
        return int(found[1]) / 1024

    @property
    def processor_seconds(self) -> float:
        """The processor time that it has used, by Linux."""
        user, system = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def kill(self) -> None:
        """kill -9, as a node that dies."""
        self._process.kill()
        self._reap()

    def terminate(self, timeout: float = 30.0) -> int:
        """SIGTERM, as Kubernetes does; returns the exit code."""
        self.ask_to_stop()
        return self.wait_exit(timeout)

    def ask_to_stop(self) -> None:
        """SIGTERM, without waiting for the end."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def wait_exit(self, timeout: float = 30.0) -> int:
        """Until it has ended; returns the exit code."""
        code = self._process.wait(timeout=timeout)
        self._reap()
        return code

    def output(self) -> str:
        """What it has logged; not what a process before it left in the same file."""
        with self.log.open("rb") as log:
            log.seek(self._log_begins)
            return log.read().decode(errors="replace")

    def _reap(self) -> None:
        self._process.wait()
        self._file.close()


class Simulator(Process):
    """The simulated vendor with its control surface. ``database`` makes it survive its own death."""

    def __init__(self, folder: Path, *, database: Path | None = None, port: int = 0) -> None:
        self.service_key_file = folder / "service-key"
        ready = folder / "ready.json"
        ready.unlink(missing_ok=True)
        argv = [*_COMMAND, "simulate", "--port", str(port), "--control", f"--ready-file={ready}"]
        argv += [f"--service-key-file={self.service_key_file}"]
        argv += [f"--database={database}"] if database is not None else []
        super().__init__(tuple(argv), folder / "simulator.log", os.environ)
        eventually(ready.exists, f"the simulator is up (its log: {self.log})")
        told = json.loads(ready.read_text())
        self.base_url: str = told["base_url"]
        self.control = SimulatorControl(told["control_url"])


class OperatorProcess(Process):
    """The operator under the identity of ``kubeconfig``, speaking to ``api_url``."""

    def __init__(
        self,
        folder: Path,
        *,
        kubeconfig: Path,
        api_url: str,
        namespace: str,
        settings: Mapping[str, str] | None = None,
        program: str = "saperly_operator.cli.main",
    ) -> None:
        """``program`` is the module that is run in the operator's place."""
        environment = {
            **os.environ,
            "KUBECONFIG": str(kubeconfig),
            "SAPERLY_API_URL": api_url,
            "SAPERLY_NAMESPACE": namespace,
            "SAPERLY_LOG_LEVEL": "DEBUG",
            "SAPERLY_PROVIDER_REFRESH": "1",
            "SAPERLY_BREAKER_FIRST": "1",
            "SAPERLY_BREAKER_LIMIT": "2",
            **{f"SAPERLY_TIMINGS__{name}": value for name, value in FAST.items()},
            **(settings or {}),
        }
        super().__init__((sys.executable, "-m", program, "run"), folder / "operator.log", environment)

    def wait_started(self) -> "OperatorProcess":
        """Until it looked at everything and watches."""

        def started() -> bool:
            assert self.exit_code is None, f"the operator ended:\n{self.output()[-3000:]}"
            return '"message": "started"' in self.output()

        eventually(started, f"the operator has started (its log: {self.log})")
        return self
