"""What a worker does with a key it took: reconcile, plan the next look, and survive every error.

An error of an API puts the key off, longer with each one in a row. Anything else is a defect of ours: it is logged with
its traceback (which holds no local values) and the key is put off as well, so that one bad object never stops others.
"""

import logging
from collections.abc import Callable, Hashable
from datetime import timedelta
from typing import Generic, TypeVar

from saperly_operator.controller.cache import ObjectKey, ProviderKey
from saperly_operator.controller.providers import Providers
from saperly_operator.controller.queue import WorkQueue
from saperly_operator.controller.reconcile import Reconciler
from saperly_operator.kube.errors import KubeError
from saperly_operator.lifecycle.backoff import exponential

logger = logging.getLogger(__name__)

Key = TypeVar("Key", bound=Hashable)

_FIRST_RETRY = timedelta(seconds=0.5)
_LAST_RETRY = timedelta(minutes=1)


class Retries(Generic[Key]):
    """How often each key failed in a row."""

    def __init__(self) -> None:
        self._failures: dict[Key, int] = {}

    def failed(self, key: Key) -> float:
        """Seconds to wait after one more failure."""
        self._failures[key] = self._failures.get(key, 0) + 1
        return exponential(self._failures[key], _FIRST_RETRY, _LAST_RETRY).total_seconds()

    def succeeded(self, key: Key) -> None:
        self._failures.pop(key, None)


class KeyWorker:
    """Handles SaperlyKeys."""

    def __init__(self, queue: WorkQueue[ObjectKey], reconciler: Reconciler) -> None:
        self._queue = queue
        self._reconciler = reconciler
        self._retries: Retries[ObjectKey] = Retries()

    async def handle(self, key: ObjectKey) -> None:
        """Never raises (but for cancellation)."""
        try:
            wait = await self._reconciler.reconcile(key)
        except KubeError as error:
            logger.warning("put off", extra={"object": "/".join(key), "error": str(error)})
            self._queue.add_after(key, self._retries.failed(key))
        except Exception:
            logger.exception("a defect", extra={"object": "/".join(key)})
            self._queue.add_after(key, self._retries.failed(key))
        else:
            self._retries.succeeded(key)
            if wait is not None:
                self._queue.add_after(key, wait)


class ProviderWorker:
    """Handles providers, and looks at each again after ``refresh`` seconds: their Secrets are not watched."""

    def __init__(
        self,
        queue: WorkQueue[ProviderKey],
        providers: Providers,
        refresh: float,
        look_again: Callable[[ProviderKey], None],
    ) -> None:
        self._queue = queue
        self._providers = providers
        self._refresh = refresh
        self._look_again = look_again
        self._retries: Retries[ProviderKey] = Retries()
        self._seen: dict[ProviderKey, int] = {}

    async def handle(self, key: ProviderKey) -> None:
        """Never raises (but for cancellation)."""
        try:
            await self._providers.refresh(key)
        except KubeError as error:
            logger.warning("put off", extra={"provider": key[2], "error": str(error)})
            self._queue.add_after(key, self._retries.failed(key))
            return
        except Exception:
            logger.exception("a defect", extra={"provider": key[2]})
            self._queue.add_after(key, self._retries.failed(key))
            return
        self._retries.succeeded(key)
        generation = self._providers.generation(key)
        if generation != self._seen.get(key):
            self._look_again(key)  # it appeared, changed, or went: its objects may fare differently now
        if generation is None:
            self._seen.pop(key, None)
        else:
            self._seen[key] = generation
            self._queue.add_after(key, self._refresh)
