"""The effect of a rotation in one step, and what follows when it brought no plaintext (``checks_rotate`` tells why).

One step of ``act``. The line ``Crash here`` before an effect says what a crash right after it leaves behind, and who
repairs that.
"""

from dataclasses import replace

from saperly_operator.budget.operation import Operation
from saperly_operator.controller.act_failures import mint_failed, unknown_failure
from saperly_operator.controller.act_mint import take_minted
from saperly_operator.controller.service_keys import Handle
from saperly_operator.controller.tools import Tools
from saperly_operator.controller.vendor import GateShut, ask_vendor, look_at_key
from saperly_operator.kube.events import EventType, Occurrence
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
        return  # the next look waits
    except errors.SaperlyError as error:
        await _rotate_failed(tools, observed, handle, decision, error)
        return
    match outcome:
        case Minted():
            await take_minted(tools, observed, decision, outcome, _environment(observed))
        case Redacted(key):
            scratch.redacted = RedactedKey(intent.serial, key)


def _environment(observed: Observed) -> Environment | None:
    provider, intent = observed.provider, observed.key.status.intent
    if not isinstance(provider, ProviderPresent) or intent is None or provider.ref != intent.provider:
        return None
    return Environment(provider.spec.environment)


async def _rotate_failed(
    tools: Tools, observed: Observed, handle: Handle, decision: Decision, error: errors.SaperlyError
) -> None:
    """Any outcome without a plaintext ends in a mint, but for those that certainly changed nothing: these wait."""
    status, scratch = observed.key.status, tools.scratch(observed)
    match error:
        case errors.NotVisible() | errors.Refused() | errors.Defect():
            message = "Saperly does not replace this key in one step; another is minted instead."
            standing = replace(Standing.of(observed, decision), message=message)
            await tools.statuses.store(observed.key, rotation_refused(status), standing)
            scratch.close_intent()
        case errors.OutcomeUnknown() | errors.IdempotencyKeyReused() if await _is_dead(
            tools, observed, handle, error
        ):
            message = "The key was replaced at Saperly, and the new one's plaintext never arrived; another is minted."
            failure = next_failure(
                status, reasons.ROTATION_LOST, tools.clock.now(), message=message, **observed.bound._asdict()
            )
            standing = replace(
                Standing.of(observed, decision), key_active=False, reason=reasons.ROTATION_LOST, message=message
            )
            news = Occurrence(EventType.WARNING, reasons.ROTATION_LOST, "Rotate", message)
            # Crash here: the intent still stands, and its key is looked at again.
            await tools.statuses.store(
                observed.key, rotation_lost(status, failure, tools.clock.now()), standing, news
            )
            scratch.close_intent()
        case _:
            await mint_failed(tools, observed, decision, error)


async def _is_dead(tools: Tools, observed: Observed, handle: Handle, error: errors.SaperlyError) -> bool:
    """Whether the request took effect, though its answer does not come: asked when it failed to come again."""
    failure, intent = unknown_failure(observed, error, tools.clock.now(), tools), observed.key.status.intent
    if failure.code != reasons.OUTCOME_UNKNOWN or failure.count < _DOUBTS_BEFORE_A_LOOK or intent is None:
        return False
    key_id = intent.rotates or ""
    try:
        row = await look_at_key(handle, key_id, tools.clock)
    except (GateShut, errors.SaperlyError):
        return False  # nothing is known: the same request again, later
    return row.revoked_at is not None
