"""A complete list of a service key's live keys, page by page, from an API whose order may change at every call.

What proves a list. Every page tells the total at its own moment. A key that was met at or before a call, and at or
after it, was live at that call (a revoke is for ever). So when as many different keys were met on both sides of one
call as that call's total says, they are exactly the keys that were live then, whatever came, went or moved between the
pages. One page proves itself; n pages in a stable order are proven by the call before the last of a second pass.

A regular sweep needs no proof, since its verdicts rest on closer looks, and costs one call per page: it takes a list
on which as many different keys were met as a total that never changed. A key can then be missed only when another was
revoked and a third minted between two pages, and it is on the next list. Whoever asked for a list (an intent whose
outcome is unknown, a deletion) gets a proven one.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from itertools import accumulate

from saperly_operator.budget.operation import Operation
from saperly_operator.clock import Clock
from saperly_operator.controller.service_keys import Handle
from saperly_operator.controller.vendor import ask_vendor
from saperly_operator.saperly.api import ListedPage
from saperly_operator.saperly.models import ChildKey

_PAGE = 100
_PASSES = 20


@dataclass(frozen=True, slots=True)
class Listing:
    """Every live key of one service key. ``begun_at`` is our clock before the first page was asked for;
    ``server_time`` the vendor's clock then (ours, where the answer bore no date). ``calls`` is what it cost.

    ``is_proven``: no key that was live from the first call to the last can be missing."""

    begun_at: datetime
    server_time: datetime
    rows: tuple[ChildKey, ...]
    is_proven: bool = True
    calls: int = 1


async def list_live_keys(handle: Handle, clock: Clock, *, proof: bool = True) -> Listing | None:
    """List until nothing can have been missed (or, without ``proof``, nothing seems to be); None when it never came
    to that within ``_PASSES`` passes. Raises GateShut, SaperlyError."""
    begun_at = clock.now()
    sightings = _Sightings()
    server_time: datetime | None = None
    for _ in range(_PASSES):
        offset = 0
        while True:
            listed = await _page(handle, clock, offset)
            server_time = server_time or listed.server_time
            sightings.note(listed)
            offset += len(listed.page.keys)
            at_the_end = not listed.page.keys or offset >= listed.page.total
            proven = sightings.are_a_proof()
            if proven or (at_the_end and not proof and sightings.are_plausible()):
                rows = tuple(sightings.rows.values())
                return Listing(begun_at, server_time or begun_at, rows, proven, len(sightings.totals))
            if at_the_end:
                break
    return None


@dataclass(slots=True)
class _Sightings:
    """Which keys were met at which calls; calls are numbered by their place in ``totals``."""

    rows: dict[str, ChildKey] = field(default_factory=dict)
    totals: list[int] = field(default_factory=list)
    _last: dict[str, int] = field(default_factory=dict)
    _changes: Counter[int] = field(default_factory=Counter)
    """How many more keys are known to have been live at a call than at the one before it."""

    def note(self, listed: ListedPage) -> None:
        call = len(self.totals)
        self.totals.append(listed.page.total)
        for row in listed.page.keys:
            last = self._last.get(row.id)
            if last is None:
                self._changes[call] += 1
            else:  # live from its last sighting up to this one
                self._changes[last + 1] += 1
            self._changes[call + 1] -= 1
            self._last[row.id] = call
            self.rows[row.id] = row

    def are_a_proof(self) -> bool:
        live_at = accumulate(self._changes[call] for call in range(len(self.totals)))
        return any(live == total for live, total in zip(live_at, self.totals, strict=True))

    def are_plausible(self) -> bool:
        return len(set(self.totals)) == 1 and len(self.rows) == self.totals[0]


async def _page(handle: Handle, clock: Clock, offset: int) -> ListedPage:
    return await ask_vendor(handle.gate, Operation.LIST, clock, lambda: handle.api.list_page(_PAGE, offset))
