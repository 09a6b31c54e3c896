"""A circuit breaker: once the vendor has turned a service key down, one request at a time finds out if it still does.

    Closed ──failed──→ Open ──enter, once probe_at has come──→ HalfOpen ──succeeded──→ Closed
                        ↑                                         │
                        └──────── failed (the backoff doubles) ───┤
                        └──────── undecided (it does not) ────────┘

Pure; times as in ``window``. A verdict counts by the time when its request was granted: the probe is the request that
was granted when the breaker became half-open, and all that were granted before the breaker last opened or closed
have no say in it (a failure among them adds its reason). So the answers of requests that were under way together may
come in any order. A probe that nobody reports on is given up after ``patience``.
"""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class BreakerTimes:
    """Seconds: from a failure to the first probe, doubled for each probe that fails up to ``longest``; how long an
    unreported probe keeps others out, which must be more than a whole call takes; and how soon those who wait for a
    probe's verdict should ask again."""

    first: float = 30.0
    longest: float = 900.0
    patience: float = 120.0
    recheck: float = 5.0

    def __post_init__(self) -> None:
        if not 0 < self.first <= self.longest or self.patience <= 0 or self.recheck <= 0:
            raise ValueError("a breaker's times are positive, and the first is not beyond the longest")


@dataclass(frozen=True, slots=True)
class Closed:
    """Everything passes."""

    since: float = float("-inf")


@dataclass(frozen=True, slots=True)
class Open:
    """Nothing passes before ``probe_at``; then one request does."""

    since: float
    probe_at: float
    failures: int
    reasons: frozenset[str]


@dataclass(frozen=True, slots=True)
class HalfOpen:
    """One request, granted at ``since``, is finding out."""

    since: float
    failures: int
    reasons: frozenset[str]


BreakerState = Closed | Open | HalfOpen


class Breaker:
    """See the module's text. ``state`` is the whole of it."""

    def __init__(self, times: BreakerTimes | None = None) -> None:
        self._times = times or BreakerTimes()
        self.state: BreakerState = Closed()

    def passes_at(self, now: float) -> float:
        """``now`` when a request may pass, else when to ask again."""
        match self.state:
            case Closed():
                return now
            case Open(probe_at=probe_at):
                return max(now, probe_at)
            case HalfOpen(since=since):
                given_up_at = since + self._times.patience
                return now if now >= given_up_at else min(given_up_at, now + self._times.recheck)

    def enter(self, now: float) -> None:
        """A request passes, ``passes_at(now)`` having said so; unless the breaker is closed, it is the probe."""
        if not isinstance(self.state, Closed):
            self.state = HalfOpen(now, self.state.failures, self.state.reasons)

    def succeeded(self, *, granted_at: float, now: float) -> None:
        """The vendor dealt with a request."""
        if self._is_probe(granted_at):
            self.state = Closed(now)

    def failed(self, reason: str, *, granted_at: float, now: float) -> None:
        """The vendor turned the service key down."""
        match self.state:
            case Closed(since=since) if granted_at >= since:
                self.state = self._opened(now, 1, frozenset({reason}))
            case HalfOpen(failures=failures) if self._is_probe(granted_at):
                self.state = self._opened(now, failures + 1, frozenset({reason}))
            case Open(since=since, reasons=reasons) if granted_at <= since:
                self.state = replace(self.state, reasons=reasons | {reason})
            case _:
                pass

    def undecided(self, *, granted_at: float, now: float) -> None:
        """A request came to nothing that would tell. If it was the probe, the next one waits as long as it did."""
        if isinstance(self.state, HalfOpen) and self._is_probe(granted_at):
            self.state = self._opened(now, self.state.failures, self.state.reasons)

    def withdrawn(self, *, granted_at: float, now: float) -> None:
        """A request was given back unsent. If it was the probe, another may go at once."""
        if isinstance(self.state, HalfOpen) and self._is_probe(granted_at):
            self.state = Open(now, now, self.state.failures, self.state.reasons)

    def _is_probe(self, granted_at: float) -> bool:
        return isinstance(self.state, HalfOpen) and self.state.since == granted_at

    def _opened(self, now: float, failures: int, reasons: frozenset[str]) -> Open:
        doublings = min(failures - 1, 16)
        wait = min(self._times.longest, self._times.first * 2.0**doublings)
        return Open(now, now + wait, failures, reasons)
