"""In which order the binaries are looked for, and that a half-made one is never met."""

import fcntl
import os
from pathlib import Path

import pytest

from saperly_operator.envtest.assets import Assets, Source
from saperly_operator.envtest.errors import AssetsError, UnavailableError
from saperly_operator.envtest.progress import Report, silent
from saperly_operator.envtest.recipes import TOOLS, Platform, Tool

LINUX = Platform("linux", "amd64")


class Shop:
    """A source that has some tools, and remembers what it was asked for."""

    def __init__(self, name: str, *has: str) -> None:
        self.name = name
        self.has = has
        self.asked: list[str] = []

    def provide(self, tool: Tool, target: Path, _report: Report) -> None:
        self.asked.append(tool.name)
        if tool.name not in self.has:
            raise UnavailableError(f"{self.name} is out of {tool.name}")
        target.write_text(f"{tool.name} from {self.name}")


def assets(cache: Path, *sources: Source, given: Path | None = None, report: Report = silent) -> Assets:
    environ = {"SAPERLY_ENVTEST_CACHE": str(cache)}
    if given is not None:
        environ["KUBEBUILDER_ASSETS"] = str(given)
    return Assets(environ, sources, LINUX, report)


def folder_with(path: Path, *names: str) -> Path:
    path.mkdir()
    for name in names:
        (path / name).write_text("given")
        (path / name).chmod(0o755)
    return path


def test_a_given_folder_comes_before_the_cache_and_every_source(tmp_path: Path) -> None:
    given, shop = folder_with(tmp_path / "given", "etcd", "kube-apiserver"), Shop("site", *TOOLS)
    assets(tmp_path / "cache", shop).path("etcd")
    assert assets(tmp_path / "cache", shop, given=given).path("etcd") == given / "etcd"
    assert shop.asked == ["etcd"]


def test_what_the_given_folder_lacks_comes_from_the_cache(tmp_path: Path) -> None:
    given, shop = folder_with(tmp_path / "given", "etcd", "kube-apiserver"), Shop("site", "kwok")
    found = assets(tmp_path / "cache", shop, given=given).ensure(["etcd", "kube-apiserver", "kwok"])
    assert found["kwok"] == tmp_path / "cache" / TOOLS["kwok"].folder(LINUX) / "kwok"
    assert shop.asked == ["kwok"]


@pytest.mark.parametrize("lacking", ["etcd", "kube-apiserver"])
def test_a_given_folder_without_the_essential_is_refused_by_name(tmp_path: Path, lacking: str) -> None:
    given = folder_with(tmp_path / "given", *{"etcd", "kube-apiserver"} - {lacking})
    with pytest.raises(AssetsError, match=rf"KUBEBUILDER_ASSETS=.* has no {lacking}; unset it or complete it"):
        assets(tmp_path / "cache", given=given).path("kwok")


def test_a_file_that_cannot_be_executed_is_no_binary(tmp_path: Path) -> None:
    given = folder_with(tmp_path / "given", "etcd", "kube-apiserver")
    (given / "etcd").chmod(0o644)
    with pytest.raises(AssetsError, match="has no etcd"):
        assets(tmp_path / "cache", given=given).path("etcd")


def test_what_is_cached_asks_no_source(tmp_path: Path) -> None:
    shop = Shop("site", "etcd")
    first = assets(tmp_path, shop).path("etcd")
    assert assets(tmp_path, shop).path("etcd") == first
    assert shop.asked == ["etcd"]


def test_the_next_source_is_asked_when_one_is_out_and_the_reason_is_told(tmp_path: Path) -> None:
    told: list[str] = []
    first, second = Shop("site"), Shop("build", "etcd")
    path = assets(tmp_path, first, second, report=told.append).path("etcd")
    assert path.read_text() == "etcd from build"
    assert os.access(path, os.X_OK)
    assert told == ["etcd: site is out of etcd"]


def test_when_every_source_is_out_all_reasons_are_given(tmp_path: Path) -> None:
    with pytest.raises(AssetsError, match="etcd cannot be provided: site is out of etcd; build is out of etcd"):
        assets(tmp_path, Shop("site"), Shop("build")).path("etcd")


def test_an_error_that_is_no_absence_ends_the_search(tmp_path: Path) -> None:
    class Broken:
        def provide(self, _tool: Tool, _target: Path, _report: Report) -> None:
            raise AssetsError("no Go toolchain")

    after = Shop("after", "etcd")
    with pytest.raises(AssetsError, match="no Go toolchain"):
        assets(tmp_path, Broken(), after).path("etcd")
    assert after.asked == []


def test_a_source_that_fails_half_way_leaves_nothing_to_be_found(tmp_path: Path) -> None:
    class HalfWay:
        def provide(self, _tool: Tool, target: Path, _report: Report) -> None:
            target.write_text("half a binary")
            target.chmod(0o755)
            raise KeyboardInterrupt

    cold = assets(tmp_path, HalfWay())
    with pytest.raises(KeyboardInterrupt):
        cold.path("etcd")
    assert cold.find("etcd") is None
    assert [file.name for file in tmp_path.rglob("*") if file.is_file()] == [".etcd.lock"]


def test_each_tool_can_be_used_while_the_next_is_still_missing(tmp_path: Path) -> None:
    cold = assets(tmp_path, Shop("site", "etcd"))
    with pytest.raises(AssetsError, match="kube-apiserver"):
        cold.ensure(["etcd", "kube-apiserver"])
    assert cold.find("etcd") is not None


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        pytest.param({"SAPERLY_ENVTEST_CACHE": "/own", "XDG_CACHE_HOME": "/xdg"}, "/own", id="its own variable wins"),
        pytest.param({"XDG_CACHE_HOME": "/xdg"}, "/xdg/saperly-operator/envtest", id="then the XDG cache"),
        pytest.param({}, "{home}/.cache/saperly-operator/envtest", id="else under the home folder"),
    ],
)
def test_where_the_cache_is(environ: dict[str, str], expected: str) -> None:
    assert str(Assets(environ, (), LINUX).cache) == expected.format(home=Path.home())


def test_versions_and_platforms_do_not_share_a_cached_file() -> None:
    tool = TOOLS["kubectl"]
    folders = {tool.folder(machine) for machine in (LINUX, Platform("linux", "arm64"), Platform("darwin", "arm64"))}
    assert len(folders) == 3
    assert all(tool.version in folder for folder in folders)


def test_two_processes_do_not_do_the_same_work(tmp_path: Path) -> None:
    """The second waits for the lock, says so, and takes what the first has made meanwhile."""
    tool, shop = TOOLS["etcd"], Shop("second", "etcd")
    target = tmp_path / tool.folder(LINUX) / tool.name
    target.parent.mkdir()
    told: list[str] = []
    with target.with_name(".etcd.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)

        def first_is_done(line: str) -> None:
            told.append(line)
            target.write_text("made by the first")
            target.chmod(0o755)
            fcntl.flock(held, fcntl.LOCK_UN)

        path = assets(tmp_path, shop, report=first_is_done).path("etcd")
    assert path.read_text() == "made by the first"
    assert shop.asked == []
    assert told == ["waiting for another process that is preparing etcd"]
