"""The simulator as users start it: a process of its own, ready when it says so."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

import httpx

from saperly_operator.simulator.control_client import SimulatorControl

_COMMAND = [sys.executable, "-c", "from saperly_operator.cli.main import app; app()", "simulate"]


class SimulatorProcess:
    """One running ``saperly-operator simulate --port 0 --output json``, with a service key in a file.

    The same ``directory`` gives the same database and service key again. As a context it is killed at the end.
    """

    def __init__(self, directory: Path, *options: str, control: bool = True) -> None:
        self.service_key_file = directory / "service-key"
        self.errors = directory / "stderr"
        self.command = [*_COMMAND, "--port", "0", "--output", "json", *options]
        self.command += ["--service-key-file", str(self.service_key_file), "--database", str(directory / "vendor.db")]
        self.command += ["--control"] if control else []
        with self.errors.open("ab") as errors:
            self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=errors)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.errors.read_text()
        self.ready: dict[str, Any] = json.loads(line)
        self.base_url: str = self.ready["base_url"]
        self.control = SimulatorControl(self.ready.get("control_url", ""))
        self.service_key = self.service_key_file.read_text()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def client(self, credential: str | None = None) -> httpx.Client:
        """An HTTP client that holds the service key of the start, or another credential."""
        headers = {"Authorization": f"Bearer {credential or self.service_key}"}
        return httpx.Client(base_url=self.base_url, headers=headers, timeout=10)

    def kill(self) -> None:
        """SIGKILL."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM, as an orchestrator does."""
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        self.process.send_signal(how)  # does nothing once it has ended
        self.process.wait(timeout=10)
        assert self.process.stdout is not None
        self.process.stdout.close()
