"""A world in which every step succeeds: the smallest model of both APIs that decisions can be carried out in.

No faults, no waiting: a wait moves the clock, a wanted list is there. What is left is whether the decisions lead
anywhere. The real effects are ``controller/act``'s; here each is one line.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime

from saperly_operator.lifecycle import steps, transitions
from saperly_operator.lifecycle.decide import decide
from saperly_operator.lifecycle.naming import released_name
from saperly_operator.lifecycle.observed import (
    Freshness,
    HeldKey,
    Memory,
    Observed,
    PreflightPassed,
    RedactedKey,
    SecretAbsent,
    SecretForeign,
    SecretOwned,
    SecretState,
)
from saperly_operator.lifecycle.references import referenced_ids
from saperly_operator.lifecycle.sweep_view import SweepView
from saperly_operator.resources import annotations, reasons
from saperly_operator.resources.findings import RevokedOutside
from saperly_operator.resources.saperly_key import DeletionPolicy, SaperlyKey
from saperly_operator.resources.saperly_key_status import Intent, KeyRef, SecretStatus
from saperly_operator.resources.secret_record import SecretRecord
from saperly_operator.resources.workload import RestartMark, WorkloadRef
from saperly_operator.saperly.models import ChildKey, MintRequest
from tests.builders import ENTRY, HOLDER, INSTALLATION, NOW, OWNER, PROVIDER, a_look, a_row, a_workload, observed
from tests.unit.lifecycle.table import TIMINGS

Place = tuple[str, str]
"""A Secret's name and an entry of it."""


@dataclass
class IdealWorld:
    """One object, its Secrets, the vendor's rows. ``answered`` holds the ids by Idempotency-Key."""

    key: SaperlyKey
    now: datetime = NOW
    places: dict[Place, str] = field(default_factory=dict)
    """Which key's plaintext is where."""
    records: dict[str, str] = field(default_factory=dict)
    """Which key each Secret's record names; a Secret whose record was taken off has none."""
    rows: dict[str, ChildKey] = field(default_factory=dict)
    answered: dict[str, str] = field(default_factory=dict)
    memory: Memory = field(default_factory=Memory)
    marks: dict[WorkloadRef, RestartMark] = field(default_factory=dict)
    """What is on the pod templates of workloads, all of which exist."""
    gone: bool = False
    trace: list[str] = field(default_factory=list)
    _live: bool = False

    def run(self, limit: int) -> steps.Decision:
        """Until the object rests, waits for a person to free its Secret's name, or is gone: the last decision.

        Raises AssertionError when that takes more than ``limit`` steps.
        """
        for _ in range(limit):
            decision = decide(self.observe(), self.now, TIMINGS)
            self.trace.append(f"{self.now:%d %H:%M:%S} {type(decision.step).__name__} {decision.reason}")
            if isinstance(decision.step, steps.Done) or (decision.reason == reasons.SECRET_NOT_OWNED and self._live):
                return decision
            self.carry_out(decision)
            if self.gone:
                return decision
        raise AssertionError("no rest:\n" + "\n".join(self.trace))

    # --- looking --------------------------------------------------------------------------------------------------

    def observe(self) -> Observed:
        status, spec = self.key.status, self.key.spec
        wanted = (self.key.secret_name, spec.secret.key)
        kept = (status.secret.name, status.secret.key) if status.secret is not None else wanted
        strays = self.records.keys() - {wanted[0], kept[0]}
        return observed(
            self.key,
            freshness=Freshness.LIVE if self._live else Freshness.CACHED,
            secret=self._secret(wanted),
            former_secret=None if kept == wanted else self._secret(kept),
            memory=self.memory,
            stray_secrets=tuple(sorted(strays)),
        )

    def _secret(self, place: Place) -> SecretState:
        if not any(name == place[0] for name, _ in self.places):
            return SecretAbsent()
        held, named, kept = self.places.get(place), self.records.get(place[0]), self.key.status.secret
        record = None if named is None else self._record(self.rows[named])
        mark = fingerprint_of(held) if held else None
        if record is None and (kept is None or kept.name != place[0] or mark != kept.fingerprint):
            return SecretForeign(None)
        return SecretOwned(record, mark, metadata_in_sync=record is not None, intact=held == named)

    @staticmethod
    def _record(row: ChildKey) -> SecretRecord:
        return SecretRecord(row.id, row.key_prefix, serial_of(row), INSTALLATION, str(OWNER), row.created_at)

    # --- doing ----------------------------------------------------------------------------------------------------

    def carry_out(self, decision: steps.Decision) -> None:
        self._live = False
        match decision.step:
            case steps.ReadLive():
                self._live = True
            case steps.WaitUntil(until) | steps.Stall(until):
                self.now = until
            case steps.AwaitSweep(begun_after=begun_after):
                self.now = max(self.now, begun_after)
                self.sweep()
            case steps.LeaveAlone() | steps.RemoveFinalizer():
                self.gone = True
            case (
                steps.AddFinalizer()
                | steps.Preflight()
                | steps.StoreIntent()
                | steps.TakeOver()
                | steps.Mint()
                | steps.Rotate()
                | steps.WriteSecret()
                | steps.Record()
                | steps.Fence()
                | steps.AbandonIntent()
            ) as step:
                self._mint(step, decision)
            case steps.Done():
                pass
            case steps.LookAtWorkloads() | steps.Restart() | steps.Reschedule() as step:
                self._restart(step)
            case step:
                self._keep_or_end(step)

    def sweep(self) -> None:
        """A complete list, now."""
        live = tuple(row for row in self.rows.values() if row.revoked_at is None)
        absent = referenced_ids(self.key.status) - {row.id for row in live}
        view = SweepView(self.now, self.now, live, absent=absent)
        self.memory = replace(self.memory, sweeps={(PROVIDER, ENTRY): view})

    def _store(self, status: object) -> None:
        self.key = self.key.changed(status=status)

    def _mint(self, step: steps.Step, decision: steps.Decision) -> None:
        status = self.key.status
        match step:
            case steps.AddFinalizer():
                self.key = self.key.changed(metadata=self.key.metadata.changed(finalizers=(annotations.FINALIZER,)))
            case steps.Preflight(operation=operation):
                self.memory = replace(self.memory, preflight=PreflightPassed(self.now, operation))
            case steps.StoreIntent(intent):
                self._store(transitions.intent_stored(status, intent, INSTALLATION))
            case steps.TakeOver():
                self._store(transitions.intent_taken_over(status, HOLDER))
            case steps.Mint(intent) | steps.Rotate(intent):
                self._post(intent)
            case steps.WriteSecret(intent):
                held = self.memory.held
                assert held is not None
                assert status.intent == intent
                self._put(held.key.id)
                kept = SecretStatus(
                    name=self.key.secret_name,
                    key=self.key.spec.secret.key,
                    fingerprint=fingerprint_of(held.key.id),
                )
                self.memory = replace(self.memory, held=replace(held, written=kept))
            case steps.Record(current, secret):
                self._store(transitions.key_delivered(self.key, current, secret, self.now, None))
                self.memory = replace(self.memory, held=None, redacted=None, workloads={})
            case steps.Fence():
                assert self.memory.redacted is not None
                self.memory = replace(self.memory, redacted=replace(self.memory.redacted, fenced=True))
            case steps.AbandonIntent(lost, code, until, gives_turn_back):
                failure = transitions.next_failure(status, code, until, message=decision.message)
                self._store(transitions.intent_abandoned(status, lost, failure, gives_turn_back=gives_turn_back))
                self.memory = replace(self.memory, held=None, redacted=None)
            case _:
                raise AssertionError(step)

    def _post(self, intent: Intent) -> None:
        known = self.answered.get(intent.idempotency_key)
        if known is not None:
            self.memory = replace(self.memory, redacted=RedactedKey(intent.serial, self.rows[known]))
            return
        self.memory = replace(self.memory, held=HeldKey(intent.serial, self.mint(intent)))

    def mint(self, intent: Intent) -> ChildKey:
        """The vendor mints or rotates under an intent, and remembers its Idempotency-Key."""
        if intent.rotates is None:
            asked = MintRequest.model_validate_json(intent.request).model_dump(exclude_none=True)
            row = a_row(intent.serial, created_at=self.now, **asked)
        else:
            old = self.rows[intent.rotates]
            assert old.revoked_at is None, "nobody asks to rotate a key that is known to be dead"
            self.rows[old.id] = old.model_copy(update={"revoked_at": self.now})
            fresh = a_row(intent.serial)
            changes = {"id": fresh.id, "key_prefix": fresh.key_prefix, "created_at": self.now, "rotated_from": old.id}
            row = old.model_copy(update=changes)
        assert row.id not in self.rows, "a serial is used once"
        self.rows[row.id] = row
        self.answered[intent.idempotency_key] = row.id
        return row

    def _put(self, key_id: str) -> None:
        """Into the wanted place, the record with it; the entry that the spec no longer names goes."""
        name, kept = self.key.secret_name, self.key.status.secret
        if kept is not None and kept.name == name:
            self.places.pop((name, kept.key), None)
        self.places[name, self.key.spec.secret.key] = key_id
        self.records[name] = key_id

    def _restart(self, step: steps.LookAtWorkloads | steps.Restart | steps.Reschedule) -> None:
        """Every workload rolls out at once."""
        match step:
            case steps.LookAtWorkloads(seen):
                looks = {ref: a_look(a_workload(mark=self.marks.get(ref)), self.now) for ref in seen}
                self.memory = replace(self.memory, workloads={**self.memory.workloads, **looks})
            case steps.Restart(ref, _, mark):
                self.marks[ref] = mark
                self._restart(steps.LookAtWorkloads((ref,)))
            case steps.Reschedule(restarted, retiring):
                self._store(transitions.rescheduled(self.key.status, restarted, retiring))

    def _keep_or_end(self, step: steps.Step) -> None:
        status = self.key.status
        match step:
            case steps.UpdateKey() | steps.NoteSweep() | steps.InspectKey() as step:
                self._compare(step)
            case steps.AdoptOrphans(orphans):
                self._store(transitions.orphans_adopted(status, orphans))
            case steps.RepairSecret():
                assert status.current is not None
                self.records[self.key.secret_name] = status.current.id
            case steps.MoveSecret(source, entry):
                self._put(self.places[source, entry])
            case steps.DeleteStraySecret(name) | steps.DeleteSecret(name):
                self.places = {place: held for place, held in self.places.items() if place[0] != name}
                self.records.pop(name, None)
            case steps.Retire(entry=ref) | steps.RevokeCurrent(ref):
                self._revoke(ref)
            case steps.ReleaseKey(ref):
                row = self.rows[ref.id]
                self.rows[ref.id] = row.model_copy(update={"name": released_name(row.name)})
                self._store(transitions.key_gone(status, ref.id))
            case steps.ReleaseSecret(name):
                del self.records[name]
            case _:
                raise AssertionError(step)

    def _compare(self, step: steps.UpdateKey | steps.NoteSweep | steps.InspectKey) -> None:
        status = self.key.status
        match step:
            case steps.UpdateKey(ref, update, attributes_hash, managed, drift):
                sent = update.model_dump(exclude_unset=True)
                self.rows[ref.id] = self.rows[ref.id].model_copy(update=sent)
                self.memory = replace(self.memory, sent_at={**self.memory.sent_at, ref.id: self.now})
                self._store(transitions.attributes_sent(status, ref, attributes_hash, managed, drift))
            case steps.NoteSweep(unowned, visible, calm):
                self._store(transitions.sweep_noted(status, unowned, visible, calm))
            case steps.InspectKey(ref):
                self._inspect(ref)

    def _inspect(self, ref: KeyRef) -> None:
        revoked_at = self.rows[ref.id].revoked_at
        assert revoked_at is not None, "a list of this world shows every live key"
        found = RevokedOutside(id=ref.id, revoked_at=revoked_at)
        self._store(transitions.key_revoked_outside(self.key.status, found))

    def _revoke(self, ref: KeyRef) -> None:
        may_revoke_all = self.key.is_being_deleted and self.key.spec.deletion_policy is DeletionPolicy.REVOKE
        if ref.id in self.records.values() and not may_revoke_all:
            work, until = f"retire:{ref.id}", self.now + TIMINGS.held_recheck
            self.memory = replace(self.memory, not_before={**self.memory.not_before, work: until})
            self._store(transitions.retirement_held(self.key.status, ref.id, "it is in the Secret"))
            return
        self.rows[ref.id] = self.rows[ref.id].model_copy(update={"revoked_at": self.now})
        self._store(transitions.key_gone(self.key.status, ref.id))
        self.memory = replace(self.memory, sweeps={})

    # --- judging --------------------------------------------------------------------------------------------------

    def live_ids(self) -> set[str]:
        return {row.id for row in self.rows.values() if row.revoked_at is None}


def fingerprint_of(key_id: str) -> str:
    return f"mark-{key_id}"


def serial_of(row: ChildKey) -> int:
    return int(row.id.removeprefix("key-"))
