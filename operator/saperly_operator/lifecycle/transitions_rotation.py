"""How status changes when a key is replaced in one step at Saperly, and that goes wrong. Pure, like ``transitions``."""

from datetime import datetime, timedelta

from saperly_operator.lifecycle.references import joined
from saperly_operator.resources import reasons
from saperly_operator.resources.saperly_key import RotationStrategy, SaperlyKey
from saperly_operator.resources.saperly_key_status import (
    FailedRotation,
    Failure,
    Intent,
    KeyRef,
    LostSuccessor,
    RetiringKey,
    RotationStatus,
    SaperlyKeyStatus,
)


def rotation_failed(after: SaperlyKeyStatus, intent: Intent | None, *, dead: bool) -> SaperlyKeyStatus:
    """``after``, with what became of the key that ``intent`` was to replace; as it is, when that was a mint."""
    if intent is None or intent.rotates is None:
        return after
    failed = FailedRotation(id=intent.rotates, dead=dead)
    return after.changed(rotation=(after.rotation or RotationStatus()).changed(failed=failed))


def rotation_lost(status: SaperlyKeyStatus, failure: Failure, now: datetime) -> SaperlyKeyStatus:
    """The key was replaced in one step, nobody knows by which: a list begun from ``now`` on will show that one."""
    intent = status.intent
    assert intent is not None
    assert intent.rotates is not None
    after = rotation_failed(status.changed(intent=None, failure=failure), intent, dead=True)
    # Times are stored in whole seconds, and a list begun in this one may have been begun too early.
    lost = LostSuccessor(
        replaced=intent.rotates,
        provider=intent.provider,
        service_key=intent.service_key,
        material=intent.material,
        since=now + timedelta(seconds=1),
    )
    rotation = after.rotation or RotationStatus()
    others = tuple(each for each in rotation.lost if each.replaced != lost.replaced)
    return after.changed(rotation=rotation.changed(lost=(*others, lost)))


def rotation_refused(status: SaperlyKeyStatus) -> SaperlyKeyStatus:
    """Saperly does not replace this key in one step. Nothing was minted; a mint is to take its place."""
    after = status.changed(intent=None, failure=None, recent_intents=status.recent_intents[:-1])
    return rotation_failed(after, status.intent, dead=False)


def successors_adopted(status: SaperlyKeyStatus, replaced: str, found: tuple[RetiringKey, ...]) -> SaperlyKeyStatus:
    """What took the place of the key ``replaced`` is on its way out, or gone already."""
    rotation = status.rotation or RotationStatus()
    lost = tuple(each for each in rotation.lost if each.replaced != replaced)
    return status.changed(retiring=joined(status.retiring, found), rotation=rotation.changed(lost=lost))


def ends_at_once(key: SaperlyKey, current: KeyRef) -> bool:
    """Whether nothing is gained by an overlap: the key before ``current`` is dead, or whoever asked wants it to be."""
    before, rotation = key.status.current, key.status.rotation
    failed = rotation.failed if rotation is not None else None
    is_dead = before is not None and failed is not None and failed.id == before.id and failed.dead
    if before is None or current.rotated_from == before.id or is_dead:
        return True
    return is_asked_in_one_step(key)


def is_asked_in_one_step(key: SaperlyKey) -> bool:
    """Whether the open intent follows a schedule or a request under the strategy ``Atomic``; or answers such a request
    beside what it was begun for, as when somebody deletes the Secret of a compromised key, too."""
    intent, rotation = key.status.intent, key.status.rotation
    if intent is None or key.spec.rotation.strategy is not RotationStrategy.ATOMIC:
        return False
    handled = rotation.last_handled_request if rotation is not None else None
    is_answer = intent.rotate_request is not None and intent.rotate_request != handled
    return is_answer or intent.trigger in {reasons.ROTATION_REQUESTED, reasons.ROTATION_SCHEDULED}
