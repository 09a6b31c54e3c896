"""A simulated vendor in memory, in virtual time, with one service key: what every test of the core starts from."""

import json
import random
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any

from saperly_operator.clock import ManualClock
from saperly_operator.saperly.models import Environment
from saperly_operator.simulator.control import Control, NewServiceKey
from saperly_operator.simulator.core import Call, Core
from saperly_operator.simulator.messages import Request, Response
from saperly_operator.simulator.settings import Limits, Settings
from saperly_operator.simulator.store import Store

NO_LIMITS = Limits(mint=None, rotate=None, list=None, audit=None)


@dataclass(frozen=True)
class Reply:
    """A response, with its JSON taken apart."""

    status: int
    headers: Mapping[str, str]
    json: Any

    @property
    def key(self) -> dict[str, Any]:
        key: dict[str, Any] = self.json["key"]
        return key

    @property
    def refusal(self) -> tuple[int, str]:
        return self.status, self.json["error"]["code"]

    @property
    def details(self) -> dict[str, str]:
        return {detail["field"]: detail["message"] for detail in self.json["error"].get("details", [])}


def reply_of(response: Response) -> Reply:
    return Reply(response.status, response.headers, json.loads(response.body))


class Vendor:
    """The core and its levers; ``call`` speaks to it as the holder of the service key unless told otherwise."""

    def __init__(self, environment: Environment = Environment.TEST, store: Store | None = None) -> None:
        self.clock = ManualClock()
        self.core = Core(store or Store(), self.clock, random.Random(1).randbytes)
        self.control = Control(self.core)
        self.service_key = self.control.create_service_key(environment)

    def restarted(self, store: Store, seed: int) -> "Vendor":
        """The vendor of a new process: another core on ``store``, the same clock, the credential from before."""
        vendor = copy(self)
        vendor.core = Core(store, self.clock, random.Random(seed).randbytes)
        vendor.control = Control(vendor.core)
        return vendor

    def configure(self, **changes: object) -> None:
        """Change settings of the vendor; ``limits`` is given whole."""
        self.control.configure(Settings.model_validate({**self.core.store.settings.model_dump(), **changes}))

    def another_service_key(
        self, environment: Environment = Environment.TEST, account_id: str = "default"
    ) -> NewServiceKey:
        return self.control.create_service_key(environment, account_id)

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        key: str | None = None,
        by: str | None = None,
    ) -> Request:
        """``key`` is the Idempotency-Key, ``by`` the credential ("" for none), ``body`` JSON or raw bytes."""
        credential = self.service_key.plaintext if by is None else by
        headers = {"authorization": f"Bearer {credential}"} if credential else {}
        if key is not None:
            headers["idempotency-key"] = key
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        path, _, query = path.partition("?")
        return Request(method, path, query, headers, raw)

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        key: str | None = None,
        by: str | None = None,
    ) -> Reply:
        return reply_of(self.core.handle(self.request(method, path, body, key=key, by=by)))

    def begin_mint(self, key: str, name: str = "a key") -> Call:
        """A mint that has begun and has not taken effect."""
        return self.core.begin(self.request("POST", "/v1/keys", {"name": name}, key=key))

    def finish(self, call: Call) -> Reply:
        self.core.commit(call)
        return reply_of(self.core.answer(call))

    def mint(self, key: str = "mint-1", by: str | None = None, **fields: object) -> Reply:
        return self.call("POST", "/v1/keys", {"name": "a key", **fields}, key=key, by=by)

    def minted(self, key: str = "mint-1", by: str | None = None, **fields: object) -> dict[str, Any]:
        """The key object of a mint that has to succeed."""
        reply = self.mint(key, by, **fields)
        assert reply.status == 201, reply.json
        return reply.key

    def live_ids(self) -> set[str]:
        return {child.id for child in self.control.live_keys()}
