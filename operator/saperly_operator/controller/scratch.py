"""What this process alone remembers of each object: plaintexts on their way, proofs, reservations, and retries.

Lost with the process, always safely: the plaintext's loss is the tested path of ``checks_intent``, and all the rest
is only thrift. Keyed by uid, so that a recreated object never inherits anything.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from saperly_operator.budget.gate import Gate, Granted
from saperly_operator.budget.operation import Operation
from saperly_operator.lifecycle.adoption import AdoptionRefused
from saperly_operator.lifecycle.backoff import exponential
from saperly_operator.lifecycle.observed import (
    HeldKey,
    Memory,
    PreflightPassed,
    PreflightRefused,
    RedactedKey,
    ServiceKeyName,
)
from saperly_operator.lifecycle.sweep_view import SweepView
from saperly_operator.lifecycle.timings import Timings
from saperly_operator.lifecycle.workloads import WorkloadLook
from saperly_operator.resources.saperly_key_status import Intent
from saperly_operator.resources.workload import WorkloadRef
from saperly_operator.saperly.concealed import Plaintext

_LONGEST_RETRY_AFTER = 3600.0
"""Seconds; a vendor's Retry-After is clamped to its own window."""

_SET_BACK = timedelta(minutes=1)
"""By so much a clock that is merely slowed down never falls back; every wait of the protocol has more to spare."""

_TURN_VALID = 20.0
"""Seconds; less than the gate's margin, which also has to cover the request itself."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A reserved turn to mint or to rotate, and the gate that granted it."""

    gate: Gate
    granted: Granted

    def give_back(self, now: float) -> None:
        """It was not used."""
        self.gate.give_back(self.granted, now)


@dataclass(slots=True)
class Scratch:
    """One object's scratchpad; ``key`` is its namespace and name."""

    key: tuple[str, str] = ("", "")
    held: HeldKey | None = None
    plaintext: Plaintext | None = None
    redacted: RedactedKey | None = None
    preflight: PreflightPassed | PreflightRefused | None = None
    turn: Turn | None = None
    sweeps: dict[ServiceKeyName, SweepView] = field(default_factory=dict)
    not_before: dict[str, datetime] = field(default_factory=dict)
    workloads: dict[WorkloadRef, WorkloadLook] = field(default_factory=dict)
    sent_at: dict[str, datetime] = field(default_factory=dict)
    adoption: AdoptionRefused | None = None
    write_refused: PreflightRefused | None = None
    """Why a Secret could last not be changed."""
    may_be_rotated: bool = False
    """The open intent's request to replace a key may have been sent by now, by this process or by another."""
    has_told: bool = False
    """That this object is another installation's was announced."""
    _failures: dict[str, int] = field(default_factory=dict)
    _done_at: dict[str, datetime] = field(default_factory=dict)
    _intent_seen: tuple[int, str] | None = None
    _intent_seen_at: datetime | None = None
    _seen_at: datetime | None = None
    _ahead_since: dict[datetime, datetime] = field(default_factory=dict)

    def see_clock(self, now: datetime, moments: Iterable[datetime]) -> None:
        """What the clock says, and which ``moments`` it will say some time, if none of them was noted by a wrong one.

        When it was set back, all that is dated here is of no use: nothing may wait for such a moment, and no list may
        pass for one that was begun later than it was.
        """
        if self._seen_at is not None and now < self._seen_at - _SET_BACK:
            self._forget_dates(now)
        self._seen_at = now
        ahead = {moment: self._ahead_since.get(moment, now) for moment in moments if moment > now}
        self._ahead_since = {moment: min(since, now) for moment, since in ahead.items()}

    def _forget_dates(self, now: datetime) -> None:
        for dated in (self.sweeps, self.not_before, self.workloads, self.sent_at, self._failures, self._done_at):
            dated.clear()
        self.preflight = self.adoption = self.write_refused = None
        if self.held is not None:
            self.held = replace(self.held, refused_since=None, refusal=None)
        if self._intent_seen_at is not None:
            self._intent_seen_at = now

    def see_intent(self, intent: Intent | None, now: datetime) -> None:
        """What of a request under way this process sees: since when it has been the same, under the same name."""
        seen = None if intent is None else (intent.serial, intent.holder)
        if seen != self._intent_seen:
            self._intent_seen, self._intent_seen_at = seen, now

    def memory(self, listed_serial: int = 0) -> Memory:
        """The part that decisions may rest on; the plaintext itself is not in it."""
        return Memory(
            self.held,
            self.redacted,
            self.preflight,
            dict(self.sweeps),
            dict(self.not_before),
            dict(self.sent_at),
            has_turn=self.turn is not None,
            listed_serial=listed_serial,
            adoption=self.adoption,
            intent_seen_at=self._intent_seen_at,
            write_refused=self.write_refused,
            may_be_rotated=self.may_be_rotated,
            workloads=dict(self.workloads),
            ahead_since=dict(self._ahead_since),
        )

    def forget_absence(self, key_id: str) -> None:
        """A closer look found the key that lists did not show."""
        self.sweeps = {name: replace(view, absent=view.absent - {key_id}) for name, view in self.sweeps.items()}

    def hold(self, held: HeldKey, plaintext: Plaintext) -> None:
        """A minted key's plaintext, until the Secret has it."""
        self.held, self.plaintext, self.redacted = held, plaintext, None

    def take_turn(self, gate: Gate, operation: Operation, now: float) -> Granted | None:
        """The reserved turn, if it is one of ``gate`` for that operation and still fresh; any other is given back.

        The gate counted it when it was granted: used much later, the vendor would count one more in its own hour.
        """
        turn, self.turn = self.turn, None
        if turn is None:
            return None
        is_meant = turn.gate is gate and turn.granted.operation is operation
        if is_meant and now - turn.granted.at <= _TURN_VALID:
            return turn.granted
        turn.give_back(now)
        return None

    def give_turn_back(self, now: float) -> None:
        """No mint comes of the reserved turn, and the next one asks for its own."""
        if self.turn is not None:
            self.turn.give_back(now)
            self.turn = self.preflight = None

    def close_intent(self) -> None:
        """The intent is over, one way or another: nothing of it is kept, the plaintext least of all."""
        self.held = self.plaintext = self.redacted = self.preflight = None
        self.may_be_rotated = False
        for work in ("write", "mint", "look"):
            self.succeeded(work)

    def failed(self, work: str, now: datetime, timings: Timings, at_least: float | None = None) -> datetime:
        """Put ``work`` off, longer with each failure in a row; returns until when."""
        count = self._failures.get(work, 0) + 1
        self._failures[work] = count
        wait = exponential(count, timings.retry_first, timings.retry_limit)
        self.not_before[work] = now + max(
            wait, timedelta(seconds=min(max(at_least or 0.0, 0.0), _LONGEST_RETRY_AFTER))
        )
        return self.not_before[work]

    def contested(self, work: str, now: datetime, timings: Timings) -> None:
        """``work`` was done, and may be undone by somebody: done again soon after, it waits longer each time."""
        calm = self._done_at.get(work)
        if calm is None or now - calm > 2 * timings.retry_limit:
            self.succeeded(work)
        else:
            self.failed(work, now, timings)
        self._done_at[work] = now

    def put_off(self, work: str, until: datetime) -> None:
        """Leave ``work`` alone before ``until``, without counting a failure."""
        self.not_before[work] = until

    def succeeded(self, work: str) -> None:
        """Forget earlier failures of ``work``."""
        self._failures.pop(work, None)
        self.not_before.pop(work, None)
        if work == "write":
            self.write_refused = None


class Scratchpads:
    """The scratchpads of all objects."""

    def __init__(self) -> None:
        self._by_uid: dict[str, Scratch] = {}
        self._uids: dict[tuple[str, str], set[str]] = {}
        self._serials: dict[str, int] = {}

    def of(self, uid: str, key: tuple[str, str]) -> Scratch:
        """The scratchpad of the object with that uid, called ``key`` (namespace, name); a new one for a new object."""
        self._uids.setdefault(key, set()).add(uid)
        return self._by_uid.setdefault(uid, Scratch(key))

    def knows(self, key: tuple[str, str]) -> bool:
        """Whether anything is remembered of objects of that namespace and name."""
        return key in self._uids

    def forget(self, key: tuple[str, str], now: float) -> None:
        """There is no object of that namespace and name any more. A minted key that it did not take is the sweep's."""
        for uid in tuple(self._uids.get(key, ())):
            self._by_uid[uid].give_turn_back(now)
            self.drop(uid)

    def note_serial(self, owner_tag: str, serial: int) -> None:
        """A list shows this serial under the tag of an owner, who may be gone, or not yet (again) be there."""
        self._serials[owner_tag] = max(serial, self.listed_serial(owner_tag))

    def listed_serial(self, owner_tag: str) -> int:
        """The highest serial that any list showed under the tag of an owner; 0 when none did."""
        return self._serials.get(owner_tag, 0)

    def drop(self, uid: str) -> None:
        """The object is gone."""
        pad = self._by_uid.pop(uid, None)
        uids = self._uids.get(pad.key, set()) if pad is not None else set()
        uids.discard(uid)
        if pad is not None and not uids:
            self._uids.pop(pad.key, None)

    def holding(self) -> int:
        """How many plaintexts are on their way to a Secret."""
        return sum(pad.plaintext is not None for pad in self._by_uid.values())

    def keys_holding(self) -> list[tuple[str, str]]:
        """The objects with a minted key that is not recorded yet."""
        return [pad.key for pad in self._by_uid.values() if pad.held is not None]
