"""The work queue's three promises, in virtual time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from saperly_operator.clock import ManualClock
from saperly_operator.controller.queue import WorkQueue


async def settled() -> None:
    """Until every task has gone as far as it can."""
    for _ in range(20):
        await asyncio.sleep(0)


class Workshop:
    """Workers that note what they were given, and finish it when told to (at once, unless ``holding``)."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.queue: WorkQueue[str] = WorkQueue(self.clock)
        self.taken: list[str] = []
        self.at_work: set[str] = set()
        self.holding = False
        self.finish = asyncio.Event()

    async def handle(self, key: str) -> None:
        assert key not in self.at_work, "one worker per key"
        self.at_work.add(key)
        self.taken.append(key)
        if self.holding:
            await self.finish.wait()
        self.at_work.discard(key)

    async def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        await settled()


@asynccontextmanager
async def workshop(
    workers: int = 1, handle: Callable[[Workshop, str], Awaitable[None]] = Workshop.handle
) -> AsyncIterator[Workshop]:
    shop = Workshop()
    tasks = [asyncio.create_task(shop.queue.work(lambda key: handle(shop, key))) for _ in range(workers)]
    await settled()
    try:
        yield shop
    finally:
        shop.finish.set()
        shop.queue.close()
        await asyncio.wait_for(asyncio.gather(*tasks), 5)


async def test_keys_are_taken_in_the_order_in_which_they_became_due() -> None:
    async with workshop() as shop:
        for key in "abc":
            shop.queue.add(key)
        await settled()
        assert shop.taken == ["a", "b", "c"]


async def test_a_thousand_events_of_one_object_are_one_look_at_it() -> None:
    async with workshop() as shop:
        for _ in range(1000):
            shop.queue.add("a")
        await settled()
        assert shop.taken == ["a"]


async def test_a_key_added_while_it_is_worked_on_is_worked_on_once_more_by_one_worker() -> None:
    async with workshop(workers=3) as shop:
        shop.holding = True
        shop.queue.add("a")
        await settled()
        shop.queue.add("a")
        shop.queue.add("a")
        await settled()
        assert shop.taken == ["a"]
        shop.holding = False
        shop.finish.set()
        await settled()
        assert shop.taken == ["a", "a"]


async def test_other_keys_are_worked_on_meanwhile() -> None:
    async with workshop(workers=2) as shop:
        shop.holding = True
        shop.queue.add("a")
        shop.queue.add("b")
        await settled()
        assert shop.at_work == {"a", "b"}


async def test_a_due_time_is_a_lower_bound() -> None:
    async with workshop() as shop:
        shop.queue.add_after("a", 10)
        await shop.pass_time(9.9)
        assert shop.taken == []
        assert shop.queue.planned == 1
        await shop.pass_time(0.1)
        assert shop.taken == ["a"]
        assert shop.queue.planned == 0


async def test_an_earlier_due_time_wins_whichever_came_first() -> None:
    async with workshop() as shop:
        shop.queue.add_after("a", 10)
        shop.queue.add_after("a", 5)
        shop.queue.add_after("b", 5)
        shop.queue.add_after("b", 10)
        await shop.pass_time(5)
        assert sorted(shop.taken) == ["a", "b"]
        await shop.pass_time(20)
        assert sorted(shop.taken) == ["a", "b"], "the later ones are forgotten"


async def test_a_key_called_for_at_once_does_not_come_again_at_its_due_time() -> None:
    async with workshop() as shop:
        shop.queue.add_after("a", 10)
        shop.queue.add("a")
        await settled()
        await shop.pass_time(20)
        assert shop.taken == ["a"]


async def test_a_due_time_of_a_key_at_work_is_kept() -> None:
    async with workshop() as shop:
        shop.holding = True
        shop.queue.add("a")
        await settled()
        shop.queue.add_after("a", 10)
        shop.holding = False
        shop.finish.set()
        await shop.pass_time(10)
        assert shop.taken == ["a", "a"]


async def test_a_due_time_that_has_passed_is_now() -> None:
    async with workshop() as shop:
        shop.queue.add_after("a", -5)
        await settled()
        await shop.pass_time(0)
        assert shop.taken == ["a"]


async def test_what_is_forgotten_does_not_come() -> None:
    async with workshop() as shop:
        shop.holding = True
        shop.queue.add("a")
        await settled()
        shop.queue.add("a")
        shop.queue.add("b")
        shop.queue.add_after("c", 1)
        for key in "abc":
            shop.queue.forget(key)
        shop.holding = False
        shop.finish.set()
        await shop.pass_time(5)
        assert shop.taken == ["a"], "what was in progress goes on"


async def test_many_idle_workers_miss_nothing_and_leave_nothing_behind() -> None:
    async with workshop(workers=16) as shop:
        for step in range(50):
            shop.queue.add(f"key-{step}")
            shop.queue.add_after(f"later-{step}", step)
            await settled()
        await shop.pass_time(60)
        assert len(shop.taken) == 100
        assert len(set(shop.taken)) == 100
        tasks = [task for task in asyncio.all_tasks() if task.get_coro().__name__ == "sleep"]  # type: ignore[union-attr]
        assert len(tasks) <= 16, "an idle worker's timer is cancelled when it is woken"


async def test_a_closed_queue_lets_its_workers_finish_what_they_hold_and_hands_out_nothing() -> None:
    shop = Workshop()
    shop.holding = True
    worker = asyncio.create_task(shop.queue.work(shop.handle))
    shop.queue.add("a")
    await settled()
    shop.queue.add("b")
    shop.queue.close()
    await settled()
    assert not worker.done()
    shop.finish.set()
    await asyncio.wait_for(worker, 5)
    assert shop.taken == ["a"]
    assert shop.queue.is_closed
    assert shop.queue.waiting == 1


async def test_a_worker_that_is_cancelled_frees_its_key() -> None:
    shop = Workshop()
    shop.holding = True
    worker = asyncio.create_task(shop.queue.work(shop.handle))
    shop.queue.add("a")
    await settled()
    worker.cancel()
    await asyncio.wait({worker})
    shop.at_work.clear()
    shop.holding = False
    other = asyncio.create_task(shop.queue.work(shop.handle))
    shop.queue.add("a")
    await settled()
    assert shop.taken == ["a", "a"]
    shop.queue.close()
    await asyncio.wait_for(other, 5)


async def test_a_key_that_is_planned_anew_a_thousand_times_leaves_next_to_nothing_behind() -> None:
    async with workshop() as shop:
        for _ in range(1000):
            shop.queue.add_after("month", 30 * 86400)
            shop.queue.add("month")
            await settled()
        for seconds in range(1000, 0, -1):
            shop.queue.add_after("sooner", seconds)
        shop.queue.add_after("month", 30 * 86400)
        assert shop.queue.planned == 2
        assert len(shop.queue._heap) < 100
        shop.taken.clear()
        await shop.pass_time(1)
        await shop.pass_time(30 * 86400)
        assert shop.taken == ["sooner", "month"]
