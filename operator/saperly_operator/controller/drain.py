"""A graceful end: no plaintext in this process's memory is given up while there is time to deliver it.

Called once kopf has stopped watching. Workers first finish the object in their hands; then every object whose key is
minted but not yet recorded is brought to its end, retries included. What is open beyond that (an intent whose answer
never came) is safe to leave: the next process takes it over.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from saperly_operator.clock import Clock
from saperly_operator.controller.cache import ObjectKey
from saperly_operator.controller.scratch import Scratchpads
from saperly_operator.controller.work import KeyWorker

logger = logging.getLogger(__name__)

_PAUSE = 0.2


class Drain:
    """See the module's text. ``limit`` in seconds has to fit the Pod's ``terminationGracePeriodSeconds``."""

    def __init__(self, worker: KeyWorker, scratchpads: Scratchpads, clock: Clock, *, limit: float) -> None:
        self._worker = worker
        self._scratchpads = scratchpads
        self._clock = clock
        self._limit = limit

    async def run(self, close: Callable[[], None], workers: Sequence[Awaitable[None]]) -> None:
        """``close`` the queues, await the ``workers``, deliver what is in hand. Logs what it had to give up."""
        deadline = self._clock.monotonic() + self._limit
        logger.info("draining", extra={"plaintexts": self._scratchpads.holding()})
        close()
        await asyncio.gather(*workers)
        while (keys := self._scratchpads.keys_holding()) and self._clock.monotonic() < deadline:
            await asyncio.gather(*(self._worker.handle(key) for key in keys))
            if self._scratchpads.keys_holding():
                await self._clock.sleep(_PAUSE)
        for key in self._scratchpads.keys_holding():
            self._report_lost(key)

    def _report_lost(self, key: ObjectKey) -> None:
        logger.error(
            "stopped before a minted key was delivered: the next process retires it and mints another",
            extra={"object": "/".join(key)},
        )
