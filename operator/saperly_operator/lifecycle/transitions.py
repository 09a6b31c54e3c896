"""How status changes with each outcome: pure functions from one status to the next.

``act`` has the effect, then stores what these return. Each says what the change makes true, and keeps the two books
that outlive every crash: no key id leaves ``current`` or ``retiring`` without a revoke or a release (I3), and the
serial never falls.
"""

from datetime import datetime, timedelta

from saperly_operator.lifecycle.references import retiring
from saperly_operator.resources import reasons
from saperly_operator.resources.saperly_key import RotationStrategy, SaperlyKey
from saperly_operator.resources.saperly_key_status import (
    FailedRotation,
    Failure,
    Intent,
    KeyAttribute,
    KeyRef,
    LostSuccessor,
    RetiringKey,
    RotationStatus,
    SaperlyKeyStatus,
    SecretStatus,
)

_RECENT_INTENTS = 3


def intent_stored(status: SaperlyKeyStatus, intent: Intent, installation: str) -> SaperlyKeyStatus:
    """A request may be sent from now on."""
    recent = (*status.recent_intents, intent.started_at)[-_RECENT_INTENTS:]
    return status.changed(intent=intent, serial=intent.serial, installation=installation, recent_intents=recent)


def intent_taken_over(status: SaperlyKeyStatus, holder: str) -> SaperlyKeyStatus:
    """The intent is ``holder``'s; its former process must not write the Secret any more."""
    assert status.intent is not None
    return status.changed(intent=status.intent.changed(holder=holder))


def intent_abandoned(status: SaperlyKeyStatus, lost: tuple[RetiringKey, ...], failure: Failure) -> SaperlyKeyStatus:
    """The intent's request is not sent again; what it brought about is on its way out."""
    after = status.changed(intent=None, retiring=_joined(status.retiring, lost), failure=failure)
    # A successor that there is took the place of the key that it names, in one transaction: that one is dead.
    return _rotation_failed(after, status.intent, dead=bool(lost))


def rotation_lost(status: SaperlyKeyStatus, failure: Failure, now: datetime) -> SaperlyKeyStatus:
    """The key was replaced in one step, nobody knows by which: a list begun from ``now`` on will show that one."""
    intent = status.intent
    assert intent is not None
    assert intent.rotates is not None
    after = _rotation_failed(status.changed(intent=None, failure=failure), intent, dead=True)
    # Times are stored in whole seconds, and a list begun in this one may have been begun too early.
    lost = LostSuccessor(
        replaced=intent.rotates,
        provider=intent.provider,
        service_key=intent.service_key,
        since=now + timedelta(seconds=1),
    )
    rotation = after.rotation or RotationStatus()
    others = tuple(each for each in rotation.lost if each.replaced != lost.replaced)
    return after.changed(rotation=rotation.changed(lost=(*others, lost)))


def successors_adopted(status: SaperlyKeyStatus, replaced: str, found: tuple[RetiringKey, ...]) -> SaperlyKeyStatus:
    """What took the place of the key ``replaced`` is on its way out, or gone already."""
    rotation = status.rotation or RotationStatus()
    lost = tuple(each for each in rotation.lost if each.replaced != replaced)
    return status.changed(retiring=_joined(status.retiring, found), rotation=rotation.changed(lost=lost))


def rotation_refused(status: SaperlyKeyStatus) -> SaperlyKeyStatus:
    """Saperly does not replace this key in one step. Nothing was minted; a mint is to take its place."""
    after = status.changed(intent=None, failure=None, recent_intents=status.recent_intents[:-1])
    return _rotation_failed(after, status.intent, dead=False)


def _rotation_failed(after: SaperlyKeyStatus, intent: Intent | None, *, dead: bool) -> SaperlyKeyStatus:
    if intent is None or intent.rotates is None:
        return after
    failed = FailedRotation(id=intent.rotates, dead=dead)
    return after.changed(rotation=(after.rotation or RotationStatus()).changed(failed=failed))


def mint_refused(status: SaperlyKeyStatus, failure: Failure | None) -> SaperlyKeyStatus:
    """The vendor said a definite no. The next try needs a new Idempotency-Key (a 402 sticks).

    Nothing was minted, so the object's allowance of mints is as it was.
    """
    return status.changed(intent=None, failure=failure, recent_intents=status.recent_intents[:-1])


def failed(status: SaperlyKeyStatus, failure: Failure) -> SaperlyKeyStatus:
    """Something is to be tried again at ``failure.retry_at``."""
    return status.changed(failure=failure)


def key_delivered(
    key: SaperlyKey, current: KeyRef, secret: SecretStatus, now: datetime, overlap: timedelta
) -> SaperlyKeyStatus:
    """The Secret holds ``current``; what it held before lives on for ``overlap`` and then goes, unless it is dead already
    or was to be replaced in one step."""
    status = key.status
    before, intent = status.current, status.intent
    if before is not None and before.id == current.id:
        return status.changed(secret=secret)
    reason = intent.trigger if intent is not None else "Replaced"
    if _ends_at_once(key, current):
        overlap = timedelta(0)
    old = (retiring(before, reason, now + overlap),) if before is not None else ()
    rotation = (status.rotation or RotationStatus()).changed(
        last_rotated_at=now, last_handled_request=answered_request(key), failed=None
    )
    return status.changed(
        current=current,
        retiring=_joined(status.retiring, old),
        intent=None,
        secret=secret,
        failure=None,
        rotation=rotation,
    )


def _ends_at_once(key: SaperlyKey, current: KeyRef) -> bool:
    """Whether nothing is gained by an overlap: the key before ``current`` is dead, or whoever asked wants it to be."""
    before, intent, rotation = key.status.current, key.status.intent, key.status.rotation
    failed = rotation.failed if rotation is not None else None
    if before is None or current.rotated_from == before.id or (failed is not None and failed.id == before.id):
        return True
    asked = intent is not None and intent.trigger in {reasons.ROTATION_REQUESTED, reasons.ROTATION_SCHEDULED}
    return asked and key.spec.rotation.strategy is RotationStrategy.ATOMIC


def answered_request(key: SaperlyKey) -> str | None:
    """The rotate request that is answered once the key of the open intent is delivered.

    The one that was there when the intent was stored: another that came since may have been made because of the very
    key that is being delivered, and gets one of its own. Without a new one the last answer stands, so that a value that
    is taken away and put back rotates nothing.
    """
    intent, rotation = key.status.intent, key.status.rotation
    answered = intent.rotate_request if intent is not None else key.rotate_request
    return answered or (rotation.last_handled_request if rotation is not None else None)


def attributes_sent(
    status: SaperlyKeyStatus, ref: KeyRef, attributes_hash: str, managed: tuple[KeyAttribute, ...]
) -> SaperlyKeyStatus:
    """The vendor's row looks as asked."""
    if status.current is None or status.current.id != ref.id:
        return status
    sent = status.current.changed(attributes_hash=attributes_hash, managed_attributes=managed)
    return status.changed(current=sent, failure=None)


def orphans_adopted(status: SaperlyKeyStatus, orphans: tuple[RetiringKey, ...]) -> SaperlyKeyStatus:
    """Keys that the sweep found are accounted for, and so are the serials that they were minted under."""
    serial = max([status.serial or 0, *(orphan.serial for orphan in orphans)])
    return status.changed(retiring=_joined(status.retiring, orphans), serial=serial)


def key_gone(status: SaperlyKeyStatus, key_id: str) -> SaperlyKeyStatus:
    """The key is revoked, or released: nothing is owed for it any more."""
    current = None if status.current is not None and status.current.id == key_id else status.current
    return status.changed(current=current, retiring=tuple(entry for entry in status.retiring if entry.id != key_id))


def retirement_held(status: SaperlyKeyStatus, key_id: str, waiting_for: str) -> SaperlyKeyStatus:
    """The key cannot be revoked for now, and status says why."""
    held = tuple(entry.changed(waiting_for=waiting_for) if entry.id == key_id else entry for entry in status.retiring)
    return status.changed(retiring=held)


def next_failure(status: SaperlyKeyStatus, code: str, retry_at: datetime, **details: object) -> Failure:
    """The failure after this one: the same code in a row counts up."""
    before = status.failure
    count = before.count + 1 if before is not None and before.code == code else 1
    return Failure.model_validate({"code": code, "count": count, "retry_at": retry_at, **details})


def _joined(before: tuple[RetiringKey, ...], more: tuple[RetiringKey, ...]) -> tuple[RetiringKey, ...]:
    """Each id once: the API server refuses a list map with the same key twice."""
    known = {entry.id for entry in before}
    added = {entry.id: entry for entry in more if entry.id not in known}
    return (*before, *added.values())
