"""Building the tools from source, where nothing is published for this machine or its network has no downloads.

Used by ``assets`` last. The modules in ``gomods/`` pin every dependency by hash (go.sum); ``-mod=readonly`` refuses
to depart from them. Which proxy serves the modules is the environment's own setting (GOPROXY), none of ours.
"""

import os
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path

from saperly_operator.envtest.errors import AssetsError
from saperly_operator.envtest.progress import Heartbeat, Report
from saperly_operator.envtest.recipes import GO_MODULES, Tool

# The first Go that can fetch the newer toolchain a go.mod asks for by itself.
_OLDEST_GO = (1, 21)
_LAST_LINES = 15


class GoBuild:
    """A source of tools. Needs a Go toolchain and, the first time, some minutes."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def provide(self, tool: Tool, target: Path, report: Report) -> None:
        """Compile the tool to ``target``. Raises AssetsError with what to do."""
        go = self._go(tool)
        report(f"building {tool.name} {tool.version} from source (once; minutes, not seconds)")
        with tempfile.TemporaryDirectory(prefix="saperly-envtest-build-") as scratch:
            # A copy, so that an installed package is never written to and a go.work above it is never met.
            module = shutil.copytree(GO_MODULES / tool.module, Path(scratch) / tool.module)
            process = subprocess.Popen(
                [go, "build", "-v", "-mod=readonly", "-trimpath", f"-ldflags=-s -w {tool.ldflags}", "-o", str(target),
                 tool.package],
                cwd=module,
                env={**self._environ, "GOWORK": "off", "CGO_ENABLED": "0"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )  # fmt: skip
            output = _follow(process, tool, report)
        if process.returncode != 0:
            tail = "\n  ".join(output[-_LAST_LINES:])
            raise AssetsError(
                f"Go could not build {tool.name} (exit code {process.returncode}). Its last words:\n  {tail}\n"
                "If it could not reach a module proxy, set GOPROXY; "
                "or let KUBEBUILDER_ASSETS name a folder that has the binaries."
            )

    def _go(self, tool: Tool) -> str:
        advice = (
            f"{tool.name} can be neither downloaded nor built here. Install Go 1.21 or newer, or let "
            "KUBEBUILDER_ASSETS name a folder that has the binaries (setup-envtest makes one)."
        )
        go = shutil.which("go", path=self._environ.get("PATH", os.defpath))
        if go is None:
            raise AssetsError(f"no Go toolchain on PATH: {advice}")
        # In "/", so that no go.mod around us decides which version answers.
        said = subprocess.run(
            [go, "version"], cwd="/", env=self._environ, capture_output=True, text=True, check=False
        )
        version = re.search(r"go version (?:devel )?go(\d+)\.(\d+)", said.stdout)
        if version is None:
            raise AssetsError(
                f"'{go} version' does not work ({said.stderr.strip() or said.stdout.strip()}): {advice}"
            )
        if tuple(map(int, version.groups())) < _OLDEST_GO:
            raise AssetsError(f"{go} is {version[0].removeprefix('go version ')}, too old: {advice}")
        return go


def _follow(process: subprocess.Popen[str], tool: Tool, report: Report) -> list[str]:
    """Everything the build says; meanwhile report that it lives. Kills it when interrupted."""
    output: list[str] = []
    assert process.stdout is not None
    reader = threading.Thread(target=_collect, args=(process.stdout, output), daemon=True)
    reader.start()
    heartbeat = Heartbeat(report)
    try:
        while reader.is_alive():
            reader.join(timeout=1.0)
            heartbeat.beat(f"  still building {tool.name}: {_summary(output)}")
        process.wait()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        process.stdout.close()
    if process.returncode == 0:
        report(f"  built {tool.name} in {heartbeat.elapsed}")
    return output


def _collect(lines: Iterable[str], output: list[str]) -> None:
    output.extend(line.rstrip() for line in lines)


def _summary(output: list[str]) -> str:
    fetched = sum(line.startswith("go: downloading") for line in output)
    compiled = len(output) - fetched
    return f"{fetched} modules fetched, {compiled} packages compiled"
