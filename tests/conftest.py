"""What all tests share: lines for the person who waits, also from a worker, which has no terminal."""

from collections import Counter
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
        if _is_worker(request.config) or terminal is None or capture is None:
            request.config.stash.setdefault(_ANNOUNCED, []).append(line)
            return
        with capture.global_and_fixture_disabled():
            terminal.ensure_newline()
            terminal.write_line(line)

    return say


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workeroutput")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Two tests of one name would be run once only when several workers share the tests."""
    twice = [name for name, count in Counter(item.nodeid for item in items).items() if count > 1]
    if twice:
        raise pytest.UsageError(f"two tests have the same name: {', '.join(twice)}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _is_worker(session.config):
        session.config.workeroutput["announced"] = session.config.stash.get(_ANNOUNCED, [])  # type: ignore[attr-defined] # xdist adds it


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A worker has ended."""
    node.config.stash.setdefault(_ANNOUNCED, []).extend(getattr(node, "workeroutput", {}).get("announced", ()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for line in config.stash.get(_ANNOUNCED, []):
        terminalreporter.write_line(line)
