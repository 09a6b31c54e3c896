"""An open intent: what is decided after each history that may have left it, both sides of every boundary."""

import pytest

from saperly_operator.lifecycle.decide import decide
from saperly_operator.lifecycle.observed import (
    GateClosed,
    HeldKey,
    Observed,
    RedactedKey,
    SecretForeign,
    ServiceKeyUnusable,
)
from saperly_operator.lifecycle.references import minted_ref, retiring
from saperly_operator.lifecycle.steps import (
    AbandonIntent,
    AwaitSweep,
    Fence,
    Mint,
    ReadLive,
    Record,
    Stall,
    WaitUntil,
    WriteSecret,
)
from saperly_operator.resources import reasons
from saperly_operator.resources.saperly_key_status import Failure
from tests.builders import (
    ENTRY,
    HOUR,
    KEPT,
    MINUTE,
    NOW,
    PROVIDER,
    SECOND,
    a_record,
    a_ref,
    a_row,
    a_secret,
    a_service_key,
    a_sweep,
    an_intent,
    changed,
    live,
    minting,
    myself,
    with_intent,
    with_memory,
    with_spec,
    with_status,
)
from tests.unit.lifecycle.table import TIMINGS, Row, rows, verify

INTENT, ROW = an_intent(), a_row()
REF = minted_ref(ROW, INTENT, None)
MINT, WRITE = Mint(INTENT), WriteSecret(INTENT)
HELD = HeldKey(1, ROW)
WRITTEN = Record(REF, KEPT)
SETTLE = TIMINGS.delivery_settle
SOON = NOW + TIMINGS.recheck


def failure(code: str = reasons.OUTCOME_UNKNOWN, count: int = 1, retry_at: object = NOW, **more: object) -> Failure:
    return Failure.model_validate({"code": code, "count": count, "retry_at": retry_at, **more})


def abandoned(code: str, *lost: str, until: object = NOW, reason: str = reasons.PLAINTEXT_LOST) -> AbandonIntent:
    """Giving up with these ids, as ``a_row`` made them."""
    entries = tuple(retiring(REF.changed(id=key_id), reason, NOW) for key_id in lost)
    return AbandonIntent(entries, code, until)  # type: ignore[arg-type]


def holding(**changes: object) -> Observed:
    """This process has the plaintext."""
    return with_memory(minting(), held=changed(HELD, **changes))


def redacted(row: object = ROW, *, fenced: bool = False) -> Observed:
    """The replay was answered without a plaintext."""
    return with_memory(minting(), redacted=RedactedKey(1, row, fenced))  # type: ignore[arg-type]


def aged(age: object, base: Observed | None = None) -> Observed:
    """The intent was stored that long ago."""
    return with_intent(base or minting(), started_at=NOW - age)  # type: ignore[operator]


def closed(until: object, *, gate: str = "mint") -> dict[object, object]:
    shut = GateClosed(until, reasons.WAITING_FOR_BUDGET, "It goes on by itself.")  # type: ignore[arg-type]
    return {(PROVIDER, ENTRY): a_service_key(**{gate: shut})}


NOTHING_KNOWN = {
    "an intent of ours that was not answered is posted": Row(minting(), MINT, reasons.MINTING, "Minting a key"),
    "an intent is posted also while suspended": Row(
        with_spec(minting(), suspend=True), MINT, reasons.MINTING, "Minting a key"
    ),
    "a failure holds the replay until its time": Row(
        with_status(minting(), failure=failure(retry_at=NOW + SECOND, message="It did not arrive.")),
        WaitUntil(NOW + SECOND),
        reasons.OUTCOME_UNKNOWN,
        "It did not arrive.",
    ),
    "a failure from before the intent holds nothing up": Row(
        with_status(minting(), failure=failure(reasons.LINE_NOT_FOUND, retry_at=NOW + HOUR)),
        MINT,
        reasons.MINTING,
        "Minting",
    ),
    "a failure whose time has come lets it go on": Row(
        with_status(minting(), failure=failure()), MINT, reasons.MINTING, "Minting"
    ),
    "a failure that could not be stored holds the replay all the same": Row(
        with_memory(minting(), not_before={"mint": NOW + SECOND}),
        WaitUntil(NOW + SECOND),
        reasons.OUTCOME_UNKNOWN,
        "The request to Saperly is sent again by itself.",
    ),
    "a failure that could not be stored lets it go on when its time has come": Row(
        with_memory(minting(), not_before={"mint": NOW}), MINT, reasons.MINTING, "Minting"
    ),
    "a closed gate waits with the intent open": Row(
        minting(service_keys=closed(NOW + SECOND)),
        WaitUntil(NOW + SECOND),
        reasons.WAITING_FOR_BUDGET,
        "It goes on by itself.",
    ),
    "a turn reserved before the gate closed may still be used": Row(
        with_memory(minting(service_keys=closed(NOW + HOUR)), has_turn=True), MINT, reasons.MINTING, "Minting"
    ),
    "a gate that only a person opens stalls with the intent open": Row(
        minting(service_keys={(PROVIDER, ENTRY): a_service_key(mint=GateClosed(SOON, "Blocked", "Pay.", True))}),
        Stall(SOON),
        "Blocked",
        "Pay.",
    ),
    "an open gate lets it go on": Row(minting(service_keys=closed(NOW)), MINT, reasons.MINTING, "Minting"),
    "a service key that cannot be used stalls with the intent open": Row(
        minting(service_keys={(PROVIDER, ENTRY): ServiceKeyUnusable("ServiceKeyMalformed", "It is no key.")}),
        Stall(SOON),
        "ServiceKeyMalformed",
        "It is no key.",
    ),
    "another service key in the entry closes the intent, for its key would mint a second": Row(
        minting(service_keys={(PROVIDER, ENTRY): a_service_key(material="another")}),
        AbandonIntent((), reasons.SERVICE_KEY_REPLACED, NOW),
        reasons.SERVICE_KEY_REPLACED,
        "whose name ends in .1]",
    ),
}


IN_HAND = {
    "a plaintext in hand is written": Row(holding(), WRITE, reasons.WRITING_SECRET, "to Secret support."),
    "a plaintext of another serial is not written under this intent": Row(
        holding(serial=2), MINT, reasons.MINTING, "Minting"
    ),
    "a written plaintext is recorded": Row(
        holding(written=KEPT), WRITTEN, reasons.AVAILABLE, "The key sk_test_1… is in Secret support."
    ),
    "a write that failed waits before it is tried again": Row(
        with_memory(holding(), not_before={"write": NOW + SECOND}),
        WaitUntil(NOW + SECOND),
        reasons.BACKING_OFF,
        "the new key is kept",
    ),
    "a write that was refused stalls, since a person has to act": Row(
        with_memory(holding(refused_since=NOW, refusal="RBAC says no."), not_before={"write": NOW + SECOND}),
        Stall(NOW + SECOND),
        reasons.SECRET_WRITE_REFUSED,
        "RBAC says no.",
    ),
    "a write is tried again when its time has come": Row(
        with_memory(holding(), not_before={"write": NOW}), WRITE, reasons.WRITING_SECRET, "Writing"
    ),
    "a write refused for just under 2 min is tried again": Row(
        holding(refused_since=NOW - 2 * MINUTE + SECOND, refusal="No."), WRITE, reasons.WRITING_SECRET, "Writing"
    ),
    "a write refused for 2 min is given up once earlier ones have settled": Row(
        holding(refused_since=NOW - 2 * MINUTE, refusal="RBAC says no."),
        Stall(NOW + MINUTE),
        reasons.SECRET_WRITE_REFUSED,
        "RBAC says no. The new key is revoked; it is tried again later.",
    ),
    "before a key is given up its Secret is read live": Row(
        holding(refused_since=NOW - 3 * MINUTE, refusal="No."), ReadLive(), reasons.SECRET_WRITE_REFUSED, "No."
    ),
    "a key whose write was refused for good is retired and backed off from": Row(
        live(holding(refused_since=NOW - 3 * MINUTE, refusal="No.")),
        abandoned(reasons.SECRET_WRITE_REFUSED, "key-1", until=NOW + TIMINGS.backoff_first),
        reasons.SECRET_WRITE_REFUSED,
        "No.",
    ),
    "a write that came through after all is recorded": Row(
        changed(live(holding(refused_since=NOW - 3 * MINUTE, refusal="No.")), secret=a_secret()),
        WRITTEN,
        reasons.AVAILABLE,
        "is in Secret support",
    ),
    "a plaintext in hand beats an age and a failure": Row(
        with_status(
            with_intent(holding(), started_at=NOW - 12 * HOUR),
            failure=failure(retry_at=NOW + HOUR),
        ),
        WriteSecret,
        reasons.WRITING_SECRET,
        "Writing",
    ),
}

LOST = {
    "a redacted answer asks for a live look": Row(
        redacted(), ReadLive(), reasons.PLAINTEXT_LOST, "looking whether the Secret holds it"
    ),
    "a Secret that exists is fenced first": Row(
        changed(live(redacted()), secret=a_secret()), Fence(), reasons.PLAINTEXT_LOST, "looking"
    ),
    "after the fence the Secret is read again, live": Row(
        changed(redacted(fenced=True), secret=a_secret()), ReadLive(), reasons.PLAINTEXT_LOST, "looking"
    ),
    "a Secret that holds the id is recorded": Row(
        changed(live(redacted(fenced=True)), secret=a_secret()), WRITTEN, reasons.AVAILABLE, "is in Secret support"
    ),
    "a Secret that holds another id means the new key is lost": Row(
        changed(live(redacted(fenced=True)), secret=a_secret(record=a_record(1, key_id="another"))),
        abandoned(reasons.PLAINTEXT_LOST, "key-1"),
        reasons.PLAINTEXT_LOST,
        "that key is revoked and another minted",
    ),
    "a Secret that has the id but no such data means the new key is lost": Row(
        changed(live(redacted(fenced=True)), secret=a_secret(fingerprint=None)),
        abandoned(reasons.PLAINTEXT_LOST, "key-1"),
        reasons.PLAINTEXT_LOST,
        "revoked",
    ),
    "an id that was written into the record of another key proves nothing": Row(
        changed(live(redacted(fenced=True)), secret=a_secret(record=a_record(2, key_id="key-1"))),
        abandoned(reasons.PLAINTEXT_LOST, "key-1"),
        reasons.PLAINTEXT_LOST,
        "revoked",
    ),
    "nor does one beside the prefix of another key": Row(
        changed(live(redacted(fenced=True)), secret=a_secret(record=a_record(key_prefix="sk_test_2"))),
        abandoned(reasons.PLAINTEXT_LOST, "key-1"),
        reasons.PLAINTEXT_LOST,
        "revoked",
    ),
    "an id that was written beside other data proves nothing": Row(
        changed(live(redacted(fenced=True)), secret=a_secret(intact=False)),
        abandoned(reasons.PLAINTEXT_LOST, "key-1"),
        reasons.PLAINTEXT_LOST,
        "revoked",
    ),
    "where there is no Secret there is nothing to fence": Row(
        live(redacted()), abandoned(reasons.PLAINTEXT_LOST, "key-1"), reasons.PLAINTEXT_LOST, "revoked"
    ),
    "a foreign Secret is not fenced, and proves nothing": Row(
        changed(live(redacted()), secret=SecretForeign(None)),
        abandoned(reasons.PLAINTEXT_LOST, "key-1"),
        reasons.PLAINTEXT_LOST,
        "revoked",
    ),
    "the second loss within the hour backs off": Row(
        with_status(live(redacted()), recent_intents=(NOW - 59 * MINUTE, NOW)),
        abandoned(reasons.PLAINTEXT_LOST, "key-1", until=NOW + 5 * MINUTE),
        reasons.PLAINTEXT_LOST,
        "revoked",
    ),
    "the third loss within the hour backs off for longer": Row(
        with_status(live(redacted()), recent_intents=(NOW - 59 * MINUTE, NOW - MINUTE, NOW)),
        abandoned(reasons.PLAINTEXT_LOST, "key-1", until=NOW + 10 * MINUTE),
        reasons.PLAINTEXT_LOST,
        "revoked",
    ),
    "a loss an hour after the last one does not": Row(
        with_status(live(redacted()), recent_intents=(NOW - HOUR, NOW)),
        abandoned(reasons.PLAINTEXT_LOST, "key-1"),
        reasons.PLAINTEXT_LOST,
        "revoked",
    ),
    "a row 15 min older than the intent may be its own, by clock skew": Row(
        live(redacted(a_row(created_at=NOW - 15 * MINUTE))), AbandonIntent, reasons.PLAINTEXT_LOST, "revoked"
    ),
    "a row older than that is not this intent's and is not touched": Row(
        live(redacted(a_row(created_at=NOW - 15 * MINUTE - SECOND))),
        Stall(SOON),
        reasons.IDENTITY_CONFLICT,
        "Nothing of it is touched.",
    ),
    "a row that was used is recorded where the Secret holds it": Row(
        changed(live(redacted(a_row(last_used_at=NOW), fenced=True)), secret=a_secret()),
        WRITTEN,
        reasons.AVAILABLE,
        "is in Secret support",
    ),
    "a row that was used is not ours to lose": Row(
        live(redacted(a_row(last_used_at=NOW))), Stall(SOON), reasons.IDENTITY_CONFLICT, "sk_test_1…"
    ),
    "a redacted answer to another serial is not this intent's": Row(
        with_memory(minting(), redacted=RedactedKey(2, ROW)), MINT, reasons.MINTING, "Minting"
    ),
}

OLD = aged(11 * HOUR + SECOND)
LATE = NOW + SETTLE
UNANSWERED = with_status(
    aged(10 * MINUTE),
    failure=Failure(code=reasons.OUTCOME_UNKNOWN, count=3, retry_at=NOW - 4 * MINUTE),
    recent_intents=(NOW - 50 * MINUTE, NOW - 40 * MINUTE, NOW - 10 * MINUTE),
)
SWEPT_OLD = with_memory(OLD, sweeps=a_sweep(ROW, begun_at=NOW))

AGE = {
    "an intent stored a moment ago is posted as it is known": Row(
        aged(TIMINGS.preflight_valid - SECOND), Mint, reasons.MINTING, "Minting"
    ),
    "an intent stored longer ago is read live before anything is sent": Row(
        aged(TIMINGS.preflight_valid), ReadLive(), reasons.MINTING, "Minting"
    ),
    "one that seems to be of a later moment as well": Row(
        aged(-TIMINGS.preflight_valid), ReadLive(), reasons.MINTING, "Minting"
    ),
    "an intent of 11 h is replayed": Row(live(aged(11 * HOUR)), Mint, reasons.MINTING, "Minting"),
    "an older one is not: a list will tell": Row(
        OLD,
        AwaitSweep(PROVIDER, ENTRY, NOW - 11 * HOUR - SECOND + SETTLE, SOON),
        reasons.OUTCOME_UNKNOWN,
        "the list of keys at Saperly will tell",
    ),
    "an intent from 10 min ahead is replayed": Row(live(aged(-10 * MINUTE)), Mint, reasons.MINTING, "Minting"),
    "one from further ahead is not; its requests settle first": Row(
        aged(-10 * MINUTE - SECOND), WaitUntil(LATE), reasons.OUTCOME_UNKNOWN, "will tell"
    ),
    "a list begun before the last failure could be delivered does not count": Row(
        with_status(
            with_memory(OLD, sweeps=a_sweep(begun_at=NOW - 3 * MINUTE)), failure=failure(retry_at=NOW - MINUTE)
        ),
        WaitUntil(NOW + MINUTE),
        reasons.OUTCOME_UNKNOWN,
        "will tell",
    ),
    "a list begun one second too early does not count": Row(
        with_memory(OLD, sweeps=a_sweep(ROW, begun_at=NOW - 11 * HOUR - 2 * SECOND + SETTLE)),
        AwaitSweep,
        reasons.OUTCOME_UNKNOWN,
        "will tell",
    ),
    "a list begun before this process had settled does not count": Row(
        changed(
            with_memory(OLD, sweeps=a_sweep(ROW, begun_at=NOW - MINUTE)), myself=myself(started_at=NOW - 2 * MINUTE)
        ),
        AwaitSweep(PROVIDER, ENTRY, NOW, SOON),
        reasons.OUTCOME_UNKNOWN,
        "will tell",
    ),
    "a list begun late enough asks for a live look": Row(
        with_memory(OLD, sweeps=a_sweep(ROW, begun_at=NOW - 11 * HOUR - SECOND + SETTLE)),
        ReadLive(),
        reasons.OUTCOME_UNKNOWN,
        "will tell",
    ),
    "a shut gate delays the list": Row(
        changed(OLD, service_keys=closed(NOW + SECOND, gate="manage")),
        WaitUntil(NOW + SECOND),
        reasons.WAITING_FOR_BUDGET,
        "will tell",
    ),
    "what the list shows under this serial is retired": Row(
        live(SWEPT_OLD),
        abandoned(reasons.OUTCOME_UNRESOLVED, "key-1", reason=reasons.OUTCOME_UNKNOWN),
        reasons.OUTCOME_UNRESOLVED,
        "1 keys of a request with an unknown outcome are revoked; another is minted.",
    ),
    "all that the list shows under this serial is retired": Row(
        live(with_memory(OLD, sweeps=a_sweep(ROW, a_row(id="twin"), a_row(2), begun_at=NOW))),
        abandoned(reasons.OUTCOME_UNRESOLVED, "key-1", "twin", reason=reasons.OUTCOME_UNKNOWN),
        reasons.OUTCOME_UNRESOLVED,
        "2 keys",
    ),
    "nothing under this serial means that nothing happened": Row(
        live(with_memory(OLD, sweeps=a_sweep(a_row(2), begun_at=NOW))),
        AbandonIntent((), reasons.OUTCOME_UNRESOLVED, NOW),
        reasons.OUTCOME_UNRESOLVED,
        "0 keys",
    ),
    "the last of the hour's mints is given back, and the next begun a third of an hour after it": Row(
        live(with_memory(UNANSWERED, sweeps=a_sweep(a_row(2), begun_at=NOW))),
        AbandonIntent((), reasons.OUTCOME_UNRESOLVED, NOW + 10 * MINUTE, gives_turn_back=True),
        reasons.OUTCOME_UNRESOLVED,
        "0 keys",
    ),
    "it is not when something was minted": Row(
        live(with_memory(UNANSWERED, sweeps=a_sweep(a_row(1), begun_at=NOW))),
        abandoned(reasons.OUTCOME_UNRESOLVED, "key-1", reason=reasons.OUTCOME_UNKNOWN),
        reasons.OUTCOME_UNRESOLVED,
        "1 keys",
    ),
    "a list that may lack a key is not believed about it": Row(
        live(
            with_memory(
                UNANSWERED,
                sweeps={
                    name: changed(view, is_proven=False) for name, view in a_sweep(a_row(2), begun_at=NOW).items()
                },
            )
        ),
        AwaitSweep,
        reasons.OUTCOME_UNKNOWN,
        "will tell",
    ),
    "what status accounts for already is not retired once more": Row(
        with_status(live(SWEPT_OLD), current=a_ref(1)),
        AbandonIntent((), reasons.OUTCOME_UNRESOLVED, NOW),
        reasons.OUTCOME_UNRESOLVED,
        "0 keys",
    ),
    "the one that the Secret holds is recorded": Row(
        changed(live(SWEPT_OLD), secret=a_secret()), Record, reasons.AVAILABLE, "is in Secret support"
    ),
}

FIVE_MINUTES_AGO = aged(5 * MINUTE)
THREE_UNKNOWNS = with_status(FIVE_MINUTES_AGO, failure=failure(count=3, retry_at=NOW - SECOND))

UNKNOWN = {
    "three unknown outcomes over 5 min end the replays": Row(
        THREE_UNKNOWNS, WaitUntil(NOW - SECOND + SETTLE), reasons.OUTCOME_UNKNOWN, "will tell"
    ),
    "two over 5 min do not": Row(
        live(with_status(FIVE_MINUTES_AGO, failure=failure(count=2))), Mint, reasons.MINTING, "Minting"
    ),
    "three within less than 5 min do not": Row(
        live(with_status(aged(5 * MINUTE - SECOND), failure=failure(count=3))), Mint, reasons.MINTING, "Minting"
    ),
    "three that never left this machine do not": Row(
        live(with_status(FIVE_MINUTES_AGO, failure=failure(reasons.SAPERLY_UNREACHABLE, count=3))),
        Mint,
        reasons.MINTING,
        "Minting",
    ),
    "a list must be begun after the last one can have been delivered": Row(
        with_status(THREE_UNKNOWNS, failure=failure(count=3, retry_at=NOW - SETTLE)),
        AwaitSweep(PROVIDER, ENTRY, NOW, SOON),
        reasons.OUTCOME_UNKNOWN,
        "will tell",
    ),
}


@rows({**NOTHING_KNOWN, **IN_HAND, **LOST, **AGE, **UNKNOWN})
def test_with_an_open_intent(row: Row) -> None:
    verify(row)


@pytest.mark.parametrize(
    ("failures", "minutes"),
    [
        pytest.param(0, 5, id="the first is 5 min"),
        pytest.param(1, 10, id="then it doubles"),
        pytest.param(6, 320, id="up to"),
        pytest.param(7, 360, id="6 h"),
        pytest.param(50, 360, id="and never more"),
    ],
)
def test_the_backoff_from_a_secret_that_refuses_for_good(failures: int, minutes: int) -> None:
    given = live(holding(refused_since=NOW - 3 * MINUTE, refusal="No."))
    if failures:
        given = with_status(given, failure=failure(reasons.SECRET_WRITE_REFUSED, count=failures, retry_at=NOW))
    step = decide(given, NOW, TIMINGS).step
    assert isinstance(step, AbandonIntent)
    assert step.until == NOW + minutes * MINUTE
