"""What all tests share: lines for the person who waits, also from a worker, which has no terminal."""

from collections.abc import Callable
from typing import Any

import pytest

_ANNOUNCED = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def announce(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Say something past pytest's capturing: at once, or, from a worker, at the end of the whole run."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    terminal = request.config.pluginmanager.getplugin("terminalreporter")

    def say(line: str) -> None:
        if terminal is None or capture is None:
            request.config.stash.setdefault(_ANNOUNCED, []).append(line)
            return
        with capture.global_and_fixture_disabled():
            terminal.ensure_newline()
            terminal.write_line(line)

    return say


def pytest_sessionfinish(session: pytest.Session) -> None:
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["announced"] = session.config.stash.get(_ANNOUNCED, [])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A worker has ended."""
    node.config.stash.setdefault(_ANNOUNCED, []).extend(getattr(node, "workeroutput", {}).get("announced", ()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for line in config.stash.get(_ANNOUNCED, []):
        terminalreporter.write_line(line)
