"""Runs one command that must not outlive its parent, even when the parent is killed with -9.

Started by ``process`` as ``python -I -S tether.py kernel|pipe PARENT_PID COMMAND...``; standard library only, nothing
of ours, so that it starts in milliseconds. ``kernel`` (Linux): the death signal is set, then the command replaces
this process. ``pipe`` (anywhere): this process stays, holds the reading end of a pipe as its standard input, and
kills the command when the pipe closes, which it does however the parent ends.
"""

import os
import signal
import subprocess
import sys
import threading

_PR_SET_PDEATHSIG = 1


def become(parent: int, command: list[str]) -> None:
    """Linux: turn into the command. Does not return."""
    import ctypes  # noqa: PLC0415  not needed, and not always there, on the other path

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the signal was set
        sys.exit(1)
    os.execv(command[0], command)  # noqa: S606  that is the point


def watch(command: list[str]) -> int:
    """Anywhere: run the command until it ends or standard input closes; pass on TERM and INT. Its exit code."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: child.send_signal(received))

    def kill_when_orphaned() -> None:
        while os.read(0, 1):
            pass
        child.kill()

    threading.Thread(target=kill_when_orphaned, daemon=True).start()
    return child.wait()


if __name__ == "__main__":
    mode, parent_pid, *argv = sys.argv[1:]
    if mode == "kernel":
        become(int(parent_pid), argv)
    sys.exit(watch(argv))
