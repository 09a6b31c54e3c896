"""The control surface on HTTP, under ``/_control``; the reference with examples is docs/simulator.md.

Answers are the records of ``state``, ``settings``, ``faults`` and ``calls`` as JSON, as they are. Bad input answers
422 and unknown ids 404, in the vendor's error envelope. ``control_client`` is the Python side of it.
"""

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from saperly_operator.simulator.control import Control, UnknownIdError
from saperly_operator.simulator.control_orders import (
    BlockOrder,
    CallCount,
    ClockOrder,
    ClockView,
    Credential,
    KeyOrder,
    LineOrder,
    ServiceKeyOrder,
    SettingsOrder,
    UseOrder,
)
from saperly_operator.simulator.core import Core
from saperly_operator.simulator.errors import ApiError, invalid_api_key, not_found, validation_error
from saperly_operator.simulator.faults import Fault, FaultBook, OrderedFault
from saperly_operator.simulator.settings import Settings
from saperly_operator.simulator.state import Block
from saperly_operator.simulator.validation import details_of
from saperly_operator.simulator.vendor_http import Gates

PREFIX = "/_control"

_Model = TypeVar("_Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request to the control surface: the id in its path, its query, its body."""

    id: str
    query: Mapping[str, str]
    body: bytes = field(repr=False)

    def order(self, model: type[_Model]) -> _Model:
        """The body; an empty one is the same as ``{}``."""
        return model.model_validate_json(self.body or b"{}")


@dataclass(frozen=True)
class ControlHttp:
    """The routes over one simulator. With a ``token`` every request must carry it as its Bearer credential."""

    core: Core
    control: Control
    faults: FaultBook
    gates: Gates
    token: str | None = field(default=None, repr=False)

    def routes(self) -> list[Route]:
        return [
            Route(PREFIX + path, partial(self._serve, action), methods=[method])
            for (method, path), action in ROUTES.items()
        ]

    async def _serve(self, action: "Action", request: Request) -> Response:
        try:
            self._check_token(request)
            asked = Asked(request.path_params.get("id", ""), request.query_params, await request.body())
            value = action(self, asked)
        except ApiError as error:
            return _json(error.body(), error.status)
        except ValidationError as error:
            return _json(validation_error(details_of(error)).body(), 422)
        except UnknownIdError as error:
            return _json(not_found(str(error)).body(), 404)
        return Response(status_code=204) if value is None else _json(to_json(value), 200)

    def _check_token(self, request: Request) -> None:
        given = request.headers.get("authorization", "")
        if self.token is not None and not hmac.compare_digest(given.encode(), f"Bearer {self.token}".encode()):
            raise invalid_api_key()


Action = Callable[[ControlHttp, Asked], object]
"""What one route does; None answers 204."""


def _create_service_key(at: ControlHttp, asked: Asked) -> Credential:
    order = asked.order(ServiceKeyOrder)
    new = at.control.create_service_key(order.environment, order.account_id, order.name)
    return Credential(id=new.service_key.id, plaintext=SecretStr(new.plaintext))


def _create_line(at: ControlHttp, asked: Asked) -> object:
    order = asked.order(LineOrder)
    return at.control.create_line(order.environment, order.account_id)


def _plant_key(at: ControlHttp, asked: Asked) -> Credential:
    order = asked.order(KeyOrder)
    new = at.control.plant_key(order.service_key_id, order.name, order.permissions, order.age)
    return Credential(id=new.child.id, plaintext=SecretStr(new.plaintext))


def _ledger(at: ControlHttp, asked: Asked) -> object:
    return at.control.live_keys() if asked.query.get("live") == "true" else at.control.ledger()


def _block(at: ControlHttp, asked: Asked) -> Block:
    order = asked.order(BlockOrder)
    try:
        return at.control.block(order.code, order.scope, order.scope_id, order.details, order.operations)
    except ValueError as error:
        raise validation_error({"block": str(error)}) from None


def _change_settings(at: ControlHttp, asked: Asked) -> Settings:
    """A merge: what is not named stays, of the limits as well."""
    order = asked.order(SettingsOrder)
    current = at.core.store.settings.model_dump()
    limits = {**current["limits"], **order.limits}
    settings = Settings.model_validate({**current, **(order.model_extra or {}), "limits": limits})
    at.control.configure(settings)
    return settings


def _advance_clock(at: ControlHttp, asked: Asked) -> ClockView:
    at.control.advance_clock(asked.order(ClockOrder).advance_seconds)
    return _clock(at, asked)


def _clock(at: ControlHttp, _: Asked) -> ClockView:
    return ClockView(now=at.core.now(), offset_seconds=at.core.store.settings.clock_offset_seconds)


def _order_fault(at: ControlHttp, asked: Asked) -> OrderedFault:
    return at.faults.order(asked.order(Fault))


def _cancel_all_faults(at: ControlHttp, _: Asked) -> None:
    for ordered in at.faults.orders():
        at.faults.cancel(ordered.id)
        at.gates.open(ordered.id)


def _cancel_fault(at: ControlHttp, asked: Asked) -> None:
    if not at.faults.cancel(asked.id):
        raise UnknownIdError("fault")
    at.gates.open(asked.id)


def _release_fault(at: ControlHttp, asked: Asked) -> None:
    if at.faults.find(asked.id) is None:
        raise UnknownIdError("fault")
    at.gates.open(asked.id)


def _calls(at: ControlHttp, asked: Asked) -> object:
    after = asked.query.get("after", "0")
    if not after.isdecimal():
        raise validation_error({"after": "Must be a whole number."})
    return at.core.calls.records(int(after))


def _counts(at: ControlHttp, _: Asked) -> list[CallCount]:
    counts = at.core.calls.counts()
    return [CallCount(operation=op, status=status, count=count) for (op, status), count in counts.items()]


ROUTES: Mapping[tuple[str, str], Action] = {
    ("GET", "/service-keys"): lambda at, _: list(at.core.store.service_keys()),
    ("POST", "/service-keys"): _create_service_key,
    ("DELETE", "/service-keys/{id}"): lambda at, asked: at.control.revoke_service_key(asked.id),
    ("GET", "/lines"): lambda at, _: list(at.core.store.lines()),
    ("POST", "/lines"): _create_line,
    ("DELETE", "/lines/{id}"): lambda at, asked: at.control.release_line(asked.id),
    ("GET", "/blocks"): lambda at, _: list(at.core.store.blocks()),
    ("POST", "/blocks"): _block,
    ("DELETE", "/blocks/{id}"): lambda at, asked: at.control.unblock(asked.id),
    ("GET", "/settings"): lambda at, _: at.core.store.settings,
    ("PATCH", "/settings"): _change_settings,
    ("GET", "/clock"): _clock,
    ("POST", "/clock"): _advance_clock,
    ("GET", "/keys"): _ledger,
    ("POST", "/keys"): _plant_key,
    ("POST", "/keys/{id}/revoke"): lambda at, asked: at.control.revoke_key(asked.id),
    ("POST", "/keys/{id}/use"): lambda at, asked: at.control.use_key(asked.id, asked.order(UseOrder).spend_cents),
    ("GET", "/events"): lambda at, _: list(at.core.store.events()),
    ("GET", "/faults"): lambda at, _: at.faults.orders(),
    ("POST", "/faults"): _order_fault,
    ("DELETE", "/faults"): _cancel_all_faults,
    ("DELETE", "/faults/{id}"): _cancel_fault,
    ("POST", "/faults/{id}/release"): _release_fault,
    ("GET", "/calls"): _calls,
    ("DELETE", "/calls"): lambda at, _: at.core.calls.clear(),
    ("GET", "/calls/counts"): _counts,
}
"""Method and path (under ``PREFIX``) to what is done."""


def _json(body: bytes, status: int) -> Response:
    return Response(body, status, media_type="application/json")
