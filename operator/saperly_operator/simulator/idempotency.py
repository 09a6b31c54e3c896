"""Idempotency-Keys: what names a request, and whether it was made before.

Mint is remembered per (service key, method, path, key), rotate per (service key, key). What is remembered is in the
store; which first requests are still running is in ``Running``, in memory only: they die with the process.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from saperly_operator.simulator.errors import (
    idempotency_in_progress,
    idempotency_key_reused,
    missing_idempotency_key,
    validation_error,
)
from saperly_operator.simulator.messages import Request
from saperly_operator.simulator.state import IdempotentAnswer, Operation
from saperly_operator.simulator.store import Store

HEADER = "idempotency-key"
_FORM = re.compile("[!-~]{1,255}")


@dataclass(frozen=True, slots=True)
class Claim:
    """An Idempotency-Key in its scope (``id``), and the request made under it (``fingerprint``)."""

    id: str
    fingerprint: str


def claim_of(request: Request, operation: Operation, service_key_id: str, key_id: str | None) -> Claim | None:
    """None for operations that take no Idempotency-Key; 400 when one is needed and missing.

    A mint is compared by its body byte for byte, a rotate by the child that it names.
    """
    if operation not in (Operation.MINT, Operation.ROTATE):
        return None
    key = request.headers.get(HEADER, "").strip()
    if not key:
        raise missing_idempotency_key()
    if not _FORM.fullmatch(key):
        raise validation_error({"Idempotency-Key": "At most 255 visible ASCII characters."})
    if operation is Operation.MINT:
        return Claim(f"{service_key_id} POST /v1/keys {key}", sha256(request.body).hexdigest())
    return Claim(f"{service_key_id} rotate {key}", key_id or "")


class Running:
    """The first requests under their Idempotency-Key that have begun and not yet taken effect."""

    def __init__(self) -> None:
        self._claims: dict[str, Claim] = {}

    def earlier_answer(self, store: Store, claim: Claim, now: datetime) -> IdempotentAnswer | None:
        """What a replay is answered, or None for a first request; 409 when it is neither."""
        running = self._claims.get(claim.id)
        if running is not None:
            raise idempotency_in_progress() if running == claim else idempotency_key_reused()
        answer = store.answer(claim.id)
        if answer is None or now - answer.started_at >= store.settings.idempotency_window:
            return None
        if answer.fingerprint != claim.fingerprint:
            raise idempotency_key_reused()
        return answer

    def start(self, claim: Claim) -> None:
        self._claims[claim.id] = claim

    def stop(self, claim: Claim) -> None:
        self._claims.pop(claim.id, None)
