"""What the conditions say of rotations, beside how things stand: a schedule refused, a rotation overdue. Pure.

Both leave Ready alone: the key in the Secret works. Both are there only while they are true.
"""

from collections.abc import Iterator
from datetime import datetime

from saperly_operator.lifecycle.conditions import Claim, Standing, condition, with_conditions
from saperly_operator.lifecycle.rollout_conditions import rollout_claims
from saperly_operator.lifecycle.rotation import Plan, plan_of
from saperly_operator.resources import reasons
from saperly_operator.resources.saperly_key import SaperlyKey
from saperly_operator.resources.saperly_key_status import SaperlyKeyStatus


def fully_told(key: SaperlyKey, status: SaperlyKeyStatus, standing: Standing, now: datetime) -> SaperlyKeyStatus:
    """``status`` as it is stored: with all conditions, and with the next rotation as the schedule has it now."""
    plan = plan_of(key, status, now)
    claims = (*_claims(plan, key.status, standing, now), *rollout_claims(key, status, standing))
    return with_conditions(plan.kept_in(status), standing, key.metadata.generation, now, claims)


def _claims(plan: Plan, before: SaperlyKeyStatus, standing: Standing, now: datetime) -> Iterator[Claim]:
    if plan.refusal is not None:
        yield Claim(reasons.SCHEDULE_REFUSED, True, plan.refusal.reason, plan.refusal.message)
    # A rotation that was begun in time is not overdue for the seconds that it takes; one that had to wait is, until it
    # is done.
    waits = standing.resting or condition(before, reasons.ROTATION_OVERDUE) is not None
    if plan.due is not None and plan.due <= now and waits:
        message = f"The rotation was due at {plan.due:%Y-%m-%dT%H:%M:%SZ}. {standing.message}"
        yield Claim(reasons.ROTATION_OVERDUE, True, standing.reason, message)
