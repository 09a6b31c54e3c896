"""The control surface as typed Python: for the demo, for tests, and for users' own CI in Python.

On the standard library's HTTP client, so that it needs nothing of the simulator's server side. Blocking, with one
connection a call, and past any proxy: the simulator is on this machine.
"""

import json
from collections.abc import Mapping
from typing import TypeVar
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import ProxyHandler, Request, build_opener

from pydantic import BaseModel, TypeAdapter

from saperly_operator.simulator.calls import CallRecord
from saperly_operator.simulator.control_orders import (
    BlockOrder,
    CallCount,
    ClockOrder,
    ClockView,
    Credential,
    KeyOrder,
    LineOrder,
    ServiceKeyOrder,
    UseOrder,
)
from saperly_operator.simulator.faults import Fault, OrderedFault
from saperly_operator.simulator.settings import Settings
from saperly_operator.simulator.state import Block, Child, Event, Line, ServiceKey

_T = TypeVar("_T")
_TIMEOUT_SECONDS = 10.0

_SERVICE_KEYS = TypeAdapter(list[ServiceKey])
_SERVICE_KEY = TypeAdapter(ServiceKey)
_CREDENTIAL = TypeAdapter(Credential)
_LINE = TypeAdapter(Line)
_BLOCKS = TypeAdapter(list[Block])
_BLOCK = TypeAdapter(Block)
_CHILDREN = TypeAdapter(list[Child])
_CHILD = TypeAdapter(Child)
_EVENTS = TypeAdapter(list[Event])
_FAULTS = TypeAdapter(list[OrderedFault])
_FAULT = TypeAdapter(OrderedFault)
_CALLS = TypeAdapter(list[CallRecord])
_COUNTS = TypeAdapter(list[CallCount])
_CLOCK = TypeAdapter(ClockView)
_SETTINGS = TypeAdapter(Settings)


class ControlError(Exception):
    """The control surface refused an order; the message is its answer, which holds no credential."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(f"{status} {body}")
        self.status = status


class SimulatorControl:
    """The levers of a running simulator. ``url`` is its ``control_url``, as the ready file has it.

    Every method raises ``ControlError`` for a refusal and ``OSError`` when nobody answers.
    """

    def __init__(self, url: str, token: str | None = None) -> None:
        self._url = url.rstrip("/")
        self._opener = build_opener(ProxyHandler({}))
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}

    def create_service_key(self, order: ServiceKeyOrder | None = None) -> Credential:
        """Its plaintext is told this once."""
        return self._ask("POST", "/service-keys", _CREDENTIAL, order or ServiceKeyOrder())

    def service_keys(self) -> list[ServiceKey]:
        return self._ask("GET", "/service-keys", _SERVICE_KEYS)

    def revoke_service_key(self, service_key_id: str) -> ServiceKey:
        return self._ask("DELETE", f"/service-keys/{_quoted(service_key_id)}", _SERVICE_KEY)

    def create_line(self, order: LineOrder | None = None) -> Line:
        return self._ask("POST", "/lines", _LINE, order or LineOrder())

    def release_line(self, line_id: str) -> Line:
        return self._ask("DELETE", f"/lines/{_quoted(line_id)}", _LINE)

    def block(self, order: BlockOrder) -> Block:
        """Refuse with ``order.code`` until ``unblock``."""
        return self._ask("POST", "/blocks", _BLOCK, order)

    def blocks(self) -> list[Block]:
        return self._ask("GET", "/blocks", _BLOCKS)

    def unblock(self, block_id: str) -> None:
        self._tell("DELETE", f"/blocks/{_quoted(block_id)}")

    def settings(self) -> Settings:
        return self._ask("GET", "/settings", _SETTINGS)

    def change_settings(self, changes: Mapping[str, object]) -> Settings:
        """``changes``: fields of ``Settings``; of ``limits`` only those that change."""
        return self._ask("PATCH", "/settings", _SETTINGS, changes)

    def lift_limits(self) -> Settings:
        """No hourly limits from now on."""
        return self.change_settings({"limits": {"mint": None, "rotate": None, "list": None, "audit": None}})

    def clock(self) -> ClockView:
        return self._ask("GET", "/clock", _CLOCK)

    def advance_clock(self, seconds: float) -> ClockView:
        return self._ask("POST", "/clock", _CLOCK, ClockOrder(advance_seconds=seconds))

    def ledger(self) -> list[Child]:
        """Every key ever minted, oldest first; ``digest`` is the SHA-256 of its plaintext."""
        return self._ask("GET", "/keys", _CHILDREN)

    def live_keys(self) -> list[Child]:
        return self._ask("GET", "/keys?live=true", _CHILDREN)

    def plant_key(self, order: KeyOrder) -> Credential:
        """A child key that somebody else made; its plaintext is told this once."""
        return self._ask("POST", "/keys", _CREDENTIAL, order)

    def revoke_key(self, key_id: str) -> Child:
        """As a person does in the portal."""
        return self._ask("POST", f"/keys/{_quoted(key_id)}/revoke", _CHILD)

    def use_key(self, key_id: str, spend_cents: int = 0) -> Child:
        """As if somebody had placed a call with it; sets ``last_used_at``."""
        return self._ask("POST", f"/keys/{_quoted(key_id)}/use", _CHILD, UseOrder(spend_cents=spend_cents))

    def events(self) -> list[Event]:
        """The whole audit trail, newest first."""
        return self._ask("GET", "/events", _EVENTS)

    def order_fault(self, fault: Fault) -> OrderedFault:
        return self._ask("POST", "/faults", _FAULT, fault)

    def faults(self) -> list[OrderedFault]:
        """``hits`` and ``holding`` tell what each has done and which calls it holds now."""
        return self._ask("GET", "/faults", _FAULTS)

    def release_fault(self, fault_id: str) -> None:
        """Let go the calls that a ``hold`` keeps waiting now."""
        self._tell("POST", f"/faults/{_quoted(fault_id)}/release")

    def cancel_fault(self, fault_id: str) -> None:
        self._tell("DELETE", f"/faults/{_quoted(fault_id)}")

    def cancel_all_faults(self) -> None:
        self._tell("DELETE", "/faults")

    def calls(self, after: int = 0) -> list[CallRecord]:
        """The calls numbered above ``after``, in the order in which they ended."""
        return self._ask("GET", f"/calls?after={after}", _CALLS)

    def call_counts(self) -> list[CallCount]:
        return self._ask("GET", "/calls/counts", _COUNTS)

    def forget_calls(self) -> None:
        """Start counting afresh."""
        self._tell("DELETE", "/calls")

    def _ask(
        self, method: str, path: str, answer: TypeAdapter[_T], body: BaseModel | Mapping[str, object] | None = None
    ) -> _T:
        return answer.validate_json(self._tell(method, path, body))

    def _tell(self, method: str, path: str, body: BaseModel | Mapping[str, object] | None = None) -> bytes:
        text = body.model_dump_json() if isinstance(body, BaseModel) else json.dumps(body or {})
        data = None if method == "GET" else text.encode()
        request = Request(self._url + path, data=data, headers=self._headers, method=method)  # noqa: S310 -- the caller's own simulator
        try:
            with self._opener.open(request, timeout=_TIMEOUT_SECONDS) as answer:
                body_read: bytes = answer.read()
        except HTTPError as error:
            with error:
                raise ControlError(error.code, error.read().decode("utf-8", "replace")) from None
        return body_read


def _quoted(text: str) -> str:
    return quote(text, safe="")
