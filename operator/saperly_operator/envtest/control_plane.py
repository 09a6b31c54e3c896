"""One control plane: etcd, kube-apiserver, and, when asked for, controllers, scheduler and KWOK nodes.

Called by the cluster tests, the demo and ``saperly-operator cluster``. It owns a private temporary folder and the
processes in it, binds one free port on loopback, and touches nothing else; any number can run at once. RBAC is on:
``ADMIN`` may do everything, the users named at construction nothing until a binding says so.

Nothing survives it: stopping kills the processes and removes the folder; a parent killed with -9 takes the processes
along (see ``process``), and the next control plane removes the folder (see ``folder``). After a failure the logs,
and they alone, are kept.
"""

import socket
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from saperly_operator.envtest import components
from saperly_operator.envtest.api import Api, wait_until
from saperly_operator.envtest.assets import Assets
from saperly_operator.envtest.audit import AuditLog
from saperly_operator.envtest.errors import ControlPlaneError
from saperly_operator.envtest.folder import Folder, sweep
from saperly_operator.envtest.kubeconfig import (
    SYSTEM_MASTERS,
    User,
    kubeconfig,
    service_account_key,
    token_file,
    write_private,
)
from saperly_operator.envtest.nodes import create_nodes, nodes_are_ready
from saperly_operator.envtest.process import Children

ADMIN = "admin"
"""The user whose kubeconfig may do everything."""

_SELF = "system:envtest"  # not the admin, so that counting the admin's requests does not count ours
_COMPONENTS = ("system:kube-controller-manager", "system:kube-scheduler", "system:kwok")
_PATIENCE = 60.0  # seconds for each step of coming up; on an idle machine all of them take three
_PORT_ATTEMPTS = 3


class ControlPlane:
    """A real API server for as long as the ``with`` block lasts."""

    def __init__(
        self,
        *,
        users: Sequence[str] = (),
        with_nodes: bool = True,
        nodes: int = 2,
        assets: Assets | None = None,
    ) -> None:
        """``users`` are further identities, without rights.

        ``with_nodes=False`` runs etcd and kube-apiserver alone: quicker, but nothing rolls out, no namespace finishes
        its deletion and nothing is garbage-collected. Raises AssetsError where no control plane can run.
        """
        self._assets = assets or Assets.of_this_machine()
        self._nodes = nodes if with_nodes else 0
        self._with_nodes = with_nodes
        self._named_users = tuple(users)
        self._users = {user.name: user for user in _identities(users)}
        self._folder: Folder | None = None
        self._layout: components.Layout | None = None  # outlives the folder, to tell where the logs are
        self._children: Children | None = None
        self._port = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        failed = isinstance(error, Exception)
        if failed and error is not None:
            error.add_note(f"logs of the control plane: {self.logs}")
        self.stop(keep_logs=failed)

    @property
    def url(self) -> str:
        """Where the API server listens."""
        return f"https://127.0.0.1:{self._port}"

    @property
    def ca_pem(self) -> str:
        """What to verify the API server's certificate with."""
        return self._files.serving_certificate.read_text()

    @property
    def directory(self) -> Path:
        """Its private folder (mode 0700); gone after ``stop``, but for ``logs`` when those are kept."""
        return self._files.root

    @property
    def logs(self) -> Path:
        """One file per component, and the audit log."""
        return self._files.logs

    @property
    def users(self) -> tuple[str, ...]:
        """The identities given at construction."""
        return self._named_users

    @property
    def audit(self) -> AuditLog:
        """Who asked the API server for what: to count requests."""
        return AuditLog(self._files.audit_log)

    def start(self) -> None:
        """Return once it is ready for use. Raises AssetsError or ControlPlaneError, with nothing left running."""
        tools = ["etcd", "kube-apiserver"]
        if self._with_nodes:
            tools += ["kube-controller-manager", "kube-scheduler", "kwok"]
        binaries = self._assets.ensure(tools)
        sweep()
        self._folder = Folder()
        self._layout = components.Layout(self._folder.path)
        try:
            self._prepare_files()
            self._children = Children(self.logs)
            self._start_etcd(binaries["etcd"])
            self._start_apiserver_somewhere()
            if self._with_nodes:
                self._start_workload_components(binaries)
        except BaseException as error:
            self.stop(keep_logs=isinstance(error, Exception))  # an interruption is nobody's failure
            raise

    def stop(self, *, keep_logs: bool = False) -> None:
        """Kill everything and remove the folder; with ``keep_logs`` all of it but the logs. Idempotent."""
        if self._children is not None:
            self._children.close()
            self._children = None
        if self._folder is not None:
            self._folder.remove(but=self.logs if keep_logs else None)
            self._folder = None

    def check(self) -> None:
        """Raise ControlPlaneError, with the end of its log, when a component has died."""
        self._running.check()

    def stop_apiserver(self) -> None:
        """An outage as by a crash: returns when it is gone. Everything else runs on."""
        self._running.kill("kube-apiserver")

    def start_apiserver(self) -> None:
        """The end of an outage: the same port, certificate and data as before. Returns once it is ready."""
        argv = components.apiserver(self._assets.path("kube-apiserver"), self._files, self._port)
        self._running.start("kube-apiserver", argv)
        wait_until("the API server", self._apiserver_is_ready, self._running.check, _PATIENCE)

    def restart_apiserver(self) -> None:
        """A short outage: every watch breaks, and all is as before."""
        self.stop_apiserver()
        self.start_apiserver()

    def kubeconfig(self, user: str = ADMIN, *, namespace: str = "default") -> Path:
        """A kubeconfig file (mode 0600) for ``ADMIN`` or one of the users given at construction."""
        return self._write_kubeconfig(user, self._users[user].token, namespace)

    def service_account_kubeconfig(self, namespace: str, name: str, *, seconds: int = 3600) -> Path:
        """A kubeconfig for an existing ServiceAccount, with a token of the TokenRequest API valid for ``seconds``."""
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": seconds},
        }
        answer = self._api().create(f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token", body)
        user = f"system:serviceaccount:{namespace}:{name}"
        return self._write_kubeconfig(user, answer["status"]["token"], namespace)

    @property
    def _files(self) -> components.Layout:
        if self._layout is None:
            raise ControlPlaneError("the control plane was not started")
        return self._layout

    @property
    def _running(self) -> Children:
        if self._children is None:
            raise ControlPlaneError("the control plane is not running")
        return self._children

    def _write_kubeconfig(self, user: str, token: str, namespace: str) -> Path:
        content = kubeconfig(self.url, self.ca_pem, user, token, namespace)
        return write_private(self._files.kubeconfig(user), content)

    def _api(self) -> Api:
        return Api(self.url, self.ca_pem, self._users[_SELF].token)

    def _prepare_files(self) -> None:
        self._files.logs.mkdir()
        self._files.serving_certificate.parent.mkdir()
        self._files.audit_policy.write_text(components.AUDIT_POLICY)
        write_private(self._files.service_account_key, service_account_key())
        write_private(self._files.tokens, token_file(tuple(self._users.values())))

    def _start_etcd(self, binary: Path) -> None:
        self._running.start("etcd", components.etcd(binary, self._files))
        wait_until("etcd", self._files.etcd_socket.is_socket, self._running.check, _PATIENCE)

    def _start_apiserver_somewhere(self) -> None:
        """A port that was free a moment ago may be taken by the time it is bound: then try another."""
        for attempt in range(_PORT_ATTEMPTS):
            self._port = free_port()
            try:
                self.start_apiserver()
            except ControlPlaneError as error:
                if "address already in use" not in str(error) or attempt == _PORT_ATTEMPTS - 1:
                    raise
            else:
                return

    def _apiserver_is_ready(self) -> bool:
        certificate = self._files.serving_certificate
        return certificate.exists() and certificate.read_text().endswith("-----\n") and self._api().is_ready()

    def _start_workload_components(self, binaries: dict[str, Path]) -> None:
        manager, scheduler, kwok = (self.kubeconfig(user) for user in _COMPONENTS)
        start, files = self._running.start, self._files
        start(
            "kube-controller-manager",
            components.controller_manager(binaries["kube-controller-manager"], files, manager),
        )
        start("kube-scheduler", components.scheduler(binaries["kube-scheduler"], scheduler))
        start("kwok", components.kwok(binaries["kwok"], kwok))
        api = self._api()
        create_nodes(api, self._nodes)
        wait_until("nodes", lambda: nodes_are_ready(api, self._nodes), self._running.check, _PATIENCE)


def _identities(names: Sequence[str]) -> list[User]:
    masters = (SYSTEM_MASTERS,)
    privileged = (ADMIN, _SELF, *_COMPONENTS)
    return [*(User(name, masters) for name in privileged), *(User(name) for name in names)]


def free_port() -> int:
    """A port of loopback that nobody holds at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
