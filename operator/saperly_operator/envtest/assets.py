"""Where the control plane's binaries come from.

Called by ``ControlPlane`` and ``saperly-operator cluster --prepare``. For each tool the first of these that has it:

1. the folder in ``KUBEBUILDER_ASSETS``, when set; etcd and kube-apiserver must be in it, the others may be;
2. the cache, ``~/.cache/saperly-operator/envtest`` (``SAPERLY_ENVTEST_CACHE`` and ``XDG_CACHE_HOME`` move it);
3. the published binaries, into the cache;
4. a build with Go, into the cache.

A tool appears in the cache complete or not at all (written aside, then renamed), and can be used while the next one
is still being built. A file lock per tool keeps two processes from doing the same work twice.
"""

import fcntl
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

from saperly_operator.envtest.build import GoBuild
from saperly_operator.envtest.download import Downloads
from saperly_operator.envtest.errors import AssetsError, UnavailableError
from saperly_operator.envtest.progress import Heartbeat, Report, silent
from saperly_operator.envtest.recipes import TOOLS, Platform, Tool

REQUIRED = ("etcd", "kube-apiserver")
"""What a folder named by ``KUBEBUILDER_ASSETS`` must hold."""

_LOCK_POLL = 0.2  # seconds


class Source(Protocol):
    """Something that can make a tool appear."""

    def provide(self, tool: Tool, target: Path, report: Report, /) -> None:
        """Write the tool to ``target``. UnavailableError: the next source is asked; AssetsError ends it."""
        ...


class Assets:
    """The binaries of one control plane, found or made on demand."""

    def __init__(
        self, environ: Mapping[str, str], sources: Sequence[Source], machine: Platform, report: Report = silent
    ) -> None:
        self._environ = environ
        self._sources = sources
        self._machine = machine
        self._report = report

    @classmethod
    def of_this_machine(cls, report: Report = silent) -> "Assets":
        """As the environment of this process says. Raises AssetsError on Windows."""
        machine = Platform.of_this_machine()
        return cls(os.environ, (Downloads(machine), GoBuild(os.environ)), machine, report)

    @property
    def cache(self) -> Path:
        """The folder that holds one folder per release; it may not exist yet."""
        if own := self._environ.get("SAPERLY_ENVTEST_CACHE"):
            return Path(own).expanduser()
        base = self._environ.get("XDG_CACHE_HOME")
        return (Path(base) if base else Path.home() / ".cache") / "saperly-operator" / "envtest"

    def path(self, name: str) -> Path:
        """The binary, provided first when need be (a cold build takes minutes). Raises AssetsError."""
        tool = TOOLS[name]
        return self.find(name) or self._install(tool)

    def ensure(self, names: Iterable[str] = tuple(TOOLS)) -> dict[str, Path]:
        """All of ``names`` in this order; those already there cost nothing. Raises AssetsError."""
        return {name: self.path(name) for name in names}

    def find(self, name: str) -> Path | None:
        """The binary if it is there already; provides nothing. Raises AssetsError for an incomplete given folder."""
        given = self._given_folder()
        places = [self._cached(TOOLS[name])] if given is None else [given / name, self._cached(TOOLS[name])]
        return next((place for place in places if _is_executable(place)), None)

    def _given_folder(self) -> Path | None:
        given = self._environ.get("KUBEBUILDER_ASSETS")
        if not given:
            return None
        folder = Path(given).expanduser().absolute()
        missing = [name for name in REQUIRED if not _is_executable(folder / name)]
        if missing:
            raise AssetsError(
                f"KUBEBUILDER_ASSETS={given} has no {' and no '.join(missing)}; unset it or complete it"
            )
        return folder

    def _cached(self, tool: Tool) -> Path:
        return self.cache / tool.folder(self._machine) / tool.name

    def _install(self, tool: Tool) -> Path:
        target = self._cached(tool)
        target.parent.mkdir(parents=True, exist_ok=True)
        with self._locked(target.with_name(f".{tool.name}.lock"), tool):
            if not _is_executable(target):  # another process may have made it while this one waited
                partial = target.with_name(f".{tool.name}.partial")
                try:
                    self._provide(tool, partial)
                    partial.chmod(0o755)
                    partial.replace(target)
                finally:
                    partial.unlink(missing_ok=True)
        return target

    def _provide(self, tool: Tool, partial: Path) -> None:
        reasons = []
        for source in self._sources:
            try:
                source.provide(tool, partial, self._report)
            except UnavailableError as error:
                self._report(f"{tool.name}: {error}")
                reasons.append(str(error))
            else:
                return
        raise AssetsError(f"{tool.name} cannot be provided: {'; '.join(reasons)}")

    @contextmanager
    def _locked(self, lock: Path, tool: Tool) -> Iterator[None]:
        with lock.open("w") as file:
            if not _try_lock(file):
                line = f"waiting for another process that is preparing {tool.name}"
                self._report(line)
                heartbeat = Heartbeat(self._report)
                while not _try_lock(file):
                    time.sleep(_LOCK_POLL)
                    heartbeat.beat(line)
            yield  # closing the file, by whatever end of this process, releases the lock


def _try_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_executable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)
