"""What the conditions say of workloads that do not run with the new key yet, beside how things stand. Pure.

Ready stays true, and nothing is Reconciling or Stalled: the key in the Secret works, whatever runs with an old one.
"""

from collections.abc import Iterator

from saperly_operator.lifecycle.conditions import Claim, Standing, condition
from saperly_operator.lifecycle.overlap import awaits_rollout
from saperly_operator.lifecycle.rollout import is_awaited, unread
from saperly_operator.resources import reasons
from saperly_operator.resources.saperly_key import SaperlyKey
from saperly_operator.resources.saperly_key_status import SaperlyKeyStatus


def rollout_claims(key: SaperlyKey, status: SaperlyKeyStatus, standing: Standing) -> Iterator[Claim]:
    """The condition RolloutPending, where it is true of ``status``. What was said before stands until a process has
    looked at every workload."""
    if not is_awaited(status):
        return
    before = condition(key.status, reasons.ROLLOUT_PENDING)
    if standing.rollout is None and before is not None:
        yield Claim(before.type, True, before.reason, before.message)
        return
    told = standing.rollout or unread(key)
    yield Claim(reasons.ROLLOUT_PENDING, True, told.reason, f"{told.message} {_meanwhile(status)}")


def _meanwhile(status: SaperlyKeyStatus) -> str:
    """What becomes of the old keys until then."""
    until = min((entry.revoke_after for entry in status.retiring if awaits_rollout(entry)), default=None)
    if until is None:
        return "The old key is dead: whatever still runs with it fails."
    return f"The old key lives on meanwhile, at the longest until {until:%Y-%m-%dT%H:%M:%SZ}."
