"""The control plane itself: what the other cluster tests lean on is here shown to be real."""

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from saperly_operator.envtest import Assets, ControlPlane, ControlPlaneError
from saperly_operator.envtest import control_plane as control_plane_module
from tests.cluster.conftest import OPERATOR, Kubectl, KubectlError

pytestmark = pytest.mark.cluster

UP_WITHIN = 30.0  # seconds; 3 to 4 on two idle cores, and the rest is for machines that are not idle


def a_role_that_reads_secrets(namespace: str) -> dict[str, Any]:
    meta = {"name": "reads-secrets", "namespace": namespace}
    rule = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list"]}
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": meta, "rules": [rule]}


def a_binding_of(role: dict[str, Any], user: str) -> dict[str, Any]:
    group = "rbac.authorization.k8s.io"
    return {
        "apiVersion": f"{group}/v1",
        "kind": "RoleBinding",
        "metadata": role["metadata"],
        "roleRef": {"apiGroup": group, "kind": "Role", "name": role["metadata"]["name"]},
        "subjects": [{"apiGroup": group, "kind": "User", "name": user}],
    }


def a_deployment(name: str, replicas: int) -> dict[str, Any]:
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "agent", "image": "example.com/agent"}]},
            },
        },
    }


def test_client_and_server_are_the_pinned_version(kubectl: Kubectl) -> None:
    versions = kubectl.json("version")
    assert versions["serverVersion"]["gitVersion"] == versions["clientVersion"]["gitVersion"]


def test_a_user_has_no_right_until_rbac_gives_one_and_only_that(
    control_plane: ControlPlane, assets: Assets, kubectl: Kubectl, namespace: str
) -> None:
    # A user of this test's own: other tests give the operator's user its rights, for the whole cluster.
    user = f"system:serviceaccount:{namespace}:default"
    as_user = Kubectl(assets.path("kubectl"), control_plane.service_account_kubeconfig(namespace, "default"))
    kubectl("create", "secret", "generic", "s", "--from-literal=a=b", f"--namespace={namespace}")
    with pytest.raises(KubectlError, match=rf'Forbidden.*User "{user}" cannot get resource "secrets"'):
        as_user("get", "secret", "s", f"--namespace={namespace}")
    role = a_role_that_reads_secrets(namespace)
    kubectl.apply(role, a_binding_of(role, user), namespace=namespace)
    assert "s" in as_user("get", "secret", "s", f"--namespace={namespace}")
    with pytest.raises(KubectlError, match="cannot delete resource"):
        as_user("delete", "secret", "s", f"--namespace={namespace}")


def test_a_deployment_rolls_out_and_rolls_again_when_restarted(kubectl: Kubectl, namespace: str) -> None:
    kubectl.apply(a_deployment("support", 3), namespace=namespace)
    kubectl("rollout", "status", "deployment/support", f"--namespace={namespace}", "--timeout=30s")
    first = running_pods(kubectl, namespace)
    kubectl("rollout", "restart", "deployment/support", f"--namespace={namespace}")
    kubectl("rollout", "status", "deployment/support", f"--namespace={namespace}", "--timeout=30s")
    assert len(first) == 3
    assert running_pods(kubectl, namespace).isdisjoint(first)


def running_pods(kubectl: Kubectl, namespace: str) -> set[str]:
    kubectl("wait", "pods", "--all", "--for=condition=Ready", f"--namespace={namespace}", "--timeout=30s")
    pods = kubectl.read("Pod", namespace=namespace)["items"]
    return {pod["metadata"]["uid"] for pod in pods if "deletionTimestamp" not in pod["metadata"]}


def test_a_server_side_dry_run_counts_the_quota(kubectl: Kubectl, namespace: str) -> None:
    here = f"--namespace={namespace}"
    kubectl("create", "quota", "few", "--hard=secrets=1", here)
    kubectl("wait", "quota/few", "--for=jsonpath={.status.used.secrets}=0", here, "--timeout=30s")
    kubectl("create", "secret", "generic", "one", here)
    for dry_run in ("server", "none"):
        with pytest.raises(KubectlError, match="exceeded quota: few"):
            kubectl("create", "secret", "generic", "two", here, f"--dry-run={dry_run}")


def test_a_deleted_namespace_goes_with_all_that_was_in_it(kubectl: Kubectl, namespace: str) -> None:
    kubectl("create", "secret", "generic", "s", f"--namespace={namespace}")
    kubectl("delete", "namespace", namespace, "--wait=true", "--timeout=30s")
    with pytest.raises(KubectlError, match="not found"):
        kubectl("get", "namespace", namespace)


def test_an_owned_object_is_garbage_collected_with_its_owner(kubectl: Kubectl, namespace: str) -> None:
    here = f"--namespace={namespace}"
    kubectl("create", "configmap", "owner", here)
    uid = kubectl.read("ConfigMap", "owner", namespace=namespace)["metadata"]["uid"]
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid}
    meta = {"name": "owned", "ownerReferences": [reference]}
    kubectl.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}, namespace=namespace)
    kubectl("delete", "configmap", "owner", here)
    kubectl("wait", "configmap/owned", "--for=delete", here, "--timeout=30s")


def test_a_service_account_can_act_under_a_token_of_its_own(
    control_plane: ControlPlane, assets: Assets, namespace: str
) -> None:
    as_account = Kubectl(assets.path("kubectl"), control_plane.service_account_kubeconfig(namespace, "default"))
    who = as_account.json("auth", "whoami")
    assert who["status"]["userInfo"]["username"] == f"system:serviceaccount:{namespace}:default"


def test_the_audit_log_tells_what_one_user_asked_for(
    control_plane: ControlPlane, kubectl: Kubectl, kubectl_as_operator: Kubectl, namespace: str
) -> None:
    since = control_plane.audit.position()
    kubectl("create", "configmap", "c", f"--namespace={namespace}")
    with pytest.raises(KubectlError):
        kubectl_as_operator("get", "configmap", "c", f"--namespace={namespace}")
    asked = control_plane.audit.requests(user=OPERATOR, since=since)
    refused = [(r.verb, r.namespace, r.name, r.code) for r in asked if r.resource == "configmaps"]
    assert refused == [("get", namespace, "c", 403)]


def test_credentials_are_in_private_files_and_in_no_argument(control_plane: ControlPlane) -> None:
    assert stat.S_IMODE(control_plane.directory.stat().st_mode) == 0o700
    for file in control_plane.directory.glob("*.kubeconfig"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    tokens = [line.split(",")[0] for line in (control_plane.directory / "tokens.csv").read_text().splitlines()]
    listed = subprocess.run(["ps", "-eww", "-o", "args"], capture_output=True, text=True, check=True).stdout
    assert "kube-apiserver" in listed
    assert tokens
    assert not any(token in listed for token in tokens)


@pytest.fixture(scope="module")
def other_plane(control_plane: ControlPlane, assets: Assets) -> Iterator[ControlPlane]:
    """A second control plane beside the shared one, without nodes, for what must not be done to the shared one."""
    with ControlPlane(with_nodes=False, assets=assets) as plane:
        yield plane


def test_two_control_planes_run_at_once_and_know_nothing_of_each_other(
    kubectl: Kubectl, other_plane: ControlPlane, assets: Assets, namespace: str
) -> None:
    elsewhere = Kubectl(assets.path("kubectl"), other_plane.kubeconfig())
    with pytest.raises(KubectlError, match="not found"):
        elsewhere("get", "namespace", namespace)
    uids = {k.json("get", "namespace", "kube-system")["metadata"]["uid"] for k in (kubectl, elsewhere)}
    assert len(uids) == 2


def test_after_an_outage_of_the_api_server_everything_is_as_before(other_plane: ControlPlane, assets: Assets) -> None:
    kubectl = Kubectl(assets.path("kubectl"), other_plane.kubeconfig())
    kubectl("create", "configmap", "survivor")
    other_plane.stop_apiserver()
    with pytest.raises(KubectlError, match="refused"):
        kubectl("get", "configmap", "survivor")
    other_plane.start_apiserver()
    assert "survivor" in kubectl("get", "configmap", "survivor")


def test_a_component_that_died_is_named_and_the_logs_alone_are_kept(assets: Assets) -> None:
    plane = ControlPlane(with_nodes=False, assets=assets)
    with pytest.raises(ControlPlaneError, match=r"etcd ended with code .*etcd\.log") as caught, plane:
        kill_etcd_and_await_the_complaint(plane)
    assert caught.value.__notes__ == [f"logs of the control plane: {plane.logs}"]
    assert [file.name for file in plane.directory.iterdir()] == ["logs"]
    assert {"etcd.log", "kube-apiserver.log"} <= {file.name for file in plane.logs.iterdir()}
    shutil.rmtree(plane.directory)


def kill_etcd_and_await_the_complaint(plane: ControlPlane) -> None:
    (etcd,) = (pid for pid, argv in processes_of(plane.directory).items() if "--unsafe-no-fsync" in argv)
    os.kill(etcd, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        plane.check()


def test_a_port_that_was_taken_meanwhile_is_not_the_end(assets: Assets, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as squatter:
        taken = squatter.getsockname()[1]
        free = control_plane_module.free_port()
        offered = iter([taken, free])
        monkeypatch.setattr(control_plane_module, "free_port", lambda: next(offered))
        with ControlPlane(with_nodes=False, assets=assets) as plane:
            assert plane.url == f"https://127.0.0.1:{free}"


PARENT = """
import time
from saperly_operator.envtest import ControlPlane
plane = ControlPlane()
plane.start()
print(plane.directory, flush=True)
time.sleep(600)
"""


def test_nothing_outlives_a_parent_that_was_killed_with_9_and_the_next_one_sweeps_its_folder(assets: Assets) -> None:
    begun = time.monotonic()
    with started(sys.executable, "-c", PARENT) as (parent, said):
        directory = Path(next(said).strip())
        assert time.monotonic() - begun < UP_WITHIN
        assert len(processes_of(directory)) == len(["etcd", "apiserver", "controllers", "scheduler", "kwok"])
        parent.kill()
    deadline = time.monotonic() + 10
    while alive := processes_of(directory):
        assert time.monotonic() < deadline, f"still running: {alive}"
    assert directory.exists()
    with ControlPlane(with_nodes=False, assets=assets):
        assert not directory.exists()


def processes_of(directory: Path) -> dict[int, str]:
    """Process id and arguments of whatever works in this folder."""
    listed = subprocess.run(["ps", "-eww", "-o", "pid=,args="], capture_output=True, text=True, check=True).stdout
    lines = (line.strip().partition(" ") for line in listed.splitlines() if str(directory) in line)
    return {int(pid): argv for pid, _, argv in lines}


COMMAND = "from saperly_operator.cli.main import app; app()"


def test_the_command_keeps_one_running_until_it_is_told_to_stop(assets: Assets) -> None:
    with started(sys.executable, "-c", COMMAND, "cluster", "--nodes=0", f"--user={OPERATOR}") as (running, said):
        config = Path(next(said).strip().removeprefix("export KUBECONFIG="))
        assert next(said).startswith(f"# as {OPERATOR}: export KUBECONFIG={config.parent}")
        assert "kube-system" in Kubectl(assets.path("kubectl"), config)("get", "namespaces")
        running.terminate()
        assert running.wait(30) == 0
    assert not config.parent.exists()
    assert processes_of(config.parent) == {}


@contextmanager
def started(*command: str) -> Iterator[tuple[subprocess.Popen[str], Iterator[str]]]:
    """A process, and the lines it says; killed in the end."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, iter(process.stdout)
        finally:
            process.kill()
