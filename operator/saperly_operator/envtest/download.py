"""Published binaries, for machines whose network has them.

Used by ``assets`` before the build. Each file is checked against the SHA-256 that its project publishes beside it,
both over verified TLS: that finds a truncated or altered file, and trusts the site as every download page does.
Without a network it must fail within seconds, because the build takes minutes and should begin.
"""

import hashlib
import shutil
import tarfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from saperly_operator.envtest.errors import UnavailableError
from saperly_operator.envtest.progress import Heartbeat, Report
from saperly_operator.envtest.recipes import Download, Platform, Tool

OpenUrl = Callable[[str], IO[bytes]]
"""Opens a URL for reading; raises OSError (urllib's errors are) when it cannot."""

_TIMEOUT = 5.0  # seconds without a byte
_CHUNK = 1 << 20
_DIGEST_LENGTH = 64


def open_url(url: str) -> IO[bytes]:
    """The real thing: HTTPS only, proxies of the environment respected."""
    if urlsplit(url).scheme != "https":
        raise UnavailableError(f"refusing to download over anything but https: {url}")
    answer: IO[bytes] = urllib.request.urlopen(url, timeout=_TIMEOUT)  # noqa: S310  the scheme was just checked
    return answer


class Downloads:
    """A source of tools. A site that could not be reached once is not asked again in this process."""

    def __init__(self, machine: Platform, opener: OpenUrl = open_url) -> None:
        self._machine = machine
        self._open = opener
        self._unreachable: set[str] = set()

    def provide(self, tool: Tool, target: Path, report: Report) -> None:
        """Write the tool to ``target``. Raises UnavailableError with one line of reason."""
        published = tool.download
        if published is None or self._machine.os not in published.systems:
            raise UnavailableError(f"{tool.name} is not published with a checksum for {self._machine.os}")
        url = self._fill(published.url, tool)
        digest = self._digest(self._fill(published.checksums, tool), url.rpartition("/")[2])
        report(f"downloading {tool.name} {tool.version} from {urlsplit(url).hostname}")
        body = target.with_suffix(".download")
        try:
            self._save(url, digest, body, report)
            self._unpack(published, self._fill(published.member, tool), body, target)
        finally:
            body.unlink(missing_ok=True)

    def _fill(self, template: str, tool: Tool) -> str:
        return template.format(version=tool.version, os=self._machine.os, arch=self._machine.arch)

    def _digest(self, url: str, name: str) -> str:
        with self._reach(url) as answer:
            text = answer.read(_CHUNK).decode("ascii", errors="replace")
        for line in text.splitlines():
            digest, _, named = line.partition(" ")
            if len(digest) == _DIGEST_LENGTH and named.strip().lstrip("*") in {"", name}:
                return digest.lower()
        raise UnavailableError(f"{url} holds no checksum of {name}")

    def _save(self, url: str, digest: str, body: Path, report: Report) -> None:
        seen, heartbeat = hashlib.sha256(), Heartbeat(report)
        size = 0
        with self._reach(url) as answer, body.open("wb") as file:
            while chunk := answer.read(_CHUNK):
                seen.update(chunk)
                file.write(chunk)
                size += len(chunk)
                heartbeat.beat(f"  {size >> 20} MB of {url.rpartition('/')[2]}")
        if seen.hexdigest() != digest:
            raise UnavailableError(f"{url} does not match its published checksum")

    @staticmethod
    def _unpack(published: Download, member: str, body: Path, target: Path) -> None:
        if not published.member:
            body.replace(target)
            return
        with tarfile.open(body) as archive, target.open("wb") as file:
            found = archive.extractfile(member)
            if found is None:
                raise UnavailableError(f"{member} is not a file in the published archive")
            shutil.copyfileobj(found, file)

    @contextmanager
    def _reach(self, url: str) -> Iterator[IO[bytes]]:
        host = urlsplit(url).netloc
        if host in self._unreachable:
            raise UnavailableError(f"{host} cannot be reached from here")
        try:
            with self._open(url) as answer:
                yield answer
        except urllib.error.HTTPError as error:
            error.close()
            raise UnavailableError(f"{url} answered {error.code}") from error
        except (OSError, HTTPException) as error:
            self._unreachable.add(host)
            reason = getattr(error, "reason", None) or error
            raise UnavailableError(f"{host} cannot be reached from here ({reason})") from error
