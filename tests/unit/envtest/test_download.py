"""Published binaries: taken only when their checksum fits, and given up quickly where there is no network."""

import hashlib
import io
import tarfile
import urllib.error
from email.message import Message
from pathlib import Path
from typing import IO

import pytest

from saperly_operator.envtest.download import Downloads, open_url
from saperly_operator.envtest.errors import UnavailableError
from saperly_operator.envtest.progress import silent
from saperly_operator.envtest.recipes import TOOLS, Platform, Tool

LINUX, MAC = Platform("linux", "amd64"), Platform("darwin", "arm64")
KUBECTL, ETCD, KWOK = TOOLS["kubectl"], TOOLS["etcd"], TOOLS["kwok"]


class Site:
    """A web site by its pages; an exception in place of a page is raised. Remembers what was fetched."""

    def __init__(self, pages: dict[str, bytes | OSError]) -> None:
        self.pages = pages
        self.fetched: list[str] = []

    def __call__(self, url: str) -> IO[bytes]:
        self.fetched.append(url)
        page = self.pages.get(url, urllib.error.HTTPError(url, 404, "Not Found", Message(), None))
        if isinstance(page, OSError):
            raise page
        return io.BytesIO(page)


def urls(tool: Tool, machine: Platform = LINUX) -> tuple[str, str]:
    """Of the binary and of its checksum."""
    assert tool.download is not None
    fill = {"version": tool.version, "os": machine.os, "arch": machine.arch}
    return tool.download.url.format(**fill), tool.download.checksums.format(**fill)


def provide(site: Site, tool: Tool, target: Path, machine: Platform = LINUX) -> bytes:
    Downloads(machine, site).provide(tool, target, silent)
    return target.read_bytes()


def test_a_bare_binary_is_taken_when_its_checksum_fits(tmp_path: Path) -> None:
    binary, checksum = urls(KUBECTL)
    site = Site({binary: b"kubectl!", checksum: hashlib.sha256(b"kubectl!").hexdigest().encode()})
    assert provide(site, KUBECTL, tmp_path / "kubectl") == b"kubectl!"
    assert list(tmp_path.iterdir()) == [tmp_path / "kubectl"]


def test_a_binary_that_does_not_match_its_checksum_is_refused_and_removed(tmp_path: Path) -> None:
    binary, checksum = urls(KUBECTL)
    site = Site({binary: b"something else", checksum: hashlib.sha256(b"kubectl!").hexdigest().encode()})
    with pytest.raises(UnavailableError, match="does not match its published checksum"):
        provide(site, KUBECTL, tmp_path / "kubectl")
    assert list(tmp_path.iterdir()) == []


def test_a_tool_is_taken_out_of_its_archive(tmp_path: Path) -> None:
    binary, checksum = urls(ETCD)
    archive = archive_with(f"etcd-{ETCD.version}-linux-amd64/etcd", b"etcd!")
    name = binary.rpartition("/")[2]
    sums = f"{'0' * 64}  another.tar.gz\n{hashlib.sha256(archive).hexdigest()}  {name}\n".encode()
    assert provide(Site({binary: archive, checksum: sums}), ETCD, tmp_path / "etcd") == b"etcd!"
    assert list(tmp_path.iterdir()) == [tmp_path / "etcd"]


def archive_with(member: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        entry = tarfile.TarInfo(member)
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


@pytest.mark.parametrize(
    "sums",
    [
        pytest.param(b"", id="an empty page"),
        pytest.param(b"<html>sign in to the hotel's network</html>", id="a page of another kind"),
        pytest.param(f"{'0' * 64}  another-name".encode(), id="the checksums of other files"),
    ],
)
def test_without_a_checksum_nothing_is_downloaded(tmp_path: Path, sums: bytes) -> None:
    binary, checksum = urls(KUBECTL)
    site = Site({binary: b"kubectl!", checksum: sums})
    with pytest.raises(UnavailableError, match="holds no checksum of kubectl"):
        provide(site, KUBECTL, tmp_path / "kubectl")
    assert site.fetched == [checksum]


def test_what_is_not_published_for_this_platform_asks_nobody(tmp_path: Path) -> None:
    site = Site({})
    with pytest.raises(UnavailableError, match="kube-apiserver is not published with a checksum for darwin"):
        provide(site, TOOLS["kube-apiserver"], tmp_path / "x", MAC)
    with pytest.raises(UnavailableError, match="kwok is not published with a checksum for linux"):
        provide(site, KWOK, tmp_path / "x")
    assert site.fetched == []


def test_a_missing_page_is_one_line_of_reason(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"^https://\S+ answered 404$"):
        provide(Site({}), KUBECTL, tmp_path / "kubectl")


def test_a_site_that_cannot_be_reached_is_asked_once_only(tmp_path: Path) -> None:
    checksum = urls(KUBECTL)[1]
    site = Site({checksum: urllib.error.URLError("Name or service not known")})
    downloads = Downloads(LINUX, site)
    with pytest.raises(UnavailableError, match=r"cannot be reached from here \(Name or service not known\)"):
        downloads.provide(KUBECTL, tmp_path / "kubectl", silent)
    with pytest.raises(UnavailableError, match="cannot be reached from here"):
        downloads.provide(TOOLS["kube-scheduler"], tmp_path / "kube-scheduler", silent)
    assert site.fetched == [checksum]


def test_a_connection_lost_on_the_way_leaves_nothing(tmp_path: Path) -> None:
    class Cut(io.BytesIO):
        def read(self, _size: int | None = -1, /) -> bytes:
            raise ConnectionResetError("reset by peer")

    binary, checksum = urls(KUBECTL)
    site = Site({checksum: hashlib.sha256(b"").hexdigest().encode()})
    downloads = Downloads(LINUX, lambda url: Cut() if url == binary else site(url))
    with pytest.raises(UnavailableError, match="reset by peer"):
        downloads.provide(KUBECTL, tmp_path / "kubectl", silent)
    assert list(tmp_path.iterdir()) == []


def test_only_https_is_opened() -> None:
    with pytest.raises(UnavailableError, match="anything but https"):
        open_url("http://example.com/kubectl")


def test_every_address_in_the_table_is_https_and_pinned_to_its_version() -> None:
    for tool in TOOLS.values():
        if tool.download is not None:
            for url in urls(tool):
                assert url.startswith("https://")
                assert tool.version in url
