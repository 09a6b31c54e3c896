"""The demo as a newcomer runs it: a process of its own, to its end."""

import subprocess
import sys

from saperly_operator.envtest import Assets

_COMMAND = (sys.executable, "-m", "saperly_operator.cli.main", "demo")


def test_the_demo_plays_to_its_end_and_leaves_nothing_live(assets: Assets) -> None:
    assets.ensure()  # the binaries are there, so that this does not wait for a build in silence
    done = subprocess.run(_COMMAND, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for step in ("Ready", "the key works", "the vendor has the new cap", "the old key is revoked", "nothing is live"):
        assert f"✓ {step}" in done.stdout, step
    assert "sk_svc_" not in done.stdout
