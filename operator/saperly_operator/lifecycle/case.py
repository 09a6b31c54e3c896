"""One question to ``decide``, and small answers that several checks share."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from saperly_operator.lifecycle.observed import Observed, ServiceKeyUnusable, ServiceKeyUsable
from saperly_operator.lifecycle.steps import Decision, Stall, WaitUntil
from saperly_operator.lifecycle.sweep_view import SweepView
from saperly_operator.lifecycle.timings import Timings
from saperly_operator.lifecycle.transitions import OF_THE_REQUEST
from saperly_operator.resources import reasons
from saperly_operator.resources.saperly_key import SaperlyKey
from saperly_operator.resources.saperly_key_status import Failure, SaperlyKeyStatus


@dataclass(frozen=True, slots=True)
class Case:
    """What was observed, the present, and the waits that apply."""

    observed: Observed
    now: datetime
    timings: Timings

    @property
    def key(self) -> SaperlyKey:
        return self.observed.key

    @property
    def status(self) -> SaperlyKeyStatus:
        return self.observed.key.status

    def not_before(self, work: str) -> datetime | None:
        """Until when this kind of work is put off in this process, or None when it may go on now."""
        until = self.observed.memory.not_before.get(work)
        return until if until is not None and until > self.now else None

    def happened_at(self, moment: datetime) -> datetime:
        """When that happened which status dates ``moment``.

        A moment further ahead than clocks differ was noted under a clock that was wrong (or this one is, until it is
        set). It counts from when this process first saw it there: nothing waits for days or years because of it, and
        what is allowed so many times an hour is not allowed again at once.
        """
        if moment <= self.now + self.timings.clock_tolerance:
            return moment
        return min(self.observed.memory.ahead_since.get(moment, self.now), self.now)

    def put_off_until(self, failure: Failure) -> datetime | None:
        """Until when what failed is left alone; None when it may be tried. A time further ahead than any wait reaches
        was noted under a clock that ran ahead, and is over."""
        timings = self.timings
        longest = timings.retry_after_limit if failure.code in OF_THE_REQUEST else timings.backoff_limit
        is_wait = self.now < failure.retry_at <= self.now + longest + timings.clock_tolerance
        return failure.retry_at if is_wait else None

    def write_put_off(self, doing: str) -> Decision | None:
        """Why a Secret is not changed for now; None when it may be. A refusal needs a person, an outage does not."""
        until, refused = self.not_before("write"), self.observed.memory.write_refused
        if until is None:
            return None
        if refused is not None:
            return Decision(Stall(until), refused.reason, f"{doing} {refused.message}")
        message = f"{doing} The Kubernetes API did not answer; it is tried again by itself."
        return Decision(WaitUntil(until), reasons.BACKING_OFF, message)

    def swept(self, provider: str, service_key: str, begun_after: datetime) -> SweepView | None:
        """The last list of that service key, if it was begun late enough and nothing can be missing on it."""
        sweep = self.observed.memory.sweeps.get((provider, service_key))
        return sweep if sweep is not None and sweep.is_proven and sweep.begun_at >= begun_after else None

    def stall(self, reason: str, message: str) -> Decision:
        """A person has to act; look again after the usual while, since the cause may go unseen."""
        return Decision(Stall(self.now + self.timings.recheck), reason, message)

    def manage_access(self, provider: str, service_key: str, purpose: str) -> Decision | None:
        """Why the keys of a service key cannot be read, changed or revoked now; None when they can."""
        match self.observed.service_key(provider, service_key):
            case ServiceKeyUnusable(reason, message):
                return self.stall(reason, f"{purpose}: {message}")
            case ServiceKeyUsable(manage=closed) if closed is not None and closed.until > self.now:
                step = Stall(closed.until) if closed.needs_person else WaitUntil(closed.until)
                return Decision(step, closed.reason, f"{purpose}: {closed.message}")
            case _:
                return None


Check = Callable[[Case], Decision | None]
"""Named by what is wrong (or due). None: it does not apply, ask the next."""


def first_of(checks: Iterable[Check], case: Case) -> Decision | None:
    """The decision of the first check that has one."""
    for check in checks:
        decision = check(case)
        if decision is not None:
            return decision
    return None


def recent_intents(case: Case) -> tuple[datetime, ...]:
    """When the mints of the last hour (or what is set in its place) were begun, oldest first."""
    oldest = case.now - case.timings.mint_limit_window
    begun = (case.happened_at(moment) for moment in case.status.recent_intents)
    return tuple(sorted(moment for moment in begun if moment > oldest))
