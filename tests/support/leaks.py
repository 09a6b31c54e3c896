"""Looking for credentials where none may be (I7): by shape, and by the values that the tests have seen.

``Scanner`` is pure. ``EVIDENCE`` is filled while a whole session of tests runs: every plaintext and service key that a
test handled, and the command line of every process that was started; where tests run in several processes, each hands
its own over to the one that searches. Neither ever shows a credential: a finding names
the place, and of what was found only what may be shown of it.
"""

import json
import os
import re
import sys
import time
from base64 import b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_SHOWN = 3
"""How many characters of the secret part a ``key_prefix`` shows."""

_SHAPES = (
    re.compile(rb"sk_(?:svc_)?(?:test|live)_[A-Za-z0-9_\-]{%d,}" % (_SHOWN + 1)),
    # The same in base64, as in a Secret's data.
    re.compile(rb"c2tf(?:dGVzdF|bGl2ZV|c3ZjX)[A-Za-z0-9+/]{10,}"),
)
_TAIL = 16
"""Characters from a credential's end by which it is recognised: they are the secret, whatever became of its prefix."""

_SAMPLING = 0.2
"""Seconds between two looks at the running processes."""


@dataclass(frozen=True, slots=True)
class Scanner:
    """Finds credentials: anything that looks like one, and those of ``known`` however they look."""

    known: Iterable[str] = ()

    def findings(self, place: str, content: bytes) -> Iterator[str]:
        """One sentence for each finding in ``content``."""
        for shape in _SHAPES:
            for match in shape.finditer(content):
                yield f"{place}, byte {match.start()}: looks like a credential: {match.group()[:8].decode()}…"
        for number, value in enumerate(sorted(self.known)):
            at = next((found for form in _forms(value) if (found := content.find(form)) >= 0), None)
            if at is not None:
                yield f"{place}, byte {at}: the credential number {number} that a test has seen"

    def findings_in_files(self, files: Iterable[Path]) -> Iterator[str]:
        for file in files:
            yield from self.findings(str(file), file.read_bytes())


def _forms(value: str) -> list[bytes]:
    """A credential's end, plain and as base64 spells it at each of the three places within a group."""
    tail = value[-_TAIL:].encode()
    # Without the characters at the edges, which depend on what stands before and after.
    spelled = [b64encode(b"\0" * shift + tail)[4 if shift else 0 : -4] for shift in range(3)]
    return [tail, *spelled]


@dataclass(slots=True)
class Evidence:
    """What a session of tests has seen and started."""

    credentials: set[str] = field(default_factory=set)
    commands: set[str] = field(default_factory=set)
    _is_recording: bool = False
    _sampled_at: float = 0.0

    def learn(self, credential: str) -> str:
        """A test handles this credential; returns it."""
        if len(credential) >= _TAIL:
            self.credentials.add(credential)
        return credential

    def record_commands(self) -> None:
        """From now on: every process that this one starts, and at those moments all that run below it."""
        if not self._is_recording:
            self._is_recording = True
            sys.addaudithook(self._on_audit_event)

    def stop_recording(self) -> None:
        """Record no more."""
        self._is_recording = False

    def hand_over(self, file: Path) -> None:
        """Store it for the process that searches: for its owner's eyes only, and complete or not there."""
        partial = file.with_suffix(".partial")
        partial.touch(mode=0o600)
        partial.write_text(json.dumps([sorted(self.credentials), sorted(self.commands)]))
        partial.replace(file)

    def take(self, file: Path) -> None:
        """Add what another process handed over; nothing is left of the file."""
        credentials, commands = json.loads(file.read_text())
        file.unlink()
        self.credentials.update(credentials)
        self.commands.update(commands)

    def sample(self) -> None:
        """Read the command lines of all processes below this one."""
        parents = {pid: _parent(pid) for pid in _pids()}
        mine = {os.getpid()}
        for _ in range(len(parents)):
            below = {pid for pid, parent in parents.items() if parent in mine and pid not in mine}
            if not below:
                break
            mine |= below
        self.commands |= {_command(pid) for pid in mine}

    def _on_audit_event(self, name: str, args: tuple[Any, ...]) -> None:
        if name != "subprocess.Popen" or not self._is_recording:
            return  # a hook cannot be taken out again
        argv = args[1]
        words = [argv] if isinstance(argv, str | bytes) else argv
        self.commands.add(" ".join(os.fsdecode(word) for word in words))
        if time.monotonic() - self._sampled_at > _SAMPLING:
            self._sampled_at = time.monotonic()
            self.sample()


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _parent(pid: int) -> int:
    """0 for a process that has just ended."""
    try:
        # After the name in brackets, which may hold anything: state, then parent.
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


EVIDENCE = Evidence()
"""This session's."""
