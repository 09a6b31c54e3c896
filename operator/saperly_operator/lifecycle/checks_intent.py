"""An intent is stored: a request may have been sent, and must be brought to an end (design, section 4, steps 3–5).

The histories that this order closes:

* *Crash before the POST.* The next process takes the intent over, replays it, and gets the plaintext.
* *Crash between the 201 and the Secret.* The replay is redacted. The Secret is fenced and read again: if it holds the
  id, the other process came through and only the record is missing; else that key is lost, is retired, and one more
  is minted.
* *Crash between the Secret and the record.* The same replay, and the Secret holds the id.
* *No answer at all.* The same request again, backing off; then a sweep, begun after anything still on its way must
  have landed, says which keys carry this serial; they are retired and the serial moves on.

What a rotation in one step adds to them is told in ``checks_rotate``, when a Secret is believed to hold the key in
``checks_written``.
"""

from datetime import datetime, timedelta

from saperly_operator.lifecycle.backoff import exponential
from saperly_operator.lifecycle.case import Case, first_of, recent_intents
from saperly_operator.lifecycle.checks_rotate import maybe_rotated
from saperly_operator.lifecycle.checks_written import delivered_message, record_if_written
from saperly_operator.lifecycle.observed import SecretOwned, ServiceKeyUnusable, ServiceKeyUsable
from saperly_operator.lifecycle.references import minted_ref, referenced_ids, retiring
from saperly_operator.lifecycle.steps import (
    AbandonIntent,
    AwaitSweep,
    Decision,
    Fence,
    Mint,
    ReadLive,
    Record,
    Rotate,
    Stall,
    TakeOver,
    WaitUntil,
    WriteSecret,
)
from saperly_operator.lifecycle.transitions import OF_THE_REQUEST
from saperly_operator.resources import reasons
from saperly_operator.resources.saperly_key_status import Intent, KeyRef
from saperly_operator.saperly.models import ChildKey


def intent_open(case: Case) -> Decision | None:
    """The whole of an open intent: until it is closed, nothing else is decided."""
    return first_of(_CHECKS, case) if case.status.intent is not None else None


def _intent(case: Case) -> Intent:
    intent = case.status.intent
    assert intent is not None, "intent_open guards every check of this module"
    return intent


def begun_after(case: Case) -> datetime:
    """A list begun after this moment shows every key that the intent's requests can still have minted.

    The last request left before this process began (another process's), before the last failure was noted, or when
    the intent was stored; each may be delivered a settling time later.
    """
    intent, failure = _intent(case), case.status.failure
    moments = [case.happened_at(intent.started_at), case.happened_at(case.observed.myself.started_at)]
    if failure is not None and failure.code in OF_THE_REQUEST:
        moments.append(case.put_off_until(failure) or case.happened_at(failure.retry_at))
    return max(moments) + case.timings.delivery_settle


def swept_keys(case: Case) -> tuple[KeyRef, ...]:
    """The keys that the intent minted, by the last sweep, apart from those that status already accounts for."""
    intent = _intent(case)
    sweep = case.observed.memory.sweeps.get((intent.provider, intent.service_key))
    rows = sweep.brought_about(intent) if sweep is not None else ()
    current = case.status.current
    return tuple(minted_ref(row, intent, current) for row in rows if row.id not in referenced_ids(case.status))


def _plaintext_in_hand(case: Case) -> Decision | None:
    held, intent = case.observed.memory.held, _intent(case)
    if held is None or held.serial != intent.serial:
        return None
    if held.refused_since is not None and held.written is None:
        given_up = held.refused_since + case.timings.write_patience
        if case.now >= given_up:
            return _give_up_writing(case, held.key, given_up + case.timings.write_settle, held.refusal or "")
    if held.written is not None:
        ref = minted_ref(held.key, intent, case.status.current)
        return Decision(Record(ref, held.written), reasons.AVAILABLE, delivered_message(held.written.name, ref))
    until = case.not_before("write")
    if until is not None:
        if held.refused_since is not None:
            return Decision(Stall(until), reasons.SECRET_WRITE_REFUSED, held.refusal or "")
        message = "The Kubernetes API did not answer: the new key is kept, and written into its Secret when it does."
        return Decision(WaitUntil(until), reasons.BACKING_OFF, message)
    return Decision(
        WriteSecret(intent), reasons.WRITING_SECRET, f"Writing the new key to Secret {case.key.secret_name}."
    )


def _give_up_writing(case: Case, key: ChildKey, settled: datetime, refusal: str) -> Decision:
    """Kubernetes refuses the Secret for good: the new key is given up, once no earlier write can still land."""
    message = f"{refusal} The new key is revoked; it is tried again later."
    if case.now < settled:
        return Decision(Stall(settled), reasons.SECRET_WRITE_REFUSED, message)
    if not case.observed.is_live:
        return Decision(ReadLive(), reasons.SECRET_WRITE_REFUSED, message)
    written = record_if_written(case, _intent(case), key)
    if written is not None:
        return written
    lost = retiring(minted_ref(key, _intent(case), case.status.current), reasons.PLAINTEXT_LOST, case.now)
    until = case.now + _backoff(case)
    return Decision(
        AbandonIntent((lost,), reasons.SECRET_WRITE_REFUSED, until), reasons.SECRET_WRITE_REFUSED, message
    )


def _held_by_another_process(case: Case) -> Decision | None:
    intent, myself = _intent(case), case.observed.myself
    if intent.holder == myself.holder:
        return None
    # Counted from when this process first saw that holder's name on it, by this process's own clock: another's may be
    # hours ahead, and one that took it over a moment ago has all of its requests still before it.
    since = case.observed.memory.intent_seen_at or myself.started_at
    settled = max(case.happened_at(myself.started_at), since) + case.timings.takeover_settle
    message = "Another process of the operator began this; waiting for what it may have under way to settle."
    if case.now < settled:
        return Decision(WaitUntil(settled), reasons.RESUMING, message)
    return Decision(TakeOver(), reasons.RESUMING, "Taking over what another process of the operator began.")


def _plaintext_lost(case: Case) -> Decision | None:
    redacted, intent = case.observed.memory.redacted, _intent(case)
    if redacted is None or redacted.serial != intent.serial:
        return None
    row = redacted.key
    looking = "The plaintext was not in the answer: looking whether the Secret holds it."
    if not redacted.fenced:
        if not case.observed.is_live:
            return Decision(ReadLive(), reasons.PLAINTEXT_LOST, looking)
        if isinstance(case.observed.secret, SecretOwned) or isinstance(case.observed.former_secret, SecretOwned):
            return Decision(Fence(), reasons.PLAINTEXT_LOST, looking)
    if not case.observed.is_live:
        return Decision(ReadLive(), reasons.PLAINTEXT_LOST, looking)
    written = record_if_written(case, intent, row)
    if written is not None:
        return written
    if _is_of_another(row, case):
        message = (
            f"Saperly answers with the key {row.key_prefix}… that is not this request's. Nothing of it is touched."
        )
        return case.stall(reasons.IDENTITY_CONFLICT, message)
    lost = retiring(minted_ref(row, intent, case.status.current), reasons.PLAINTEXT_LOST, case.now)
    message = "The plaintext of a new key never arrived; that key is revoked and another minted."
    return Decision(AbandonIntent((lost,), reasons.PLAINTEXT_LOST, _next_try(case)), reasons.PLAINTEXT_LOST, message)


def _is_of_another(row: ChildKey, case: Case) -> bool:
    """A row that cannot have come about by this intent, or whose plaintext somebody has."""
    intent = _intent(case)
    too_old = row.created_at < intent.started_at - case.timings.identity_tolerance
    return (
        too_old or row.last_used_at is not None or (intent.rotates is not None and row.rotated_from != intent.rotates)
    )


def _next_try(case: Case) -> datetime:
    """One lost plaintext costs one more mint at once; a second within the hour backs off.

    Counted by the intents of the last hour, which no other failure in between can reset. After a rotation in one step
    the Secret holds a dead key: its mint never waits.
    """
    recent = recent_intents(case)
    if len(recent) <= 1 or _intent(case).rotates is not None:
        return case.now
    return case.now + exponential(len(recent) - 1, case.timings.backoff_first, case.timings.backoff_limit)


def _backoff(case: Case) -> timedelta:
    failures = case.status.failure.count if case.status.failure is not None else 0
    return exponential(failures + 1, case.timings.backoff_first, case.timings.backoff_limit)


def _replay_forbidden(case: Case) -> Decision | None:
    """The vendor may have forgotten the Idempotency-Key, or the answers stay unknown: never send it again."""
    intent, timings = _intent(case), case.timings
    age = case.now - intent.started_at
    too_old = not -timings.clock_tolerance <= age <= timings.replay_limit
    if not too_old and not _unknown_for_too_long(case):
        return None
    after = begun_after(case)
    sweep = case.swept(intent.provider, intent.service_key, after)
    message = "The outcome of a request is unknown; the list of keys at Saperly will tell."
    if sweep is None:
        if case.now < after:
            return Decision(WaitUntil(after), reasons.OUTCOME_UNKNOWN, message)
        access = case.manage_access(intent.provider, intent.service_key, message)
        step = AwaitSweep(intent.provider, intent.service_key, after, case.now + timings.recheck)
        return access or Decision(step, reasons.OUTCOME_UNKNOWN, message)
    if not case.observed.is_live:
        return Decision(ReadLive(), reasons.OUTCOME_UNKNOWN, message)
    for row in sweep.brought_about(intent):
        written = record_if_written(case, intent, row)
        if written is not None:
            return written
    lost = tuple(retiring(ref, reasons.OUTCOME_UNKNOWN, case.now) for ref in swept_keys(case))
    message = f"{len(lost)} keys of a request with an unknown outcome are revoked; another is minted."
    # Nothing minted is no mint of this hour, when these are used up: an outage must not be made longer by an hour. Nor
    # are there more requests while it lasts: the next is begun as they would be spread evenly.
    used_up = len(recent_intents(case)) >= timings.mint_limit and not sweep.tagged(intent.serial)
    until = max(case.now, case.happened_at(intent.started_at) + timings.mint_limit_window / timings.mint_limit)
    until = until if used_up else case.now
    given_up = AbandonIntent(lost, reasons.OUTCOME_UNRESOLVED, until, gives_turn_back=used_up)
    return Decision(given_up, reasons.OUTCOME_UNRESOLVED, message)


def _unknown_for_too_long(case: Case) -> bool:
    failure, timings = case.status.failure, case.timings
    if failure is None or failure.code != reasons.OUTCOME_UNKNOWN or failure.count < timings.unknown_attempts:
        return False
    return case.now - _intent(case).started_at >= timings.unknown_patience


def service_key_replaced(case: Case) -> Decision | None:
    """The entry's Secret holds another service key now: under it the same Idempotency-Key would mint a second key.

    What the request may have minted is visible to the former service key only, so a person is told to look.
    """
    intent = _intent(case)
    match case.observed.service_key(intent.provider, intent.service_key):
        case ServiceKeyUsable(material=material) if intent.material and material != intent.material:
            message = (
                "The service key was replaced while a mint was under way. A key of the former one may be left: "
                f"look in the Saperly portal for a live key whose name ends in .{_serial_in_name(case)}]."
            )
            step = AbandonIntent((), reasons.SERVICE_KEY_REPLACED, case.now)
            return Decision(step, reasons.SERVICE_KEY_REPLACED, message)
        case _:
            return None


def _serial_in_name(case: Case) -> int:
    """The serial in the name of what the intent brought about: a rotated key has that of the one before it."""
    intent, current = _intent(case), case.status.current
    return current.serial if intent.rotates is not None and current is not None else intent.serial


def _mint_put_off(case: Case) -> Decision | None:
    # A failure of another kind is older than the intent, and was got over to store it.
    intent, failure = _intent(case), case.status.failure
    until = case.put_off_until(failure) if failure is not None and failure.code in OF_THE_REQUEST else None
    if failure is not None and until is not None:
        return Decision(WaitUntil(until), failure.code, failure.message or "It is tried again by itself.")
    until = case.not_before("mint")
    if until is not None:
        message = (
            "The request to Saperly is sent again by itself."  # a failure that could not be stored holds all the same
        )
        return Decision(WaitUntil(until), reasons.OUTCOME_UNKNOWN, message)
    match case.observed.service_key(intent.provider, intent.service_key):
        case ServiceKeyUnusable(reason, message):
            return case.stall(reason, message)
        case ServiceKeyUsable() as usable:
            closed = usable.gate(intent.operation)
            if closed is None or closed.until <= case.now or case.observed.memory.has_turn:
                return None
            step = Stall(closed.until) if closed.needs_person else WaitUntil(closed.until)
            return maybe_rotated(case, intent, closed) or Decision(step, closed.reason, closed.message)


def _not_answered_yet(case: Case) -> Decision | None:
    intent, minting = _intent(case), "Minting a key at Saperly."
    if intent.rotates is not None:
        minting = "Replacing the key at Saperly in one step."
    # The first request goes out on the patch that stored its intent. Later the intent may have been closed, or taken
    # over, by a process that this one knows nothing of while its watch stands still.
    is_fresh = abs(case.now - intent.started_at) < case.timings.preflight_valid
    if not is_fresh and not case.observed.is_live:
        return Decision(ReadLive(), reasons.MINTING, minting)
    return Decision(Mint(intent) if intent.rotates is None else Rotate(intent), reasons.MINTING, minting)


_CHECKS = (
    _plaintext_in_hand,
    _held_by_another_process,
    _plaintext_lost,
    service_key_replaced,
    _replay_forbidden,
    _mint_put_off,
    _not_answered_yet,
)
