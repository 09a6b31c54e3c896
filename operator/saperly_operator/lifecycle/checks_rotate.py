"""A rotation asked for by schedule or request: in one step at Saperly (``Atomic``), or by a mint (``Overlap``).

``POST …/rotate`` kills the key in the Secret and brings about its successor in one transaction, so from then on the
Secret holds a dead key until the successor's plaintext is in it. What closes the histories of that gap:

* *The answer is lost.* The same request again: it was never executed, and brings the plaintext; or it is answered
  without one. Then the successor is retired, the key in the Secret is known to be dead, and another is minted at once,
  before anything else and also while the object is suspended.
* *The answer is lost, and the same request is never answered again* (a cached 5xx). The key is looked at: dead, so
  another is minted at once. Status remembers that something took its place, until a list shows what, by ``rotated_from``.
* *A definite answer, or a limit, after one that was lost.* It speaks of that request only: the key is looked at first.
* *Saperly does not rotate that key* (revoked, or hidden from this service key). A mint takes its place.
* *A crash at any line.* The intent names the key that is replaced; the next process replays it like a mint's.

A rotation in one step is begun only where a mint could make up for it: one of the hour's mints has to be left (I4).
Else, and where the key's own service key is not at hand, a mint does it, and the old key dies once the new one is there.
"""

from saperly_operator.lifecycle.case import Case, recent_intents
from saperly_operator.lifecycle.checks_mint import SPARE_ROOM, Beginning, begin, begin_mint, provider_unfit
from saperly_operator.lifecycle.checks_retire import retiring_room
from saperly_operator.lifecycle.observed import GateClosed, ProviderPresent, ServiceKeyUsable
from saperly_operator.lifecycle.references import listed_ref, referenced_ids, retiring
from saperly_operator.lifecycle.steps import AdoptSuccessors, AwaitSweep, Decision, Rotate, Stall, WaitUntil
from saperly_operator.resources import reasons
from saperly_operator.resources.saperly_key import RotationStrategy
from saperly_operator.resources.saperly_key_status import Intent, KeyRef, LostSuccessor

ROTATED_LOOK = "look"
"""The name under which another look at a key that is being replaced is put off."""

_LOST_LIMIT = 8
"""As many unknown successors as status has room for."""


def begin_rotation(case: Case, trigger: str) -> Decision:
    """The next step towards the key that a schedule or a request asks for, or what stands in its way."""
    current, provider = case.status.current, case.observed.provider
    if current is None or not isinstance(provider, ProviderPresent) or not _can_be_atomic(case, current, provider):
        return begin_mint(case, trigger)
    beginning = Beginning(provider, current.service_key, trigger, rotates=current.id)
    return provider_unfit(case) or begin(case, beginning)


def maybe_rotated(case: Case, intent: Intent, closed: GateClosed) -> Decision | None:
    """The request may have taken effect, and cannot be sent again for now: the key is looked at, which costs nothing,
    since a mint that makes up for a dead one has a gate of its own. Not again until another look is due."""
    if intent.rotates is None or not case.observed.memory.may_be_rotated:
        return None
    look_at = case.not_before(ROTATED_LOOK)
    if look_at is None:
        return Decision(Rotate(intent), closed.reason, closed.message)
    until = min(look_at, closed.until)
    return Decision(Stall(until) if closed.needs_person else WaitUntil(until), closed.reason, closed.message)


def rotation_lost(case: Case) -> Decision | None:
    """The key in the Secret was replaced at Saperly, and nobody has its successor's plaintext."""
    return begin_mint(case, reasons.ROTATION_LOST) if case.observed.current_is_dead else None


def successor_listed(case: Case) -> Decision | None:
    """A list shows what took the place of a key, or that nothing which took it lives."""
    for lost in _lost(case):
        if _is_out_of_sight(case, lost):
            message = (
                "The service key was replaced before its list of keys could show what took the place of a key: look in "
                f"the Saperly portal for a live key that was rotated from {lost.replaced}."
            )
            return Decision(AdoptSuccessors(lost.replaced, ()), reasons.SERVICE_KEY_REPLACED, message)
        sweep = case.observed.memory.sweeps.get((lost.provider, lost.service_key))
        if sweep is None or sweep.begun_at < case.happened_at(lost.since):
            continue
        rows = [row for row in sweep.rows if row.rotated_from == lost.replaced]
        if not rows and not sweep.is_proven:
            continue  # what a list shows is there, however it was made; that nothing is takes a proven one
        found = tuple(
            retiring(listed_ref(row, lost.provider, lost.service_key), reasons.PLAINTEXT_LOST, case.now)
            for row in rows
            if row.id not in referenced_ids(case.status)
        )
        if len(found) <= retiring_room(case, SPARE_ROOM):
            message = f"{len(found)} keys that nobody knew are revoked: each took the place of another."
            return Decision(AdoptSuccessors(lost.replaced, found), reasons.PLAINTEXT_LOST, message)
    return None


def successor_unlisted(case: Case) -> Decision | None:
    """No list was begun late enough to show what took the place of a key: an object does not go before one was."""
    for lost in _lost(case):
        if case.swept(lost.provider, lost.service_key, case.happened_at(lost.since)) is None:
            message = "Waiting for the list of keys at Saperly, to revoke what took the place of another."
            since = case.happened_at(lost.since)
            step = AwaitSweep(lost.provider, lost.service_key, since, case.now + case.timings.recheck)
            access = case.manage_access(lost.provider, lost.service_key, "The keys at Saperly cannot be listed")
            return access or Decision(step, reasons.REVOKING, message)
    return None


def _is_out_of_sight(case: Case, lost: LostSuccessor) -> bool:
    """The entry holds another service key now, whose list does not show what the former one made."""
    usable = case.observed.service_key(lost.provider, lost.service_key)
    return isinstance(usable, ServiceKeyUsable) and bool(lost.material) and usable.material != lost.material


def _lost(case: Case) -> tuple[LostSuccessor, ...]:
    return case.status.rotation.lost if case.status.rotation is not None else ()


def _can_be_atomic(case: Case, current: KeyRef, provider: ProviderPresent) -> bool:
    if case.key.spec.rotation.strategy is not RotationStrategy.ATOMIC or current.provider != provider.ref:
        return False
    failed = case.status.rotation.failed if case.status.rotation is not None else None
    if (failed is not None and failed.id == current.id) or len(_lost(case)) >= _LOST_LIMIT:
        return False
    usable = case.observed.service_key(current.provider, current.service_key)
    mint_left = len(recent_intents(case)) < case.timings.mint_limit - 1
    return isinstance(usable, ServiceKeyUsable) and mint_left
