"""The vendor, sans I/O: a request goes in, an answer comes out, and what happened is in the ``Store``.

A call has three moments, so that a shell or a simulation can let time, crashes and other calls in between::

    begin ──────────────→ commit ─────────→ answer
    who, how often,       the one effect,   headers,
    valid?, replay?       made durable      call log

``begin`` settles what needs no effect: refusals (401, 429, 400, 422, 409) and replays. A first mint or rotate holds
its Idempotency-Key from there on: a second one answers 409 ``idempotency_in_progress`` until ``commit``. ``commit``
takes effect at once and whole, also when the client is long gone. Instead of, or after, ``commit`` a fault may
``fail`` the call with another answer, or ``abandon`` it. ``handle`` is all three in a row.

The order of the checks in ``begin``: path and method, credential, limit, Idempotency-Key, input, replay. So a request
counts against its limit once its credential is good, whatever becomes of it.

Time is the injected clock plus the offset in the settings; randomness is injected. No global state, no asyncio, no
logging: a core is cheap to build and as deterministic as what it is given.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from functools import partial
from typing import Protocol

from saperly_operator.simulator import audit, endpoints, limits, validation
from saperly_operator.simulator.authentication import authenticate
from saperly_operator.simulator.calls import CallLog, CallRecord
from saperly_operator.simulator.errors import ApiError, RateLimitedError
from saperly_operator.simulator.idempotency import HEADER, Claim, Running, claim_of
from saperly_operator.simulator.messages import Request, Response
from saperly_operator.simulator.routes import route
from saperly_operator.simulator.settings import RetryAfter
from saperly_operator.simulator.state import Child, IdempotentAnswer, Operation, ServiceKey
from saperly_operator.simulator.store import Store
from saperly_operator.simulator.turn import EXTRA_FIELDS, Answer, Entropy, Turn

Effect = Callable[[Turn], Answer]


class WallClock(Protocol):
    """What the core needs of a ``saperly_operator.clock.Clock``."""

    def now(self) -> datetime:
        """Timezone-aware, UTC."""
        ...


@dataclass(slots=True)
class Call:
    """One request on its way through the core. The shell reads it; only the core writes it, but for ``fault``.

    ``response`` is None until the call is settled. ``fault`` is a free note for the call log.
    """

    number: int
    request: Request
    began_at: datetime
    operation: Operation
    key_id: str | None = None
    service_key_id: str | None = None
    response: Response | None = None
    fault: str | None = None
    code: str | None = None
    replayed: bool = False
    holds_claim: bool = False
    claim: Claim | None = field(default=None, repr=False)
    effect: Effect | None = field(default=None, repr=False)


class Core:
    """The whole vendor behind its HTTP surface, on top of ``store``."""

    def __init__(self, store: Store, clock: WallClock, entropy: Entropy) -> None:
        self.store = store
        self.calls = CallLog()
        self._clock = clock
        self._entropy = entropy
        self._running = Running()
        self._begun = 0

    def now(self) -> datetime:
        """The vendor's own time, which ``Date`` headers and timestamps show."""
        return self._clock.now() + self.store.settings.clock_offset

    def turn(self, operation: Operation) -> Turn:
        """What an effect of ``operation`` may touch, now."""
        return Turn(operation, self.now(), self.store, self._entropy)

    def handle(self, request: Request) -> Response:
        """Answer one request, with nothing in between."""
        call = self.begin(request)
        self.commit(call)
        return self.answer(call)

    def begin(self, request: Request) -> Call:
        """Check the request as far as that needs no effect. The call is settled when ``response`` is set."""
        self._begun += 1
        where = route(request)
        call = Call(self._begun, request, self.now(), where.operation, where.key_id)
        try:
            caller = authenticate(self.store, request, where.operation)
            if where.refusal is not None:
                raise where.refusal
            if isinstance(caller, ServiceKey):
                self._begin_key_call(call, caller)
            else:
                self._begin_audit(call, caller)
        except ApiError as error:
            self._refuse(call, error)
        return call

    def commit(self, call: Call) -> None:
        """Take effect, and make it durable. Does nothing for a call that is settled already."""
        if call.response is not None:
            return
        assert call.effect is not None
        try:
            answer = call.effect(self.turn(call.operation))
        except ApiError as error:
            self._refuse(call, error)
            self._remember_failure(call)
        else:
            self._accept(call, answer)
        self._release(call)
        self.store.flush()

    def answer(self, call: Call) -> Response:
        """The settled call's answer, dated by the vendor's clock; the call enters the log."""
        assert call.response is not None, "answer() follows commit() or fail()"
        self.store.flush()
        self._log(call, call.response.status)
        date = format_datetime(self.now(), usegmt=True)
        return replace(call.response, headers={**call.response.headers, "Date": date})

    def fail(self, call: Call, response: Response, code: str | None = None) -> None:
        """Settle the call with ``response`` instead of its own answer.

        Before ``commit`` nothing takes effect; after it the effect stays. When the settings say that such a status is
        cached under its Idempotency-Key, a replay is answered the same.
        """
        call.response, call.code = response, code
        self._remember_failure(call)
        self._release(call)

    def abandon(self, call: Call) -> None:
        """End the call without any answer; before ``commit`` nothing takes effect."""
        self._release(call)
        self.store.flush()
        self._log(call, call.response.status if call.response else None)

    def _begin_key_call(self, call: Call, service_key: ServiceKey) -> None:
        call.service_key_id = service_key.id
        limits.spend(self.store, call.operation, service_key.id, call.began_at)
        call.claim = claim_of(call.request, call.operation, service_key.id, call.key_id)
        call.effect = self._effect_of(call, service_key)
        if call.claim is not None:
            self._claim(call, call.claim)

    def _begin_audit(self, call: Call, reader: Child) -> None:
        limits.spend(self.store, call.operation, reader.account_id, call.began_at)
        query = validation.query_of(call.request.query, "api_key_id", "limit", "event_types")
        call.key_id = reader.id
        call.effect = partial(
            audit.read,
            reader=reader,
            api_key_id=query.get("api_key_id", "self"),
            limit=validation.integer(query, "limit", audit.DEFAULT_LIMIT, 1, audit.MAX_LIMIT),
            types=validation.event_types(query),
        )

    def _effect_of(self, call: Call, service_key: ServiceKey) -> Effect:
        request, settings, key_id = call.request, self.store.settings, call.key_id or ""
        match call.operation:
            case Operation.MINT:
                return partial(
                    endpoints.mint, service_key=service_key, body=validation.mint_body(request.body, settings)
                )
            case Operation.LIST:
                query = validation.query_of(request.query, "limit", "offset")
                limit = validation.integer(query, "limit", 50, 1, 100)
                offset = validation.integer(query, "offset", 0, 0)
                return partial(endpoints.list_keys, service_key=service_key, limit=limit, offset=offset)
            case Operation.UPDATE:
                body = validation.update_body(request.body, settings)
                return partial(endpoints.update, service_key=service_key, key_id=key_id, body=body)
            case Operation.GET:
                return partial(endpoints.get, service_key=service_key, key_id=key_id)
            case Operation.REVOKE:
                return partial(endpoints.revoke, service_key=service_key, key_id=key_id)
            case _:
                return partial(endpoints.rotate, service_key=service_key, key_id=key_id)

    def _claim(self, call: Call, claim: Claim) -> None:
        try:
            earlier = self._running.earlier_answer(self.store, claim, call.began_at)
        except ApiError:
            call.claim = None  # the key is another call's: this one must leave no outcome under it
            raise
        if earlier is None:
            self._running.start(claim)
            call.holds_claim = True
            return
        call.claim, call.replayed = None, True
        call.response = Response(earlier.status, _JSON, earlier.body.encode())
        call.code = _code_in(earlier.body)

    def _accept(self, call: Call, answer: Answer) -> None:
        extra = EXTRA_FIELDS if self.store.settings.extra_fields else {}
        if call.claim is not None:
            self._remember(call, call.claim, answer.status, json.dumps(answer.redacted(extra)))
        call.response = Response(answer.status, _JSON, json.dumps(answer.full(extra)).encode())

    def _refuse(self, call: Call, error: ApiError) -> None:
        headers = {**_JSON, **error.headers}
        if isinstance(error, RateLimitedError):
            headers.update(self._retry_after(error.retry_after_seconds))
        call.code = error.code
        call.response = Response(error.status, headers, error.body())

    def _retry_after(self, seconds: int) -> Mapping[str, str]:
        match self.store.settings.retry_after:
            case RetryAfter.SECONDS:
                return {"Retry-After": str(seconds)}
            case RetryAfter.DATE:
                return {"Retry-After": format_datetime(self.now() + timedelta(seconds=seconds), usegmt=True)}
            case RetryAfter.MISSING:
                return {}

    def _remember_failure(self, call: Call) -> None:
        response = call.response
        assert response is not None
        cached = response.status in self.store.settings.cached_failures and response.status != 404
        if call.claim is not None and cached:
            self._remember(call, call.claim, response.status, response.body.decode("utf-8", "replace"))

    def _remember(self, call: Call, claim: Claim, status: int, body: str) -> None:
        self.store.put_answer(IdempotentAnswer(claim.id, claim.fingerprint, call.began_at, status, body))

    def _release(self, call: Call) -> None:
        if call.claim is not None and call.holds_claim:
            self._running.stop(call.claim)
            call.holds_claim = False

    def _log(self, call: Call, status: int | None) -> None:
        self.calls.add(
            CallRecord(
                number=call.number,
                at=call.began_at,
                operation=call.operation,
                service_key_id=call.service_key_id,
                key_id=call.key_id,
                idempotency_key=call.request.headers.get(HEADER),
                status=status,
                code=call.code,
                replayed=call.replayed,
                fault=call.fault,
            )
        )


_JSON: Mapping[str, str] = {"Content-Type": "application/json"}


def _code_in(body: str) -> str | None:
    """The error code of a remembered failure; None for a success, or for what a fault left there."""
    try:
        error = json.loads(body).get("error")
    except (ValueError, AttributeError):
        return None
    return error.get("code") if isinstance(error, dict) else None
