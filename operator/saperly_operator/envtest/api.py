"""The few requests that the control plane makes of itself while it comes up. Not a client for anything else."""

import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

from saperly_operator.envtest.errors import ControlPlaneError

_TIMEOUT = 5.0  # seconds per request
_POLL = 0.02  # seconds between two looks


class Api:
    """Speaks JSON to one API server as one bearer."""

    def __init__(self, url: str, ca_pem: str, token: str) -> None:
        self._url = url
        self._token = token
        # No proxy of the environment stands between this process and its own loopback.
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=ssl.create_default_context(cadata=ca_pem)),
        )

    def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> bytes:
        """The answer's body. Raises urllib.error.HTTPError, or OSError when there is no answer."""
        request = urllib.request.Request(  # noqa: S310  the scheme is ours
            self._url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"},
        )
        with self._opener.open(request, timeout=_TIMEOUT) as answer:
            content: bytes = answer.read()
        return content

    def get(self, path: str) -> dict[str, Any] | None:
        """The object, or None while it or the server is not there."""
        try:
            found: dict[str, Any] = json.loads(self.request("GET", path))
        except OSError:  # also HTTPError: a server that is starting answers 403, 404 and 500 for a while
            return None
        return found

    def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The object as created. Raises ControlPlaneError with the server's own words."""
        try:
            made: dict[str, Any] = json.loads(self.request("POST", path, body))
        except urllib.error.HTTPError as error:
            with error:
                raise ControlPlaneError(
                    f"POST {path}: {error.code} {error.read().decode(errors='replace')}"
                ) from None
        return made

    def is_ready(self) -> bool:
        """Whether /readyz says so."""
        try:
            return self.request("GET", "/readyz") == b"ok"
        except OSError:
            return False


def wait_until(what: str, holds: Callable[[], bool], check: Callable[[], None], seconds: float) -> None:
    """Look until ``holds``; ``check`` may raise to end it early. Raises ControlPlaneError after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not holds():
        check()
        if time.monotonic() > deadline:
            raise ControlPlaneError(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(_POLL)
