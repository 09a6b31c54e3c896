"""How status changes with each outcome: pure functions from one status to the next.

``act`` has the effect, then stores what these return. Each says what the change makes true, and keeps the two books
that outlive every crash: no key id leaves ``current`` or ``retiring`` without a revoke or a release (I3), and the
serial never falls.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import TypeVar

from saperly_operator.lifecycle.overlap import awaits_rollout, overlap_started, replaced
from saperly_operator.lifecycle.references import joined, retiring
from saperly_operator.lifecycle.transitions_rotation import ends_at_once, rotation_failed
from saperly_operator.resources import reasons
from saperly_operator.resources.findings import Drift, RevokedOutside, UnownedKey
from saperly_operator.resources.saperly_key import SaperlyKey
from saperly_operator.resources.saperly_key_status import (
    RECENT_INTENTS,
    Failure,
    Intent,
    KeyAttribute,
    KeyRef,
    RestartStatus,
    RetiringKey,
    RotationStatus,
    SaperlyKeyStatus,
    SecretStatus,
)

OF_THE_REQUEST = frozenset({reasons.OUTCOME_UNKNOWN, reasons.SAPERLY_UNREACHABLE})
"""Failures of the open intent's own request: it is sent again as it is."""

Ref = TypeVar("Ref", bound=KeyRef)


def intent_stored(status: SaperlyKeyStatus, intent: Intent, installation: str) -> SaperlyKeyStatus:
    """A request may be sent from now on."""
    recent = (*status.recent_intents, intent.started_at)[-RECENT_INTENTS:]
    return status.changed(
        intent=intent,
        serial=intent.serial,
        installation=installation,
        recent_intents=recent,
    )


def intent_taken_over(status: SaperlyKeyStatus, holder: str) -> SaperlyKeyStatus:
    """The intent is ``holder``'s; its former process must not write the Secret any more."""
    assert status.intent is not None
    return status.changed(intent=status.intent.changed(holder=holder))


def intent_abandoned(
    status: SaperlyKeyStatus, lost: tuple[RetiringKey, ...], failure: Failure, *, gives_turn_back: bool = False
) -> SaperlyKeyStatus:
    """The intent's request is not sent again; what it brought about is on its way out.

    With ``gives_turn_back`` the object's allowance of mints is as it was before the intent.
    """
    recent = status.recent_intents[:-1] if gives_turn_back else status.recent_intents
    after = status.changed(
        intent=None, retiring=joined(status.retiring, lost), failure=failure, recent_intents=recent
    )
    # A successor that there is took the place of the key that it names, in one transaction: that one is dead. And where
    # the service key is another now, nobody will ever tell: a key that may be dead must not be waited for.
    is_dead = bool(lost) or failure.code == reasons.SERVICE_KEY_REPLACED
    return rotation_failed(after, status.intent, dead=is_dead)


def mint_refused(status: SaperlyKeyStatus, failure: Failure | None) -> SaperlyKeyStatus:
    """The vendor said a definite no. The next try needs a new Idempotency-Key (a 402 sticks).

    Nothing was minted, so the object's allowance of mints is as it was.
    """
    return status.changed(intent=None, failure=failure, recent_intents=status.recent_intents[:-1])


def failed(status: SaperlyKeyStatus, failure: Failure) -> SaperlyKeyStatus:
    """Something is to be tried again at ``failure.retry_at``."""
    return status.changed(failure=failure)


def key_delivered(
    key: SaperlyKey, current: KeyRef, secret: SecretStatus, now: datetime, previous_key: str | None
) -> SaperlyKeyStatus:
    """The Secret holds ``current``; what it held before is on its way out, once nobody needs it any more.
    ``previous_key`` is where in the Secret's data the old plaintext is, if it was kept."""
    status = key.status
    before = status.current
    if before is not None and before.id == current.id:
        return status.changed(secret=secret)
    reason = _reason(key)
    # A key that somebody else revoked is gone already: Saperly said so, with the date.
    is_dead = before is not None and status.revoked is not None and status.revoked.id == before.id
    lives_on = before is not None and not is_dead
    old = (_replaced(key, before, current, now, previous_key),) if before is not None and lives_on else ()
    # Where nobody is restarted any more, nothing is left that an older key could wait for.
    older = status.retiring if key.spec.restart else tuple(_no_longer_waiting(status, now, key))
    reminted_at = now if reason == reasons.REVOKED_EXTERNALLY else status.reminted_at
    rotation = (status.rotation or RotationStatus()).changed(
        last_rotated_at=now, last_handled_request=answered_request(key), failed=None
    )
    return status.changed(
        current=current,
        retiring=joined(older, old),
        intent=None,
        secret=secret,
        failure=None,
        rotation=rotation,
        restarted=_restart_of(key, current, now),
        revoked=None,
        reminted_at=reminted_at,
    )


def _restart_of(key: SaperlyKey, current: KeyRef, now: datetime) -> RestartStatus | None:
    """Nothing runs with a key that never was: a first one restarts nobody."""
    if key.status.current is None or not key.spec.restart:
        return None
    return RestartStatus(serial=current.serial, started_at=now)


def key_adopted(key: SaperlyKey, current: KeyRef, secret: SecretStatus, installation: str) -> SaperlyKeyStatus:
    """The Secret holds ``current`` already, and status has lost it or never knew it. Its age is the key's own, and the
    rotate request that is there counts as answered. If it was given up (a process that stood still delivered it after
    all), it is on its way out no more."""
    status = key.status
    rotation = (status.rotation or RotationStatus()).changed(
        last_rotated_at=current.minted_at, last_handled_request=answered_request(key), failed=None
    )
    return status.changed(
        installation=installation,
        serial=max(status.serial or 0, current.serial),
        current=current,
        retiring=tuple(entry for entry in status.retiring if entry.id != current.id),
        secret=secret,
        rotation=rotation,
        failure=None,
    )


def _replaced(
    key: SaperlyKey, before: KeyRef, current: KeyRef, now: datetime, previous_key: str | None
) -> RetiringKey:
    kept, reason = key.status.secret, _reason(key)
    mark = kept.fingerprint if kept is not None else None
    # Without the date of its replacement it keeps the one that it is given: no overlap, and no rollout, saves it.
    entry = retiring(before, reason, now) if ends_at_once(key, current) else replaced(before, reason, now, key.spec)
    return entry.changed(fingerprint=mark, previous_key=previous_key)


def _reason(key: SaperlyKey) -> str:
    intent = key.status.intent
    return intent.trigger if intent is not None else "Replaced"


def rescheduled(
    status: SaperlyKeyStatus, restarted: RestartStatus | None, entries: tuple[RetiringKey, ...]
) -> SaperlyKeyStatus:
    """How far the restarts are, and when old keys go. No entry comes or goes by it."""
    assert [entry.id for entry in entries] == [entry.id for entry in status.retiring]
    return status.changed(restarted=restarted, retiring=entries)


def answered_request(key: SaperlyKey) -> str | None:
    """The rotate request that is answered once the key of the open intent is delivered.

    The one that was there when the intent was stored: another that came since may have been made because of the very
    key that is being delivered, and gets one of its own. Without a new one the last answer stands, so that a value that
    is taken away and put back rotates nothing.
    """
    intent, rotation = key.status.intent, key.status.rotation
    answered = intent.rotate_request if intent is not None else key.rotate_request
    return answered or (rotation.last_handled_request if rotation is not None else None)


def attributes_claimed(
    status: SaperlyKeyStatus, ref: KeyRef, managed: tuple[KeyAttribute, ...], claimed: tuple[str, ...]
) -> SaperlyKeyStatus:
    """These attributes of the key are about to be set, to values ``claimed``, so that they are cleared once nobody asks
    for them."""
    added = tuple(attribute for attribute in managed if attribute not in ref.managed_attributes)
    both = (*ref.managed_attributes, *added)
    return attributes_sent(status, ref, ref.attributes_hash, both, claimed=claimed)


def attributes_sent(
    status: SaperlyKeyStatus,
    ref: KeyRef,
    attributes_hash: str,
    managed: tuple[KeyAttribute, ...],
    drift: Drift | None = None,
    claimed: tuple[str, ...] = (),
) -> SaperlyKeyStatus:
    """The vendor's row looks as asked, but for what is still only ``claimed``; ``drift`` is what had to be put right."""
    sent = {"attributes_hash": attributes_hash, "managed_attributes": managed, "claimed_values": claimed}
    drifts = status.drift if drift is None else (*(each for each in status.drift if each.id != drift.id), drift)
    if status.current is not None and status.current.id == ref.id:
        return status.changed(current=status.current.changed(**sent), failure=None, drift=drifts)
    old = tuple(entry.changed(**sent) if entry.id == ref.id else entry for entry in status.retiring)
    return status.changed(retiring=old, drift=drifts) if old != status.retiring or drift is not None else status


def orphans_adopted(status: SaperlyKeyStatus, orphans: tuple[RetiringKey, ...]) -> SaperlyKeyStatus:
    """Keys that the sweep found are accounted for, and so are the serials that they were minted under."""
    serial = max([status.serial or 0, *(orphan.serial for orphan in orphans)])
    return status.changed(retiring=joined(status.retiring, orphans), serial=serial)


def key_gone(status: SaperlyKeyStatus, key_id: str) -> SaperlyKeyStatus:
    """The key is revoked, or released: nothing is owed for it any more."""
    current = None if status.current is not None and status.current.id == key_id else status.current
    return status.changed(
        current=current,
        retiring=tuple(entry for entry in status.retiring if entry.id != key_id),
        drift=tuple(each for each in status.drift if each.id != key_id),
    )


def key_revoked_outside(status: SaperlyKeyStatus, revoked: RevokedOutside) -> SaperlyKeyStatus:
    """Saperly says when somebody else revoked the current key. It stays current until another takes its place."""
    return status.changed(revoked=revoked)


def key_hidden(status: SaperlyKeyStatus, key_id: str, now: datetime) -> SaperlyKeyStatus:
    """Saperly does not show the key to its service key. Nothing follows but that it is shown."""
    return _with_visibility(status, frozenset([key_id]), now)


def sweep_noted(
    status: SaperlyKeyStatus, unowned: tuple[UnownedKey, ...], visible: frozenset[str], calm: frozenset[str]
) -> SaperlyKeyStatus:
    """What a list showed: keys in use that nothing refers to, keys that are visible again, attributes left alone."""
    seen = _with_visibility(status, visible, None)
    return seen.changed(unowned=unowned, drift=tuple(each for each in status.drift if each.id not in calm))


def _with_visibility(
    status: SaperlyKeyStatus, ids: frozenset[str], hidden_since: datetime | None
) -> SaperlyKeyStatus:
    """Keys that are hidden already keep their date."""

    def marked(ref: Ref) -> Ref:
        changes = ref.id in ids and (hidden_since is None or ref.hidden_since is None)
        return ref.changed(hidden_since=hidden_since) if changes else ref

    current = marked(status.current) if status.current is not None else None
    return status.changed(current=current, retiring=tuple(marked(entry) for entry in status.retiring))


def retirement_held(status: SaperlyKeyStatus, key_id: str, waiting_for: str) -> SaperlyKeyStatus:
    """The key cannot be revoked for now, and status says why."""
    held = tuple(entry.changed(waiting_for=waiting_for) if entry.id == key_id else entry for entry in status.retiring)
    return status.changed(retiring=held)


def next_failure(status: SaperlyKeyStatus, code: str, retry_at: datetime, **details: object) -> Failure:
    """The failure after this one: the same code in a row counts up.

    Those of the open request are one row whatever their code: a vendor that now cannot be reached and now answers 502
    is tried ever more rarely, and the list is asked as soon as for either alone.
    """
    before = status.failure
    is_same = before is not None and (before.code == code or {before.code, code} <= OF_THE_REQUEST)
    count = before.count + 1 if before is not None and is_same else 1
    return Failure.model_validate({"code": code, "count": count, "retry_at": retry_at, **details})


def _no_longer_waiting(status: SaperlyKeyStatus, now: datetime, key: SaperlyKey) -> Iterator[RetiringKey]:
    for entry in status.retiring:
        yield overlap_started(entry, now, key.spec.rotation) if awaits_rollout(entry) else entry
