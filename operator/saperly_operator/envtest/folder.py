"""A private temporary folder that is removed even when its owner was killed: by the next one to come.

Used by ``ControlPlane``. The owner holds a lock on a file in the folder; the kernel releases it however it ends.
"""

import fcntl
import shutil
import tempfile
from pathlib import Path

_PREFIX = "saperly-envtest-"
_LOCK = "owner.lock"


class Folder:
    """Mode 0700. Exists from construction until ``remove``."""

    def __init__(self, base: Path | None = None) -> None:
        """Made in ``base``, by default the system's folder for temporary files."""
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
        # Locked before it has its name: a sweep never sees it free while its owner lives.
        unnamed = self.path / "unnamed.lock"
        self._lock = unnamed.open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        unnamed.rename(self.path / _LOCK)

    def remove(self, *, but: Path | None = None) -> None:
        """Delete it; with ``but``, a folder directly in it, all the rest. Idempotent."""
        if but is None:
            shutil.rmtree(self.path, ignore_errors=True)
        else:
            _empty(self.path, but)
        self._lock.close()


def sweep(base: Path | None = None) -> None:
    """Remove the folders whose owners are dead. What was kept on purpose has no lock file and stays."""
    for lock in (base or Path(tempfile.gettempdir())).glob(f"{_PREFIX}*/{_LOCK}"):
        try:
            with lock.open("r+") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(lock.parent, ignore_errors=True)
        except OSError:  # its owner lives, another user's it is, or another sweep was quicker
            continue


def _empty(folder: Path, but: Path) -> None:
    for entry in folder.iterdir():
        if entry == but:
            continue
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink()
