"""Doing: each step of a decision becomes one effect, and its outcome is stored.

The only module, with its neighbours ``act_*``, that writes to either API for a SaperlyKey. After every step the
object is observed and decided about again, so no function here calls another step, or knows what comes next.

The order of effects is what keeps a key from being lost; told as a crash after each step of a first mint:

    AddFinalizer    an object with a finalizer and no key            the next look goes on
    Preflight       a reserved turn, forgotten                       the next look asks again
    StoreIntent     an intent, nothing sent                          takeover, POST, plaintext
    Mint            a key that nobody holds                          takeover, POST: redacted; retired; one more
    WriteSecret     the Secret has the key, status does not say it   takeover, POST: redacted; in the Secret: Record
    Record          done; perhaps no event                           nothing to do
"""

from collections.abc import Awaitable
from typing import assert_never

from saperly_operator.controller import (
    act_adopt,
    act_mint,
    act_restart,
    act_retire,
    act_rotate,
    act_secret,
    act_secret_removal,
    act_status,
    act_update,
)
from saperly_operator.controller.tools import Tools
from saperly_operator.lifecycle import steps
from saperly_operator.lifecycle.observed import Observed
from saperly_operator.lifecycle.steps import Decision

Effect = (
    steps.AddFinalizer
    | steps.Preflight
    | steps.StoreIntent
    | steps.TakeOver
    | steps.Mint
    | steps.Rotate
    | steps.WriteSecret
    | steps.Record
    | steps.Fence
    | steps.AbandonIntent
    | steps.UpdateKey
    | steps.InspectKey
    | steps.NoteSweep
    | steps.ClaimSecret
    | steps.AdoptKey
    | steps.AdoptOrphans
    | steps.AdoptSuccessors
    | steps.RepairSecret
    | steps.MoveSecret
    | steps.DeleteStraySecret
    | steps.WithdrawPrevious
    | steps.LookAtWorkloads
    | steps.Restart
    | steps.Reschedule
    | steps.Retire
    | steps.RevokeCurrent
    | steps.ReleaseKey
    | steps.ReleaseSecret
    | steps.DeleteSecret
    | steps.RemoveFinalizer
)
"""The steps that do something; resting and looking closer are the reconciler's."""


async def act(tools: Tools, observed: Observed, step: Effect, decision: Decision) -> None:
    """Carry one step out.

    Raises KubeError (``Conflict``: decide anew; others: try again later). The vendor's errors end up in status.
    """
    await _effect(tools, observed, step, decision)


def _effect(  # noqa: C901, PLR0911, PLR0912 (one case a step: a table, and assert_never keeps it whole)
    tools: Tools, observed: Observed, step: Effect, decision: Decision
) -> Awaitable[None]:
    match step:
        case steps.AddFinalizer():
            return act_mint.add_finalizer(tools, observed)
        case steps.Preflight():
            return act_mint.preflight(tools, observed, step)
        case steps.StoreIntent():
            return act_mint.store_intent(tools, observed, step, decision)
        case steps.TakeOver():
            return act_mint.take_over(tools, observed, decision)
        case steps.Mint():
            return act_mint.mint(tools, observed, step, decision)
        case steps.Rotate():
            return act_rotate.rotate(tools, observed, step, decision)
        case steps.WriteSecret():
            return act_secret.write_secret(tools, observed, step)
        case steps.Fence():
            return act_secret.fence(tools, observed)
        case steps.RepairSecret():
            return act_secret.repair_secret(tools, observed)
        case steps.MoveSecret():
            return act_secret.move_secret(tools, observed, step)
        case steps.DeleteStraySecret():
            return act_secret_removal.delete_stray_secret(tools, observed, step)
        case steps.WithdrawPrevious():
            return act_secret_removal.withdraw_previous(tools, observed, step)
        case steps.DeleteSecret():
            return act_secret_removal.delete_secret(tools, observed, step)
        case steps.ReleaseSecret():
            return act_secret_removal.release_secret(tools, observed, step)
        case steps.Record():
            return act_status.record(tools, observed, step, decision)
        case steps.AbandonIntent():
            return act_status.abandon_intent(tools, observed, step, decision)
        case steps.AdoptOrphans():
            return act_status.adopt_orphans(tools, observed, step, decision)
        case steps.AdoptSuccessors():
            return act_status.adopt_successors(tools, observed, step, decision)
        case steps.LookAtWorkloads():
            return act_restart.look_at_workloads(tools, observed, step)
        case steps.Restart():
            return act_restart.restart(tools, observed, step)
        case steps.Reschedule():
            return act_restart.reschedule(tools, observed, step, decision)
        case steps.UpdateKey():
            return act_update.update_key(tools, observed, step, decision)
        case steps.InspectKey():
            return act_update.inspect_key(tools, observed, step, decision)
        case steps.NoteSweep():
            return act_update.note_sweep(tools, observed, step, decision)
        case steps.ClaimSecret():
            return act_adopt.claim_secret(tools, observed, step)
        case steps.AdoptKey():
            return act_adopt.adopt_key(tools, observed, step)
        case steps.Retire():
            return act_retire.retire(tools, observed, step, decision)
        case steps.RevokeCurrent():
            return act_retire.revoke_current(tools, observed, step, decision)
        case steps.ReleaseKey():
            return act_retire.release_key(tools, observed, step, decision)
        case steps.RemoveFinalizer():
            return act_retire.remove_finalizer(tools, observed, step, decision)
        case _:
            assert_never(step)
