"""From a decision to what people and tools read: conditions, as kstatus and ``kubectl wait`` understand them.

Ready says whether the Secret holds a key that works, whatever else is going on: a rotation that cannot begin leaves
it true, with the reason beside it, and shows in Stalled or Reconciling. Pure. Rules: Kubernetes API conventions.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from saperly_operator.lifecycle.findings import findings
from saperly_operator.lifecycle.observed import Observed, SecretOwned
from saperly_operator.lifecycle.rollout import Awaited, pending
from saperly_operator.lifecycle.steps import AwaitSweep, Decision, Done, Stall, WaitUntil
from saperly_operator.resources import reasons
from saperly_operator.resources.base import Condition, ConditionStatus
from saperly_operator.resources.saperly_key_status import SaperlyKeyStatus

_KNOWN_ONLY_BY_TRYING = frozenset(
    {
        reasons.SERVICE_KEY_REJECTED,
        reasons.SERVICE_KEY_FORBIDDEN,
        reasons.ACCOUNT_BLOCKED,
        reasons.INSUFFICIENT_CREDITS,
        reasons.PAYMENT_METHOD_REQUIRED,
        reasons.AGENT_CAP_EXCEEDED,
        reasons.AGENT_SCOPE_ERROR,
        reasons.AGENT_PERMISSION_DENIED,
        reasons.LINE_NOT_FOUND,
        reasons.VALIDATION_FAILED,
        reasons.REQUEST_REFUSED,
        reasons.ENVIRONMENT_MISMATCH,
        reasons.SECRET_WRITE_REFUSED,
    }
)
"""Causes that nothing but another mint shows to be gone."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The facts behind the conditions, once a step's outcome is known.

    ``resting`` tells an object that nothing is being done for now, whatever the reason, from one at work. ``rollout`` is
    what to say of workloads that do not run with the new key yet; None while nothing new is known of them.
    """

    key_active: bool
    key_in_place: bool
    secret_synced: bool
    reason: str
    message: str
    at_rest: bool
    stalled: bool
    resting: bool = False
    rollout: Awaited | None = None

    @classmethod
    def of(cls, observed: Observed, decision: Decision) -> "Standing":
        """How things stand while ``decision`` is being followed."""
        in_place = observed.key_in_place
        secret = observed.secret
        return cls(
            key_active=observed.key.status.current is not None and not observed.current_is_gone,
            key_in_place=in_place,
            secret_synced=in_place and isinstance(secret, SecretOwned) and secret.metadata_in_sync,
            reason=decision.reason,
            message=decision.message,
            at_rest=isinstance(decision.step, Done),
            stalled=isinstance(decision.step, Stall),
            resting=isinstance(decision.step, Done | WaitUntil | Stall | AwaitSweep),
            rollout=pending(observed),
        )

    @classmethod
    def trying(cls, observed: Observed, decision: Decision) -> "Standing":
        """How things stand while a mint is tried. Tried again after a refusal it stays stalled until it succeeds:
        nobody's alert goes off and on with each try, and the refusal repeated is no news."""
        before = condition(observed.key.status, reasons.STALLED)
        refused = before is not None and before.reason in _KNOWN_ONLY_BY_TRYING
        return cls.beside(observed, decision) if refused else cls.of(observed, decision)

    @classmethod
    def beside(cls, observed: Observed, decision: Decision) -> "Standing":
        """How things stand after a step beside the matter, such as an old key's end: what stalls goes on stalling."""
        standing, before = cls.of(observed, decision), condition(observed.key.status, reasons.STALLED)
        if before is None or before.observed_generation != observed.key.metadata.generation:
            return standing
        if observed.key.is_being_deleted:
            return standing
        return replace(standing, reason=before.reason, message=before.message, stalled=True)

    @classmethod
    def unchanged(cls, observed: Observed, decision: Decision) -> "Standing":
        """How things stand after a step that only concerns old keys: as was said before, if it was said of this spec,
        so that rest need not write again."""
        status, standing = observed.key.status, cls.of(observed, decision)
        ready = condition(status, reasons.READY)
        if ready is None or ready.observed_generation != observed.key.metadata.generation:
            return standing
        stalled = condition(status, reasons.STALLED) is not None
        at_rest = not stalled and condition(status, reasons.RECONCILING) is None
        return replace(standing, reason=ready.reason, message=ready.message, stalled=stalled, at_rest=at_rest)

    @classmethod
    def delivered(cls, secret: str) -> "Standing":
        """How things stand once a key was recorded: as they will be at rest, so that rest need not write again."""
        return cls(
            True, True, True, reasons.AVAILABLE, available_message(secret), at_rest=True, stalled=False, resting=True
        )


def available_message(secret: str) -> str:
    """What Ready says when all is as asked."""
    return f"The key is live, and in the Secret {secret}."


@dataclass(frozen=True, slots=True)
class Claim:
    """What one condition says, whenever it began to say so."""

    type: str
    holds: bool
    reason: str
    message: str

    def as_condition(self, before: Condition | None, generation: int, now: datetime) -> Condition:
        """The condition after ``before``; its transition time moves only with its status."""
        state = ConditionStatus.TRUE if self.holds else ConditionStatus.FALSE
        unchanged = before is not None and before.status == state
        return Condition(
            type=self.type,
            status=state,
            observed_generation=generation,
            last_transition_time=before.last_transition_time if before is not None and unchanged else now,
            reason=self.reason,
            message=self.message,
        )


def with_conditions(
    status: SaperlyKeyStatus, standing: Standing, generation: int, now: datetime, beside: Sequence[Claim] = ()
) -> SaperlyKeyStatus:
    """``status`` with the conditions that ``standing`` calls for, and those that are true ``beside`` it."""
    wanted: list[tuple[str, bool]] = [
        (reasons.READY, standing.key_active and standing.key_in_place),
        (reasons.KEY_ACTIVE, standing.key_active),
        (reasons.SECRET_SYNCED, standing.secret_synced),
    ]
    if standing.stalled:
        wanted.append((reasons.STALLED, True))
    elif not standing.at_rest:
        wanted.append((reasons.RECONCILING, True))
    claims = [Claim(kind, holds, standing.reason, standing.message) for kind, holds in wanted]
    before = {condition.type: condition for condition in status.conditions}
    found = [Claim(finding.type, True, finding.type, finding.message) for finding in findings(status)]
    wanted_claims = (*claims, *beside, *found)
    conditions = tuple(claim.as_condition(before.get(claim.type), generation, now) for claim in wanted_claims)
    return status.changed(conditions=conditions, observed_generation=generation)


def condition(status: SaperlyKeyStatus, kind: str) -> Condition | None:
    """The condition of that type, or None."""
    return next((each for each in status.conditions if each.type == kind), None)
