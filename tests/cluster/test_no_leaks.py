"""No credential is anywhere but in Secrets and in memory (I7). Runs after all other tests, over what they left.

Searched: the logs of operators, simulators and the control plane with its audit log, every object but Secrets with its
managed fields, and the command lines of all processes; for whatever looks like a key, and for each one that a test saw.
What one session happens to produce is not left to chance: a history of its own, with every kind of failure that
carries a credential near a log line, is lived through by an operator whose libraries log at DEBUG too.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from saperly_operator.envtest import ControlPlane
from saperly_operator.simulator.faults import Fault, FaultKind
from saperly_operator.simulator.state import Operation
from tests.cluster.conftest import Kubectl
from tests.cluster.world import World, a_world
from tests.support.leaks import EVIDENCE, Scanner
from tests.support.processes import OperatorProcess
from tests.support.waiting import eventually

LEFT_BY_TESTS = ("*.log", "*.sqlite*", "ready.json")


@pytest.fixture(scope="module")
def world(kubectl: Kubectl, operator_kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world with an operator that hides nothing its libraries log, after a history of failures."""
    kubectl("create", "namespace", "leaks")
    with a_world(kubectl, operator_kubeconfig, tmp_path_factory.mktemp("leaks"), "leaks") as world:
        world.install()
        world.operator = OperatorProcess(
            world.folder,
            kubeconfig=operator_kubeconfig,
            api_url=world.simulator.base_url,
            namespace=world.system,
            program="tests.support.loud_operator",
        ).wait_started()
        live_through_failures(world)
        yield world
    kubectl("delete", "namespace", "leaks", "--wait=false")


def live_through_failures(world: World) -> None:
    """Answers with a plaintext in them that are cut, lost, or unreadable; a Secret altered; a service key refused."""
    for kind in (FaultKind.TRUNCATE, FaultKind.RESET, FaultKind.GARBAGE):
        name = f"after-{kind.value}"
        world.vendor.order_fault(Fault(kind=kind, when="after", operation=Operation.MINT))
        world.apply_key(name)
        world.wait_ready(name)
        world.plaintext(name)
    before = world.plaintext("after-reset")
    altered = '{"stringData":{"SAPERLY_API_KEY":"altered"}}'
    world.kubectl("patch", "secret", "after-reset", f"--namespace={world.namespace}", f"--patch={altered}")
    eventually(lambda: world.plaintext("after-reset") not in {"altered", before}, "another key was minted")
    world.kubectl("delete", "saperlykey", "after-garbage", f"--namespace={world.namespace}", "--timeout=60s")
    (service_key,) = world.vendor.service_keys()
    world.vendor.revoke_service_key(service_key.id)
    world.apply_key("refused")
    world.wait_reason("refused", "ServiceKeyRejected", kind="Stalled")


@pytest.fixture(scope="module")
def whole_session(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of all that tests left behind, once all other workers have ended and told what they saw."""
    del world  # lived through meanwhile
    base, mine = tmp_path_factory.getbasetemp(), os.environ.get("PYTEST_XDIST_WORKER")
    if mine is None:
        return base
    for number in range(int(os.environ["PYTEST_XDIST_WORKER_COUNT"])):
        if mine != f"gw{number}":
            evidence = base.with_name(f"gw{number}.evidence")
            eventually(evidence.exists, f"the worker {number} has ended", patience=1200)
            EVIDENCE.take(evidence)
    return base.parent


def scanner() -> Scanner:
    assert EVIDENCE.credentials, "tests have seen credentials"
    return Scanner(EVIDENCE.credentials)


def test_the_libraries_log_no_credential_even_at_debug(world: World) -> None:
    assert world.operator is not None
    lines = [json.loads(line) for line in world.operator.output().splitlines() if line.startswith("{")]
    loud = {line["logger"].partition(".")[0] for line in lines if line["level"] == "DEBUG"}
    assert loud >= {"httpcore", "kopf", "saperly_operator"}, "they were logging"
    assert list(scanner().findings("the loud operator's log", world.operator.output().encode())) == []


def test_no_object_but_secrets_holds_a_credential(world: World) -> None:
    kinds = world.kubectl("api-resources", "--verbs=list", "--output=name").split()
    assert {"secrets", "saperlykeys.saperly.com", "events.events.k8s.io"} <= set(kinds)
    everything = ("--all-namespaces", "--output=json", "--show-managed-fields", "--ignore-not-found")
    secrets = world.kubectl("get", "secrets", *everything)
    assert list(scanner().findings("the Secrets", secrets.encode())), "where credentials are, they are found"
    others = world.kubectl("get", ",".join(kind for kind in kinds if kind != "secrets"), *everything)
    assert '"kind": "SaperlyKey"' in others
    assert list(scanner().findings("the objects", others.encode())) == []


def test_no_file_of_the_whole_session_holds_a_credential(
    world: World, whole_session: Path, control_plane: ControlPlane
) -> None:
    files = [path for pattern in LEFT_BY_TESTS for path in whole_session.rglob(pattern)]
    files = [path for path in [*files, *control_plane.logs.iterdir()] if path.is_file()]
    assert {"operator.log", "simulator.log", "audit.log", "kube-apiserver.log"} <= {path.name for path in files}
    assert list(scanner().findings_in_files(files)) == []
    service_key = world.simulator.service_key_file
    assert list(scanner().findings_in_files([service_key])), "where a credential is, it is found"


@pytest.mark.usefixtures("whole_session")
def test_no_command_line_of_the_whole_session_holds_a_credential() -> None:
    EVIDENCE.sample()
    commands = "\n".join(EVIDENCE.commands)
    for program in ("kube-apiserver", "kubectl", "loud_operator run", "simulate"):
        assert program in commands, "what was started was recorded"
    assert list(scanner().findings("a command line", commands.encode())) == []
