"""The real kubectl, as the administrator of the demo's control plane."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from saperly_operator.cli.demo.failure import DemoFailure

_TIMEOUT = 120.0  # seconds; beyond every --timeout that the demo gives


class Kubectl:
    """Runs in ``folder``, so that the commands can be shown, and copied, as they are in the documentation."""

    def __init__(self, binary: Path, kubeconfig: Path, folder: Path) -> None:
        self.binary = binary
        self.kubeconfig = kubeconfig
        self._folder = folder

    def __call__(self, *args: str) -> str:
        """What it printed. Raises DemoFailure with what it complained of."""
        process = self.begin(*args)
        try:
            output, complaint = process.communicate(timeout=_TIMEOUT)
        except subprocess.TimeoutExpired:
            raise DemoFailure(f"kubectl {args[0]} did not end within {_TIMEOUT:.0f} s") from None
        finally:
            process.kill()
        if process.returncode != 0:
            raise DemoFailure(f"kubectl {' '.join(args)}: {complaint.strip()}")
        return output

    def begin(self, *args: str) -> subprocess.Popen[str]:
        """Start it and go on."""
        return subprocess.Popen(  # noqa: S603 -- the commands of this package
            [str(self.binary), *args],
            cwd=self._folder,
            env={**os.environ, "KUBECONFIG": str(self.kubeconfig)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def json(self, *args: str) -> Any:
        """The answer to ``get`` and the like, parsed."""
        return json.loads(self(*args, "--output=json"))
