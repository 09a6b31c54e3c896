"""What must hold at every moment of every history, asked at the calls that could break it.

I1  nothing that changes state is sent to the vendor before its intent is stored
I5  no key is revoked while it is the one in the Secret, unless its object is being deleted with ``Revoke``
I6  no key is touched that this installation did not mint for an object
"""

import hashlib
from base64 import b64decode
from typing import Any

from saperly_operator.kube.api import SAPERLY_KEYS, SECRETS, Kube
from saperly_operator.simulator.core import Core
from saperly_operator.simulator.messages import Request


class Invariants:
    """Watches the operator's calls to the vendor, just before each takes effect."""

    def __init__(self, kube: Kube, core: Core) -> None:
        self._kube = kube
        self._core = core
        self.foreign: set[str] = set()

    async def check(self, request: Request) -> None:
        """Raises AssertionError when this request must not be sent now."""
        keys = await self._kube.list(SAPERLY_KEYS)
        if request.method == "POST":
            intents = [key["status"].get("intent") or {} for key in keys]
            stored = {intent.get("idempotencyKey"): intent.get("request") for intent in intents}
            key = request.headers["idempotency-key"]
            assert key in stored, "I1: a mint without a stored intent"
            assert stored[key] == request.body.decode(), "I1: a mint with another body than the stored one"
        elif request.method in ("DELETE", "PATCH"):
            key_id = request.path.rpartition("/")[2]
            assert key_id not in self.foreign, "I6: somebody else's key is touched"
            if request.method == "DELETE":
                await self._check_revoke(key_id, keys)

    async def _check_revoke(self, key_id: str, keys: list[Any]) -> None:
        child = self._core.store.child(key_id)
        if child is None or child.revoked_at is not None:
            return
        owners = [key for key in keys if key_id in _referenced(key)]
        if any(_is_ending(key) for key in owners):
            return
        assert not any((key["status"].get("current") or {}).get("id") == key_id for key in owners), (
            "I5: the current key is revoked"
        )
        for secret in await self._kube.list(SECRETS):
            held = {hashlib.sha256(b64decode(value)).hexdigest() for value in (secret.get("data") or {}).values()}
            marks = secret["metadata"].get("annotations") or {}
            assert child.digest not in held or marks.get("saperly.com/key-id") != key_id, (
                f"I5: the key in the Secret {secret['metadata']['name']} is revoked"
            )


def _referenced(key: Any) -> set[str]:
    status = key["status"]
    refs = [status.get("current") or {}, *(status.get("retiring") or [])]
    return {ref["id"] for ref in refs if "id" in ref}


def _is_ending(key: Any) -> bool:
    deleting = "deletionTimestamp" in key["metadata"]
    return deleting and key["spec"].get("deletionPolicy", "Revoke") == "Revoke"
