"""Ending in order: what a command that owns processes and folders does when it is told to stop."""

import signal


def unwind_on_signals() -> None:
    """From now on TERM, HUP and Ctrl-C raise KeyboardInterrupt in the main thread, once.

    Whoever asks, and however early, ``with`` blocks are left in order; a second signal does not interrupt that.
    """
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, _unwind)


def _unwind(_number: int, _frame: object) -> None:
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt
