"""One service key's gate: limits, pauses and breakers together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saperly_operator.budget.breaker import BreakerTimes
from saperly_operator.budget.gate import Gate, Granted, Limits, Wait, WaitReason
from saperly_operator.budget.operation import Operation
from saperly_operator.budget.outcome import Answered, Blocked, Outcome, Scope, Throttled, Unanswered
from saperly_operator.saperly import operation as vendor

REJECTED = Blocked("unauthorized", Scope.SERVICE_KEY)
NO_CREDITS = Blocked("insufficient_credits", Scope.OPERATION)
METERED = {Operation.MINT: 60, Operation.ROTATE: 30, Operation.LIST: 600}


def granted(gate: Gate, operation: Operation, now: float) -> Granted:
    grant = gate.ask(operation, now)
    assert isinstance(grant, Granted)
    return grant


def after(outcome: Outcome, operation: Operation = Operation.MINT, now: float = 0.0) -> Gate:
    """A gate that has seen one request come to this."""
    gate = Gate()
    gate.record(granted(gate, operation, now), outcome, now)
    return gate


def test_the_operations_are_spelled_as_the_client_spells_them() -> None:
    of_a_service_key = {str(operation) for operation in vendor.Operation} - {str(vendor.Operation.READ_AUDIT)}
    assert {str(operation) for operation in Operation} == of_a_service_key


@pytest.mark.parametrize(("operation", "limit"), METERED.items(), ids=str)
def test_the_published_limit_is_granted_and_no_more(operation: Operation, limit: int) -> None:
    gate = Gate(margin=30.0)
    for spent in range(limit):
        assert gate.remaining(operation, 10.0) == limit - spent
        granted(gate, operation, 10.0)
    assert gate.ask(operation, 10.0) == Wait(3640.0, WaitReason.BUDGET)
    assert isinstance(gate.ask(operation, 3639.75), Wait)
    assert isinstance(gate.ask(operation, 3640.0), Granted)


@pytest.mark.parametrize("operation", [Operation.GET, Operation.UPDATE, Operation.REVOKE], ids=str)
def test_where_no_limit_is_published_none_is_made_up(operation: Operation) -> None:
    gate = Gate()
    assert all(isinstance(gate.ask(operation, 1.0), Granted) for _ in range(2000))
    assert gate.remaining(operation, 1.0) is None


def test_one_limit_spent_leaves_the_others() -> None:
    gate = Gate(Limits(mints_per_hour=1))
    granted(gate, Operation.MINT, 0.0)
    assert isinstance(gate.ask(Operation.MINT, 0.0), Wait)
    assert gate.remaining(Operation.LIST, 0.0) == 600
    granted(gate, Operation.ROTATE, 0.0)


@pytest.mark.parametrize("outcome", [Answered(), Unanswered(), Throttled(5.0), REJECTED, NO_CREDITS], ids=repr)
def test_every_request_counts_whatever_came_of_it(outcome: Outcome) -> None:
    assert after(outcome).remaining(Operation.MINT, 1.0) == 59


def test_a_request_that_waits_costs_nothing() -> None:
    gate = after(Throttled(600.0))
    assert all(isinstance(gate.ask(Operation.MINT, 1.0), Wait) for _ in range(100))
    assert gate.remaining(Operation.MINT, 1.0) == 59


def test_a_look_ahead_says_what_asking_would_and_reserves_nothing() -> None:
    gate = Gate(Limits(mints_per_hour=1))
    assert gate.peek(Operation.MINT, 0.0) is None
    assert gate.peek(Operation.MINT, 0.0) is None
    gate.record(granted(gate, Operation.MINT, 0.0), REJECTED, 0.0)
    assert gate.peek(Operation.LIST, 30.0) is None
    assert gate.peek(Operation.MINT, 30.0) == gate.ask(Operation.MINT, 30.0)
    granted(gate, Operation.LIST, 30.0)
    assert gate.peek(Operation.LIST, 30.0) == gate.ask(Operation.LIST, 30.0)


def test_a_request_that_was_not_sent_is_given_back() -> None:
    gate = Gate()
    gate.give_back(granted(gate, Operation.MINT, 0.0), 1.0)
    assert gate.remaining(Operation.MINT, 1.0) == 60
    gate.give_back(granted(gate, Operation.GET, 0.0), 1.0)


def test_changed_limits_count_what_was_spent() -> None:
    gate = Gate(Limits(mints_per_hour=2))
    granted(gate, Operation.MINT, 0.0)
    gate.relimit(Limits(mints_per_hour=5))
    assert gate.remaining(Operation.MINT, 1.0) == 4
    gate.relimit(Limits(mints_per_hour=1))
    assert isinstance(gate.ask(Operation.MINT, 1.0), Wait)


def test_a_429_pauses_its_own_operation_only() -> None:
    gate = after(Throttled(120.0), Operation.ROTATE)
    assert gate.ask(Operation.ROTATE, 1.0) == Wait(120.0, WaitReason.THROTTLED)
    assert isinstance(gate.ask(Operation.ROTATE, 120.0), Granted)
    assert all(isinstance(gate.ask(op, 1.0), Granted) for op in Operation if op is not Operation.ROTATE)


@pytest.mark.parametrize("operation", Operation, ids=str)
def test_a_rejected_service_key_holds_every_operation(operation: Operation) -> None:
    gate = after(REJECTED, Operation.LIST)
    assert gate.ask(operation, 1.0) == Wait(30.0, WaitReason.BLOCKED, frozenset({"unauthorized"}))
    assert gate.codes_against(operation) == {"unauthorized"}


def test_any_operation_may_probe_a_rejected_service_key_and_the_others_wait_for_it() -> None:
    gate = after(REJECTED, Operation.MINT)
    probe = granted(gate, Operation.LIST, 30.0)
    assert all(isinstance(gate.ask(operation, 30.0), Wait) for operation in Operation)
    gate.record(probe, Answered(), 31.0)
    assert all(isinstance(gate.ask(operation, 31.0), Granted) for operation in Operation)
    assert gate.codes_against(Operation.MINT) == frozenset()


def test_lack_of_credits_holds_the_mint_and_lets_keys_be_revoked() -> None:
    gate = after(NO_CREDITS, Operation.MINT)
    assert gate.ask(Operation.MINT, 1.0) == Wait(30.0, WaitReason.BLOCKED, frozenset({"insufficient_credits"}))
    assert all(isinstance(gate.ask(op, 1.0), Granted) for op in Operation if op is not Operation.MINT)


def test_a_list_that_succeeds_says_nothing_about_the_credits() -> None:
    gate = after(NO_CREDITS, Operation.MINT)
    gate.record(granted(gate, Operation.LIST, 1.0), Answered(), 2.0)
    assert isinstance(gate.ask(Operation.MINT, 3.0), Wait)


def test_a_mint_that_lacks_credits_proves_that_the_key_itself_is_accepted() -> None:
    gate = after(REJECTED, Operation.LIST)
    gate.record(granted(gate, Operation.MINT, 30.0), NO_CREDITS, 31.0)
    assert isinstance(gate.ask(Operation.LIST, 31.0), Granted)
    assert isinstance(gate.ask(Operation.MINT, 31.0), Wait)


@pytest.mark.parametrize("outcome", [Unanswered(), Throttled(1.0)], ids=repr)
def test_a_probe_that_finds_nothing_out_leaves_the_key_held(outcome: Outcome) -> None:
    gate = after(REJECTED, Operation.LIST)
    gate.record(granted(gate, Operation.GET, 30.0), outcome, 31.0)
    assert gate.ask(Operation.MINT, 31.0) == Wait(61.0, WaitReason.BLOCKED, frozenset({"unauthorized"}))


@pytest.mark.parametrize("trouble", [REJECTED, NO_CREDITS], ids=repr)
def test_a_probe_that_was_not_sent_after_all_leaves_room_for_another(trouble: Outcome) -> None:
    gate = after(trouble, Operation.MINT)
    gate.give_back(granted(gate, Operation.MINT, 30.0), 30.5)
    assert isinstance(gate.ask(Operation.MINT, 30.5), Granted)


def test_only_a_mint_probes_for_credits_and_the_other_mints_wait_for_it() -> None:
    gate = after(NO_CREDITS, Operation.MINT)
    probe = granted(gate, Operation.MINT, 30.0)
    assert gate.ask(Operation.MINT, 30.0) == Wait(35.0, WaitReason.BLOCKED, frozenset({"insufficient_credits"}))
    gate.record(probe, Answered(), 31.0)
    assert isinstance(gate.ask(Operation.MINT, 31.0), Granted)


@pytest.mark.parametrize("outcome", [Unanswered(), Throttled(1.0)], ids=repr)
def test_a_mint_that_finds_nothing_out_about_the_credits_leaves_mints_held(outcome: Outcome) -> None:
    gate = after(NO_CREDITS, Operation.MINT)
    gate.record(granted(gate, Operation.MINT, 30.0), outcome, 31.0)
    assert gate.ask(Operation.MINT, 31.0) == Wait(61.0, WaitReason.BLOCKED, frozenset({"insufficient_credits"}))


def test_a_rejected_key_says_nothing_about_the_credits() -> None:
    gate = after(NO_CREDITS, Operation.MINT)
    gate.record(granted(gate, Operation.MINT, 30.0), REJECTED, 31.0)
    assert gate.ask(Operation.LIST, 31.0) == Wait(61.0, WaitReason.BLOCKED, frozenset({"unauthorized"}))
    assert gate.ask(Operation.MINT, 31.0) == Wait(
        61.0, WaitReason.BLOCKED, frozenset({"unauthorized", "insufficient_credits"})
    )
    gate.record(granted(gate, Operation.LIST, 61.0), Answered(), 62.0)
    granted(gate, Operation.MINT, 62.0)
    assert gate.codes_against(Operation.MINT) == {"insufficient_credits"}, "this mint probes for them"


def test_pauses_without_a_time_grow_until_an_answer_comes() -> None:
    gate, now, waits = Gate(), 0.0, []
    outcomes: list[Outcome] = [Throttled(None), Throttled(None), Answered(), Throttled(None)]
    for outcome in outcomes:
        gate.record(granted(gate, Operation.GET, now), outcome, now)
        answer = gate.ask(Operation.GET, now)
        if isinstance(answer, Wait):
            waits.append(answer.until - now)
            now = answer.until
    assert waits == [60, 120, 60]


def test_of_several_reasons_the_gravest_is_told_with_the_latest_time() -> None:
    gate = Gate(Limits(mints_per_hour=2), margin=0.0, breaker_times=BreakerTimes(first=30))
    first, second = granted(gate, Operation.MINT, 0.0), granted(gate, Operation.MINT, 0.0)
    assert gate.ask(Operation.MINT, 1.0) == Wait(3600.0, WaitReason.BUDGET)
    gate.record(first, Throttled(60.0), 1.0)
    assert gate.ask(Operation.MINT, 1.0) == Wait(3600.0, WaitReason.THROTTLED)
    gate.record(second, REJECTED, 1.0)
    assert gate.ask(Operation.MINT, 1.0) == Wait(3600.0, WaitReason.BLOCKED, frozenset({"unauthorized"}))


NOTHING_SAID, FORBIDDEN = Throttled(None), Blocked("forbidden", Scope.OPERATION)
OUTCOMES: list[Outcome] = [Answered(), Unanswered(), NOTHING_SAID, Throttled(90.0), REJECTED, NO_CREDITS, FORBIDDEN]
batches = st.lists(st.tuples(st.sampled_from(list(Operation)), st.sampled_from(OUTCOMES)), max_size=8)


@given(batch=batches, data=st.data())
def test_the_answers_of_requests_under_way_together_may_come_in_any_order(
    batch: list[tuple[Operation, Outcome]], data: st.DataObject
) -> None:
    def after_all(order: list[int]) -> list[Granted | Wait]:
        gate = Gate()
        grants = [granted(gate, operation, 0.0) for operation, _ in batch]
        for index in order:
            gate.record(grants[index], batch[index][1], 1.0)
        return [gate.ask(operation, 2.0) for operation in Operation]

    in_turn = list(range(len(batch)))
    assert after_all(data.draw(st.permutations(in_turn))) == after_all(in_turn)


steps = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.25, 1.0, 60.0, 900.0]), st.sampled_from(list(METERED)), st.sampled_from(OUTCOMES)
    ),
    max_size=200,
)


@given(steps=steps)
def test_no_history_of_outcomes_makes_the_gate_exceed_a_published_limit(
    steps: list[tuple[float, Operation, Outcome]],
) -> None:
    limits = Limits(mints_per_hour=4, rotates_per_hour=2, lists_per_hour=6)
    gate, now, sent = Gate(limits, margin=0.0), 0.0, list[Granted]()
    for passing, operation, outcome in steps:
        now += passing
        answer = gate.ask(operation, now)
        if isinstance(answer, Granted):
            sent.append(answer)
            gate.record(answer, outcome, now)
        else:
            assert answer.until > now
    for start in sent:
        same = [one for one in sent if one.operation is start.operation and start.at <= one.at < start.at + 3600]
        assert len(same) <= limits.by_operation()[start.operation]
