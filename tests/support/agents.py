"""Agents that use a Secret's key without a pause, and count the calls that Saperly refused them.

Two ways of holding a key: an agent that reads the Secret before each call, and one that reads it once, when its pod
starts, and uses that as long as its pod is there. Each runs in a thread of its own until it is stopped.
"""

import base64
import json
import ssl
import threading
import urllib.error
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.request import HTTPSHandler, ProxyHandler, Request, build_opener

import yaml

from tests.support.leaks import EVIDENCE

_TIMEOUT = 30.0


class Cluster:
    """Reads of a kube-apiserver as the user of a kubeconfig, in milliseconds where kubectl takes a hundred."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        server, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        authority = base64.b64decode(server["certificate-authority-data"]).decode()
        context = ssl.create_default_context(cadata=authority)
        self._opener = build_opener(ProxyHandler({}), HTTPSHandler(context=context))
        self._root = f"{server['server']}/api/v1/namespaces/{namespace}"
        self._headers = {"Authorization": f"Bearer {user['token']}"}

    def get(self, path: str) -> Any:
        with self._opener.open(Request(f"{self._root}/{path}", headers=self._headers), timeout=_TIMEOUT) as answer:
            return json.loads(answer.read())

    def key(self, secret: str, entry: str = "SAPERLY_API_KEY") -> str:
        """The plaintext in a Secret."""
        return EVIDENCE.learn(base64.b64decode(self.get(f"secrets/{secret}")["data"][entry]).decode())

    def pods(self, app: str) -> dict[str, str]:
        """The pods with that label that are not on their way out: uid and name."""
        items = self.get(f"pods?labelSelector=app%3D{app}")["items"]
        here = [item["metadata"] for item in items if "deletionTimestamp" not in item["metadata"]]
        return {metadata["uid"]: metadata["name"] for metadata in here}


def use(api_url: str, key: str) -> int:
    """One call to Saperly with an API key; returns the HTTP status."""
    request = Request(
        f"{api_url}/v1/audit?api_key_id=self&limit=1",
        headers={"Authorization": f"Bearer {key}"},
    )
    try:
        with build_opener(ProxyHandler({})).open(request, timeout=_TIMEOUT) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return int(error.code)


@dataclass
class Calls:
    """What became of an agent's calls, by HTTP status, and how many different keys they were made with."""

    by_status: dict[int, int] = field(default_factory=dict)
    keys: set[str] = field(default_factory=set, repr=False)

    def count(self, key: str, status: int) -> None:
        self.keys.add(key)
        self.by_status[status] = self.by_status.get(status, 0) + 1

    @property
    def failed(self) -> int:
        return sum(count for status, count in self.by_status.items() if status != 200)

    @property
    def total(self) -> int:
        return sum(self.by_status.values())


class Agent:
    """Calls ``turn`` again and again in a thread; ``calls`` is what came of it. An error of its own ends it."""

    def __init__(self, turn: Callable[[Calls], None]) -> None:
        self.calls = Calls()
        self.error: BaseException | None = None
        self._turn = turn
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._turn(self.calls)
        except BaseException as error:  # noqa: BLE001 (shown by whoever looks at the calls)
            self.error = error


def rereading(cluster: Cluster, api_url: str, secret: str) -> Agent:
    """Reads the Secret before each call."""

    def turn(calls: Calls) -> None:
        key = cluster.key(secret)
        calls.count(key, use(api_url, key))

    return Agent(turn)


def living_in_pods(cluster: Cluster, api_url: str, secret: str, app: str) -> Agent:
    """One in each pod: reads the Secret when the pod is there, and never again as long as it is."""
    held: dict[str, str] = {}

    def turn(calls: Calls) -> None:
        pods = cluster.pods(app)
        for uid in held.keys() - pods.keys():
            del held[uid]
        for uid in pods.keys() - held.keys():
            held[uid] = cluster.key(secret)
        for key in held.values():
            calls.count(key, use(api_url, key))

    return Agent(turn)
