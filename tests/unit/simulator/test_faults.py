"""Which calls an ordered fault hits."""

import pytest
from pydantic import ValidationError

from saperly_operator.simulator.core import Call
from saperly_operator.simulator.faults import Fault, FaultBook, FaultKind
from saperly_operator.simulator.state import Operation
from tests.unit.simulator.vendor import Vendor

RESET = FaultKind.RESET


def _calls(*methods: str) -> list[Call]:
    vendor = Vendor()
    return [vendor.core.begin(vendor.request(method, "/v1/keys/some-id")) for method in methods]


def _hits(book: FaultBook, calls: list[Call]) -> list[bool]:
    return [bool(book.take(call)) for call in calls]


def test_a_fault_is_one_shot_unless_told_otherwise() -> None:
    book = FaultBook()
    ordered = book.order(Fault(kind=RESET))
    assert _hits(book, _calls("GET", "GET", "GET")) == [True, False, False]
    assert (ordered.matched, ordered.hits, ordered.is_spent) == (1, 1, True)


@pytest.mark.parametrize(
    ("nth", "count", "hits"),
    [
        (2, 1, [False, True, False, False]),
        (1, 2, [True, True, False, False]),
        (2, 2, [False, True, True, False]),
        (3, None, [False, False, True, True]),
    ],
)
def test_a_fault_hits_as_many_calls_as_ordered_from_the_nth_on(nth: int, count: int | None, hits: list[bool]) -> None:
    book = FaultBook()
    book.order(Fault(kind=RESET, nth=nth, count=count))
    assert _hits(book, _calls(*["GET"] * 4)) == hits


def test_only_matching_calls_are_counted() -> None:
    book = FaultBook()
    book.order(Fault(kind=RESET, operation=Operation.REVOKE, nth=2))
    assert _hits(book, _calls("DELETE", "GET", "GET", "DELETE")) == [False, False, False, True]


def test_a_fault_can_be_meant_for_one_service_key_or_one_key() -> None:
    vendor = Vendor()
    other = vendor.another_service_key()
    book = FaultBook()
    book.order(Fault(kind=RESET, service_key_id=other.service_key.id, key_id="a"))
    requests = [("a", None), ("b", other.plaintext), ("a", other.plaintext)]
    calls = [vendor.core.begin(vendor.request("GET", f"/v1/keys/{key}", by=by)) for key, by in requests]
    assert _hits(book, calls) == [False, False, True]


def test_several_faults_hit_one_call_in_the_order_in_which_they_were_given() -> None:
    book = FaultBook()
    book.order(Fault(kind=FaultKind.LATENCY, count=None))
    book.order(Fault(kind=RESET))
    first, second = _calls("GET", "GET")
    assert [ordered.fault.kind for ordered in book.take(first)] == [FaultKind.LATENCY, RESET]
    assert [ordered.fault.kind for ordered in book.take(second)] == [FaultKind.LATENCY]


def test_a_fault_taken_back_hits_nothing() -> None:
    book = FaultBook()
    ordered = book.order(Fault(kind=RESET))
    assert book.cancel(ordered.id)
    assert not book.cancel(ordered.id)
    assert _hits(book, _calls("GET")) == [False]
    assert book.orders() == []


@pytest.mark.parametrize("wrong", [{"nth": 0}, {"count": 0}, {"status": 200}, {"seconds": -1}, {"colour": "red"}])
def test_a_fault_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Fault.model_validate({"kind": "status", **wrong})


def test_a_duplicate_after_the_commit_makes_no_sense() -> None:
    with pytest.raises(ValidationError, match="no 'after'"):
        Fault(kind=FaultKind.DUPLICATE, when="after")
