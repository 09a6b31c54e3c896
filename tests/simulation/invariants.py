"""What must hold at every moment of every history, asked at the calls that could break it.

I1  nothing that changes state is sent to the vendor before its intent is stored
I3  no key id leaves status but by a revoke or a release, and no object is let go while a key of it lives
I5  no key is revoked while it is the one in the Secret, unless its object is being deleted with ``Revoke``
I6  no key is touched that this installation did not mint for an object
"""

import hashlib
from base64 import b64decode
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from saperly_operator.kube.api import SAPERLY_KEYS, SECRETS, Kube
from saperly_operator.lifecycle.naming import Owner, Tag
from saperly_operator.simulator.core import Core
from saperly_operator.simulator.messages import Request
from saperly_operator.simulator.state import Child


class Violation(BaseException):
    """An invariant is broken. Not an Exception: the operator's own error handling must not hide it."""


def must(holds: bool, otherwise: str) -> None:
    """Raises Violation."""
    if not holds:
        raise Violation(otherwise)


class Invariants:
    """Watches the operator's calls to the vendor, just before each takes effect."""

    def __init__(self, kube: Kube, core: Core) -> None:
        self._kube = kube
        self._core = core
        self.foreign: set[str] = set()

    async def check(self, request: Request) -> None:
        """Raises Violation when this request must not be sent now."""
        keys = await self._kube.list(SAPERLY_KEYS)
        if request.method == "POST":
            intents = [key["status"].get("intent") or {} for key in keys]
            stored = {intent.get("idempotencyKey"): intent.get("request") for intent in intents}
            key = request.headers["idempotency-key"]
            must(key in stored, "I1: a mint without a stored intent")
            must(stored[key] == request.body.decode(), "I1: a mint with another body than the stored one")
        elif request.method in ("DELETE", "PATCH"):
            key_id = request.path.rpartition("/")[2]
            must(key_id not in self.foreign, "I6: somebody else's key is touched")
            if request.method == "DELETE":
                await self._check_revoke(key_id, keys)

    async def check_status(self, old: Any, new: Any) -> None:
        """What a status patch makes of ``old``; raises Violation when a key is forgotten by it."""
        for key_id in _referenced(old) - _referenced(new):
            child = self._core.store.child(key_id)
            released = child is not None and Tag.parse(child.name) is None
            must(child is None or child.revoked_at is not None or released, "I3: a live key leaves status")
        before, after = old["status"].get("intent"), new["status"].get("intent")
        if before and not after:
            begun = datetime.fromisoformat(before["startedAt"])
            for child in self._tagged(new, before["serial"]):
                if child.created_at < begun:
                    continue  # of a former object of that name, which was forced away
                must(child.id in _referenced(new), "I3: a live key of an intent is forgotten with it")

    def check_let_go(self, key: Any, undelivered: Sequence[str]) -> None:
        """The finalizer is taken away; raises Violation when a key of the object lives, or still may come."""
        if (
            not _is_ending(key)
            or (key["metadata"].get("annotations") or {}).get("saperly.com/force-delete") == "true"
        ):
            return
        must(not self._tagged(key), "I3: an object is let go while a key of it lives")
        tags = [tag for what in undelivered if (tag := Tag.parse(what)) is not None]
        installation, owner = key["status"].get("installation") or "", _owner(key)
        late = any(tag.belongs_to(installation, owner) for tag in tags)
        must(not late, "I3: an object is let go while a request of it may still arrive")

    def _tagged(self, key: Any, serial: int | None = None) -> list[Child]:
        installation = key["status"].get("installation")
        if installation is None:
            return []
        owner = _owner(key)
        return [
            child
            for child in self._core.store.children()
            if child.revoked_at is None
            and (tag := Tag.parse(child.name)) is not None
            and tag.belongs_to(installation, owner)
            and serial in (None, tag.serial)
        ]

    async def _check_revoke(self, key_id: str, keys: list[Any]) -> None:
        child = self._core.store.child(key_id)
        if child is None or child.revoked_at is not None:
            return
        owners = [key for key in keys if key_id in _referenced(key)]
        if any(_is_ending(key) for key in owners):
            return
        must(
            not any((key["status"].get("current") or {}).get("id") == key_id for key in owners),
            "I5: the current key is revoked",
        )
        for secret in await self._kube.list(SECRETS):
            held = {hashlib.sha256(b64decode(value)).hexdigest() for value in (secret.get("data") or {}).values()}
            marks = secret["metadata"].get("annotations") or {}
            must(
                child.digest not in held or marks.get("saperly.com/key-id") != key_id,
                f"I5: the key in the Secret {secret['metadata']['name']} is revoked",
            )


def _referenced(key: Any) -> set[str]:
    status = key["status"]
    refs = [status.get("current") or {}, *(status.get("retiring") or [])]
    return {ref["id"] for ref in refs if "id" in ref}


def _owner(key: Any) -> Owner:
    return Owner(key["metadata"]["namespace"], key["metadata"]["name"])


def _is_ending(key: Any) -> bool:
    deleting = "deletionTimestamp" in key["metadata"]
    return deleting and key["spec"].get("deletionPolicy", "Revoke") == "Revoke"
