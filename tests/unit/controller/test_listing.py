"""A complete list from pages whose order may change at every call, with keys that come and go meanwhile."""

import random
from collections.abc import Callable
from datetime import timedelta

import pytest

from saperly_operator.budget.gate import Gate, Limits
from saperly_operator.clock import ManualClock
from saperly_operator.controller.listing import list_live_keys
from saperly_operator.controller.service_keys import Handle
from saperly_operator.controller.vendor import GateShut
from saperly_operator.saperly.api import ListedPage
from saperly_operator.saperly.models import ChildKey, KeyPage
from tests.builders import NOW, a_row

Between = Callable[["Shelf"], None]


class Shelf:
    """Pages of what is on it at the moment of each call. ``between`` is done after each."""

    def __init__(self, count: int, between: Between | None = None, *, dated: bool = True) -> None:
        self.rows = [a_row(number) for number in range(1, count + 1)]
        self.between = between
        self.dated = dated
        self.calls: list[tuple[int, int]] = []
        self.clock = ManualClock()

    async def list_page(self, limit: int, offset: int) -> ListedPage:
        self.calls.append((limit, offset))
        page = KeyPage(keys=tuple(self.rows[offset : offset + limit]), total=len(self.rows))
        if self.between is not None:
            self.between(self)
        self.clock.advance(1)
        return ListedPage(page, NOW + timedelta(minutes=3, seconds=len(self.calls)) if self.dated else None)

    def handle(self, gate: Gate | None = None) -> Handle:
        return Handle(self, gate or Gate(), "sk_svc_test_", "material")  # type: ignore[arg-type]


def ids(rows: tuple[ChildKey, ...]) -> set[str]:
    return {row.id for row in rows}


@pytest.mark.parametrize(
    ("count", "calls"),
    [
        pytest.param(0, 1, id="none"),
        pytest.param(1, 1, id="one"),
        pytest.param(100, 1, id="a full page is one moment"),
        pytest.param(101, 3, id="two pages are proven by the first one again"),
        pytest.param(250, 5, id="three pages are proven by the first two again"),
    ],
)
async def test_what_a_proven_list_costs(count: int, calls: int) -> None:
    shelf = Shelf(count)
    listing = await list_live_keys(shelf.handle(), shelf.clock)
    assert listing is not None
    assert (listing.is_proven, listing.calls) == (True, calls)
    assert len(listing.rows) == count
    assert len(shelf.calls) == calls
    assert {limit for limit, _ in shelf.calls} == {100}


@pytest.mark.parametrize(
    ("count", "calls", "proven"),
    [(0, 1, True), (100, 1, True), (101, 2, False), (250, 3, False), (1000, 10, False)],
)
async def test_a_regular_list_costs_one_call_a_page(count: int, calls: int, proven: bool) -> None:
    shelf = Shelf(count)
    listing = await list_live_keys(shelf.handle(), shelf.clock, proof=False)
    assert listing is not None
    assert (len(listing.rows), listing.calls, listing.is_proven) == (count, calls, proven)


async def test_a_revoke_made_up_for_by_a_mint_hides_a_key_from_a_regular_list_and_not_from_a_proven_one() -> None:
    def revoke_one_and_mint_another(shelf: Shelf) -> None:
        if len(shelf.calls) == 1:
            del shelf.rows[0]  # the 101st is now on the page that was read …
            shelf.rows.append(a_row(1000))  # … and the total is what it was

    for proof, missed in ((False, {"key-101"}), (True, set())):
        shelf = Shelf(150, revoke_one_and_mint_another)
        listing = await list_live_keys(shelf.handle(), shelf.clock, proof=proof)
        assert listing is not None
        assert listing.is_proven is proof
        assert ids(tuple(shelf.rows)) - ids(listing.rows) == missed


async def test_it_is_dated_by_both_clocks_before_the_first_page() -> None:
    shelf = Shelf(250)
    listing = await list_live_keys(shelf.handle(), shelf.clock)
    assert listing is not None
    assert listing.begun_at == NOW
    assert listing.server_time == NOW + timedelta(minutes=3, seconds=1)


async def test_without_the_vendors_date_it_is_dated_by_ours() -> None:
    shelf = Shelf(1, dated=False)
    listing = await list_live_keys(shelf.handle(), shelf.clock)
    assert listing is not None
    assert listing.server_time == NOW


def shuffled(count: int, order: random.Random) -> Shelf:
    """Its order is another at each call."""
    return Shelf(count, lambda shelf: order.shuffle(shelf.rows))


@pytest.mark.parametrize("proof", [True, False])
async def test_an_order_that_changes_at_each_call_is_listed_until_every_key_was_seen(proof: bool) -> None:
    for seed in range(30):
        shelf = shuffled(220, random.Random(seed))
        listing = await list_live_keys(shelf.handle(), shelf.clock, proof=proof)
        assert listing is not None
        assert ids(listing.rows) == ids(tuple(shelf.rows))


async def test_a_key_that_moves_across_a_pages_edge_is_met_in_another_pass() -> None:
    def revoke_the_first_once(shelf: Shelf) -> None:
        if len(shelf.calls) == 1:
            del shelf.rows[0]  # all others move up by one: the 101st is now on the page that was just read

    shelf = Shelf(150, revoke_the_first_once)
    listing = await list_live_keys(shelf.handle(), shelf.clock)
    assert listing is not None
    assert ids(tuple(shelf.rows)) <= ids(listing.rows)


async def test_a_key_that_comes_meanwhile_is_listed_or_the_list_is_none() -> None:
    def mint_one(shelf: Shelf) -> None:
        if len(shelf.calls) == 1:
            shelf.rows.insert(0, a_row(1000))

    shelf = Shelf(150, mint_one)
    listing = await list_live_keys(shelf.handle(), shelf.clock)
    assert listing is not None
    assert ids(listing.rows) == ids(tuple(shelf.rows))


async def test_no_key_that_was_live_throughout_is_missed_while_others_come_and_go() -> None:
    completed = 0
    for seed in range(60):
        draw = random.Random(seed)
        survivors = ids(tuple(Shelf(230).rows))

        def one_change(shelf: Shelf, draw: random.Random = draw, survivors: set[str] = survivors) -> None:
            if draw.random() < 0.2 and len(shelf.calls) < 8:
                survivors.discard(shelf.rows.pop(draw.randrange(len(shelf.rows))).id)
            elif draw.random() < 0.2 and len(shelf.calls) < 8:
                shelf.rows.insert(draw.randrange(len(shelf.rows)), a_row(1000 + len(shelf.calls)))

        shelf = Shelf(230, one_change)
        listing = await list_live_keys(shelf.handle(), shelf.clock)
        if listing is not None:
            completed += 1
            assert survivors <= ids(listing.rows)
    assert completed > 30


async def test_a_list_that_never_comes_to_an_end_is_no_list() -> None:
    shelf = Shelf(150)
    real = shelf.list_page

    async def short_page(limit: int, offset: int) -> ListedPage:
        listed = await real(limit, offset)
        return ListedPage(listed.page.model_copy(update={"total": 200}), listed.server_time)

    shelf.list_page = short_page  # type: ignore[method-assign]
    assert await list_live_keys(shelf.handle(), shelf.clock) is None
    assert len(shelf.calls) == 20 * 3, "twenty passes, and no more"


async def test_a_spent_limit_ends_it() -> None:
    shelf = Shelf(250)
    with pytest.raises(GateShut):
        await list_live_keys(shelf.handle(Gate(Limits(lists_per_hour=2))), shelf.clock)
    assert len(shelf.calls) == 2
