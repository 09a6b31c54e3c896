"""What comparing with the vendor shows of the keys that this object refers to: revoked outside, hidden, drifted.

A list is only a hint. A key that is not on it is looked at by GET, and counts as revoked only by its ``revoked_at``;
a GET that answers 404 says that the key is not visible to its service key, and nothing follows from that but a
condition (design, section 4, "Sweep").
"""

import hashlib
from datetime import datetime

from saperly_operator.lifecycle.attributes import Attributes, differing_fields, listed_attributes
from saperly_operator.lifecycle.backoff import exponential
from saperly_operator.lifecycle.case import Case
from saperly_operator.lifecycle.checks_mint import begin_mint
from saperly_operator.lifecycle.checks_orphans import keys_in_use
from saperly_operator.lifecycle.findings import CONTESTED_FROM
from saperly_operator.lifecycle.naming import canonical_json
from saperly_operator.lifecycle.steps import Decision, InspectKey, NoteSweep, ReadLive
from saperly_operator.resources import reasons
from saperly_operator.resources.findings import Drift
from saperly_operator.resources.saperly_key import OnRemoteRevocation
from saperly_operator.resources.saperly_key_status import KeyRef
from saperly_operator.saperly.models import ChildKey


def inspect_work(key_id: str) -> str:
    """The name under which a closer look at a key is put off."""
    return f"inspect:{key_id}"


def current_absent(case: Case) -> Decision | None:
    """The last list should have shown the current key, and did not."""
    current = case.status.current
    if current is None or case.observed.current_is_revoked:
        return None
    sweep = case.observed.memory.sweeps.get((current.provider, current.service_key))
    if sweep is None or current.id not in sweep.absent or case.not_before(inspect_work(current.id)) is not None:
        return None
    if case.manage_access(current.provider, current.service_key, "The key cannot be looked at") is not None:
        return None
    message = f"Saperly's list does not show the key {current.prefix}… any more: looking closer."
    return Decision(InspectKey(current), reasons.KEY_NOT_VISIBLE, message)


def sweep_unnoted(case: Case) -> Decision | None:
    """Status does not say what the last list showed."""
    sweeps = case.observed.memory.sweeps
    if not sweeps or case.status.installation is None:
        return None
    unowned = keys_in_use(case)
    refs = [ref for ref in (case.status.current, *case.status.retiring) if ref is not None]
    visible = frozenset(ref.id for ref in refs if ref.hidden_since is not None and listed_row(case, ref) is not None)
    calm = frozenset(drift.id for drift in case.status.drift if _is_calm(case, drift))
    if unowned == case.status.unowned and not visible and not calm:
        return None
    if not case.observed.is_live and {each.id for each in unowned} - {each.id for each in case.status.unowned}:
        return Decision(ReadLive(), reasons.IN_USE_ORPHAN, "A key in use that nothing refers to: looking closer.")
    message = "Noting what Saperly's list of keys shows."
    return Decision(NoteSweep(unowned, visible, calm), reasons.IN_USE_ORPHAN, message)


def revoked_outside(case: Case) -> Decision | None:
    """Somebody else revoked the current key: another is minted, unless that is not wanted, or happened just now."""
    revoked, status = case.status.revoked, case.status
    if revoked is None or not case.observed.current_is_revoked:
        return None
    handled = status.rotation.last_handled_request if status.rotation else None
    if case.key.rotate_request is not None and case.key.rotate_request != handled:
        return begin_mint(case, reasons.ROTATION_REQUESTED)
    ask = "set the annotation saperly.com/rotate-requested-at to get another"
    if case.key.spec.on_remote_revocation is OnRemoteRevocation.HOLD:
        message = f"The key was revoked at Saperly, and spec.onRemoteRevocation is Hold: {ask}."
        return case.stall(reasons.REVOKED_EXTERNALLY, message)
    if (
        status.reminted_at is not None
        and case.now < case.happened_at(status.reminted_at) + case.timings.remint_interval
    ):
        message = f"The key was revoked at Saperly, for the second time within a day: {ask}."
        return case.stall(reasons.REVOKED_EXTERNALLY, message)
    return begin_mint(case, reasons.REVOKED_EXTERNALLY)


def listed_row(case: Case, ref: KeyRef) -> ChildKey | None:
    """The key as the last list of its service key showed it; None when it did not."""
    sweep = case.observed.memory.sweeps.get((ref.provider, ref.service_key))
    return sweep.row(ref.id) if sweep is not None else None


def drifted(case: Case, ref: KeyRef, wanted: Attributes) -> Drift | None:
    """What somebody else changed at the vendor of what is managed there, and how often by now; None for nothing."""
    row, sweep = listed_row(case, ref), case.observed.memory.sweeps.get((ref.provider, ref.service_key))
    if row is None or sweep is None or not ref.attributes_hash:
        return None
    sent_at = case.observed.memory.sent_at.get(ref.id)
    if sent_at is not None and sweep.begun_at <= sent_at:
        return None  # it shows the key as it was before
    listed = listed_attributes(row, ref.managed_attributes)
    if listed.hash == ref.attributes_hash:
        return None
    fields, before = differing_fields(wanted, listed), _drift_of(case, ref.id)
    digest = hashlib.sha256(canonical_json(dict(listed.values)).encode()).hexdigest()[:16]
    repeated = before is not None and before.digest == digest and case.now < _forgotten_at(case, before)
    count = before.count + 1 if before is not None and repeated else 1
    return Drift(id=ref.id, digest=digest, fields=fields[:8], count=count, last_at=case.now)


def contested_until(case: Case, ref: KeyRef) -> datetime | None:
    """Until when the key's attributes are left as somebody else wants them: they were put right too often."""
    drift, timings = _drift_of(case, ref.id), case.timings
    if drift is None or drift.count < CONTESTED_FROM:
        return None
    extra = drift.count - CONTESTED_FROM + 1
    until = case.happened_at(drift.last_at) + exponential(extra, timings.drift_first, timings.drift_longest)
    return until if case.now < until else None


def _drift_of(case: Case, key_id: str) -> Drift | None:
    return next((drift for drift in case.status.drift if drift.id == key_id), None)


def _forgotten_at(case: Case, drift: Drift) -> datetime:
    return case.happened_at(drift.last_at) + 2 * case.timings.drift_longest


def _is_calm(case: Case, drift: Drift) -> bool:
    refs = (ref for ref in (case.status.current, *case.status.retiring) if ref is not None)
    ref = next((ref for ref in refs if ref.id == drift.id), None)
    if ref is None:
        return True
    row = listed_row(case, ref)
    as_sent = row is not None and listed_attributes(row, ref.managed_attributes).hash == ref.attributes_hash
    return as_sent and case.now >= _forgotten_at(case, drift)
