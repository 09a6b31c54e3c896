"""One scene for each module: its own simulator, operator and namespaces, shared by the module's rows."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from saperly_operator.envtest import ControlPlane

pytest.register_assert_rewrite("tests.cluster.bad_input.scene", "tests.cluster.bad_input.wave")

from tests.cluster.bad_input.scene import Scene, a_scene  # noqa: E402 (rewritten first)
from tests.cluster.conftest import Kubectl  # noqa: E402


@pytest.fixture(scope="module")
def scene(
    request: pytest.FixtureRequest,
    control_plane: ControlPlane,
    kubectl: Kubectl,
    operator_kubeconfig: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Scene]:
    """A running operator with nothing to do; closed after the module's last test."""
    name = request.module.__name__.rpartition(".")[2].removeprefix("test_").replace("_", "-")
    folder = tmp_path_factory.mktemp(name)
    with a_scene(control_plane, kubectl, operator_kubeconfig, folder, name) as scene:
        yield scene
