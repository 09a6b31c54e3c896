"""A Secret whose plaintext somebody else changes or deletes after each delivery: a new key each time, ever more rarely.

Another controller (a secret store's, a GitOps tool's) may think that the Secret is its own. Then the hourly limit alone
would let three keys be minted in every hour, for ever. So the deliveries that make up for such a loss are counted in
status: three are made at once, the next ones wait as long as contested attributes do. They are counted by the Secret's
name: a person who follows the advice and names another Secret is not made to wait for the first one's sake.
"""

from datetime import datetime
from typing import Final

from saperly_operator.lifecycle.backoff import exponential
from saperly_operator.lifecycle.case import Case, first_of
from saperly_operator.lifecycle.checks_attributes import attributes_changed, old_attributes_changed
from saperly_operator.lifecycle.checks_mint import begin_mint, provider_unfit
from saperly_operator.lifecycle.findings import CONTESTED_FROM
from saperly_operator.lifecycle.observed import SecretOwned
from saperly_operator.lifecycle.steps import Decision, Stall, UpdateKey
from saperly_operator.lifecycle.timings import Timings
from saperly_operator.resources import reasons
from saperly_operator.resources.findings import Redelivery
from saperly_operator.resources.saperly_key import SaperlyKey

LOSSES: Final = frozenset({reasons.SECRET_ALTERED, reasons.SECRET_MISSING})
"""Triggers of a mint that makes up for what somebody else did to the Secret."""


def redelivered(key: SaperlyKey, now: datetime, timings: Timings) -> Redelivery | None:
    """What status counts once the key of its open intent is delivered; forgotten after two days of calm, and for another
    Secret than the one that the spec names."""
    before, intent, name = key.status.redelivered, key.status.intent, key.secret_name
    if before is not None and (before.secret != name or now >= before.last_at + 2 * timings.drift_longest):
        before = None
    if intent is None or intent.trigger not in LOSSES:
        return before
    return Redelivery(count=before.count + 1 if before is not None else 1, last_at=now, secret=name)


def deliver_again(case: Case, reason: str) -> Decision:
    """The next step towards a key in place of the one that somebody took out of the Secret, or the wait before it."""
    rotation, request = case.status.rotation, case.key.rotate_request
    if request is not None and request != (rotation.last_handled_request if rotation else None):
        return begin_mint(case, reasons.ROTATION_REQUESTED)  # a person asks: nobody is in its way any more
    until = _contested_until(case)
    if until is None:
        return begin_mint(case, reason)
    # The key that nobody finds in the Secret lives meanwhile, and somebody may hold it: what is asked of it reaches it.
    asked = first_of((old_attributes_changed, provider_unfit, attributes_changed), case)
    if asked is not None and isinstance(asked.step, UpdateKey):
        return asked
    return Decision(Stall(until), reasons.SECRET_CONTESTED, _told(case))


def _contested_until(case: Case) -> datetime | None:
    redelivery, timings = case.status.redelivered, case.timings
    if redelivery is None or redelivery.count < CONTESTED_FROM or redelivery.secret != case.key.secret_name:
        return None
    extra = redelivery.count - CONTESTED_FROM + 1
    wait = exponential(extra, timings.drift_first, timings.drift_longest)
    until = case.happened_at(redelivery.last_at) + wait
    return until if case.now < until else None


def _told(case: Case) -> str:
    name, secret = case.key.secret_name, case.observed.secret
    if not isinstance(secret, SecretOwned):
        what = f"Something else deletes the Secret {name} again and again"
    elif secret.written_by is not None:
        what = f"Another writer ({secret.written_by}) changes the key in the Secret {name} again and again"
    else:
        what = f"Another writer (see kubectl get secret {name} --show-managed-fields) changes its key again and again"
    return (
        f"{what}: keep it from that, or name another Secret in spec.secret.name. New keys are delivered more and more "
        "rarely; set the annotation saperly.com/rotate-requested-at to get one at once."
    )
