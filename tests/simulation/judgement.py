"""What must be true of a world that has come to rest: every object has its live key (I2), and every live key its place.

What people did themselves is excused, and nothing else: a key that they revoked in the portal, a key that somebody uses
although its object was forced away, and a key of a service key that was taken away from the operator.
"""

import hashlib
from base64 import b64decode

from saperly_operator.controller.resync import MANAGED
from saperly_operator.kube.api import SECRETS
from saperly_operator.lifecycle.naming import Tag
from saperly_operator.resources.saperly_key import SaperlyKey
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
    # Once a day another key is minted for one that a person revoked; a second one stays dead, and is shown. So does one
    # that the present service key cannot see: nobody tells the operator that it is dead.
    unseen = child.id in history.revoked and _is_invisible(history, child)
    assert child.is_live or len(history.revoked) > 1 or unseen, f"{what} has a dead key"
    digest = await cluster.digest(key.secret_name, key.spec.secret.key)
    assert digest is not None, f"{what} has no Secret"
    assert digest == child.digest, f"{what} has another plaintext in its Secret"
    await _judge_old_plaintexts(history, cluster, key, child)
    if child.is_live and not _is_invisible(history, child):
        _judge_attributes(history, key, child, what)
    return {current.id, *(entry.id for entry in key.status.retiring)}


def _judge_attributes(history: History, key: SaperlyKey, child: Child, what: str) -> None:
    """The vendor's row is as the spec asks; what was taken out of the spec was cleared, and only a person set more."""
    asked = {"agent_label": key.spec.agent_label, "monthly_cap_cents": key.spec.monthly_cap_cents}
    asked["permissions"] = key.spec.permissions
    # What the spec leaves unset is nobody's business, unless status remembers that it was set by us before.
    forgotten = {"edit_in_the_portal", "lose_the_namespace_and_restore_it", "roll_etcd_back"} & set(history.done)
    wrong = {at for at, value in asked.items() if getattr(child, at) != value and not (value is None and forgotten)}
    assert not wrong, f"{what}: {wrong} of {child} is not as the spec asks: {asked}"
    assert Tag.parse(child.name) is not None, f"{what}: {child} has no tag"


async def _judge_old_plaintexts(history: History, cluster: Cluster, key: SaperlyKey, current: Child) -> None:
    """No plaintext of another key is left in the Secret."""
    secret = await cluster.kube.get(SECRETS, key.namespace, key.secret_name)
    places = set(secret["data"])
    if {"lose_the_namespace_and_restore_it", "roll_etcd_back"} & set(history.done):
        # With status lost, an entry that the spec no longer names may be anybody's: only a person knows that it is old.
        places &= {key.spec.secret.key, key.spec.secret.previous_key}
    held = {hashlib.sha256(b64decode(secret["data"][place])).hexdigest() for place in places}
    others = {child.digest: child.id for child in cluster.core.store.children() if child.id != current.id}
    left = [others[digest] for digest in held if digest in others]
    assert left == [], f"{cluster.name}{key.name} has the plaintext of {left} in its Secret"


def _judge_vendor(history: History, cluster: Cluster, accounted: set[str]) -> None:
    # A Secret that a force-delete left with ``Orphan`` refers to the key in it, by its record.
    secrets = cluster.kube.snapshot(SECRETS, labels=MANAGED)
    accounted |= {str((body["metadata"].get("annotations") or {}).get("saperly.com/key-id")) for body in secrets}
    for child in cluster.core.store.children():
        if not child.is_live or child.id in accounted or child.id not in cluster.invariants.minted:
            continue
        released = Tag.parse(child.name) is None
        excused = released or _is_invisible(history, child)
        assert excused, f"{child.id} is live, and nothing accounts for it"


def _is_invisible(history: History, child: Child | None) -> bool:
    """Whether the service key that the operator has now did not mint it."""
    digest = hashlib.sha256(history.world.service_key.encode()).hexdigest()
    holder = history.world.core.store.service_key_of(digest)
    return child is not None and holder is not None and child.created_by_service_key_id != holder.id
