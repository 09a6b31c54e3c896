"""The command line of each component: pure functions of where things are.

Called by ``ControlPlane``. No credential is ever an argument: tokens, keys and kubeconfigs are named by their files.
"""

from dataclasses import dataclass
from pathlib import Path

from saperly_operator.envtest.recipes import STAGES

AUDIT_POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  # The control plane's own traffic is large and nobody's question.
  - level: None
    users: [system:apiserver, system:envtest, system:kube-controller-manager, system:kube-scheduler, system:kwok]
  # Metadata: who asked what and the answer's code, never a body, so never a Secret.
  - level: Metadata
"""


@dataclass(frozen=True)
class Layout:
    """Where one control plane keeps its files. ``root`` is private to its owner (mode 0700)."""

    root: Path

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def audit_log(self) -> Path:
        return self.logs / "audit.log"

    @property
    def etcd_socket(self) -> Path:
        """A socket instead of a port: nothing to collide with, and no other user of the machine can read etcd."""
        return self.root / "etcd.sock"

    @property
    def serving_certificate(self) -> Path:
        """Made by the API server itself; holds its certificate and the authority that signed it."""
        return self.root / "certificates" / "apiserver.crt"

    @property
    def service_account_key(self) -> Path:
        return self.root / "service-account.key"

    @property
    def tokens(self) -> Path:
        return self.root / "tokens.csv"

    @property
    def audit_policy(self) -> Path:
        return self.root / "audit-policy.yaml"

    def kubeconfig(self, user: str) -> Path:
        return self.root / f"{user.replace(':', '-').replace('/', '-')}.kubeconfig"


def etcd(binary: Path, layout: Layout) -> list[str]:
    nowhere = "http://localhost:1"  # a lone member is never dialled, but must advertise something with a port
    return [
        str(binary),
        "--name=envtest",
        f"--data-dir={layout.root / 'etcd'}",
        f"--listen-client-urls=unix://{layout.etcd_socket}",
        f"--advertise-client-urls={nowhere}",
        f"--listen-peer-urls=unix://{layout.root}/etcd-peer.sock",
        f"--initial-advertise-peer-urls={nowhere}",
        f"--initial-cluster=envtest={nowhere}",
        "--unsafe-no-fsync",  # the data dies with the plane
        "--log-level=warn",
    ]


def apiserver(binary: Path, layout: Layout, port: int) -> list[str]:
    return [
        str(binary),
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        # It refuses to advertise loopback as the endpoint of the "kubernetes" Service; here nothing would use it.
        "--endpoint-reconciler-type=none",
        f"--cert-dir={layout.serving_certificate.parent}",
        f"--etcd-servers=unix://{layout.etcd_socket}",
        "--authorization-mode=RBAC",
        f"--token-auth-file={layout.tokens}",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={layout.service_account_key}",
        f"--service-account-signing-key-file={layout.service_account_key}",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--allow-privileged=true",
        f"--audit-policy-file={layout.audit_policy}",
        f"--audit-log-path={layout.audit_log}",
        "--audit-log-maxsize=4096",  # MB; a rotated log would be half a count
        "--profiling=false",
    ]


def controller_manager(binary: Path, layout: Layout, kubeconfig: Path) -> list[str]:
    return [
        str(binary),
        f"--kubeconfig={kubeconfig}",
        "--leader-elect=false",
        "--secure-port=0",
        f"--service-account-private-key-file={layout.service_account_key}",
        f"--root-ca-file={layout.serving_certificate}",
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
        "--node-monitor-period=1s",  # how soon a Ready node loses its not-ready taint
        # KWOK's nodes report about once in the default grace period of 50 s. On a slow machine that is too late, and a
        # node that was not Ready for a moment takes its pods along for good: KWOK makes them Ready only once.
        "--node-monitor-grace-period=1h",
        "--profiling=false",
    ]


def scheduler(binary: Path, kubeconfig: Path) -> list[str]:
    return [
        str(binary),
        f"--kubeconfig={kubeconfig}",
        "--leader-elect=false",
        "--secure-port=0",
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
        "--profiling=false",
    ]


def kwok(binary: Path, kubeconfig: Path) -> list[str]:
    return [str(binary), f"--kubeconfig={kubeconfig}", f"--config={STAGES}", "--manage-all-nodes=true"]
