"""One real control plane for all cluster tests, and the ways in which a test speaks to it.

A test isolates itself by its own namespace, not by its own control plane. When any test has failed, the logs of the
components are kept and their place is printed at the end.
"""

import itertools
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from saperly_operator.envtest import Assets, ControlPlane
from tests.support.kube_reader import KubeReader, NotReadable
from tests.support.leaks import EVIDENCE

if TYPE_CHECKING:
    from tests.cluster.crash_site import CrashSite
    from tests.cluster.user import User
    from tests.cluster.world import World

OPERATOR = "saperly-operator"
"""The restricted identity the operator runs under; it has the rights that a test's RBAC gives it, and no other."""

_namespaces = itertools.count(1)

EVIDENCE.record_commands()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The search for leaked credentials comes last: it looks through what all other tests left behind."""
    items.sort(key=lambda item: item.path == Path(__file__).with_name("test_no_leaks.py"))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """One of several workers hands over what it saw, for the one that searches for leaked credentials."""
    if worker := os.environ.get("PYTEST_XDIST_WORKER"):
        EVIDENCE.hand_over(Path(session.config.getoption("basetemp")).with_name(f"{worker}.evidence"))


class KubectlError(Exception):
    """Kubectl refused or failed; the message is what it said."""


class Kubectl:
    """The real kubectl, as the user of one kubeconfig."""

    def __init__(self, binary: Path, kubeconfig: Path) -> None:
        self.binary = binary
        self.kubeconfig = kubeconfig
        self._reader: KubeReader | None = None

    def __call__(self, *args: str, stdin: str | None = None, timeout: float = 60.0) -> str:
        """What it wrote to standard output. Raises KubectlError with what it wrote to standard error."""
        done = subprocess.run(
            [str(self.binary), f"--kubeconfig={self.kubeconfig}", *args],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if done.returncode != 0:
            raise KubectlError(done.stderr.strip())
        return done.stdout

    def read(self, kind: str, name: str = "", *, namespace: str = "", selector: str = "") -> Any:
        """An object, or without a ``name`` the list of them, as its user reads it. Raises KubectlError."""
        self._reader = self._reader or KubeReader(self.kubeconfig)
        try:
            return self._reader.get(kind, name, namespace=namespace, selector=selector)
        except NotReadable as error:
            raise KubectlError(str(error)) from None

    def close(self) -> None:
        """End what ``read`` began."""
        if self._reader is not None:
            self._reader.close()

    def json(self, *args: str) -> Any:
        """The answer of kubectl itself to ``get`` and the like, parsed."""
        return json.loads(self(*args, "--output=json"))

    def apply(self, *manifests: dict[str, Any] | str, namespace: str = "default") -> str:
        """Apply objects or YAML documents."""
        documents = [m if isinstance(m, str) else json.dumps(m) for m in manifests]
        return self("apply", f"--namespace={namespace}", "--filename=-", stdin="\n---\n".join(documents))


@pytest.fixture(scope="session")
def assets(announce: Callable[[str], None]) -> Assets:
    """The binaries; provided when first asked for."""
    return Assets.of_this_machine(announce)


@pytest.fixture(scope="session")
def control_plane(
    request: pytest.FixtureRequest,
    assets: Assets,
    announce: Callable[[str], None],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[ControlPlane]:
    """The control plane that all tests of this process share: do not stop it or its parts; make your own for that."""
    plane = ControlPlane(users=(OPERATOR,), assets=assets)
    plane.start()
    yield plane
    plane.stop(keep_logs=True)
    # Beside what the tests left: the search for leaks looks through them, and pytest keeps the folder for a while.
    kept = plane.logs.rename(tmp_path_factory.getbasetemp() / "control-plane-logs")
    plane.directory.rmdir()
    if request.session.testsfailed > 0:
        announce(f"logs of the control plane: {kept}")


@pytest.fixture(scope="session")
def kubeconfig(control_plane: ControlPlane) -> Path:
    """The administrator's."""
    return control_plane.kubeconfig()


@pytest.fixture(scope="session")
def operator_kubeconfig(control_plane: ControlPlane) -> Path:
    """The operator's own restricted identity's."""
    return control_plane.kubeconfig(OPERATOR)


@pytest.fixture(scope="session")
def kubectl(assets: Assets, kubeconfig: Path) -> Iterator[Kubectl]:
    """Kubectl as the administrator, of the API server's own version."""
    with closing(Kubectl(assets.path("kubectl"), kubeconfig)) as kubectl:
        yield kubectl


@pytest.fixture(scope="session")
def kubectl_as_operator(assets: Assets, operator_kubeconfig: Path) -> Iterator[Kubectl]:
    """Kubectl as the operator's restricted identity."""
    with closing(Kubectl(assets.path("kubectl"), operator_kubeconfig)) as kubectl:
        yield kubectl


@pytest.fixture
def namespace(request: pytest.FixtureRequest, kubectl: Kubectl) -> Iterator[str]:
    """A namespace of this test's own, ready for pods; its deletion is begun, not awaited."""
    words = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:40].strip("-")
    name = f"{words}-{next(_namespaces)}"
    kubectl("create", "namespace", name)
    kubectl("wait", "--for=create", "serviceaccount/default", f"--namespace={name}", "--timeout=30s")
    yield name
    kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")


@pytest.fixture
def world(kubectl: Kubectl, operator_kubeconfig: Path, tmp_path: Path, namespace: str) -> Iterator["World"]:
    """A simulator and what an operator needs, installed; the test starts the operator."""
    from tests.cluster.world import a_world  # it needs this module's Kubectl

    with a_world(kubectl, operator_kubeconfig, tmp_path, namespace) as world:
        world.install()
        yield world


@pytest.fixture(scope="module")
def crash_site(
    request: pytest.FixtureRequest,
    kubectl: Kubectl,
    operator_kubeconfig: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator["CrashSite"]:
    """A world whose operator is killed again and again, for all tests of one module."""
    from tests.cluster.crash_site import a_crash_site  # it needs this module's Kubectl

    name = request.module.__name__.rpartition(".")[2].removeprefix("test_").replace("_", "-")
    with a_crash_site(kubectl, operator_kubeconfig, tmp_path_factory.mktemp(name), name) as site:
        yield site


@pytest.fixture
def site(crash_site: "CrashSite") -> Iterator["CrashSite"]:
    """The module's crash site, with its operator up and no fault left over. Each test uses objects of its own."""
    yield crash_site
    crash_site.heal()


@pytest.fixture(scope="module")
def user(
    request: pytest.FixtureRequest,
    kubectl: Kubectl,
    operator_kubeconfig: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator["User"]:
    """Someone who uses the operator, in a world that all tests of one module share: each uses keys of its own."""
    from tests.cluster.user import a_user  # it needs this module's Kubectl

    name = request.module.__name__.rpartition(".")[2].removeprefix("test_").replace("_", "-") + "-user"
    with a_user(kubectl, operator_kubeconfig, tmp_path_factory.mktemp(name), name) as user:
        yield user
