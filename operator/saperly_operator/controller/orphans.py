"""Keys of this installation whose SaperlyKey is gone (force-deleted, or lost with its namespace).

There is no object left to store a revoke's intent in; the evidence is the vendor's own list, which shows the key again
at every sweep until it is revoked, so a crash at any line forgets nothing. Before any verdict the objects and the
records of all managed Secrets are listed live: a restore brings Secrets first, and they count as references.

Only keys that were never used, and are old by the vendor's clock, are revoked. A used one has a holder somewhere: it is
reported at every sweep, and a person decides.
"""

import logging

from saperly_operator.budget.operation import Operation
from saperly_operator.clock import Clock
from saperly_operator.controller.listing import Listing
from saperly_operator.controller.service_keys import Handle
from saperly_operator.controller.vendor import GateShut, ask_vendor
from saperly_operator.kube.api import SAPERLY_KEYS, SECRETS, Kube
from saperly_operator.kube.errors import KubeError
from saperly_operator.lifecycle.naming import Owner, Tag
from saperly_operator.lifecycle.timings import Timings
from saperly_operator.resources import annotations
from saperly_operator.saperly.errors import SaperlyError
from saperly_operator.saperly.models import ChildKey

logger = logging.getLogger(__name__)


class OwnerlessOrphans:
    """Judges and revokes them. For an operator that watches all namespaces only."""

    def __init__(self, kube: Kube, clock: Clock, timings: Timings, *, installation: str, confirmed: bool) -> None:
        self._kube = kube
        self._clock = clock
        self._timings = timings
        self._installation = installation
        self._confirmed = confirmed

    async def collect(self, handle: Handle, listing: Listing, unowned: list[ChildKey]) -> None:
        """Revoke those of ``unowned`` that are beyond doubt. Never raises for either API: the next sweep sees them."""
        if not self._confirmed:
            return  # a clone of another cluster: what has no owner here may have one there
        old = [row for row in unowned if listing.server_time - row.created_at >= self._timings.orphan_age]
        if not old:
            return
        try:
            owners, referenced = await self._owners(), await self._referenced()
        except KubeError as error:
            logger.warning("orphans could not be judged", extra={"error": str(error)})
            return
        for row in old:
            tag = Tag.parse(row.name)
            if tag is None or tag.owner in owners or row.id in referenced:
                continue
            if row.last_used_at is not None:
                logger.warning(
                    "a key in use belongs to no SaperlyKey any more: revoke it in the Saperly portal if it is not wanted",
                    extra={"key_id": row.id, "key_prefix": row.key_prefix},
                )
                continue
            await self._revoke(handle, row)

    async def _owners(self) -> frozenset[str]:
        bodies = await self._kube.list(SAPERLY_KEYS)
        owners = (Owner(body["metadata"]["namespace"], body["metadata"]["name"]) for body in bodies)
        return frozenset(Tag.of(self._installation, owner, 1).owner for owner in owners)

    async def _referenced(self) -> frozenset[str]:
        managed = f"{annotations.MANAGED_BY_LABEL}={annotations.MANAGED_BY}"
        secrets = await self._kube.list(SECRETS, labels=managed)
        marks = (secret["metadata"].get("annotations") or {} for secret in secrets)
        return frozenset(mark[annotations.KEY_ID] for mark in marks if annotations.KEY_ID in mark)

    async def _revoke(self, handle: Handle, row: ChildKey) -> None:
        try:
            # The list is old by now: the key may have been released, used, or revoked since.
            now = await ask_vendor(handle.gate, Operation.GET, self._clock, lambda: handle.api.get_key(row.id))
            if now.revoked_at is not None or now.last_used_at is not None or now.name != row.name:
                return
            await ask_vendor(handle.gate, Operation.REVOKE, self._clock, lambda: handle.api.revoke_key(row.id))
        except (GateShut, SaperlyError) as error:
            logger.warning("an orphan could not be revoked", extra={"key_id": row.id, "error": str(error)})
            return
        logger.warning(
            "an unused key that belonged to no SaperlyKey was revoked",
            extra={"key_id": row.id, "key_prefix": row.key_prefix},
        )
