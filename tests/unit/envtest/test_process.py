"""Children that do not outlive their parent. Real processes, killed for real."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from saperly_operator.envtest.errors import ControlPlaneError
from saperly_operator.envtest.process import Children, Tether

TETHERS = [
    pytest.param("kernel", marks=pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")),
    pytest.param("pipe"),
]

# Says its own process id, then stays. The fifo is closed by the kernel when the last process that holds it is gone.
SLEEPER = ["/bin/sh", "-c", 'exec 9>"$0"; echo "here" >&9; exec sleep 600']

PARENT = """
import sys
from pathlib import Path
from saperly_operator.envtest.process import Children
folder, tether, *command = sys.argv[1:]
Children(Path(folder), tether).start("sleeper", command)
sys.stdin.read()
"""


@pytest.fixture(params=TETHERS)
def tether(request: pytest.FixtureRequest) -> Tether:
    found: Tether = request.param
    return found


@pytest.fixture
def children(tmp_path: Path, tether: Tether) -> Iterator[Children]:
    group = Children(tmp_path, tether)
    yield group
    group.close()


def test_a_parent_killed_with_9_takes_its_children_along(tmp_path: Path, tether: Tether) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path), tether, *SLEEPER, str(fifo)], stdin=subprocess.PIPE
    )
    with parent, fifo.open("rb", buffering=0) as held_by_the_child:
        assert held_by_the_child.readline() == b"here\n"
        os.kill(parent.pid, signal.SIGKILL)
        assert held_by_the_child.read() == b""  # returns only when nothing holds the other end any more
    assert parent.returncode == -signal.SIGKILL


def test_a_child_outlives_the_thread_that_asked_for_it(children: Children, tmp_path: Path) -> None:
    """Linux would tie it to that thread, and a worker thread of an event loop comes and goes."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with ThreadPoolExecutor(max_workers=1) as worker:
        started = worker.submit(children.start, "sleeper", [*SLEEPER, str(fifo)])
        with fifo.open("rb", buffering=0) as held_by_the_child:
            assert held_by_the_child.readline() == b"here\n"
            child = started.result()
            worker.shutdown()
            children.check()
            assert child.exit_code() is None
            children.kill("sleeper")
            assert held_by_the_child.read() == b""


def test_a_child_that_died_is_reported_with_its_last_words(children: Children) -> None:
    child = children.start("etcd", ["/bin/sh", "-c", "echo starting; echo no space left on device >&2; exit 3"])
    child.close()
    with pytest.raises(ControlPlaneError, match=r"(?s)etcd ended with code 3\. .*etcd\.log.*no space left on device"):
        children.check()


def test_a_command_that_does_not_exist_is_reported_as_a_death(children: Children) -> None:
    children.start("etcd", ["/no/such/etcd"]).close()
    with pytest.raises(ControlPlaneError, match="No such file"):
        children.check()


def test_a_child_started_again_adds_to_its_log(children: Children, tmp_path: Path) -> None:
    for word in ("one", "two"):
        children.start("echo", ["/bin/echo", word]).close()
    assert (tmp_path / "echo.log").read_text() == "one\ntwo\n"


def test_what_was_killed_on_purpose_is_no_death(children: Children) -> None:
    children.start("sleeper", ["/bin/sleep", "600"])
    children.kill("sleeper")
    children.check()
