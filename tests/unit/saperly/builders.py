"""Valid answers of the vendor, and clients, in which a test states only what differs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from saperly_operator.clock import Clock, ManualClock
from saperly_operator.saperly.client import SaperlyClient
from saperly_operator.saperly.concealed import Credential
from saperly_operator.saperly.transport import Timeouts, make_http_client

SERVICE_KEY = "sk_svc_test_NEVERSHOWTHIS0123456789"
PLAINTEXT = "sk_test_abcNORTHISPLAINTEXT0123456789"
KEY_ID = "6f1f0a52-0001-4000-8000-000000000001"


def a_key(**changes: Any) -> dict[str, Any]:
    """The row of a live key, as JSON."""
    return {
        "id": KEY_ID,
        "key_prefix": "sk_test_abc",
        "environment": "test",
        "name": "support agent",
        "agent_label": "support",
        "line_id": None,
        "permissions": "call_only",
        "monthly_cap_cents": 5000,
        "monthly_spend_cents": 12,
        "created_at": "2026-11-24T10:00:00Z",
        "revoked_at": None,
        "last_used_at": None,
        "rotated_from": None,
        "created_by_service_key_id": "svc-1",
        **changes,
    }


def a_failure(code: str | None, details: Any = None, message: str = "for people") -> dict[str, Any]:
    """The body of a failed call."""
    return {"error": {"code": code, "message": message, **({} if details is None else {"details": details})}}


@asynccontextmanager
async def a_client(
    url: str,
    *,
    http: httpx.AsyncClient | None = None,
    clock: Clock | None = None,
    timeouts: Timeouts | None = None,
) -> AsyncIterator[SaperlyClient]:
    """A client with its own connections; quick to fail, so that no test waits for a defect."""
    async with http or make_http_client(user_agent="saperly-operator/test") as pool:
        yield SaperlyClient(
            url,
            Credential.parse(SERVICE_KEY),
            http=pool,
            clock=clock or ManualClock(),
            timeouts=timeouts or Timeouts(connect=5, read=5, whole=10),
        )
