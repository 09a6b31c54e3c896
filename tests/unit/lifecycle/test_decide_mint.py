"""What stands before a mint, from what costs nothing to what costs a request; each boundary from both sides."""

import json

import pytest

from saperly_operator.lifecycle.decide import decide
from saperly_operator.lifecycle.naming import Tag, idempotency_key
from saperly_operator.lifecycle.observed import (
    GateClosed,
    PreflightPassed,
    PreflightRefused,
    ProviderAbsent,
    SecretForeign,
    ServiceKeyUnusable,
)
from saperly_operator.lifecycle.steps import AddFinalizer, Preflight, ReadLive, Stall, StoreIntent, WaitUntil
from saperly_operator.resources import reasons
from saperly_operator.resources.saperly_key_status import Failure
from tests.builders import (
    ENTRY,
    HOLDER,
    HOUR,
    INSTALLATION,
    MATERIAL,
    MINUTE,
    NOW,
    OWNER,
    PROVIDER,
    SECOND,
    a_key,
    a_provider,
    a_provider_state,
    a_record,
    a_retiring,
    a_row,
    a_secret,
    a_service_key,
    a_sweep,
    changed,
    live,
    observed,
    with_memory,
    with_metadata,
    with_spec,
    with_status,
)
from tests.unit.lifecycle.table import TIMINGS, Row, rows, verify

READY = with_memory(observed(), preflight=PreflightPassed(NOW))
"""All is proven: the next step is the intent."""

PREFLIGHT = Preflight(PROVIDER, ENTRY)
SOON = NOW + TIMINGS.recheck
STALE = a_secret(intact=False)
"""A Secret of ours whose data is not what its record speaks of: nothing to adopt."""
RECORDED = changed(STALE, record=a_record(7))


def failure(retry_at: object, **changes: object) -> Failure:
    fields = {"code": reasons.LINE_NOT_FOUND, "count": 1, "retry_at": retry_at}
    return Failure.model_validate(fields | READY.bound._asdict() | {"message": "Correct spec.lineId."} | changes)


def closed(until: object, **changes: object) -> dict[object, object]:
    gate = changed(GateClosed(NOW, reasons.WAITING_FOR_BUDGET, "It goes on by itself."), until=until, **changes)
    return {(PROVIDER, ENTRY): a_service_key(mint=gate)}


NO_KEY_YET = {
    "a new object first has its Secret's write proven": Row(
        observed(), PREFLIGHT, reasons.MINTING, "Preparing to mint a key."
    ),
    "an object without the finalizer gets it before anything is sent": Row(
        with_metadata(READY, finalizers=()), AddFinalizer(), reasons.MINTING, "Preparing"
    ),
    "with a fresh proof the intent is stored": Row(READY, StoreIntent, reasons.MINTING, "Minting a key at Saperly."),
    "a proof of just under 20 s ago still counts": Row(
        with_memory(observed(), preflight=PreflightPassed(NOW - 19 * SECOND)), StoreIntent, reasons.MINTING, "Minting"
    ),
    "a proof of 20 s ago is made again": Row(
        with_memory(observed(), preflight=PreflightPassed(NOW - 20 * SECOND)), PREFLIGHT, reasons.MINTING, "Preparing"
    ),
    "a dry run that was refused just now stalls with its words": Row(
        with_memory(observed(), preflight=PreflightRefused(NOW, reasons.QUOTA_EXCEEDED, "The quota is full.")),
        Stall(SOON),
        reasons.QUOTA_EXCEEDED,
        "The quota is full.",
    ),
    "a dry run that was refused 59 s ago is not yet tried again": Row(
        with_memory(observed(), preflight=PreflightRefused(NOW - 59 * SECOND, reasons.QUOTA_EXCEEDED, "Full.")),
        Stall(NOW + SECOND),
        reasons.QUOTA_EXCEEDED,
        "Full.",
    ),
    "a dry run that was refused a minute ago is tried again": Row(
        with_memory(observed(), preflight=PreflightRefused(NOW - MINUTE, reasons.QUOTA_EXCEEDED, "Full.")),
        PREFLIGHT,
        reasons.MINTING,
        "Preparing",
    ),
}

PROVIDERS = {
    "a provider that does not exist stalls": Row(
        changed(READY, provider=ProviderAbsent()),
        Stall(SOON),
        reasons.PROVIDER_NOT_FOUND,
        "There is no ClusterSaperlyProvider named default, or it is being deleted: create it",
    ),
    "a provider that does not admit the namespace stalls": Row(
        changed(READY, provider=a_provider_state(admits=False)),
        Stall(SOON),
        reasons.NAMESPACE_NOT_ALLOWED,
        "does not allow the namespace agents",
    ),
    "permissions that the policy forbids stall": Row(
        changed(READY, provider=a_provider_state(spec=a_provider(policy={"permissions": ["sms_only", "read_only"]}))),
        Stall(SOON),
        reasons.POLICY_VIOLATED,
        "spec.permissions is call_only, but the provider allows only: sms_only, read_only.",
    ),
    "a cap at the policy's maximum goes on": Row(
        with_spec(
            changed(READY, provider=a_provider_state(spec=a_provider(policy={"maxMonthlyCapCents": 500}))),
            monthlyCapCents=500,
        ),
        StoreIntent,
        reasons.MINTING,
        "Minting",
    ),
    "a cap one cent above the policy's maximum stalls": Row(
        with_spec(
            changed(READY, provider=a_provider_state(spec=a_provider(policy={"maxMonthlyCapCents": 500}))),
            monthlyCapCents=501,
        ),
        Stall(SOON),
        reasons.POLICY_VIOLATED,
        "spec.monthlyCapCents is 501, but the provider allows at most 500.",
    ),
    "no line where the policy requires one stalls": Row(
        changed(READY, provider=a_provider_state(spec=a_provider(policy={"requireLine": True}))),
        Stall(SOON),
        reasons.POLICY_VIOLATED,
        "spec.lineId is missing",
    ),
    "a service key that nobody knows stalls": Row(
        changed(READY, service_keys={}), Stall(SOON), "ServiceKeyMissing", f"The service key {ENTRY} of {PROVIDER}"
    ),
    "a service key that cannot be used stalls with its words": Row(
        changed(
            READY,
            service_keys={(PROVIDER, ENTRY): ServiceKeyUnusable(reasons.SERVICE_KEY_MALFORMED, "It is no key.")},
        ),
        Stall(SOON),
        reasons.SERVICE_KEY_MALFORMED,
        "It is no key.",
    ),
}

GATES = {
    "a spent budget waits until it is free": Row(
        changed(observed(), service_keys=closed(NOW + SECOND)),
        WaitUntil(NOW + SECOND),
        reasons.WAITING_FOR_BUDGET,
        "It goes on by itself.",
    ),
    "a gate that opens at this very moment is open": Row(
        changed(observed(), service_keys=closed(NOW)), PREFLIGHT, reasons.MINTING, "Preparing"
    ),
    "a breaker stalls, since a person has to act": Row(
        changed(
            observed(), service_keys=closed(NOW + SECOND, reason=reasons.SERVICE_KEY_REJECTED, needs_person=True)
        ),
        Stall(NOW + SECOND),
        reasons.SERVICE_KEY_REJECTED,
        "It goes on by itself.",
    ),
    "a turn reserved before the gate closed may still be used": Row(
        changed(READY, service_keys=closed(NOW + HOUR)), StoreIntent, reasons.MINTING, "Minting"
    ),
    "a reservation that has run out does not open the gate": Row(
        with_memory(
            changed(observed(), service_keys=closed(NOW + HOUR)), preflight=PreflightPassed(NOW - 20 * SECOND)
        ),
        WaitUntil(NOW + HOUR),
        reasons.WAITING_FOR_BUDGET,
        "It goes on by itself.",
    ),
}

SECRETS = {
    "a Secret that seems foreign is looked at live, since nothing watches it": Row(
        changed(READY, secret=SecretForeign(None)), ReadLive(), reasons.SECRET_NOT_OWNED, "is not the operator's"
    ),
    "a Secret that nobody made for us is never overwritten": Row(
        live(changed(READY, secret=SecretForeign(None))),
        Stall(SOON),
        reasons.SECRET_NOT_OWNED,
        "The Secret support exists and was not made by this operator; it is never overwritten",
    ),
    "a Secret of another SaperlyKey is never overwritten": Row(
        live(changed(READY, secret=SecretForeign("agents/other"))),
        Stall(SOON),
        reasons.SECRET_NOT_OWNED,
        "belongs to the SaperlyKey agents/other",
    ),
    "an immutable Secret of ours stalls": Row(
        changed(READY, secret=a_secret(immutable=True, intact=False)),
        Stall(SOON),
        reasons.SECRET_IMMUTABLE,
        "is immutable",
    ),
    "a Secret of ours is written again": Row(changed(READY, secret=STALE), StoreIntent, reasons.MINTING, "Minting"),
    "another SaperlyKey that named the Secret first keeps it": Row(
        changed(READY, older_claimant="first"),
        Stall(SOON),
        reasons.SECRET_CLAIMED,
        "The SaperlyKey first delivers into the Secret support already",
    ),
}

PERSISTED = {
    "a refusal that nobody reacted to is not repeated before its time": Row(
        with_status(READY, failure=failure(NOW + SECOND)),
        Stall(NOW + SECOND),
        reasons.LINE_NOT_FOUND,
        "Correct spec.lineId.",
    ),
    "a refusal is tried again when its time has come": Row(
        with_status(READY, failure=failure(NOW)), StoreIntent, reasons.MINTING, "Minting"
    ),
    "a refusal is tried again at once when the spec changed": Row(
        with_status(READY, failure=failure(NOW + HOUR, generation=0)), StoreIntent, reasons.MINTING, "Minting"
    ),
    "a refusal is tried again at once when the provider changed": Row(
        with_status(READY, failure=failure(NOW + HOUR, provider_generation=0)),
        StoreIntent,
        reasons.MINTING,
        "Minting",
    ),
    "a refusal is tried again at once when the provider was made anew": Row(
        with_status(READY, failure=failure(NOW + HOUR, provider_uid="another")),
        StoreIntent,
        reasons.MINTING,
        "Minting",
    ),
    "a refusal is tried again at once under another service key": Row(
        with_status(READY, failure=failure(NOW + HOUR, material="another")), StoreIntent, reasons.MINTING, "Minting"
    ),
    "a third mint within the hour may begin": Row(
        with_status(READY, recent_intents=(NOW - 59 * MINUTE, NOW - MINUTE)), StoreIntent, reasons.MINTING, "Minting"
    ),
    "a fourth mint within the hour waits for the first to be an hour old": Row(
        with_status(READY, recent_intents=(NOW - 59 * MINUTE, NOW - 2 * MINUTE, NOW - MINUTE)),
        WaitUntil(NOW + MINUTE),
        reasons.MINT_LIMIT_REACHED,
        "3 mints within the hour",
    ),
    "a mint begun an hour ago does not count any more": Row(
        with_status(READY, recent_intents=(NOW - HOUR, NOW - 2 * MINUTE, NOW - MINUTE)),
        StoreIntent,
        reasons.MINTING,
        "Minting",
    ),
    "nine old keys leave room for one more": Row(
        with_status(READY, retiring=tuple(a_retiring(n, revoke_after=NOW + HOUR) for n in range(1, 10))),
        StoreIntent,
        reasons.MINTING,
        "Minting",
    ),
    "ten old keys leave room for none": Row(
        with_status(READY, retiring=tuple(a_retiring(n, revoke_after=NOW + HOUR) for n in range(1, 11))),
        WaitUntil(SOON),
        reasons.RETIRING_FULL,
        "10 old keys wait to be revoked",
    ),
}

ORDER = {
    "a provider's own trouble is told before a former refusal": Row(
        changed(with_status(READY, failure=failure(NOW + HOUR)), provider=ProviderAbsent()),
        Stall,
        reasons.PROVIDER_NOT_FOUND,
        "There is no",
    ),
    "a foreign Secret is told before the gate": Row(
        live(changed(observed(), secret=SecretForeign(None), service_keys=closed(NOW + HOUR))),
        Stall,
        reasons.SECRET_NOT_OWNED,
        "never overwritten",
    ),
    "no finalizer is added while the gate is closed": Row(
        with_metadata(changed(observed(), service_keys=closed(NOW + HOUR)), finalizers=()),
        WaitUntil,
        reasons.WAITING_FOR_BUDGET,
        "by itself",
    ),
    "no dry run is made before the finalizer is there": Row(
        with_metadata(observed(), finalizers=()), AddFinalizer(), reasons.MINTING, "Preparing"
    ),
}


@rows({**NO_KEY_YET, **PROVIDERS, **GATES, **SECRETS, **PERSISTED, **ORDER})
def test_before_a_mint(row: Row) -> None:
    verify(row)


def stored(given: object) -> StoreIntent:
    step = decide(given, NOW, TIMINGS).step  # type: ignore[arg-type]
    assert isinstance(step, StoreIntent)
    return step


def test_the_intent_says_all_that_a_replay_needs() -> None:
    intent = stored(with_spec(READY, agentLabel="support", monthlyCapCents=5000)).intent
    assert json.loads(intent.request) == {
        "agent_label": "support",
        "environment": "test",
        "monthly_cap_cents": 5000,
        "name": f"agents/support {Tag.of(INSTALLATION, OWNER, 1)}",
        "permissions": "call_only",
    }
    assert (intent.provider, intent.service_key, intent.material) == (PROVIDER, ENTRY, MATERIAL)
    assert (intent.holder, intent.trigger, intent.started_at) == (HOLDER, reasons.FIRST_SYNC, NOW)
    assert intent.idempotency_key == idempotency_key(INSTALLATION, OWNER, 1, NOW)


def test_a_cap_that_was_left_out_is_the_policys_maximum() -> None:
    spec = a_provider(policy={"maxMonthlyCapCents": 700})
    intent = stored(changed(READY, provider=a_provider_state(spec=spec))).intent
    assert json.loads(intent.request)["monthly_cap_cents"] == 700


def test_the_intent_and_its_idempotency_key_are_of_the_whole_second_that_status_stores() -> None:
    moment = NOW.replace(microsecond=999_999)
    step = decide(READY, moment, TIMINGS).step
    assert isinstance(step, StoreIntent)
    assert step.intent.started_at == NOW
    assert step.intent.idempotency_key == idempotency_key(INSTALLATION, OWNER, 1, NOW)


@pytest.mark.parametrize(
    ("given", "serial"),
    [
        pytest.param(READY, 1, id="the first is 1"),
        pytest.param(with_status(READY, serial=4), 5, id="one more than status has"),
        pytest.param(
            changed(READY, secret=RECORDED),
            8,
            id="one more than the Secret's record",
        ),
        pytest.param(with_memory(READY, sweeps=a_sweep(a_row(9), a_row(3))), 10, id="one more than the vendor shows"),
        pytest.param(
            with_memory(
                with_status(changed(READY, secret=RECORDED), serial=12),
                sweeps=a_sweep(a_row(9)),
            ),
            13,
            id="the highest of all three counts",
        ),
    ],
)
def test_the_serial_exceeds_every_serial_seen(given: object, serial: int) -> None:
    assert stored(given).intent.serial == serial


def test_a_key_in_an_object_of_the_same_name_elsewhere_has_another_idempotency_key() -> None:
    elsewhere = changed(READY, key=a_key(metadata={"namespace": "others"}))
    assert stored(elsewhere).intent.idempotency_key != stored(READY).intent.idempotency_key
