"""Building from source: what is asked of Go, and what a person without a usable Go is told."""

import re
from pathlib import Path

import pytest

from saperly_operator.envtest.build import GoBuild
from saperly_operator.envtest.errors import AssetsError, UnavailableError
from saperly_operator.envtest.progress import silent
from saperly_operator.envtest.recipes import GO_MODULES, TOOLS

WORKING_GO = """\
#!/bin/sh
if [ "$1" = version ]; then echo "go version go1.26.0 linux/amd64"; exit; fi
echo "go: downloading example.com/dependency v1.0.0" >&2
for argument in "$@"; do last=$previous; previous=$argument; done
printf '%s\\n' "$PWD" "$@" "GOPROXY=$GOPROXY" "GOWORK=$GOWORK" > "$last"
cp go.sum "$last.sum"
"""
OLD_GO = '#!/bin/sh\necho "go version go1.19.8 linux/amd64"\n'
BROKEN_GO = '#!/bin/sh\necho "cannot find GOROOT" >&2\nexit 2\n'
FAILING_GO = """\
#!/bin/sh
if [ "$1" = version ]; then echo "go version go1.26.0 linux/amd64"; exit; fi
echo "go: dial tcp: lookup proxy: no such host" >&2
exit 1
"""


def environment(folder: Path, go: str) -> dict[str, str]:
    """A PATH whose ``go`` is this script."""
    folder.mkdir(exist_ok=True)
    (folder / "go").write_text(go)
    (folder / "go").chmod(0o755)
    return {"PATH": f"{folder}:/usr/bin:/bin", "GOPROXY": "https://proxy.example"}


def test_a_tool_is_built_from_a_copy_of_its_pinned_module_and_nothing_may_depart_from_the_pins(
    tmp_path: Path,
) -> None:
    tool, target, told = TOOLS["kube-apiserver"], tmp_path / "out", list[str]()
    GoBuild(environment(tmp_path / "bin", WORKING_GO)).provide(tool, target, told.append)
    folder, *said = target.read_text().splitlines()
    assert Path(folder).name == "kubernetes"
    assert not Path(folder).exists()
    assert Path(folder) != GO_MODULES / "kubernetes"
    assert {"build", "-mod=readonly", tool.package, "GOWORK=off"} <= set(said)
    assert "GOPROXY=https://proxy.example" in said  # the environment's own, passed on
    assert (tmp_path / "out.sum").read_bytes() == (GO_MODULES / "kubernetes" / "go.sum").read_bytes()
    assert told[0] == f"building kube-apiserver {tool.version} from source (once; minutes, not seconds)"
    assert re.fullmatch(r"  built kube-apiserver in \d+s", told[-1])


@pytest.mark.parametrize(
    ("go", "complaint"),
    [
        pytest.param(OLD_GO, r"is go1\.19, too old: etcd can be neither .* Install Go 1\.21", id="too old"),
        pytest.param(BROKEN_GO, r"version' does not work \(cannot find GOROOT\): .* Install Go", id="broken"),
        pytest.param(FAILING_GO, r"(?s)exit code 1.*no such host.*set GOPROXY", id="no module proxy"),
    ],
)
def test_a_go_that_cannot_do_it_is_an_error_that_says_what_to_do(tmp_path: Path, go: str, complaint: str) -> None:
    with pytest.raises(AssetsError, match=complaint) as caught:
        GoBuild(environment(tmp_path / "bin", go)).provide(TOOLS["etcd"], tmp_path / "etcd", silent)
    assert not isinstance(caught.value, UnavailableError)


def test_no_go_at_all_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(
        AssetsError, match=r"no Go toolchain on PATH: .* Install Go 1\.21 or newer, or let KUBEBUILDER"
    ):
        GoBuild({"PATH": str(tmp_path)}).provide(TOOLS["etcd"], tmp_path / "etcd", silent)


def test_every_tool_has_a_module_that_pins_its_version_by_hash() -> None:
    proxies = {"etcd": "go.etcd.io/etcd/server/v3", "kubernetes": "k8s.io/kubernetes", "kwok": "sigs.k8s.io/kwok"}
    for tool in TOOLS.values():
        pin = f"{proxies[tool.module]} {tool.version}"
        assert pin in (GO_MODULES / tool.module / "go.mod").read_text()
        assert f"{pin} h1:" in (GO_MODULES / tool.module / "go.sum").read_text()


def test_the_modules_of_kubernetes_all_come_from_the_same_release() -> None:
    replaced = re.findall(r"=> (k8s\.io/\S+) (\S+)", (GO_MODULES / "kubernetes" / "go.mod").read_text())
    version = TOOLS["kube-apiserver"].version.replace("v1.", "v0.", 1)
    assert len(replaced) > 20
    assert {found for _, found in replaced} == {version}
