"""The dates of old keys, brought in line with what is known now and with the spec as it is now.

Decided on before any revocation, so that a key never goes by a date that is out of date.
"""

from saperly_operator.lifecycle.case import Case
from saperly_operator.lifecycle.checks_retire import due_at, put_off_by_use
from saperly_operator.lifecycle.checks_rollout import rollout_recorded
from saperly_operator.lifecycle.observed import SecretAbsent, SecretOwned
from saperly_operator.lifecycle.overlap import redated, seen_in_secret
from saperly_operator.lifecycle.steps import Decision, Reschedule
from saperly_operator.resources import reasons
from saperly_operator.resources.saperly_key_status import RetiringKey


def dates_changed(case: Case) -> Decision | None:
    """Workloads came to run with the new key, an old one is still in use, or the spec gives them another time."""
    restarted, entries = rollout_recorded(case)
    entries = tuple(_up_to_date(entry, case) for entry in entries)
    if (restarted, entries) == (case.status.restarted, case.status.retiring):
        return None
    return Decision(Reschedule(restarted, entries), reasons.AVAILABLE, "Old keys have other dates now.")


def _up_to_date(entry: RetiringKey, case: Case) -> RetiringKey:
    """Uses are looked at when the key would go, and not before: a key in use costs one patch an overlap."""
    dated = redated(_seen(entry, case), case.key.spec.rotation, case.timings.previous_key_lead)
    if due_at(dated, case) > case.now:
        return dated
    rows = [row for sweep in case.observed.memory.sweeps.values() for row in sweep.rows if row.id == entry.id]
    latest = max((row.last_used_at for row in rows if row.last_used_at is not None), default=None)
    return put_off_by_use(dated, latest, case) or dated


def _seen(entry: RetiringKey, case: Case) -> RetiringKey:
    """What the Secret shows of the entry's plaintext. One that a cached look lacks altogether shows nothing."""
    match case.observed.kept_secret:
        case SecretOwned(previous=previous):
            place = next((each for each, mark in previous.items() if mark == entry.fingerprint), None)
            return seen_in_secret(entry, place, case.now)
        case SecretAbsent() if case.observed.is_live:
            return seen_in_secret(entry, None, case.now)
        case _:
            return entry
