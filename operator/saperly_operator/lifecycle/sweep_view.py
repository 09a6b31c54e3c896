"""What a list of the vendor's keys showed of one object. A hint: it leads to a closer look, never to a verdict."""

from dataclasses import dataclass
from datetime import datetime

from saperly_operator.lifecycle.naming import Tag
from saperly_operator.resources.saperly_key_status import Intent, Operation
from saperly_operator.saperly.models import ChildKey


@dataclass(frozen=True, slots=True)
class SweepView:
    """What the last list of one service key showed of this object: the rows that carry its tag or that it refers to.

    A hint. ``begun_at`` is when its first page was asked for; ``server_time`` the vendor's clock then. ``is_proven``
    says that nothing can have been missed. ``recorded`` are ids that some managed Secret's record names, ``absent``
    ids that this object refers to and that should have been on the list; while too many are absent at once, or the
    service key is in doubt, none is named there."""

    begun_at: datetime
    server_time: datetime
    rows: tuple[ChildKey, ...]
    is_proven: bool = True
    recorded: frozenset[str] = frozenset()
    absent: frozenset[str] = frozenset()

    def tagged(self, serial: int) -> tuple[ChildKey, ...]:
        """The rows minted under ``serial``."""
        return tuple(row for row in self.rows if (tag := Tag.parse(row.name)) and tag.serial == serial)

    def brought_about(self, intent: Intent) -> tuple[ChildKey, ...]:
        """The rows that exist because of ``intent``. A rotated key bears the name, and so the tag, of the one before
        it until that is put right: what tells it is whose place it took."""
        if intent.operation is Operation.ROTATE:
            return tuple(row for row in self.rows if row.rotated_from == intent.rotates)
        return self.tagged(intent.serial)

    def row(self, key_id: str) -> ChildKey | None:
        """The row of that id, or None."""
        return next((row for row in self.rows if row.id == key_id), None)
