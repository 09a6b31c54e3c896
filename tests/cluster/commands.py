"""The commands of ``saperly-operator``, as an administrator runs them against the test's cluster."""

import os
import subprocess
import sys

from tests.cluster.conftest import Kubectl


def saperly_operator(kubectl: Kubectl, *args: str) -> str:
    """What the command printed. Raises CalledProcessError when it failed."""
    done = subprocess.run(
        [sys.executable, "-m", "saperly_operator.cli.main", *args],
        env={**os.environ, "KUBECONFIG": str(kubectl.kubeconfig)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout
