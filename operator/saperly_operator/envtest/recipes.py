"""The table of tools: what each is called, which version is pinned, and how it is downloaded or built.

Read by ``assets`` and by the two sources behind it (``download``, ``build``). Pure data: to add a tool, add a row,
and for a new Go module a folder in ``gomods/``.
"""

import platform
import sys
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from saperly_operator.envtest.errors import AssetsError

KUBERNETES_VERSION = "v1.37.2"
ETCD_VERSION = "v3.6.16"
KWOK_VERSION = "v0.8.0"

GO_MODULES = Path(__file__).parent / "gomods"
STAGES = Path(__file__).parent / "stages" / "fast.yaml"


@dataclass(frozen=True)
class Platform:
    """An operating system and a processor, as Go names them."""

    os: str
    arch: str

    @classmethod
    def of_this_machine(cls) -> "Platform":
        """Raises AssetsError where no control plane can run (Windows)."""
        if sys.platform not in {"linux", "darwin"}:
            raise AssetsError(f"a control plane runs on Linux and macOS, not on {sys.platform}; use WSL on Windows")
        machine = platform.machine().lower()
        return cls(sys.platform, {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine))


@dataclass(frozen=True)
class Download:
    """Where a project publishes a tool, and the checksum beside it.

    ``url`` and ``checksums`` are templates over ``{version}``, ``{os}`` and ``{arch}``. ``checksums`` answers with
    the digest alone or with lines of ``digest  name``. ``member`` is the tool's path in the archive; empty for a bare
    binary. ``systems`` are the operating systems that are published.
    """

    url: str
    checksums: str
    member: str = ""
    systems: frozenset[str] = frozenset({"linux", "darwin"})


@dataclass(frozen=True)
class Tool:
    """One binary. ``module`` names both its folder in ``gomods/`` and the release it belongs to."""

    name: str
    module: str
    version: str
    package: str
    ldflags: str = ""
    download: Download | None = None

    def folder(self, machine: Platform) -> str:
        """The name of its folder in the cache; another version or platform never meets this one."""
        return f"{self.module}-{self.version}-{machine.os}-{machine.arch}"


def _kubernetes(name: str, *systems: str) -> Tool:
    version, (major, minor, _) = KUBERNETES_VERSION, KUBERNETES_VERSION.removeprefix("v").split(".")
    values = f"gitVersion={version}", f"gitMajor={major}", f"gitMinor={minor}"
    base = f"https://dl.k8s.io/release/{version}/bin/{{os}}/{{arch}}/{name}"
    return Tool(
        name=name,
        module="kubernetes",
        version=version,
        package=f"k8s.io/kubernetes/cmd/{name}",
        # Without these every binary says v0.0.0-master and clients refuse the version skew.
        ldflags=" ".join(f"-X k8s.io/{path}.{value}" for path in VERSIONED_PACKAGES for value in values),
        download=Download(url=base, checksums=f"{base}.sha256", systems=frozenset(systems)),
    )


VERSIONED_PACKAGES = ("component-base/version", "client-go/pkg/version")

_ETCD_RELEASE = f"https://github.com/etcd-io/etcd/releases/download/{ETCD_VERSION}"
_ETCD_ARCHIVE = f"etcd-{ETCD_VERSION}-{{os}}-{{arch}}"

# In the order in which a cold start needs them: etcd in seconds, then what compiles longest, so that the rest, which
# shares most of its packages, follows quickly.
TOOLS = MappingProxyType(
    {
        tool.name: tool
        for tool in (
            Tool(
                name="etcd",
                module="etcd",
                version=ETCD_VERSION,
                package=".",
                download=Download(
                    url=f"{_ETCD_RELEASE}/{_ETCD_ARCHIVE}.tar.gz",
                    checksums=f"{_ETCD_RELEASE}/SHA256SUMS",
                    member=f"{_ETCD_ARCHIVE}/etcd",
                    systems=frozenset({"linux"}),
                ),
            ),
            _kubernetes("kube-apiserver", "linux"),
            _kubernetes("kubectl", "linux", "darwin"),
            _kubernetes("kube-controller-manager", "linux"),
            _kubernetes("kube-scheduler", "linux"),
            # Published too, but without a checksum to hold it against; the Go module is pinned by hash.
            Tool(
                name="kwok",
                module="kwok",
                version=KWOK_VERSION,
                package="sigs.k8s.io/kwok/cmd/kwok",
                ldflags=f"-X sigs.k8s.io/kwok/pkg/consts.Version={KWOK_VERSION}",
            ),
        )
    }
)
