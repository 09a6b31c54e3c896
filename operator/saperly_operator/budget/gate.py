"""What stands between the operator and one service key: ask before each request, record after it.

Used by the controller, one gate per service key *material*: two providers that hold the same key share one, and a key
that was replaced starts with a new one. The rules are those of the design's protocol:

* the hourly limits of mint, rotate and list: every request counts, replays and refusals too;
* 429 pauses that operation, for ``Retry-After`` clamped to 1 s – 1 h;
* 401 shuts the whole service key behind a breaker, trouble with the account the operation that met it; one request at
  a time then probes, the others wait.

The gate lives in memory. A restart forgets it, after which the vendor's 429 is what holds the limit.
Pure; times as in ``window``. No I/O, no waiting: whoever gets a ``Wait`` comes again by itself.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import assert_never

from saperly_operator.budget.breaker import Breaker, BreakerTimes, Closed
from saperly_operator.budget.operation import Operation
from saperly_operator.budget.outcome import Answered, Blocked, Outcome, Scope, Throttled, Unanswered
from saperly_operator.budget.pause import Pause
from saperly_operator.budget.window import RollingWindow


@dataclass(frozen=True, slots=True)
class Limits:
    """Requests per rolling hour and service key; the defaults are the published ones. Others have no known limit."""

    mints_per_hour: int = 60
    rotates_per_hour: int = 30
    lists_per_hour: int = 600

    def by_operation(self) -> Mapping[Operation, int]:
        """The same, keyed by what is limited."""
        return {
            Operation.MINT: self.mints_per_hour,
            Operation.ROTATE: self.rotates_per_hour,
            Operation.LIST: self.lists_per_hour,
        }


def strictest(limits: Collection[Limits]) -> Limits:
    """The least that any of them allows, each limit by itself."""
    return Limits(
        mints_per_hour=min(each.mints_per_hour for each in limits),
        rotates_per_hour=min(each.rotates_per_hour for each in limits),
        lists_per_hour=min(each.lists_per_hour for each in limits),
    )


class WaitReason(StrEnum):
    """What a request waits for, the gravest first."""

    BLOCKED = "blocked"
    """The service key or its account was turned down; see ``Wait.codes``."""
    THROTTLED = "throttled"
    """The vendor answered 429."""
    BUDGET = "budget"
    """The hourly limit is spent."""


@dataclass(frozen=True, slots=True)
class Granted:
    """One request may be sent, now. It ends in ``record``, or in ``give_back`` when it was not sent after all."""

    operation: Operation
    at: float


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing may be sent; ask again at ``until``, which is a lower bound and promises nothing."""

    until: float
    reason: WaitReason
    codes: frozenset[str] = field(default=frozenset())


class Gate:
    """The gate of one service key's material.

    ``margin`` (seconds) is how long a granted request may be on its way, at most; see ``RollingWindow``.
    """

    def __init__(
        self, limits: Limits | None = None, *, margin: float = 30.0, breaker_times: BreakerTimes | None = None
    ) -> None:
        limited = (limits or Limits()).by_operation()
        self._windows = {operation: RollingWindow(limit, margin=margin) for operation, limit in limited.items()}
        self._pauses = {operation: Pause() for operation in Operation}
        self._breakers = {operation: Breaker(breaker_times) for operation in Operation}
        self._service_key = Breaker(breaker_times)

    def ask(self, operation: Operation, now: float) -> Granted | Wait:
        """Leave to send one request at once, counted from this moment; or how long to wait, and for what."""
        wait = self.peek(operation, now)
        if wait is not None:
            return wait
        self._service_key.enter(now)
        self._breakers[operation].enter(now)
        if operation in self._windows:
            taken = self._windows[operation].try_take(now)
            assert taken, "the window said that one was free"
        return Granted(operation, now)

    def record(self, granted: Granted, outcome: Outcome, now: float) -> None:
        """What came of a granted request."""
        own, whole, pause = self._breakers[granted.operation], self._service_key, self._pauses[granted.operation]
        at = granted.at
        match outcome:
            case Answered():
                whole.succeeded(granted_at=at, now=now)
                own.succeeded(granted_at=at, now=now)
                pause.answered(granted_at=at)
            case Unanswered():
                whole.undecided(granted_at=at, now=now)
                own.undecided(granted_at=at, now=now)
            case Throttled(retry_after):
                whole.undecided(granted_at=at, now=now)
                own.undecided(granted_at=at, now=now)
                pause.throttled(retry_after, granted_at=at, now=now)
            case Blocked(reason, Scope.SERVICE_KEY):
                whole.failed(reason, granted_at=at, now=now)
                own.undecided(granted_at=at, now=now)
            case Blocked(reason, Scope.OPERATION):
                whole.succeeded(granted_at=at, now=now)  # the key itself was accepted
                own.failed(reason, granted_at=at, now=now)
            case Blocked():
                raise ValueError("an unknown scope")
            case _:
                assert_never(outcome)

    def give_back(self, granted: Granted, now: float) -> None:
        """Undo a grant whose request certainly never left this process: it counts for nothing."""
        self._service_key.withdrawn(granted_at=granted.at, now=now)
        self._breakers[granted.operation].withdrawn(granted_at=granted.at, now=now)
        if granted.operation in self._windows:
            self._windows[granted.operation].give_back(granted.at)

    def relimit(self, limits: Limits) -> None:
        """Other limits from now on; what was spent stays spent."""
        for operation, limit in limits.by_operation().items():
            self._windows[operation].relimit(limit)

    def remaining(self, operation: Operation, now: float) -> int | None:
        """How many are left of the hourly limit at this moment; None where no limit is known."""
        window = self._windows.get(operation)
        return None if window is None else window.free(now)

    def codes_against(self, operation: Operation) -> frozenset[str]:
        """The vendor's codes for which this operation is, or may still be, turned down; empty when all is well."""
        states = (self._service_key.state, self._breakers[operation].state)
        return frozenset[str]().union(*(state.reasons for state in states if not isinstance(state, Closed)))

    def peek(self, operation: Operation, now: float) -> Wait | None:
        """What ``ask`` would answer instead of a grant at this moment, or None; reserves nothing."""
        blocked = max(self._service_key.passes_at(now), self._breakers[operation].passes_at(now))
        throttled = self._pauses[operation].until(now)
        spent = self._windows[operation].next_free_at(now) if operation in self._windows else now
        until = max(blocked, throttled, spent)
        if until <= now:
            return None
        if blocked > now:
            return Wait(until, WaitReason.BLOCKED, self.codes_against(operation))
        return Wait(until, WaitReason.THROTTLED if throttled > now else WaitReason.BUDGET)
