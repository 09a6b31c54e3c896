"""What must hold at every moment of every history, asked at the calls that could break it.

I1  nothing that changes state is sent to the vendor before its intent is stored
I2  no Secret of a living object is deleted by the operator, and none is written with a dead key
I3  no key id leaves status but by a revoke or a release, and no object is let go while a key of it lives
I4  no object begins more than three mints in any hour
I5  no key is revoked while it is the one in the Secret, unless its object is being deleted with ``Revoke``; no key in
    use is revoked as an orphan before 24 idle hours
I6  no key is touched that this cluster did not mint for that very object
I7  no credential appears in anything but a Secret's data
I8  nothing is minted for a plaintext that is where it was put
"""

import hashlib
import json
from base64 import b64decode
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol

from saperly_operator.kube.api import SAPERLY_KEYS, SECRETS, Object, Resource
from saperly_operator.lifecycle.checks_retire import UNUSED_REASONS
from saperly_operator.lifecycle.naming import Owner, Tag
from saperly_operator.resources import reasons
from saperly_operator.simulator.core import Call, Core
from saperly_operator.simulator.messages import Request
from saperly_operator.simulator.state import Child, Operation
from tests.support.leaks import Scanner
from tests.support.memory_kube import Change, MemoryKube

_HOUR = timedelta(hours=1)
_LOOKED_AT = timedelta(minutes=20)
"""Longer than any process stands still between its last look at a key and what it does to it."""


class Undelivered(Protocol):
    """A mint that is on its way."""

    @property
    def name(self) -> str: ...

    @property
    def idempotency_key(self) -> str: ...


class Violation(BaseException):
    """An invariant is broken. Not an Exception: the operator's own error handling must not hide it."""


def must(holds: bool, otherwise: str) -> None:
    """Raises Violation."""
    if not holds:
        raise Violation(otherwise)


class _Intent(NamedTuple):
    """An intent as it was stored, and the uid of its object."""

    uid: str
    request: str


class Invariants:
    """Watches the operator of one cluster. ``may_write``: whether it may change anything at the vendor at all."""

    def __init__(self, kube: MemoryKube, core: Core) -> None:
        self._kube = kube
        self._core = core
        self._scanner = Scanner()
        self.may_write = True
        self.minted: dict[str, str] = {}
        """The keys that this cluster's processes minted, each with the Idempotency-Key of the request."""
        self._intents: dict[str, _Intent] = {}
        self._begun: dict[str, list[datetime]] = {}
        self._retired: set[str] = set()
        self._first_used: dict[str, datetime] = {}
        self._data_since: dict[str, datetime] = {}
        """Since when each Secret, by its uid, holds what it holds."""
        kube.listeners.append(self._note_data)

    # --- what is told -------------------------------------------------------------------------------------------

    def note_used(self, key_id: str) -> None:
        """Somebody uses a key."""
        self._first_used.setdefault(key_id, self._core.now())

    def note_minted(self, call: Call) -> None:
        """A request of this cluster took effect at the vendor."""
        is_mint = call.operation in {Operation.MINT, Operation.ROTATE}
        if is_mint and call.response is not None and call.response.status == 201:
            row = json.loads(call.response.body)["key"]
            self.minted.setdefault(row["id"], call.request.headers["idempotency-key"])

    def _note_data(self, change: Change) -> None:
        old, new = change.old or {}, change.new or {}
        if change.plural == SECRETS.plural and new and old.get("data") != new.get("data"):
            self._data_since[new["metadata"]["uid"]] = self._core.now()

    def forget_mints(self) -> None:
        """The cluster was put back to an older state: what its status says of recent mints is older, too."""
        self._begun.clear()

    # --- requests to the vendor ---------------------------------------------------------------------------------

    async def check_sent(self, request: Request, *, is_alone: bool) -> None:
        """Raises Violation when this request must not be sent now. A process that is not alone, because it stood still
        or another runs beside it, may act on what was true when it looked."""
        must(self.may_write, "I6: a cluster that may not write writes to the vendor")
        keys = self._kube.snapshot(SAPERLY_KEYS)
        if request.method == "POST":
            self._check_mint(request, keys, is_alone)
            return
        child = self._core.store.child(request.path.rpartition("/")[2])
        if child is None or child.revoked_at is not None:
            return
        must(child.id in self.minted, "I6: somebody else's key is touched")
        if request.method == "DELETE":
            self._check_revoke(child, keys, is_alone)

    def _check_mint(self, request: Request, keys: list[Object], is_alone: bool) -> None:
        key = request.headers["idempotency-key"]
        must(key in self._intents, "I1: a mint whose intent was never stored")
        intent = self._intents[key]
        must(intent.request == request.body.decode(), "I1: a mint with another body than the stored one")
        open_now = {(body["status"].get("intent") or {}).get("idempotencyKey") for body in keys}
        # What a finalizer holds goes only with its whole cluster or namespace, and then no process can know it at once.
        is_there = intent.uid in {body["metadata"]["uid"] for body in keys}
        must(not is_alone or not is_there or key in open_now, "I1: a mint whose intent is closed")

    def _check_revoke(self, child: Child, keys: list[Object], is_alone: bool) -> None:
        tag = Tag.parse(child.name)
        owner = next((key for key in keys if _owns(key, tag)), None)
        if owner is None and tag is None:  # its name was taken away, by a person, or because it was released
            owner = next((key for key in keys if child.id in _referenced(key)), None)
            must(owner is not None, "I6: a released key is revoked")
        if owner is not None and (_is_ending(owner) or self._was_ending(owner)):
            return
        if owner is not None:
            stored = child.id in _retiring(owner)
            must(stored or (not is_alone and child.id in self._retired), "I1: a revoke that was not stored before")
            must((owner["status"].get("current") or {}).get("id") != child.id, "I5: the current key is revoked")
            must(not self._is_in_secret_of(owner, child), "I5: the key in the Secret is revoked")
            must(not self._was_put_back(owner, child), "I5: an old key that somebody put back is revoked")
        reason = _retiring(owner).get(child.id) if owner is not None else None
        if (reason is None and owner is None) or reason in UNUSED_REASONS:
            self._check_idle(child)

    def _was_ending(self, key: Object) -> bool:
        """Whether it was to end with all its keys, by an earlier version: its policy was changed while it ended."""
        uid = key["metadata"]["uid"]
        return any(
            change.new is not None and change.new["metadata"]["uid"] == uid and _is_ending(change.new)
            for change in self._kube.changes
            if change.plural == SAPERLY_KEYS.plural
        )

    def _check_idle(self, child: Child) -> None:
        """A key that nobody should have is revoked: not if somebody has it after all."""
        first, now = self._first_used.get(child.id), self._core.now()
        if first is None or child.last_used_at is None or now - first < _LOOKED_AT:
            return
        idle = now - child.last_used_at
        must(idle >= timedelta(hours=24) - _LOOKED_AT, f"I5: a key in use {idle} ago is revoked as an orphan")

    def _is_in_secret_of(self, key: Object, child: Child) -> bool:
        kept = key["status"].get("secret") or {}
        names = {kept.get("name"), (key["spec"].get("secret") or {}).get("name") or key["metadata"]["name"]}
        for secret in self._kube.snapshot(SECRETS, key["metadata"]["namespace"]):
            if secret["metadata"]["name"] not in names:
                continue
            data = secret.get("data") or {}
            held = {at: hashlib.sha256(b64decode(value)).hexdigest() for at, value in data.items()}
            marks = secret["metadata"].get("annotations") or {}
            if child.digest in held.values() and marks.get("saperly.com/key-id") == child.id:
                return True
            if child.digest in {held.get(place) for place in _previous_places(key)}:
                return True
        return False

    def _was_put_back(self, key: Any, child: Child) -> bool:
        """Whether somebody put the plaintext of a key that had its overlap where the current one belongs. So long ago
        that no process which looked before that is still about to revoke it."""
        entries = key["status"].get("retiring") or ()
        if not any(entry["id"] == child.id and entry.get("replacedAt") for entry in entries):
            return False
        kept, now = key["status"].get("secret") or {}, self._core.now()
        for secret in self._kube.snapshot(SECRETS, key["metadata"]["namespace"]):
            value: str = (secret.get("data") or {}).get(kept.get("key")) or ""
            is_there = hashlib.sha256(b64decode(value)).hexdigest() == child.digest
            if is_there and secret["metadata"]["name"] == kept.get("name"):
                return now - self._data_since[secret["metadata"]["uid"]] > _LOOKED_AT
        return False

    # --- writes to Kubernetes -----------------------------------------------------------------------------------

    def check_secrecy(self, resource: Resource, body: Object) -> None:
        """I7, before anything is written."""
        open_part = body.get("metadata") if resource is SECRETS else body
        for finding in self._scanner.findings(f"a write of {resource.plural}", json.dumps(open_part).encode()):
            must(False, f"I7: {finding}")

    async def check_secret_deletion(self, namespace: str, name: str, uid: str) -> None:
        """I2: the operator deletes the Secrets of objects that go, and what a move left behind."""
        for key in self._kube.snapshot(SAPERLY_KEYS, namespace):
            kept, current = key["status"].get("secret") or {}, key["status"].get("current") or {}
            if kept.get("name") != name or _is_ending(key) or not current:
                continue
            child = self._core.store.child(current["id"])
            for secret in self._kube.snapshot(SECRETS, namespace):
                if child is None or secret["metadata"]["uid"] != uid or child.revoked_at is not None:
                    continue
                must(not self._is_in_secret_of(key, child), "I2: the Secret of a living object is deleted")

    async def check_written(self, old: Object, new: Object, undelivered: Sequence[Undelivered]) -> None:
        """What a write makes of a SaperlyKey; raises Violation when a key is forgotten by it, or minted for nothing."""
        self._check_forgotten(old, new, undelivered)
        self._check_begun(old, new)
        self._retired |= _retiring(new).keys()
        if old["metadata"].get("finalizers") and not new["metadata"].get("finalizers"):
            self._check_let_go(old, undelivered)

    def _check_forgotten(self, old: Object, new: Object, undelivered: Sequence[Undelivered]) -> None:
        for key_id in _referenced(old) - _referenced(new):
            child = self._core.store.child(key_id)
            released = child is not None and Tag.parse(child.name) is None
            must(child is None or child.revoked_at is not None or released, "I3: a live key leaves status")
        for child in self._core.store.children():
            found = child.id in _referenced(new) or not child.is_live
            must(found or child.rotated_from not in _lost(old) - _lost(new), "I3: a lost successor is forgotten")
        before, after = old["status"].get("intent"), new["status"].get("intent")
        if not before or (after and after["serial"] == before["serial"]):
            return
        mine = [child for child in self._tagged(new) if self.minted.get(child.id) == before["idempotencyKey"]]
        # What took another's place may be remembered by that.
        unknown = [
            child for child in mine if child.id not in _referenced(new) and child.rotated_from not in _lost(new)
        ]
        code = (new["status"].get("failure") or {}).get("code")
        if code == reasons.SERVICE_KEY_REPLACED:
            return  # the list of another service key shows none of them: a person is told to look
        must(not unknown, "I3: a live key of an intent is forgotten with it")
        if code == reasons.OUTCOME_UNRESOLVED:
            late = any(mint.idempotency_key == before["idempotencyKey"] for mint in self._still_minting(undelivered))
            must(not late, "I3: an intent is given up while its request may still arrive")

    def _check_begun(self, old: Object, new: Object) -> None:
        """An intent is opened."""
        before, after = old["status"].get("intent"), new["status"].get("intent")
        if not after or (before and before["idempotencyKey"] == after["idempotencyKey"]):
            return
        self._intents[after["idempotencyKey"]] = _Intent(new["metadata"]["uid"], after["request"])
        begun, now = self._begun.setdefault(new["metadata"]["uid"], []), datetime.fromisoformat(after["startedAt"])
        kept = {datetime.fromisoformat(moment) for moment in old["status"].get("recentIntents") or ()}
        # What was refused minted nothing, and status took it back.
        begun[:] = [moment for moment in begun if moment in kept]
        recent = [moment for moment in begun if now - _HOUR < moment <= now]
        must(len(recent) < 3, "I4: a fourth mint within the hour")
        begun.append(now)
        current = old["status"].get("current")
        if current and after["trigger"] in (reasons.SECRET_MISSING, reasons.SECRET_ALTERED):
            child = self._core.store.child(current["id"])
            is_there = child is not None and child.is_live and self._is_in_secret_of(old, child)
            must(not is_there, "I8: a mint for a plaintext that is where it was put")

    def _check_let_go(self, key: Object, undelivered: Sequence[Undelivered]) -> None:
        """The finalizer is taken away; raises Violation when a key of the object lives, or still may come."""
        marks = key["metadata"].get("annotations") or {}
        if not _is_ending(key) or marks.get("saperly.com/force-delete") == "true":
            return
        left = [
            child for child in self._tagged(key) if child.id in _referenced(key) or child.rotated_from in _lost(key)
        ]
        must(not left, "I3: an object is let go while a key of it lives")
        late = any(_owns(key, Tag.parse(mint.name)) for mint in self._still_minting(undelivered))
        must(not late, "I3: an object is let go while a request of it may still arrive")

    def _still_minting(self, undelivered: Sequence[Undelivered]) -> list[Undelivered]:
        """Those whose Idempotency-Key the vendor does not know yet: the others would be answered as replays."""
        return [mint for mint in undelivered if mint.idempotency_key not in self.minted.values()]

    def _tagged(self, key: Object) -> list[Child]:
        return [
            child
            for child in self._core.store.children()
            if child.is_live and (tag := Tag.parse(child.name)) is not None and _owns(key, tag)
        ]


def _owns(key: Object, tag: Tag | None) -> bool:
    installation = key["status"].get("installation")
    owner = Owner(key["metadata"]["namespace"], key["metadata"]["name"])
    return tag is not None and installation is not None and tag.belongs_to(installation, owner)


def _retiring(key: Any) -> dict[str, str]:
    return {entry["id"]: entry["reason"] for entry in key["status"].get("retiring") or ()}


def _previous_places(key: Any) -> set[str]:
    """The keys of a Secret's data under which the operator keeps old plaintexts."""
    places = [entry.get("previousKey") for entry in key["status"].get("retiring") or ()]
    wanted = (key["spec"].get("secret") or {}).get("previousKey")
    return {place for place in (wanted, *places) if place}


def _referenced(key: Any) -> set[str]:
    current = key["status"].get("current") or {}
    return _retiring(key).keys() | ({current["id"]} if current else set())


def _lost(key: Any) -> set[str]:
    """The ids of keys that were replaced by others which nobody knows yet."""
    rotation = key["status"].get("rotation") or {}
    return {each["replaced"] for each in rotation.get("lost") or ()}


def _is_ending(key: Any) -> bool:
    deleting = "deletionTimestamp" in key["metadata"]
    return deleting and key["spec"].get("deletionPolicy", "Revoke") == "Revoke"
