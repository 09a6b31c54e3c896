"""What must be true of a world that has come to rest: every object has its live key (I2), and every live key its place.

What people did themselves is excused, and nothing else: a key that they revoked in the portal, a key that somebody uses
although its object was forced away, and a key of a service key that was taken away from the operator.
"""

import hashlib

from saperly_operator.lifecycle.naming import Tag
from saperly_operator.simulator.state import Child
from tests.simulation.cluster import Cluster
from tests.simulation.history import NAMES, History


async def judge(history: History) -> None:
    """Raises AssertionError."""
    for cluster in history.clusters:
        accounted: set[str] = set()
        for name in NAMES:
            accounted |= await _judge_object(history, cluster, name)
        _judge_vendor(history, cluster, accounted)


async def _judge_object(history: History, cluster: Cluster, name: str) -> set[str]:
    key = await cluster.key(name)
    if key is None:
        return set()
    what = f"{cluster.name}{name}"
    current, store = key.status.current, cluster.core.store
    refs = [*key.status.retiring, *([current] if current else [])]
    held = any(_is_invisible(history, store.child(ref.id)) for ref in refs)
    assert held or not key.is_being_deleted, f"{what} is still being deleted"
    if key.is_being_deleted:
        return {ref.id for ref in refs}
    assert current is not None, f"{what} has no key"
    assert key.status.intent is None, f"{what} has an open intent"
    waiting = [entry for entry in key.status.retiring if not _is_invisible(history, store.child(entry.id))]
    assert waiting == [], f"{what} has keys retiring: {waiting}"
    child = store.child(current.id)
    assert child is not None
    assert child.is_live or child.id in history.revoked, f"{what} has a dead key"
    digest = await cluster.digest(key.secret_name, key.spec.secret.key)
    assert digest is not None, f"{what} has no Secret"
    assert digest == child.digest, f"{what} has another plaintext in its Secret"
    return {current.id, *(entry.id for entry in key.status.retiring)}


def _judge_vendor(history: History, cluster: Cluster, accounted: set[str]) -> None:
    for child in cluster.core.store.children():
        if not child.is_live or child.id in accounted or child.id not in cluster.invariants.minted:
            continue
        released = Tag.parse(child.name) is None
        excused = released or _is_invisible(history, child) or child.last_used_at is not None
        assert excused, f"{child.id} is live, and nothing accounts for it"


def _is_invisible(history: History, child: Child | None) -> bool:
    """Whether the service key that the operator has now did not mint it."""
    digest = hashlib.sha256(history.world.service_key.encode()).hexdigest()
    holder = history.world.core.store.service_key_of(digest)
    return child is not None and holder is not None and child.created_by_service_key_id != holder.id
