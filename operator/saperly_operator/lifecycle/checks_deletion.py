"""The object is being deleted: what has to happen before it may go (design, section 4, "Deletion").

Nothing here ever POSTs. With ``Revoke`` every key dies, then the Secret; with ``Orphan`` the current key is released
by name and lives on in its Secret, while old keys still end when they were to. A force-delete makes no call at all.
"""

from saperly_operator.lifecycle.case import Case, first_of
from saperly_operator.lifecycle.checks_adoption import key_recorded
from saperly_operator.lifecycle.checks_intent import begun_after, service_key_replaced, swept_keys
from saperly_operator.lifecycle.checks_overlap import dates_changed
from saperly_operator.lifecycle.checks_previous import next_withdrawal, previous_key_expiring
from saperly_operator.lifecycle.checks_retire import UNUSED_REASONS, due_at, retire_work
from saperly_operator.lifecycle.checks_rollout import (
    next_look,
    workload_not_restarted,
    workload_unread,
)
from saperly_operator.lifecycle.checks_rotate import successor_listed, successor_unlisted
from saperly_operator.lifecycle.checks_written import record_if_written
from saperly_operator.lifecycle.observed import SecretOwned
from saperly_operator.lifecycle.references import minted_ref, referenced_ids, retiring
from saperly_operator.lifecycle.steps import (
    AbandonIntent,
    AdoptKey,
    AwaitSweep,
    Decision,
    DeleteSecret,
    Done,
    ReadLive,
    Record,
    ReleaseKey,
    ReleaseSecret,
    RemoveFinalizer,
    Retire,
    RevokeCurrent,
    WaitUntil,
    WriteSecret,
)
from saperly_operator.resources import reasons
from saperly_operator.resources.saperly_key import DeletionPolicy
from saperly_operator.resources.saperly_key_status import RetiringKey


def being_deleted(case: Case) -> Decision | None:
    """The whole of deletion: once it has begun, nothing else is decided."""
    return first_of(_CHECKS, case) if case.key.is_being_deleted else None


def _finalizer_gone(case: Case) -> Decision | None:
    return None if case.key.has_finalizer else Decision(Done(), reasons.REVOKING, "Nothing of ours is left.")


def _force_delete_requested(case: Case) -> Decision | None:
    if not case.key.is_force_deleted:
        return None
    # The Secrets first, as far as Kubernetes lets us: a record left behind would keep the sweep from ever collecting.
    # That is what ``Orphan`` needs: its Secret stays with its record, by which the sweep leaves the key in it alone.
    orphaned = case.key.spec.deletion_policy is DeletionPolicy.ORPHAN
    left_secret = None if orphaned or case.not_before("write") else _secret_left(case)
    if left_secret is not None:
        return left_secret
    left = tuple(sorted(referenced_ids(case.status)))
    message = f"Let go without any call to Saperly; {len(left)} keys are left to the sweep."
    return Decision(RemoveFinalizer(forced=left), reasons.FORCE_DELETED, message)


def _minted_key_in_hand(case: Case) -> Decision | None:
    """A 201 came and its plaintext never reached the Secret: its id is known, no sweep is needed to find it."""
    held, intent = case.observed.memory.held, case.status.intent
    if held is None or intent is None or held.serial != intent.serial:
        return None
    ref = minted_ref(held.key, intent, case.status.current)
    if held.written is not None:
        # The Secret has it: record that first, so that ``Orphan`` leaves a key that lives.
        return Decision(Record(ref, held.written), reasons.REVOKING, "Recording a new key.")
    if _is_the_only_live_key(case):
        until = case.not_before("write")
        step = WriteSecret(intent) if until is None else WaitUntil(until)
        return Decision(step, reasons.RELEASING, "Writing the new key to the Secret before it is let go.")
    entry = retiring(ref, reasons.PLAINTEXT_LOST, case.now)
    return Decision(
        AbandonIntent((entry,), reasons.PLAINTEXT_LOST, case.now), reasons.REVOKING, "Revoking a new key."
    )


def _is_the_only_live_key(case: Case) -> bool:
    """With ``Orphan`` a key lives on in its Secret. After a rotation in one step the one in there is dead, and the one in
    hand the only one that lives; it is given up only where Kubernetes refuses to take it."""
    held, orphaned = case.observed.memory.held, case.key.spec.deletion_policy is DeletionPolicy.ORPHAN
    return orphaned and case.observed.current_is_dead and held is not None and held.refused_since is None


def _intent_unsettled(case: Case) -> Decision | None:
    """Its request may still be on its way: a sweep begun now could miss its key."""
    if case.status.intent is None:
        return None
    settled = begun_after(case)
    deleted_at = case.key.metadata.deletion_timestamp
    if deleted_at is not None:
        settled = max(settled, deleted_at + case.timings.delivery_settle)
    intent = case.status.intent
    if case.swept(intent.provider, intent.service_key, settled) is not None:
        return None
    message = "Waiting for a request to Saperly to settle, to revoke what it may have minted."
    if case.now < settled:
        return Decision(WaitUntil(settled), reasons.REVOKING, message)
    access = case.manage_access(intent.provider, intent.service_key, "The keys at Saperly cannot be listed")
    step = AwaitSweep(intent.provider, intent.service_key, settled, case.now + case.timings.recheck)
    return access or Decision(step, reasons.REVOKING, message)


def _service_key_replaced(case: Case) -> Decision | None:
    """The list of another service key would prove nothing of what the intent minted."""
    return service_key_replaced(case) if case.status.intent is not None else None


def _intent_swept(case: Case) -> Decision | None:
    intent = case.status.intent
    if intent is None:
        return None
    # The key may be in the Secret already, and only the record missing: with ``Orphan`` it is the one to keep.
    if not case.observed.is_live:
        return Decision(
            ReadLive(), reasons.REVOKING, "Looking whether the Secret holds the key of an unfinished mint."
        )
    sweep = case.observed.memory.sweeps.get((intent.provider, intent.service_key))
    for row in sweep.brought_about(intent) if sweep is not None else ():
        written = record_if_written(case, intent, row)
        if written is not None:
            return written
    lost = tuple(retiring(ref, reasons.OUTCOME_UNKNOWN, case.now) for ref in swept_keys(case))
    message = f"{len(lost)} keys of an unfinished mint are revoked."
    return Decision(AbandonIntent(lost, reasons.OUTCOME_UNKNOWN, case.now), reasons.REVOKING, message)


def _rollout_open(case: Case) -> Decision | None:
    """With ``Orphan`` workloads go on with the key in the Secret, so that their restart is brought to its end."""
    if case.key.spec.deletion_policy is not DeletionPolicy.ORPHAN:
        return None
    return first_of((workload_unread, workload_not_restarted, dates_changed, previous_key_expiring), case)


def _old_key_alive(case: Case) -> Decision | None:
    for entry in case.status.retiring:
        if _may_live_on(entry, case) and not _stays_in_secret(entry, case):
            message = f"Waiting for the end of the overlap of the old key {entry.prefix}…"
            moments = (due_at(entry, case), next_look(case), next_withdrawal(case))
            until = min(moment for moment in moments if moment is not None)
            return Decision(WaitUntil(until), reasons.REVOKING, message)
        blocked = _put_off(case, entry.provider, entry.service_key, retire_work(entry))
        if blocked is not None:
            return blocked
        if _stays_in_secret(entry, case):
            return Decision(ReleaseKey(entry), reasons.RELEASING, f"Releasing the key {entry.prefix}…")
        return Decision(Retire(entry), reasons.REVOKING, f"Revoking the key {entry.prefix}…")
    return None


def _stays_in_secret(entry: RetiringKey, case: Case) -> bool:
    """With ``Orphan`` a Secret may hold a key that was never recorded: it is released, since it must not be revoked."""
    orphaned = case.key.spec.deletion_policy is DeletionPolicy.ORPHAN
    secrets = (case.observed.secret, case.observed.former_secret)
    named = {secret.record.key_id for secret in secrets if isinstance(secret, SecretOwned) and secret.record}
    return orphaned and entry.id in named


def _may_live_on(entry: RetiringKey, case: Case) -> bool:
    """With ``Orphan`` nobody asked for an outage: an old key that may be in use keeps its overlap."""
    orphaned = case.key.spec.deletion_policy is DeletionPolicy.ORPHAN
    return orphaned and entry.reason not in UNUSED_REASONS and due_at(entry, case) > case.now


def _current_key_alive(case: Case) -> Decision | None:
    current = case.status.current
    if current is None:
        return None
    blocked = _put_off(case, current.provider, current.service_key, retire_work(current))
    if blocked is not None:
        return blocked
    if not case.observed.is_live:
        # What cannot be undone is not done by what a watch showed: the policy may have been changed since.
        return Decision(ReadLive(), reasons.REVOKING, "Reading once more how the object is to end.")
    if case.key.spec.deletion_policy is DeletionPolicy.ORPHAN:
        return Decision(ReleaseKey(current), reasons.RELEASING, f"Releasing the key {current.prefix}…")
    return Decision(RevokeCurrent(current), reasons.REVOKING, f"Revoking the key {current.prefix}…")


def _put_off(case: Case, provider: str, service_key: str, work: str) -> Decision | None:
    purpose = "The key cannot be revoked, and the object stays until it is (or has the annotation force-delete)"
    access = case.manage_access(provider, service_key, purpose)
    if access is not None:
        return access
    until = case.not_before(work)
    if until is None:
        return None
    return Decision(WaitUntil(until), reasons.REVOCATION_FAILED, f"{purpose}; it is tried again by itself.")


def _recorded_key_alive(case: Case) -> Decision | None:
    """Status was lost (a restore), but the Secret's record names this object's key: it is accounted for, then ended.

    What stands in the way of that does not hold the object: the sweep finds the key by its tag.
    """
    if case.status.installation is not None:
        return None  # status is whole: what it named is gone
    decision = key_recorded(case)
    return decision if decision is not None and isinstance(decision.step, ReadLive | AdoptKey) else None


def _secret_left(case: Case) -> Decision | None:
    """Any Secret of this object: where the spec wants it, where status says that it is, and what a move left."""
    # Live, since a Secret whose label was stripped is not in the cache; deletion happens once, so the read is cheap.
    if not case.observed.is_live:
        return Decision(ReadLive(), reasons.REVOKING, "Looking for the Secret.")
    name = next(iter(_own_secrets(case)), None)
    if name is None:
        return None
    put_off = case.write_put_off(f"The Secret {name} cannot be changed.")
    if put_off is not None:
        return put_off
    if case.key.spec.deletion_policy is DeletionPolicy.ORPHAN:
        return Decision(ReleaseSecret(name), reasons.RELEASING, f"The Secret {name} stays, and is no longer ours.")
    return Decision(DeleteSecret(name), reasons.REVOKING, f"Deleting the Secret {name}.")


def _own_secrets(case: Case) -> list[str]:
    observed, kept = case.observed, case.status.secret
    orphaned = case.key.spec.deletion_policy is DeletionPolicy.ORPHAN
    places = [(case.key.secret_name, observed.secret)]
    if kept is not None and observed.former_secret is not None and kept.name != case.key.secret_name:
        places.append((kept.name, observed.former_secret))
    # A Secret without our record was released already; its data still fits the fingerprint, so it still looks ours.
    owned = [
        name
        for name, secret in places
        if isinstance(secret, SecretOwned) and (secret.record is not None or not orphaned)
    ]
    return [*owned, *observed.stray_secrets]


def _nothing_left(case: Case) -> Decision | None:
    del case
    return Decision(RemoveFinalizer(), reasons.REVOKING, "Everything is revoked or released.")


_CHECKS = (
    _finalizer_gone,
    _force_delete_requested,
    _minted_key_in_hand,
    _service_key_replaced,
    _intent_unsettled,
    _intent_swept,
    successor_listed,
    successor_unlisted,
    _rollout_open,
    _old_key_alive,
    _current_key_alive,
    _recorded_key_alive,
    _secret_left,
    _nothing_left,
)
