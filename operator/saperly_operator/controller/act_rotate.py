"""The effect of a rotation in one step, and what follows when it brought no plaintext (``checks_rotate`` tells why).

One step of ``act``. The line ``Crash here`` before an effect says what a crash right after it leaves behind, and who
repairs that.
"""

from dataclasses import replace
from enum import Enum

from saperly_operator.budget.operation import Operation
from saperly_operator.controller.act_failures import mint_failed, unknown_failure
from saperly_operator.controller.act_mint import take_minted
from saperly_operator.controller.service_keys import Handle
from saperly_operator.controller.tools import Tools
from saperly_operator.controller.vendor import GateShut, ask_vendor, look_at_key
from saperly_operator.kube.events import EventType, Occurrence
from saperly_operator.lifecycle.checks_rotate import ROTATED_LOOK
from saperly_operator.lifecycle.conditions import Standing
from saperly_operator.lifecycle.observed import Observed, ProviderPresent, RedactedKey
from saperly_operator.lifecycle.steps import Decision, Rotate
from saperly_operator.lifecycle.transitions import next_failure
from saperly_operator.lifecycle.transitions_rotation import rotation_lost, rotation_refused
from saperly_operator.resources import reasons
from saperly_operator.saperly import errors
from saperly_operator.saperly.models import Environment
from saperly_operator.saperly.outcome import Minted, Redacted

_DOUBTS_BEFORE_A_LOOK = 2
"""Unknown outcomes in a row, after which the key is looked at: the same request may never be answered again."""


async def rotate(tools: Tools, observed: Observed, step: Rotate, decision: Decision) -> None:
    """POST for a successor of the key that the intent names; that key is dead once this took effect."""
    scratch, intent = tools.scratch(observed), step.intent
    handle, key_id = tools.handle(observed.key, intent.provider, intent.service_key), intent.rotates
    if handle is None or handle.material != intent.material or key_id is None:
        return  # replaced since it was observed: the next look deals with it
    turn = scratch.take_turn(handle.gate, Operation.ROTATE, tools.clock.monotonic())
    was_sent = scratch.may_be_rotated or _failed_before(observed)
    scratch.may_be_rotated = True
    try:
        # Crash here: the key in the Secret may be dead. The next process replays: the plaintext if nothing had arrived,
        # else an answer without one, after which the successor is retired and a key is minted at once.
        outcome = await ask_vendor(
            handle.gate,
            Operation.ROTATE,
            tools.clock,
            lambda: handle.api.rotate(key_id, intent.idempotency_key),
            turn=turn,
        )
    except GateShut:
        scratch.may_be_rotated = was_sent
        if was_sent and await _look(tools, observed, handle) is _Found.DEAD:
            await _replaced_without_plaintext(tools, observed, decision)
        return  # else the next look waits
    except errors.SaperlyError as error:
        unknown = isinstance(error, errors.OutcomeUnknown | errors.InProgress | errors.IdempotencyKeyReused)
        scratch.may_be_rotated = was_sent or (unknown and not isinstance(error, errors.NotSent))
        await _rotate_failed(tools, observed, handle, decision, error, was_sent=was_sent)
        return
    match outcome:
        case Minted():
            await take_minted(tools, observed, decision, outcome, _environment(observed))
        case Redacted(key):
            scratch.redacted = RedactedKey(intent.serial, key)


def _failed_before(observed: Observed) -> bool:
    failure = observed.key.status.failure
    return failure is not None and failure.code == reasons.OUTCOME_UNKNOWN


def _environment(observed: Observed) -> Environment | None:
    provider, intent = observed.provider, observed.key.status.intent
    if not isinstance(provider, ProviderPresent) or intent is None or provider.ref != intent.provider:
        return None
    return Environment(provider.spec.environment)


async def _rotate_failed(
    tools: Tools,
    observed: Observed,
    handle: Handle,
    decision: Decision,
    error: errors.SaperlyError,
    *,
    was_sent: bool,
) -> None:
    """Any outcome without a plaintext ends in a mint, but for those that certainly changed nothing: these wait.

    A definite answer speaks of this request only: one that was sent before it may have taken effect. So the key is
    looked at before the intent is closed, and while nothing is known of it the intent stays open.
    """
    is_doubtful = isinstance(error, errors.OutcomeUnknown | errors.IdempotencyKeyReused)
    asks = not isinstance(error, errors.NotSent | errors.InProgress) and was_sent
    if is_doubtful:
        asks = _has_failed_twice(tools, observed, error)
    found = await _look(tools, observed, handle) if asks else _Found.NOTHING
    if found is _Found.DEAD:
        await _replaced_without_plaintext(tools, observed, decision)
    elif is_doubtful or isinstance(error, errors.InProgress | errors.Throttled):
        await mint_failed(tools, observed, decision, error)
    elif was_sent and found is _Found.NOTHING:
        if not isinstance(error, errors.ServiceKeyRejected | errors.AccountBlocked):
            unknown = errors.OutcomeUnknown(error.operation, errors.Doubt.SERVER_ERROR)
            await mint_failed(tools, observed, decision, unknown)
    elif isinstance(error, errors.NotVisible | errors.Refused | errors.Defect):
        message = "Saperly does not replace this key in one step; another is minted instead."
        standing = replace(Standing.of(observed, decision), message=message)
        await tools.statuses.store(observed.key, rotation_refused(observed.key.status), standing)
        tools.scratch(observed).close_intent()
    else:
        await mint_failed(tools, observed, decision, error)


async def _replaced_without_plaintext(tools: Tools, observed: Observed, decision: Decision) -> None:
    """The key in the Secret is dead; what took its place is looked for by the sweep, and another is minted at once."""
    status, now = observed.key.status, tools.clock.now()
    message = "The key was replaced at Saperly, and the new one's plaintext never arrived; another is minted."
    failure = next_failure(status, reasons.ROTATION_LOST, now, message=message, **observed.bound._asdict())
    standing = replace(
        Standing.of(observed, decision), key_active=False, reason=reasons.ROTATION_LOST, message=message
    )
    news = Occurrence(EventType.WARNING, reasons.ROTATION_LOST, "Rotate", message)
    # Crash here: the intent still stands, and its key is looked at again.
    await tools.statuses.store(observed.key, rotation_lost(status, failure, now), standing, news)
    tools.scratch(observed).close_intent()


def _has_failed_twice(tools: Tools, observed: Observed, error: errors.SaperlyError) -> bool:
    failure = unknown_failure(observed, error, tools.clock.now(), tools)
    return failure.code == reasons.OUTCOME_UNKNOWN and failure.count >= _DOUBTS_BEFORE_A_LOOK


class _Found(Enum):
    """What a look at the key that is to be replaced showed."""

    DEAD = "dead"
    ALIVE = "alive"
    """Or not visible to its service key, which does not replace it either."""
    NOTHING = "nothing"


async def _look(tools: Tools, observed: Observed, handle: Handle) -> _Found:
    """GET the key that the intent names; another look waits a while."""
    intent = observed.key.status.intent
    tools.scratch(observed).put_off(ROTATED_LOOK, tools.clock.now() + tools.timings.retry_limit)
    try:
        row = await look_at_key(handle, (intent.rotates if intent is not None else None) or "", tools.clock)
    except errors.NotVisible:
        return _Found.ALIVE
    except (GateShut, errors.SaperlyError):
        return _Found.NOTHING
    return _Found.ALIVE if row.revoked_at is None else _Found.DEAD
