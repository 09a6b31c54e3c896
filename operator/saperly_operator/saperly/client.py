"""The six calls of a service key over HTTP. Built by ``wiring``, one per service key; used by the controller.

No call is ever repeated in here, not even a GET. A mint is worth repeating only under the same Idempotency-Key and
body, which the controller keeps in its stored intent; it also knows the budget that every repeat counts against.

What comes back is typed and checked: an answer about another key than the one asked for is not believed.
"""

import re
from typing import TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError

from saperly_operator.clock import Clock
from saperly_operator.saperly.api import DEFAULT_PAGE, ListedPage
from saperly_operator.saperly.canonical import update_body
from saperly_operator.saperly.classify import error_for
from saperly_operator.saperly.concealed import Credential, Plaintext
from saperly_operator.saperly.errors import Defect, Doubt, OutcomeUnknown
from saperly_operator.saperly.models import ChildKey, KeyPage, MintedKey, UpdateRequest
from saperly_operator.saperly.operation import Operation
from saperly_operator.saperly.outcome import Minted, MintOutcome, Redacted
from saperly_operator.saperly.transport import Answer, Request, Timeouts, Transport, checked_base_url

_KEYS = "/v1/keys"
_MAX_ID = 256
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")

_Model = TypeVar("_Model", bound=BaseModel)


class _KeyAnswer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    key: ChildKey


class _MintAnswer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    key: MintedKey


class SaperlyClient:
    """``VendorApi`` over HTTP. Safe for concurrent use; ``http`` (see ``make_http_client``) is shared and not closed.

    ``base_url`` ends before ``/v1``; ``ValueError`` unless it is https, or http to a loopback host, or http with
    ``allow_http``. Every method raises ``SaperlyError``; ``errors`` tells what each class of it asks of the caller.
    A call that is cancelled may still have happened.
    """

    def __init__(
        self,
        base_url: str,
        service_key: Credential,
        *,
        http: httpx.AsyncClient,
        clock: Clock,
        timeouts: Timeouts | None = None,
        allow_http: bool = False,
    ) -> None:
        url = checked_base_url(base_url, allow_http=allow_http)
        self._transport = Transport(url, service_key, http, clock, timeouts or Timeouts())

    async def mint(self, body: str, idempotency_key: str) -> MintOutcome:
        """See ``VendorApi.mint``."""
        _check_idempotency_key(Operation.MINT, idempotency_key)
        request = Request(Operation.MINT, "POST", _KEYS, body=body.encode(), idempotency_key=idempotency_key)
        return _minted_from(request, await self._success(request))

    async def rotate(self, key_id: str, idempotency_key: str) -> MintOutcome:
        """See ``VendorApi.rotate``."""
        _check_idempotency_key(Operation.ROTATE, idempotency_key)
        path = f"{_path_of(Operation.ROTATE, key_id)}/rotate"
        request = Request(Operation.ROTATE, "POST", path, idempotency_key=idempotency_key)
        return _minted_from(request, await self._success(request))

    async def get_key(self, key_id: str) -> ChildKey:
        """See ``VendorApi.get_key``."""
        request = Request(Operation.GET, "GET", _path_of(Operation.GET, key_id))
        return _key_from(request, await self._success(request), key_id)

    async def list_page(self, limit: int = DEFAULT_PAGE, offset: int = 0) -> ListedPage:
        """See ``VendorApi.list_page``."""
        if not 1 <= limit <= 100 or offset < 0:
            raise Defect(Operation.LIST, "limit must be 1 to 100 and offset at least 0")
        request = Request(Operation.LIST, "GET", _KEYS, query={"limit": limit, "offset": offset})
        answer = await self._success(request)
        return ListedPage(parse(KeyPage, request, answer), answer.server_time)

    async def update_key(self, key_id: str, update: UpdateRequest) -> ChildKey:
        """See ``VendorApi.update_key``."""
        path, body = _path_of(Operation.UPDATE, key_id), update_body(update).encode()
        request = Request(Operation.UPDATE, "PATCH", path, body=body)
        return _key_from(request, await self._success(request, names_line=update.line_id is not None), key_id)

    async def revoke_key(self, key_id: str) -> ChildKey:
        """See ``VendorApi.revoke_key``."""
        request = Request(Operation.REVOKE, "DELETE", _path_of(Operation.REVOKE, key_id))
        return _key_from(request, await self._success(request), key_id)

    async def _success(self, request: Request, *, names_line: bool = False) -> Answer:
        return success(request, await self._transport.exchange(request), names_line=names_line)


def success(request: Request, answer: Answer, *, names_line: bool = False) -> Answer:
    """The answer when it is a 2xx; raises what it stands for otherwise. Which 2xx it is makes no difference: what
    counts is whether the body can be read."""
    if not 200 <= answer.status < 300:
        raise error_for(
            request.operation, answer.status, answer.body, retry_after=answer.retry_after, names_line=names_line
        )
    return answer


def parse(model: type[_Model], request: Request, answer: Answer) -> _Model:
    """The body as ``model``; ``OutcomeUnknown`` when it is not that."""
    parsed = _parsed_or_none(model, answer.body)
    if parsed is None:
        raise unreadable(request, answer)
    return parsed


def unreadable(request: Request, answer: Answer) -> OutcomeUnknown:
    """For a 2xx that does not say what it should."""
    return OutcomeUnknown(request.operation, Doubt.UNREADABLE, http_status=answer.status)


def _parsed_or_none(model: type[_Model], body: bytes) -> _Model | None:
    # A function of its own: a ValidationError, which quotes its input, must not become any error's context.
    try:
        return model.model_validate_json(body)
    except ValidationError:
        return None


def _minted_from(request: Request, answer: Answer) -> MintOutcome:
    minted = parse(_MintAnswer, request, answer).key
    key = ChildKey.model_validate(minted.model_dump(exclude={"plaintext_key"}))
    if not minted.plaintext_key:  # an empty plaintext is as lost as a missing one
        return Redacted(key)
    return Minted(key, Plaintext(minted.plaintext_key.get_secret_value()))


def _key_from(request: Request, answer: Answer, key_id: str) -> ChildKey:
    key = parse(_KeyAnswer, request, answer).key
    if key.id != key_id:
        raise unreadable(request, answer)
    return key


def _path_of(operation: Operation, key_id: str) -> str:
    # "." and ".." survive percent-encoding and would be taken out of the path, on either side of the wire.
    if key_id in {"", ".", ".."} or len(key_id) > _MAX_ID:
        raise Defect(operation, "this id cannot stand in a path")
    return f"{_KEYS}/{quote(key_id, safe='')}"


def _check_idempotency_key(operation: Operation, idempotency_key: str) -> None:
    if not _IDEMPOTENCY_KEY.fullmatch(idempotency_key):
        raise Defect(operation, "an Idempotency-Key is 1 to 255 visible ASCII characters")
