"""What a process alone remembers: reserved turns, failures, plaintexts on their way."""

from datetime import timedelta

import pytest

from saperly_operator.budget.gate import Gate, Granted
from saperly_operator.budget.operation import Operation
from saperly_operator.controller.scratch import Scratch, Scratchpads, Turn
from saperly_operator.lifecycle.observed import HeldKey, PreflightPassed, RedactedKey
from saperly_operator.lifecycle.timings import Timings
from saperly_operator.saperly.concealed import Plaintext
from tests.builders import NOW, SECOND, a_row

TIMINGS = Timings()
PLAINTEXT = Plaintext("sk_test_1NEVERSHOWTHIS")


def reserved(gate: Gate, at: float = 0.0) -> Scratch:
    granted = gate.ask(Operation.MINT, at)
    assert isinstance(granted, Granted)
    return Scratch(turn=Turn(gate, granted))


def test_a_fresh_turn_is_used_once() -> None:
    gate = Gate()
    scratch = reserved(gate)
    assert scratch.memory().has_turn
    assert scratch.take_turn(gate, Operation.MINT, 20.0) is not None
    assert scratch.take_turn(gate, Operation.MINT, 20.0) is None
    assert not scratch.memory().has_turn
    assert gate.remaining(Operation.MINT, 20.0) == 59


def test_a_turn_to_mint_is_no_turn_to_rotate() -> None:
    gate = Gate()
    scratch = reserved(gate)
    assert scratch.take_turn(gate, Operation.ROTATE, 0.0) is None
    assert gate.remaining(Operation.MINT, 0.0) == 60, "given back"


@pytest.mark.parametrize("stale", [pytest.param(True, id="too old"), pytest.param(False, id="of another gate")])
def test_a_turn_that_cannot_be_used_is_given_back(stale: bool) -> None:
    gate = Gate()
    scratch = reserved(gate)
    assert scratch.take_turn(gate if stale else Gate(), Operation.MINT, 20.1 if stale else 0.0) is None
    assert gate.remaining(Operation.MINT, 20.1) == 60


def test_each_failure_of_a_kind_of_work_waits_longer_and_success_forgets_them() -> None:
    scratch = Scratch()
    waits = [scratch.failed("write", NOW, TIMINGS) - NOW for _ in range(3)]
    assert waits == [5 * SECOND, 10 * SECOND, 20 * SECOND]
    assert scratch.failed("update", NOW, TIMINGS) - NOW == 5 * SECOND, "each kind by itself"
    assert scratch.memory().not_before == {"write": NOW + 20 * SECOND, "update": NOW + 5 * SECOND}
    scratch.succeeded("write")
    assert scratch.memory().not_before == {"update": NOW + 5 * SECOND}
    assert scratch.failed("write", NOW, TIMINGS) - NOW == 5 * SECOND


@pytest.mark.parametrize(
    ("retry_after", "wait"),
    [
        pytest.param(None, 5, id="none"),
        pytest.param(2.0, 5, id="shorter than ours"),
        pytest.param(60.0, 60, id="longer than ours"),
        pytest.param(-1e9, 5, id="negative"),
        pytest.param(1e12, 3600, id="absurd"),
    ],
)
def test_the_vendors_retry_after_is_a_lower_bound_within_its_window(retry_after: float | None, wait: int) -> None:
    assert Scratch().failed("update", NOW, TIMINGS, retry_after) - NOW == timedelta(seconds=wait)


def test_putting_off_counts_no_failure() -> None:
    scratch = Scratch()
    scratch.put_off("mint", NOW + SECOND)
    assert scratch.memory().not_before == {"mint": NOW + SECOND}
    assert scratch.failed("mint", NOW, TIMINGS) - NOW == 5 * SECOND


def test_a_minted_key_ends_what_was_thought_of_a_replay() -> None:
    scratch = Scratch(redacted=RedactedKey(1, a_row()))
    scratch.hold(HeldKey(1, a_row()), PLAINTEXT)
    assert scratch.redacted is None
    assert scratch.memory().held == HeldKey(1, a_row())


def test_a_closed_intent_leaves_nothing_that_the_next_could_mistake_for_its_own() -> None:
    scratch = Scratch(preflight=PreflightPassed(NOW))
    scratch.hold(HeldKey(1, a_row()), PLAINTEXT)
    scratch.put_off("mint", NOW + SECOND)
    scratch.failed("write", NOW, TIMINGS)
    scratch.close_intent()
    assert (scratch.held, scratch.plaintext, scratch.redacted, scratch.preflight) == (None, None, None, None)
    assert "mint" not in scratch.memory().not_before
    assert "write" not in scratch.memory().not_before


def test_no_plaintext_shows() -> None:
    scratch = Scratch()
    scratch.hold(HeldKey(1, a_row()), PLAINTEXT)
    assert "NEVERSHOWTHIS" not in f"{scratch!r} {scratch.memory()!r}"


def test_a_recreated_object_inherits_nothing() -> None:
    pads = Scratchpads()
    first = pads.of("uid-1", ("agents", "support"))
    assert pads.of("uid-1", ("agents", "support")) is first
    assert pads.of("uid-2", ("agents", "support")) is not first
    pads.drop("uid-1")
    assert pads.of("uid-1", ("agents", "support")) is not first


def test_plaintexts_on_their_way_and_keys_not_recorded_are_counted() -> None:
    pads = Scratchpads()
    scratch = pads.of("uid-1", ("agents", "support"))
    pads.of("uid-2", ("agents", "other"))
    assert (pads.holding(), pads.keys_holding()) == (0, [])
    scratch.hold(HeldKey(1, a_row()), PLAINTEXT)
    assert (pads.holding(), pads.keys_holding()) == (1, [("agents", "support")])
    scratch.plaintext = None
    assert (pads.holding(), pads.keys_holding()) == (0, [("agents", "support")])


def test_what_is_remembered_of_an_object_that_is_gone_goes_and_its_turn_is_for_others() -> None:
    pads, gate = Scratchpads(), Gate()
    granted = gate.ask(Operation.MINT, 0.0)
    assert isinstance(granted, Granted)
    pads.of("uid-1", ("agents", "support")).hold(HeldKey(1, a_row()), PLAINTEXT)
    pads.of("uid-2", ("agents", "support")).turn = Turn(gate, granted)
    pads.of("uid-3", ("agents", "other"))
    pads.forget(("agents", "support"), 1.0)
    assert (pads.holding(), gate.remaining(Operation.MINT, 1.0)) == (0, 60)
    assert (pads.knows(("agents", "support")), pads.knows(("agents", "other"))) == (False, True)
    pads.drop("uid-3")
    assert not pads.knows(("agents", "other"))
