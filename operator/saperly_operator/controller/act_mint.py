"""The effects of minting: finalizer, dry run, intent, POST (design, section 4, steps 1–3).

Each function is one step of ``act``. The line ``Crash here`` before an effect says what a crash right after it leaves
behind, and who repairs that.
"""

from dataclasses import replace

from saperly_operator.budget.gate import Granted
from saperly_operator.budget.operation import Operation
from saperly_operator.controller.act_failures import mint_failed
from saperly_operator.controller.cache import ObjectKey
from saperly_operator.controller.refusals import refusal_of
from saperly_operator.controller.scratch import Turn
from saperly_operator.controller.secret_body import dry_run_body, update_patch
from saperly_operator.controller.tools import Tools
from saperly_operator.controller.vendor import GateShut, ask_vendor
from saperly_operator.kube import errors as kube_errors
from saperly_operator.kube.api import PLAIN, SAPERLY_KEYS, SECRETS, PatchOptions
from saperly_operator.kube.secrets import SecretView
from saperly_operator.lifecycle.conditions import Standing
from saperly_operator.lifecycle.observed import HeldKey, Observed, PreflightPassed, PreflightRefused, RedactedKey
from saperly_operator.lifecycle.references import minted_ref, retiring
from saperly_operator.lifecycle.steps import Decision, Mint, Preflight, StoreIntent
from saperly_operator.lifecycle.transitions import intent_abandoned, intent_stored, intent_taken_over, next_failure
from saperly_operator.resources import annotations, reasons
from saperly_operator.resources import saperly_key_status as key_status
from saperly_operator.saperly.errors import SaperlyError
from saperly_operator.saperly.models import Environment, MintRequest
from saperly_operator.saperly.outcome import Minted, Redacted

_GATES = {
    key_status.Operation.MINT: Operation.MINT,
    key_status.Operation.ROTATE: Operation.ROTATE,
}


async def add_finalizer(tools: Tools, observed: Observed) -> None:
    """Hold the object until its keys are accounted for."""
    metadata = observed.key.metadata
    patch = {
        "metadata": {
            "uid": metadata.uid,
            "resourceVersion": metadata.resource_version,
            "finalizers": [*metadata.finalizers, annotations.FINALIZER],
        }
    }
    # Crash here: a finalizer without a key. Deletion finds nothing to revoke and takes it away.
    body = await tools.kube.patch(SAPERLY_KEYS, observed.key.namespace, observed.key.name, patch, options=PLAIN)
    tools.cache.put_key(body)


async def preflight(tools: Tools, observed: Observed, step: Preflight) -> None:
    """Reserve a turn, then let the API server say whether the Secret could be written."""
    scratch, key = tools.scratch(observed), observed.key
    handle = tools.handle(key, step.provider, step.service_key)
    if handle is None:
        return  # vanished since it was observed: the next look says so
    if scratch.turn is not None:
        scratch.turn.give_back(tools.clock.monotonic())
        scratch.turn = None
    turn = handle.gate.ask(_GATES[step.operation], tools.clock.monotonic())
    if not isinstance(turn, Granted):
        return  # another object was first: the next look waits
    refused: PreflightRefused | None = None
    try:
        await _dry_run(tools, observed)
    except (kube_errors.AlreadyExists, kube_errors.Conflict):
        # The cache did not know of this Secret, or of its last change: look before anything is decided about it.
        handle.gate.give_back(turn, tools.clock.monotonic())
        await _learn_secret(tools, (key.namespace, key.secret_name))
        return
    except (kube_errors.Refused, kube_errors.NotFound) as error:
        refusal = refusal_of(error, key.secret_name)
        refused = PreflightRefused(tools.clock.now(), refusal.reason, refusal.message)
    except kube_errors.KubeError:
        handle.gate.give_back(turn, tools.clock.monotonic())
        raise
    if refused is not None:
        handle.gate.give_back(turn, tools.clock.monotonic())
        scratch.preflight = refused
        return
    # Crash here: a reserved turn is lost with the process, which costs nothing but that turn.
    scratch.turn, scratch.preflight = Turn(handle.gate, turn), PreflightPassed(tools.clock.now(), step.operation)


async def _dry_run(tools: Tools, observed: Observed) -> None:
    key = observed.key
    view = tools.cache.secret((key.namespace, key.secret_name))
    if view is None:
        await tools.kube.create(SECRETS, key.namespace, dry_run_body(key), dry_run=True)
        return
    patch = update_patch(key, view, record={}, data=dry_run_body(key)["data"])
    try:
        await tools.kube.patch(SECRETS, key.namespace, view.name, patch, options=PatchOptions(dry_run=True))
    except kube_errors.NotFound as error:
        raise kube_errors.Conflict(f"PATCH {view.name}", error.status, "deleted since it was read") from None


async def _learn_secret(tools: Tools, key: ObjectKey) -> None:
    try:
        tools.cache.put_secret(SecretView.of(await tools.kube.get(SECRETS, *key)))
    except kube_errors.NotFound:
        tools.cache.drop_secret(key)


async def store_intent(tools: Tools, observed: Observed, step: StoreIntent, decision: Decision) -> None:
    """From here on a request may be sent, and status says so."""
    status = intent_stored(observed.key.status, step.intent, observed.myself.installation)
    # Crash here: an intent whose request was never sent. The next process takes it over and sends it.
    await tools.statuses.store(observed.key, status, Standing.trying(observed, decision))


async def take_over(tools: Tools, observed: Observed, decision: Decision) -> None:
    """Sign the intent; its former process, should it live, will see that it may not write the Secret any more."""
    status = intent_taken_over(observed.key.status, observed.myself.holder)
    # Crash here: signed by a process that is gone, like before.
    await tools.statuses.store(observed.key, status, Standing.of(observed, decision))
    tools.scratch(observed).may_be_rotated = True


async def mint(tools: Tools, observed: Observed, step: Mint, decision: Decision) -> None:
    """POST the stored request under the stored Idempotency-Key, byte for byte."""
    scratch, intent = tools.scratch(observed), step.intent
    handle = tools.handle(observed.key, intent.provider, intent.service_key)
    if handle is None or handle.material != intent.material:
        return  # replaced since it was observed: the next look deals with it
    turn = scratch.take_turn(handle.gate, Operation.MINT, tools.clock.monotonic())
    try:
        # Crash here: the outcome is unknown. The next process replays: the plaintext if nothing had arrived, else a
        # redacted answer, after which the key is retired and another minted.
        outcome = await ask_vendor(
            handle.gate,
            Operation.MINT,
            tools.clock,
            lambda: handle.api.mint(intent.request, intent.idempotency_key),
            turn=turn,
        )
    except GateShut:
        return  # the next look waits
    except SaperlyError as error:
        await mint_failed(tools, observed, decision, error)
        return
    match outcome:
        case Minted():
            asked = MintRequest.model_validate_json(intent.request).environment
            await take_minted(tools, observed, decision, outcome, asked)
        case Redacted(key):
            scratch.redacted = RedactedKey(intent.serial, key)


async def take_minted(
    tools: Tools, observed: Observed, decision: Decision, outcome: Minted, asked: Environment | None
) -> None:
    """A plaintext came: it is kept until the Secret has it, unless it is not of the environment ``asked`` for."""
    scratch, status = tools.scratch(observed), observed.key.status
    intent = status.intent
    if intent is None:
        return
    misfit = outcome.misfit(asked) if asked is not None else None
    if misfit is None:
        # Crash here: the plaintext is lost with this process. Replayed, redacted, retired; one more mint.
        scratch.hold(HeldKey(intent.serial, outcome.key), outcome.plaintext)
        return
    message = f"Saperly minted a key of the wrong {misfit}; it is revoked. Check the provider's environment."
    ref = minted_ref(outcome.key, intent, status.current)
    lost = retiring(ref, reasons.ENVIRONMENT_MISMATCH, tools.clock.now())
    failure = next_failure(
        status,
        reasons.ENVIRONMENT_MISMATCH,
        tools.clock.now() + tools.timings.backoff_first,
        message=message,
        **observed.bound._asdict(),
    )
    await tools.statuses.store(
        observed.key,
        intent_abandoned(status, (lost,), failure),
        Standing.of(observed, replace(decision, reason=reasons.ENVIRONMENT_MISMATCH, message=message)),
    )
    scratch.close_intent()
