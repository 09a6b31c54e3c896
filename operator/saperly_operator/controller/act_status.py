"""The steps whose effect is a status patch: recording a delivery, giving an intent up, adopting orphans."""

from dataclasses import replace

from saperly_operator.controller.tools import Tools
from saperly_operator.kube.events import EventType, Occurrence
from saperly_operator.lifecycle.conditions import Standing, condition
from saperly_operator.lifecycle.observed import Observed, SecretOwned
from saperly_operator.lifecycle.redelivery import redelivered
from saperly_operator.lifecycle.steps import AbandonIntent, AdoptOrphans, AdoptSuccessors, Decision, Record
from saperly_operator.lifecycle.transitions import intent_abandoned, key_delivered, next_failure, orphans_adopted
from saperly_operator.lifecycle.transitions_rotation import successors_adopted
from saperly_operator.resources import reasons
from saperly_operator.resources.saperly_key_status import SaperlyKeyStatus


async def record(tools: Tools, observed: Observed, step: Record, decision: Decision) -> None:
    """Status names the key that the Secret holds; the one before it is on its way out."""
    key, now = observed.key, tools.clock.now()
    status = key_delivered(key, step.current, step.secret, now, _previous_key(observed, step.secret.name))
    status = status.changed(redelivered=redelivered(key, now, tools.timings))
    standing = Standing.delivered(step.secret.name)
    # Crash here: nothing is lost, since the Secret holds the key and its record. The event may be missing.
    await tools.statuses.store(key, status, standing, _delivery(key.status, step, decision))
    tools.scratch(observed).close_intent()
    tools.scratch(observed).workloads.clear()


def _previous_key(observed: Observed, written: str) -> str | None:
    """Where the Secret that was just written keeps the plaintext that status still has for the current one."""
    kept, secret = observed.key.status.secret, observed.secret
    if written != observed.key.secret_name:
        secret = observed.former_secret or secret
    if kept is None or not isinstance(secret, SecretOwned):
        return None
    return next((place for place, mark in secret.previous.items() if mark == kept.fingerprint), None)


def _delivery(before: SaperlyKeyStatus, step: Record, decision: Decision) -> Occurrence:
    if before.current is None:
        return Occurrence(EventType.NORMAL, reasons.ISSUED, "Mint", decision.message)
    if before.current.id == step.current.id:
        return Occurrence(EventType.NORMAL, reasons.MOVED, "Move", decision.message)
    trigger = before.intent.trigger if before.intent is not None else ""
    return Occurrence(EventType.NORMAL, reasons.ROTATED, "Mint", f"{decision.message} Cause: {trigger}.")


async def abandon_intent(tools: Tools, observed: Observed, step: AbandonIntent, decision: Decision) -> None:
    """What the intent minted is on its way out, in the same patch that gives the intent up."""
    status = observed.key.status
    failure = next_failure(status, step.code, step.until, message=decision.message, **observed.bound._asdict())
    before = condition(status, reasons.STALLED)
    is_known = before is not None and before.reason == decision.reason
    # Crash here: the intent still stands, and the same is decided again.
    await tools.statuses.store(
        observed.key,
        intent_abandoned(status, step.lost, failure, gives_turn_back=step.gives_turn_back),
        replace(Standing.of(observed, decision), stalled=is_known),
        None if is_known else Occurrence(EventType.WARNING, decision.reason, "Mint", decision.message),
    )
    tools.scratch(observed).close_intent()


async def adopt_orphans(tools: Tools, observed: Observed, step: AdoptOrphans, decision: Decision) -> None:
    """Account for keys that a sweep found, before any of them is revoked."""
    await tools.statuses.store(
        observed.key,
        orphans_adopted(observed.key.status, step.orphans),
        Standing.beside(observed, decision),
        Occurrence(EventType.WARNING, decision.reason, "Sweep", decision.message),
    )


async def adopt_successors(tools: Tools, observed: Observed, step: AdoptSuccessors, decision: Decision) -> None:
    """Account for what a list shows in the place of a key; usually one, none when somebody else ended it. That nobody
    can tell any more is announced, for a person to look."""
    is_news = bool(step.found) or decision.reason == reasons.SERVICE_KEY_REPLACED
    await tools.statuses.store(
        observed.key,
        successors_adopted(observed.key.status, step.replaced, step.found),
        Standing.beside(observed, decision),
        Occurrence(EventType.WARNING, decision.reason, "Sweep", decision.message) if is_news else None,
    )
