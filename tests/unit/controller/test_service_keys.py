"""The registry of service keys: one gate per material, and the last good key is kept."""

import httpx
import pytest

from saperly_operator.budget.breaker import BreakerTimes
from saperly_operator.budget.gate import Gate, Granted, Limits, Wait, WaitReason
from saperly_operator.budget.operation import Operation
from saperly_operator.budget.outcome import Blocked, Scope
from saperly_operator.clock import ManualClock
from saperly_operator.controller.service_keys import EntryKey, ServiceKeys, breaker_text, gate_closed
from saperly_operator.lifecycle.observed import ServiceKeyUnusable, ServiceKeyUsable
from saperly_operator.resources import reasons
from saperly_operator.resources import saperly_key_status as key_status
from saperly_operator.saperly.api import VendorApi
from saperly_operator.saperly.client import SaperlyClient
from saperly_operator.saperly.concealed import Credential
from tests.builders import MINUTE, NOW

ONE: EntryKey = (("ClusterSaperlyProvider", "", "default"), "main")
TWO: EntryKey = (("SaperlyProvider", "agents", "own"), "main")
A = Credential.parse("sk_svc_test_AAAANEVERSHOWTHIS")
B = Credential.parse("sk_svc_test_BBBBNEVERSHOWTHIS")
LIMITS = Limits()


def service_keys(clock: ManualClock | None = None) -> ServiceKeys:
    def connect(credential: Credential) -> VendorApi:
        return SaperlyClient("https://saperly.example/api", credential, http=httpx.AsyncClient(), clock=ManualClock())

    return ServiceKeys(clock or ManualClock(), connect, Gate)


def test_two_entries_with_one_material_share_client_and_gate() -> None:
    keys = service_keys()
    assert keys.accept(ONE, A, LIMITS)
    assert keys.accept(TWO, A, LIMITS)
    assert keys.handle(ONE) is keys.handle(TWO)
    assert keys.entries().keys() == {ONE, TWO}


def test_the_same_key_read_again_is_no_news_and_keeps_what_its_gate_knows() -> None:
    keys = service_keys()
    keys.accept(ONE, A, LIMITS)
    before = keys.handle(ONE)
    assert not keys.accept(ONE, A, LIMITS)
    assert keys.handle(ONE) is before


def test_another_key_starts_with_a_gate_of_its_own_and_the_former_one_is_found_again() -> None:
    keys = service_keys()
    keys.accept(ONE, A, LIMITS)
    first = keys.handle(ONE)
    assert keys.accept(ONE, B, LIMITS)
    assert keys.handle(ONE) is not first
    assert keys.accept(ONE, A, LIMITS)
    assert keys.handle(ONE) is first, "its limits and its breaker were not forgotten"


def test_new_limits_apply_at_once() -> None:
    keys = service_keys()
    keys.accept(ONE, A, Limits(mints_per_hour=2))
    handle = keys.handle(ONE)
    assert handle is not None
    assert handle.gate.remaining(Operation.MINT, 0.0) == 2
    keys.accept(ONE, A, Limits(mints_per_hour=5))
    assert handle.gate.remaining(Operation.MINT, 0.0) == 5


def test_what_was_never_heard_of_has_no_state() -> None:
    assert service_keys().state(ONE) is None


def test_an_entry_that_never_had_a_key_is_unusable() -> None:
    keys = service_keys()
    keys.refuse(ONE, reasons.SERVICE_KEY_MALFORMED, "It is none.")
    assert keys.state(ONE) == ServiceKeyUnusable(reasons.SERVICE_KEY_MALFORMED, "It is none.")


def test_the_last_good_key_still_manages_and_mints_nothing() -> None:
    keys = service_keys()
    keys.accept(ONE, A, LIMITS)
    keys.refuse(ONE, reasons.SERVICE_KEY_SECRET_NOT_FOUND, "It is gone.")
    state = keys.state(ONE)
    assert isinstance(state, ServiceKeyUsable)
    assert state.manage is None
    assert state.mint is not None
    assert (state.mint.reason, state.mint.message, state.mint.needs_person) == (
        reasons.SERVICE_KEY_SECRET_NOT_FOUND,
        "It is gone.",
        True,
    )
    assert state.mint.until == NOW + MINUTE
    keys.accept(ONE, A, LIMITS)
    mended = keys.state(ONE)
    assert isinstance(mended, ServiceKeyUsable)
    assert mended.mint is None


def test_a_shut_gate_is_told_as_a_time_of_the_wall_clock() -> None:
    keys = service_keys()
    keys.accept(ONE, A, Limits(mints_per_hour=1))
    handle = keys.handle(ONE)
    assert handle is not None
    handle.gate.ask(Operation.MINT, 0.0)
    state = keys.state(ONE)
    assert isinstance(state, ServiceKeyUsable)
    assert state.manage is None
    assert state.mint is not None
    assert state.mint.reason == reasons.WAITING_FOR_BUDGET
    assert NOW < state.mint.until <= NOW + 61 * MINUTE


def test_minting_and_rotating_have_gates_of_their_own() -> None:
    keys = service_keys()
    keys.accept(ONE, A, Limits(mints_per_hour=1, rotates_per_hour=1))
    handle = keys.handle(ONE)
    assert handle is not None
    handle.gate.ask(Operation.ROTATE, 0.0)
    state = keys.state(ONE)
    assert isinstance(state, ServiceKeyUsable)
    assert state.gate(key_status.Operation.MINT) is None
    assert state.gate(key_status.Operation.ROTATE) is not None


def test_a_service_key_whose_secret_is_gone_neither_mints_nor_rotates() -> None:
    keys = service_keys()
    keys.accept(ONE, A, LIMITS)
    keys.refuse(ONE, reasons.SERVICE_KEY_SECRET_NOT_FOUND, "It is gone.")
    state = keys.state(ONE)
    assert isinstance(state, ServiceKeyUsable)
    assert state.manage is None
    for operation in key_status.Operation:
        closed = state.gate(operation)
        assert closed is not None
        assert closed.reason == reasons.SERVICE_KEY_SECRET_NOT_FOUND


def test_a_breaker_of_the_whole_key_shuts_minting_and_managing() -> None:
    keys = service_keys()
    keys.accept(ONE, A, LIMITS)
    handle = keys.handle(ONE)
    assert handle is not None
    granted = handle.gate.ask(Operation.LIST, 0.0)
    assert not isinstance(granted, Wait)
    handle.gate.record(granted, Blocked("invalid_api_key", Scope.SERVICE_KEY), 0.0)
    state = keys.state(ONE)
    assert isinstance(state, ServiceKeyUsable)
    assert state.mint is not None
    assert state.manage is not None
    assert state.mint.reason == state.manage.reason == reasons.SERVICE_KEY_REJECTED
    assert state.mint.needs_person


@pytest.mark.parametrize(
    ("wait", "reason", "person"),
    [
        (Wait(9.0, WaitReason.BUDGET), reasons.WAITING_FOR_BUDGET, False),
        (Wait(9.0, WaitReason.THROTTLED), reasons.WAITING_FOR_BUDGET, False),
        (Wait(9.0, WaitReason.BLOCKED, frozenset({"m3_fraud_block"})), reasons.ACCOUNT_BLOCKED, True),
        (Wait(9.0, WaitReason.BLOCKED), reasons.SERVICE_KEY_FORBIDDEN, True),
    ],
    ids=["budget", "429", "a breaker", "a breaker without a code"],
)
def test_a_wait_in_words(wait: Wait, reason: str, person: bool) -> None:
    closed = gate_closed(wait, NOW)
    assert (closed.until, closed.reason, closed.needs_person) == (NOW, reason, person)
    assert closed.message


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("invalid_api_key", reasons.SERVICE_KEY_REJECTED),
        ("unauthorized", reasons.SERVICE_KEY_REJECTED),
        ("insufficient_credits", reasons.INSUFFICIENT_CREDITS),
        ("payment_method_required", reasons.PAYMENT_METHOD_REQUIRED),
        ("m3_fraud_block", reasons.ACCOUNT_BLOCKED),
        ("forbidden", reasons.SERVICE_KEY_FORBIDDEN),
        ("a_code_of_next_year", reasons.SERVICE_KEY_FORBIDDEN),
    ],
)
def test_each_code_that_blocks_has_a_reason_of_its_own(code: str, reason: str) -> None:
    assert breaker_text(code)[0] == reason


def test_no_service_key_shows() -> None:
    keys = service_keys()
    keys.accept(ONE, A, LIMITS)
    assert "NEVERSHOWTHIS" not in f"{keys.handle(ONE)!r} {keys.state(ONE)!r} {keys.entries()!r}"


def test_a_gate_that_opens_within_the_microsecond_is_shut_all_the_same() -> None:
    clock = ManualClock()
    keys = service_keys(clock)
    keys.accept(ONE, A, LIMITS)
    handle = keys.handle(ONE)
    assert handle is not None
    granted = handle.gate.ask(Operation.MINT, clock.monotonic())
    assert isinstance(granted, Granted)
    handle.gate.record(granted, Blocked("m3_fraud_block", Scope.OPERATION), clock.monotonic() + 2e-7)
    clock.advance(BreakerTimes().first)
    state = keys.state(ONE)
    assert isinstance(state, ServiceKeyUsable)
    assert state.mint is not None
    assert state.mint.until > clock.now(), "a decision that took it for open would ask in vain, without any rest"


def test_of_two_entries_with_one_service_key_the_strictest_limits_hold_in_whatever_order_they_are_read() -> None:
    keys = service_keys()
    keys.accept(ONE, A, Limits(mints_per_hour=2, lists_per_hour=50))
    keys.accept(TWO, A, Limits(mints_per_hour=5, lists_per_hour=20))
    handle = keys.handle(ONE)
    assert handle is not None
    remaining = [handle.gate.remaining(operation, 0.0) for operation in (Operation.MINT, Operation.LIST)]
    assert remaining == [2, 20]


@pytest.mark.parametrize("entries", [(), ("other",)], ids=["a provider that is gone", "an entry that was taken out"])
def test_limits_of_what_is_no_more_no_longer_count(entries: tuple[str, ...]) -> None:
    keys = service_keys()
    keys.accept(ONE, A, Limits(mints_per_hour=2))
    keys.accept(TWO, A, Limits(mints_per_hour=5))
    handle = keys.handle(ONE)
    assert handle is not None
    keys.keep_limits(TWO[0], ["main"])
    assert handle.gate.remaining(Operation.MINT, 0.0) == 2
    keys.keep_limits(ONE[0], entries)
    assert handle.gate.remaining(Operation.MINT, 0.0) == 5


def test_limits_follow_an_entry_to_another_service_key() -> None:
    keys = service_keys()
    keys.accept(ONE, A, Limits(mints_per_hour=2))
    keys.accept(TWO, A, Limits(mints_per_hour=5))
    handle = keys.handle(TWO)
    assert handle is not None
    keys.accept(ONE, B, Limits(mints_per_hour=2))
    assert handle.gate.remaining(Operation.MINT, 0.0) == 5
