"""The scanner for leaked credentials finds what is planted, shows none of it, and takes no prefix for a leak."""

import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.leaks import Evidence, Scanner

CHILD = "sk_test_" + "x9" * 16
SERVICE_KEY = "sk_svc_live_" + "q7" * 16
UNHEARD_OF = "an-opaque-credential-of-another-make"

SPELLINGS: dict[str, Callable[[str], bytes]] = {
    "as it is": str.encode,
    "in a JSON log line": lambda value: b'{"message": "minted", "key": "' + value.encode() + b'"}',
    "in a header": lambda value: b"authorization: Bearer " + value.encode() + b"\r\n",
    "in base64": lambda value: b64encode(value.encode()),
    "in base64, one byte on": lambda value: b64encode(b":" + value.encode()),
    "in base64, two bytes on": lambda value: b64encode(b"u:" + value.encode() + b"\n"),
    "without its prefix": lambda value: value[-20:].encode(),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("value", [CHILD, SERVICE_KEY, UNHEARD_OF], ids=["child key", "service key", "other"])
def test_a_credential_that_was_seen_is_found_however_it_is_spelled(value: str, spelling: str) -> None:
    findings = list(Scanner({value}).findings("a log", b"before " + SPELLINGS[spelling](value) + b" after"))
    assert findings
    assert value[-16:] not in "".join(findings)
    assert findings[0].startswith("a log, byte ")


@pytest.mark.parametrize("spelling", ["as it is", "in a JSON log line", "in a header", "in base64"])
@pytest.mark.parametrize("value", [CHILD, SERVICE_KEY], ids=["child key", "service key"])
def test_a_credential_that_nobody_saw_is_found_by_its_shape(value: str, spelling: str) -> None:
    findings = list(Scanner().findings("a log", SPELLINGS[spelling](value)))
    assert len(findings) == 1
    assert value[-16:] not in findings[0]


@pytest.mark.parametrize(
    "text", ["sk_live_abc", "sk_svc_test_a1b…", "sk_svc_test_", "begins with sk_test_… or sk_live_…"]
)
def test_what_may_be_shown_is_no_leak(text: str) -> None:
    assert list(Scanner({CHILD, SERVICE_KEY}).findings("a log", text.encode())) == []


def test_a_command_line_is_recorded_when_its_process_starts() -> None:
    evidence = Evidence()
    evidence.record_commands()
    # One that only this test knows: the whole session's own record holds this command line too.
    subprocess.run([sys.executable, "-c", "pass", UNHEARD_OF], check=True)
    evidence.stop_recording()
    findings = list(Scanner({UNHEARD_OF}).findings("argv", "\n".join(evidence.commands).encode()))
    assert len(findings) == 1


def test_a_running_process_is_sampled() -> None:
    evidence = Evidence()
    with subprocess.Popen([sys.executable, "-c", "input()", "a-mark-of-its-own"], stdin=subprocess.PIPE) as process:
        evidence.sample()
        assert any("a-mark-of-its-own" in command for command in evidence.commands)
        process.communicate(b"\n")


def test_evidence_is_handed_over_whole_to_the_process_that_searches(tmp_path: Path) -> None:
    seen, searching, file = Evidence(), Evidence(), tmp_path / "evidence"
    seen.learn(UNHEARD_OF)
    seen.commands.add("kubectl get skey")
    searching.learn(CHILD)
    seen.hand_over(file)
    assert file.stat().st_mode & 0o077 == 0, "nobody else reads it"
    searching.take(file)
    assert searching.credentials == {CHILD, UNHEARD_OF}
    assert searching.commands == {"kubectl get skey"}
    assert list(tmp_path.iterdir()) == [], "no credential stays behind"
