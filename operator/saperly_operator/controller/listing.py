"""A complete list of a service key's live keys, page by page, from an API whose order may change at every call."""

from dataclasses import dataclass
from datetime import datetime

from saperly_operator.budget.operation import Operation
from saperly_operator.clock import Clock
from saperly_operator.controller.service_keys import Handle
from saperly_operator.controller.vendor import ask_vendor
from saperly_operator.saperly.api import ListedPage
from saperly_operator.saperly.models import ChildKey

_PAGE = 100
_PASSES = 5


@dataclass(frozen=True, slots=True)
class Listing:
    """Every live key of one service key. ``begun_at`` is our clock before the first page was asked for;
    ``server_time`` the vendor's clock then (ours, where the answer bore no date)."""

    begun_at: datetime
    server_time: datetime
    rows: tuple[ChildKey, ...]


async def list_live_keys(handle: Handle, clock: Clock) -> Listing | None:
    """List until nothing can have been missed; None when it never came to that.

    One page is one moment. Over several, a key may move across a page's edge between two calls, and one that is revoked
    meanwhile makes up for one that was missed: so a pass counts only when the vendor's total stood still throughout, as
    many different keys were seen, and the pass before it saw no other. Raises GateShut, SaperlyError.
    """
    begun_at = clock.now()
    rows: dict[str, ChildKey] = {}
    server_time: datetime | None = None
    for _ in range(_PASSES):
        seen, totals, calls, offset = set(rows), set[int](), 0, 0
        while not totals or offset < max(totals):
            listed = await _page(handle, clock, offset)
            server_time = server_time or listed.server_time
            rows |= {row.id: row for row in listed.page.keys}
            totals.add(listed.page.total)
            calls += 1
            if not listed.page.keys:
                break
            offset += len(listed.page.keys)
        settled = len(totals) == 1 and len(rows) >= max(totals)
        if settled and (calls == 1 or seen == set(rows)):
            return Listing(begun_at, server_time or begun_at, tuple(rows.values()))
    return None


async def _page(handle: Handle, clock: Clock, offset: int) -> ListedPage:
    return await ask_vendor(handle.gate, Operation.LIST, clock, lambda: handle.api.list_page(_PAGE, offset))
