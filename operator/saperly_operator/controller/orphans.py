"""Keys of this installation whose SaperlyKey is gone (force-deleted, or lost with its namespace).

There is no object left to store a revoke's intent in; the evidence is the vendor's own list, which shows the key again
at every sweep until it is revoked, so a crash at any line forgets nothing. Before any verdict the objects and the
records of all managed Secrets are listed live: a restore brings Secrets first, and they count as references.

Only keys that are old by the vendor's clock are revoked: those never used at once, those used when they stood idle for
24 hours, or when the provider's annotation names them. Till then a used one has a holder somewhere, and the provider's
status shows it.
"""

import logging

from saperly_operator.budget.operation import Operation
from saperly_operator.clock import Clock
from saperly_operator.controller.listing import Listing
from saperly_operator.controller.service_keys import Handle
from saperly_operator.controller.vendor import GateShut, ask_vendor, look_at_key
from saperly_operator.kube.api import SAPERLY_KEYS, SECRETS, Kube
from saperly_operator.kube.errors import KubeError
from saperly_operator.lifecycle.naming import Owner, Tag
from saperly_operator.lifecycle.timings import Timings
from saperly_operator.resources import annotations
from saperly_operator.resources.findings import UnownedKey
from saperly_operator.saperly.errors import SaperlyError
from saperly_operator.saperly.models import ChildKey

logger = logging.getLogger(__name__)

_SHOWN_AT_ONCE = 32


class OwnerlessOrphans:
    """Judges and revokes them. For an operator that watches all namespaces only."""

    def __init__(self, kube: Kube, clock: Clock, timings: Timings, *, installation: str, confirmed: bool) -> None:
        self._kube = kube
        self._clock = clock
        self._timings = timings
        self._installation = installation
        self._confirmed = confirmed

    async def collect(
        self, handle: Handle, listing: Listing, unowned: list[ChildKey], ordered: frozenset[str]
    ) -> tuple[UnownedKey, ...] | None:
        """Revoke those of ``unowned`` that are beyond doubt, and the ``ordered`` (by id); returns those in use.

        None when nothing could be judged. Never raises for either API: the next sweep sees them again.
        """
        if not self._confirmed:
            return None  # a clone of another cluster: what has no owner here may have one there
        old = [row for row in unowned if listing.server_time - row.created_at >= self._timings.orphan_age]
        if not old:
            return ()
        try:
            owners, referenced = await self._owners(), await self._referenced()
        except KubeError as error:
            logger.warning("orphans could not be judged", extra={"error": str(error)})
            return None
        in_use: list[UnownedKey] = []
        for row in sorted(old, key=lambda row: row.id):
            tag = Tag.parse(row.name)
            if tag is None or tag.owner in owners or row.id in referenced:
                continue
            if row.id in ordered or self._is_idle(row, listing):
                await self._revoke(handle, row)
            else:
                in_use.append(UnownedKey(id=row.id, prefix=row.key_prefix, name=row.name))
        return tuple(in_use[:_SHOWN_AT_ONCE])

    def _is_idle(self, row: ChildKey, listing: Listing) -> bool:
        """Never used, or not for so long that nobody can be waiting for it (I5), by the vendor's own clock."""
        used_at = row.last_used_at
        return used_at is None or listing.server_time - used_at >= self._timings.idle_before_revoke

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
            now = await look_at_key(handle, row.id, self._clock)
            if now.revoked_at is not None or now.last_used_at != row.last_used_at or now.name != row.name:
                return
            await ask_vendor(handle.gate, Operation.REVOKE, self._clock, lambda: handle.api.revoke_key(row.id))
        except (GateShut, SaperlyError) as error:
            logger.warning("an orphan could not be revoked", extra={"key_id": row.id, "error": str(error)})
            return
        logger.warning(
            "a key that belonged to no SaperlyKey was revoked",
            extra={"key_id": row.id, "key_prefix": row.key_prefix},
        )
