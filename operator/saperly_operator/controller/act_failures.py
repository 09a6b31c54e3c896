"""What follows when the vendor did not do as asked: from an error's class to the next status.

The table of the design, section 4, step 3. Every class of ``saperly.errors`` is in it; a test holds that. Unknown
outcomes keep the intent, definite ones close it, since a 402 sticks to its Idempotency-Key.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from saperly_operator.controller.service_keys import breaker_text
from saperly_operator.controller.tools import Tools
from saperly_operator.kube.events import EventType, Occurrence
from saperly_operator.lifecycle.backoff import exponential
from saperly_operator.lifecycle.conditions import Standing
from saperly_operator.lifecycle.observed import Observed
from saperly_operator.lifecycle.steps import Decision
from saperly_operator.lifecycle.transitions import failed, mint_refused, next_failure
from saperly_operator.resources import reasons
from saperly_operator.resources.saperly_key_status import Failure
from saperly_operator.saperly import errors
from saperly_operator.saperly.models import MintRequest

_NEVER_SEEN_CODE = "unlisted"

_REFUSALS = {
    "agent_cap_exceeded": (
        reasons.AGENT_CAP_EXCEEDED,
        "Saperly refuses a new key: the spending cap is used up. Raise it in the Saperly portal, or await its reset.",
    ),
    "agent_scope_error": (
        reasons.AGENT_SCOPE_ERROR,
        "Saperly refuses the line: it is outside what this account may use. Correct spec.lineId.",
    ),
    "agent_permission_denied": (
        reasons.AGENT_PERMISSION_DENIED,
        "Saperly refuses the permissions: this account may not grant them. Correct spec.permissions.",
    ),
    "not_found": (
        reasons.LINE_NOT_FOUND,
        "Saperly knows no such line, or it was released. Correct spec.lineId.",
    ),
}


async def mint_failed(tools: Tools, observed: Observed, decision: Decision, error: errors.SaperlyError) -> None:
    """Note what a mint's failure means for this object."""
    status, now, timings = observed.key.status, tools.clock.now(), tools.timings
    match error:
        case errors.Throttled():
            pass  # the gate has paused: the next look waits, with the intent open
        case errors.OutcomeUnknown() | errors.IdempotencyKeyReused() | errors.InProgress():
            failure = unknown_failure(observed, error, now, tools)
            # Also in memory: the patch may meet a conflict, and the wait must hold all the same.
            tools.scratch(observed).put_off("mint", failure.retry_at)
            standing = replace(Standing.of(observed, decision), reason=failure.code, message=failure.message or "")
            # The first of its kind in a row is news; the vendor being away for an hour is not news at each try.
            news = (
                Occurrence(EventType.WARNING, failure.code, "Mint", standing.message) if failure.count == 1 else None
            )
            await tools.statuses.store(observed.key, failed(status, failure), standing, news)
        case errors.ServiceKeyRejected() | errors.AccountBlocked():
            # Not this object's fault: the breaker keeps all others out, and nobody holds an intent meanwhile.
            reason, message = breaker_text(error.code or "unauthorized")
            standing = replace(Standing.of(observed, decision), reason=reason, message=message, stalled=True)
            await tools.statuses.store(observed.key, mint_refused(status, None), standing)
            tools.scratch(observed).close_intent()
        case _:
            failure = refused_failure(observed, error, now, timings.backoff_first, timings.backoff_limit)
            standing = replace(
                Standing.of(observed, decision), reason=failure.code, message=failure.message or "", stalled=True
            )
            await tools.statuses.store(observed.key, mint_refused(status, failure), standing)
            tools.scratch(observed).close_intent()


def unknown_failure(observed: Observed, error: errors.SaperlyError, now: datetime, tools: Tools) -> Failure:
    """It may have happened (or surely did not, when nothing was sent): the same request again, later."""
    if isinstance(error, errors.NotSent):
        code, message = reasons.SAPERLY_UNREACHABLE, "Saperly cannot be reached; it is tried again by itself."
    elif isinstance(error, errors.InProgress):
        # One that never ends is an unknown outcome like any other: in the end the list tells.
        code, message = (
            reasons.OUTCOME_UNKNOWN,
            "The first request still runs at Saperly; its outcome is asked again.",
        )
    else:
        code = reasons.OUTCOME_UNKNOWN
        message = "Saperly's answer to a request did not arrive; the same request is sent again."
    count = next_failure(observed.key.status, code, now).count
    wait = exponential(count, tools.timings.retry_first, tools.timings.retry_limit)
    retry_at = now + max(wait, min(timedelta(seconds=error.retry_after or 0.0), tools.timings.retry_after_limit))
    return next_failure(observed.key.status, code, retry_at, message=message, **observed.bound._asdict())


def refused_failure(
    observed: Observed, error: errors.SaperlyError, now: datetime, first: timedelta, limit: timedelta
) -> Failure:
    """A definite no: a person has to change something; tried again at long intervals, or when they did."""
    code, message = refusal_text(error)
    count = next_failure(observed.key.status, code, now).count
    retry_at = now + exponential(count, first, limit)
    return next_failure(observed.key.status, code, retry_at, message=message, **observed.bound._asdict())


def refusal_text(error: errors.SaperlyError) -> tuple[str, str]:
    """Reason and message for a definite refusal. Of the vendor's own words nothing is shown but a code of the form
    ``a_z_09``; a field is named when it is one that the operator sends."""
    if error.code in _REFUSALS:
        return _REFUSALS[error.code]
    named = {detail.field for detail in error.details} & MintRequest.model_fields.keys()
    fields = ", ".join(sorted(named)) or "the request"
    if error.code == "validation_error":
        message = f"Saperly refuses {fields}: correct the spec. A line must belong to the provider's environment."
        return reasons.VALIDATION_FAILED, message
    shown = error.code or (f"HTTP {error.http_status}" if error.http_status else _NEVER_SEEN_CODE)
    return reasons.REQUEST_REFUSED, f"Saperly refuses the request ({shown}): see the Saperly portal."
