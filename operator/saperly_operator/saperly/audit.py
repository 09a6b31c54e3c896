"""``GET /v1/audit``, read with a child key as its holder would; for the demo and the tests, not for the operator."""

from collections.abc import Sequence

import httpx

from saperly_operator.clock import Clock
from saperly_operator.saperly.client import parse, success
from saperly_operator.saperly.concealed import Plaintext, is_bearer_token
from saperly_operator.saperly.errors import Defect
from saperly_operator.saperly.models import AuditPage
from saperly_operator.saperly.operation import Operation
from saperly_operator.saperly.transport import Request, Timeouts, Transport, checked_base_url


class AuditReader:
    """Reads the audit log with one child key. Arguments as for ``SaperlyClient``."""

    def __init__(
        self,
        base_url: str,
        api_key: Plaintext,
        *,
        http: httpx.AsyncClient,
        clock: Clock,
        timeouts: Timeouts | None = None,
        allow_http: bool = False,
    ) -> None:
        if not is_bearer_token(api_key):
            raise Defect(Operation.READ_AUDIT, "this API key cannot stand in a header")
        url = checked_base_url(base_url, allow_http=allow_http)
        self._transport = Transport(url, api_key, http, clock, timeouts or Timeouts())

    async def read(self, api_key_id: str = "self", *, limit: int = 100, event_types: Sequence[str] = ()) -> AuditPage:
        """The newest events of a key of the same user and environment. ``limit`` 1–500; no types means all."""
        if not 1 <= limit <= 500:
            raise Defect(Operation.READ_AUDIT, "limit must be 1 to 500")
        query: dict[str, str | int] = {"api_key_id": api_key_id, "limit": limit}
        if event_types:
            query["event_types"] = ",".join(event_types)
        request = Request(Operation.READ_AUDIT, "GET", "/v1/audit", query=query)
        return parse(AuditPage, request, success(request, await self._transport.exchange(request)))
