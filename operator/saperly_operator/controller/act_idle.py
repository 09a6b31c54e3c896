"""One more look at the vendor before a key goes that is to stand idle first (``spec.rotation.requireIdle``).

Called by ``act_retire``. The sweep's list, which costs nothing for one key, had a say before it came so far; but that may
be minutes old, and a revoke cannot be undone.
"""

from saperly_operator.controller.service_keys import Handle
from saperly_operator.controller.tools import Tools
from saperly_operator.controller.vendor import look_at_key
from saperly_operator.lifecycle.case import Case
from saperly_operator.lifecycle.checks_retire import put_off_by_use
from saperly_operator.lifecycle.conditions import Standing
from saperly_operator.lifecycle.observed import Observed
from saperly_operator.lifecycle.steps import Decision
from saperly_operator.lifecycle.transitions import rescheduled
from saperly_operator.resources.saperly_key_status import KeyRef, RetiringKey


async def is_put_off_by_use(
    tools: Tools, observed: Observed, handle: Handle, ref: KeyRef, decision: Decision
) -> bool:
    """Whether Saperly saw the key used so lately that it must live on; then its date is stored.

    Raises GateShut, SaperlyError, KubeError.
    """
    status = observed.key.status
    if (
        not observed.key.spec.rotation.require_idle
        or not isinstance(ref, RetiringKey)
        or ref.overlap_started_at is None
    ):
        return False
    row = await look_at_key(handle, ref.id, tools.clock)
    case = Case(observed, tools.clock.now(), tools.timings)
    later = put_off_by_use(ref, row.last_used_at, case) if row.revoked_at is None else None
    if later is None:
        return False
    entries = tuple(later if entry.id == ref.id else entry for entry in status.retiring)
    # Crash here: the date is as it was, and the key is looked at again.
    standing = Standing.unchanged(observed, decision)
    await tools.statuses.store(observed.key, rescheduled(status, status.restarted, entries), standing)
    return True
