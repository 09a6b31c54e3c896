"""Child processes that do not outlive their parent, each with a log of its own.

Used by ``ControlPlane``. Every child runs behind ``tether``, so that even ``kill -9`` of this process leaves nothing
running. Linux ties a child to the *thread* that started it, hence the one thread per group that starts them all and
lives as long as the group; callers may start and stop a group from different threads.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

from saperly_operator.envtest.errors import ControlPlaneError

Tether = Literal["kernel", "pipe"]

_TETHER = Path(__file__).with_name("tether.py")
_LAST_LINES = 15


class Child:
    """One running command; made by ``Children.start``."""

    def __init__(self, name: str, argv: Sequence[str], log: Path, process: subprocess.Popen[bytes]) -> None:
        self.name = name
        self.argv = tuple(argv)
        self.log = log
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def last_words(self) -> str:
        """The end of its log, for an error message."""
        lines = self.log.read_text(errors="replace").splitlines()[-_LAST_LINES:]
        return "\n  ".join([f"{self.name}, whose log is {self.log}, said last:", *lines])

    def kill(self) -> None:
        """End it at once. Behind a pipe, closing it is what kills: a signal would only reach the tether."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        else:
            self._process.kill()

    def close(self) -> None:
        """Wait for its end, reap it and let go of its pipe."""
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()


class Children:
    """A group of commands that live and die together."""

    def __init__(self, logs: Path, tether: Tether = "kernel" if sys.platform == "linux" else "pipe") -> None:
        self._logs = logs
        self._tether = tether
        self._children: dict[str, Child] = {}
        self._starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="saperly-envtest")

    def __getitem__(self, name: str) -> Child:
        return self._children[name]

    def start(self, name: str, argv: Sequence[str], environment: Mapping[str, str] | None = None) -> Child:
        """Start a command; its output goes to ``<name>.log``, appended when a command of that name ran before.

        ``environment`` replaces this process's own; the command's own argv never shows what is in it.
        """
        log = self._logs / f"{name}.log"
        process = self._starter.submit(self._spawn, argv, log, environment).result()
        child = self._children[name] = Child(name, argv, log, process)
        return child

    def _spawn(
        self, argv: Sequence[str], log: Path, environment: Mapping[str, str] | None
    ) -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-I", "-S", str(_TETHER), self._tether, str(os.getpid()), *argv],
                stdin=subprocess.PIPE if self._tether == "pipe" else subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                start_new_session=True,  # a Ctrl-C at the terminal is ours to handle, in order
            )

    def check(self) -> None:
        """Raise ControlPlaneError when one of them has ended by itself."""
        for child in self._children.values():
            if (code := child.exit_code()) is not None:
                raise ControlPlaneError(f"{child.name} ended with code {code}. {child.last_words()}")

    def kill(self, *names: str) -> None:
        """End the named ones (without names: all); returns when they are gone.

        Not asked politely: what they hold is thrown away, and a graceful API server waits for its watches.
        """
        killed = [self._children.pop(name) for name in names or tuple(self._children)]
        for child in killed:
            child.kill()
        for child in killed:
            child.close()

    def close(self) -> None:
        """Kill them all and end the thread that holds them."""
        self.kill()
        self._starter.shutdown()
