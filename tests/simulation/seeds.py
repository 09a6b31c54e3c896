"""Running seeds: one after another, or many in a few worker processes.

A seed's history depends on nothing but the seed, so it makes no difference which process lives through it.
"""

import multiprocessing
import os
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.deeds import DEEDS
from tests.simulation.history import History, live_through
from tests.simulation.judgement import judge
from tests.simulation.world import World, told

_PER_TASK = 10


def chosen() -> range:
    """The seeds to run: ``SEEDS=5000`` is the first 5000, ``SEEDS=17..17`` is one."""
    first, _, last = os.environ.get("SEEDS", "2000").partition("..")
    return range(int(first), int(last) + 1) if last else range(int(first))


def lived(seed: int) -> History:
    """One seed's history, to its end. Raises AssertionError with the whole story when anything broke."""
    history = History.drawn(seed)

    async def live(world: World) -> None:
        await live_through(history, DEEDS)
        await judge(history)

    told(live, history.world)
    return history


def failures(seeds: Iterable[int]) -> list[str]:
    """The stories of those seeds whose history breaks something."""
    broken = []
    for seed in seeds:
        try:
            lived(seed)
        except AssertionError as error:
            broken.append(f"seed {seed}: {error}\n(once more: SEEDS={seed}..{seed} make test-simulation)")
    return broken


def failures_in_parallel(seeds: range) -> list[str]:
    """The same, in as many processes as this machine has processors (four at most)."""
    workers = min(4, os.cpu_count() or 1)
    if workers == 1 or len(seeds) <= _PER_TASK:
        return failures(seeds)
    tasks = [seeds[at : at + _PER_TASK] for at in range(0, len(seeds), _PER_TASK)]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        return [story for stories in pool.map(failures, tasks) for story in stories]
