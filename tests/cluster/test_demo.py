"""The demo as a newcomer runs it: a process of its own, to its end, to Ctrl-C, and to ``kill -9``."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from saperly_operator.envtest import Assets
from tests.support.waiting import eventually

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")

_COMMAND = (sys.executable, "-m", "saperly_operator.cli.main", "demo")


@pytest.fixture(autouse=True)
def _binaries(assets: Assets) -> None:
    assets.ensure()  # provided beforehand, so that nothing here waits for a build in silence


def test_the_demo_plays_to_its_end_and_leaves_nothing_live() -> None:
    done = subprocess.run(_COMMAND, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    holds = re.findall(r"^ +[0-9.]+s ✓ (.*)$", done.stdout, flags=re.MULTILINE)
    for number, beginning in enumerate(
        (
            "Kubernetes v",
            "the simulated Saperly API answers",
            "the operator runs as the ServiceAccount saperly-operator",
            "Ready, for 6 writes to Kubernetes and 1 call to Saperly",
            "its SHA-256 is that of the live key",
            "Saperly accepts it",
            "at Saperly: 5000 → 7500 cents, the same key",
            "the new key is in the Secret; both work",
            "a new key in a new Secret",
            "the Secret is gone; Saperly answers 401 to each of the 3 keys",
            "3 minted, 3 revoked, 0 live",
            "none of the 3 keys and no service key in any log",
        )
    ):
        assert holds[number].startswith(beginning), done.stdout
    assert "sk_svc_" not in done.stdout
    assert max(map(len, re.findall(r"sk_test_\w+", done.stdout))) <= len("sk_test_abc")
    assert done.stderr == ""


def test_what_keep_leaves_running_works_as_it_says_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    with _demo(tmp_path, "--keep") as demo:
        eventually(lambda: "Ctrl-C stops it" in demo.said(), f"the demo waits: {tmp_path}")
        kubeconfig = re.findall(r"export KUBECONFIG=(\S+)", demo.said())[-1]
        control = re.findall(r"(http://127.0.0.1:\d+/_control)", demo.said())[-1]
        keys = subprocess.run(
            [Assets.of_this_machine().path("kubectl"), "get", "saperlykeys", "-A", "-o", "json"],
            env=os.environ | {"KUBECONFIG": kubeconfig},
            capture_output=True,
            text=True,
            check=True,
        )
        assert [each["metadata"]["name"] for each in json.loads(keys.stdout)["items"]] == ["support-agent"]
        live = subprocess.run(["curl", "-s", f"{control}/keys?live=true"], capture_output=True, text=True, check=True)
        assert len(json.loads(live.stdout)) == 1
        demo.process.send_signal(signal.SIGINT)
        assert demo.process.wait(timeout=60) == 0
        assert _processes_under(Path(kubeconfig).parent) == []
        assert not Path(kubeconfig).parent.exists()


@pytest.mark.parametrize("moment", ["starting etcd", "starting the operator", "Apply a SaperlyKey"])
def test_an_interruption_ends_it_in_order(moment: str, tmp_path: Path) -> None:
    with _demo(tmp_path) as demo:
        eventually(lambda: moment in demo.said(), f"the demo comes to '{moment}'")
        demo.process.send_signal(signal.SIGINT)
        assert demo.process.wait(timeout=60) == 130
    assert demo.said().rstrip().endswith("Stopped; nothing is left running.")
    assert "Traceback" not in demo.said()


def test_nothing_outlives_a_demo_that_was_killed(tmp_path: Path) -> None:
    with _demo(tmp_path, "--keep") as demo:
        eventually(lambda: "Ctrl-C stops it" in demo.said(), f"the demo waits: {tmp_path}")
        folder = Path(re.findall(r"export KUBECONFIG=(\S+)", demo.said())[-1]).parent
        assert len(_processes_under(folder)) >= 5, "the control plane, at least, is found by its folder"
        demo.process.kill()
        demo.process.wait()
        eventually(lambda: _processes_under(folder) == [], "nothing of it runs")


def test_a_failure_shows_the_last_lines_and_where_the_logs_are(tmp_path: Path) -> None:
    with _demo(tmp_path, "--keep") as demo:
        eventually(lambda: "Ctrl-C stops it" in demo.said(), f"the demo waits: {tmp_path}")
        folder = Path(re.findall(r"export KUBECONFIG=(\S+)", demo.said())[-1]).parent
        (operator,) = [pid for pid, command in _processes_under(folder) if command.endswith("main run ")]
        os.kill(operator, signal.SIGKILL)
        assert demo.process.wait(timeout=60) == 1
    said = demo.said()
    assert "✗ operator ended with code -9" in said
    assert "finalizer" in said
    assert "Traceback" not in said
    logs = Path(re.findall(r"The logs are kept in (\S+)", said)[0])
    assert {"operator.log", "simulator.log", "kube-apiserver.log"} <= {log.name for log in logs.iterdir()}
    assert [entry.name for entry in folder.iterdir()] == [logs.name], "no credential is kept"
    shutil.rmtree(folder)


def test_without_binaries_it_says_so_in_one_line(tmp_path: Path) -> None:
    environment = os.environ | {"KUBEBUILDER_ASSETS": str(tmp_path)}
    done = subprocess.run(_COMMAND, capture_output=True, text=True, env=environment, timeout=60, check=False)
    assert done.returncode == 1
    assert "has no etcd and no kube-apiserver; unset it or complete it" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


class _Demo:
    """A running demo, and what it has said so far."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.process = process
        self._log = log

    def said(self) -> str:
        return self._log.read_text(errors="replace")


@contextmanager
def _heeding_ctrl_c() -> Iterator[None]:
    """A child started in here heeds Ctrl-C, also when the tests run behind a shell's ``&``, which has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _demo(folder: Path, *options: str) -> Iterator[_Demo]:
    log = folder / "demo.log"
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with log.open("wb") as file, _heeding_ctrl_c():
        process = subprocess.Popen((*_COMMAND, *options), stdout=file, stderr=file, env=environment)
    try:
        yield _Demo(process, log)
    finally:
        process.kill()
        process.wait()


def _processes_under(folder: Path) -> list[tuple[int, str]]:
    """The living whose command line or environment names ``folder``: pid and command line."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes()
            environment = (entry / "environ").read_bytes()
        except OSError:  # ended meanwhile, or another user's
            continue
        if str(folder).encode() in command + environment:
            found.append((int(entry.name), command.replace(b"\0", b" ").decode(errors="replace")))
    return found
