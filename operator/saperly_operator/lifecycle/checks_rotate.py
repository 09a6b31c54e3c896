"""A rotation asked for by schedule or request: in one step at Saperly (``Atomic``), or by a mint (``Overlap``).

``POST …/rotate`` kills the key in the Secret and brings about its successor in one transaction, so from then on the
Secret holds a dead key until the successor's plaintext is in it. What closes the histories of that gap:

* *The answer is lost.* The same request again: it was never executed, and brings the plaintext; or it is answered
  without one. Then the successor is retired, the key in the Secret is known to be dead, and another is minted at once,
  before anything else and also while the object is suspended.
* *The answer is lost, and the same request is never answered again* (a cached 5xx). The key is looked at: dead, so
  another is minted at once. Whatever took its place is an orphan of this object, and the sweep finds it.
* *Saperly does not rotate that key* (revoked, or hidden from this service key). A mint takes its place.
* *A crash at any line.* The intent names the key that is replaced; the next process replays it like a mint's.

A rotation in one step is begun only where a mint could make up for it: one of the hour's mints has to be left (I4).
Else, and where the key's own service key is not at hand, a mint does it, and the old key dies once the new one is there.
"""

from saperly_operator.lifecycle.case import Case, recent_intents
from saperly_operator.lifecycle.checks_mint import Beginning, begin, begin_mint, provider_unfit
from saperly_operator.lifecycle.observed import ProviderPresent, ServiceKeyUsable
from saperly_operator.lifecycle.steps import Decision
from saperly_operator.resources import reasons
from saperly_operator.resources.saperly_key import RotationStrategy
from saperly_operator.resources.saperly_key_status import KeyRef


def begin_rotation(case: Case, trigger: str) -> Decision:
    """The next step towards the key that a schedule or a request asks for, or what stands in its way."""
    current, provider = case.status.current, case.observed.provider
    if current is None or not isinstance(provider, ProviderPresent) or not _can_be_atomic(case, current, provider):
        return begin_mint(case, trigger)
    beginning = Beginning(provider, current.service_key, trigger, rotates=current.id)
    return provider_unfit(case) or begin(case, beginning)


def rotation_lost(case: Case) -> Decision | None:
    """The key in the Secret was replaced at Saperly, and nobody has its successor's plaintext."""
    return begin_mint(case, reasons.ROTATION_LOST) if case.observed.current_is_dead else None


def _can_be_atomic(case: Case, current: KeyRef, provider: ProviderPresent) -> bool:
    if case.key.spec.rotation.strategy is not RotationStrategy.ATOMIC or current.provider != provider.ref:
        return False
    failed = case.status.rotation.failed if case.status.rotation is not None else None
    if failed is not None and failed.id == current.id:
        return False
    usable = case.observed.service_key(current.provider, current.service_key)
    mint_left = len(recent_intents(case)) < case.timings.mint_limit - 1
    return isinstance(usable, ServiceKeyUsable) and mint_left
