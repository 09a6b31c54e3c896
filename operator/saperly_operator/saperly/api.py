"""The port through which the controller reaches the vendor: the six calls of a service key.

``SaperlyClient`` is the implementation over HTTP. The deterministic simulation has one over the simulator's core.
Every implementation raises ``SaperlyError`` and nothing else (``asyncio.CancelledError`` apart), and never repeats
a request by itself.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from saperly_operator.saperly.models import ChildKey, KeyPage, UpdateRequest
from saperly_operator.saperly.outcome import MintOutcome

DEFAULT_PAGE = 100


@dataclass(frozen=True, slots=True)
class ListedPage:
    """One page of the list, and the vendor's own time when it was answered (None where the answer bore no date)."""

    page: KeyPage
    server_time: datetime | None


class VendorApi(Protocol):
    """What one service key can do."""

    async def mint(self, body: str, idempotency_key: str) -> MintOutcome:
        """Mint a child key. ``body`` is sent byte for byte: the stored string, see ``canonical.mint_body``.

        A 404 here speaks of the line and is ``Refused``.
        """
        ...

    async def rotate(self, key_id: str, idempotency_key: str) -> MintOutcome:
        """Replace a key in one transaction: the old one is dead once this succeeded, whoever learns of it."""
        ...

    async def get_key(self, key_id: str) -> ChildKey:
        """One key, revoked or not. ``NotVisible`` says that this service key has no such child, nothing more."""
        ...

    async def list_page(self, limit: int = DEFAULT_PAGE, offset: int = 0) -> ListedPage:
        """One page of this service key's live keys, in no reliable order. ``limit`` 1–100, ``offset`` from 0."""
        ...

    async def update_key(self, key_id: str, update: UpdateRequest) -> ChildKey:
        """Change attributes. ``NotVisible`` may speak of the line: see its ``may_be_line``."""
        ...

    async def revoke_key(self, key_id: str) -> ChildKey:
        """Revoke at once. ``NotVisible`` when it was revoked before, or was never visible: GET the key to tell."""
        ...
