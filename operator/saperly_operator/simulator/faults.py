"""Faults to order: which calls go wrong, how, and on which side of the commit.

``FaultBook`` decides, purely; the HTTP shell does what it says. A fault is one-shot unless told otherwise. The book
is in memory only: a restarted simulator is a healthy one.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from saperly_operator.simulator.core import Call
from saperly_operator.simulator.state import Operation


class FaultKind(StrEnum):
    """What goes wrong.

    ``latency`` and ``hold`` only delay. ``duplicate`` carries the request out twice and answers with the second
    answer, as a retrying proxy does. All others take the place of the call's own answer: an error of ``status``, a
    closed connection (``reset``), half an answer (``truncate``), a body that is no JSON (``garbage``), megabytes of
    it (``oversized``), or a redirect to another host (``redirect``).
    """

    LATENCY = "latency"
    HOLD = "hold"
    DUPLICATE = "duplicate"
    STATUS = "status"
    RESET = "reset"
    TRUNCATE = "truncate"
    GARBAGE = "garbage"
    OVERSIZED = "oversized"
    REDIRECT = "redirect"


class Fault(BaseModel):
    """One order. ``when``: before the commit nothing has taken effect yet; after it, only the answer is spoilt."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: FaultKind
    when: Literal["before", "after"] = "before"
    operation: Operation | None = None
    """None matches every operation."""
    service_key_id: str | None = None
    key_id: str | None = None
    """The id in the path."""
    nth: int = Field(default=1, ge=1)
    """The first matching call that is hit, counted from the order on."""
    count: int | None = Field(default=1, ge=1)
    """How many matching calls in a row are hit; None: all, until the fault is taken back."""
    seconds: float = Field(default=1.0, ge=0)
    """For ``latency``."""
    status: int = Field(default=503, ge=400, le=599)
    """For ``status``."""
    code: str = "internal_error"
    """For ``status``: the error code in the body; ``rate_limited`` for a 429."""
    retry_after: str | None = None
    """For ``status``: the Retry-After header, seconds or an HTTP date, sent as it is."""

    @model_validator(mode="after")
    def _duplicate_is_of_the_whole_call(self) -> Self:
        if self.kind is FaultKind.DUPLICATE and self.when == "after":
            raise ValueError("a duplicate has no 'after': it is the commit that is done twice")
        return self

    def matches(self, call: Call) -> bool:
        return (
            self.operation in (None, call.operation)
            and self.service_key_id in (None, call.service_key_id)
            and self.key_id in (None, call.key_id)
        )


@dataclass(slots=True)
class OrderedFault:
    """A fault in the book: how often it matched and hit so far, and the calls that it holds now."""

    id: str
    fault: Fault
    matched: int = 0
    hits: int = 0
    holding: list[int] = field(default_factory=list)

    @property
    def is_spent(self) -> bool:
        return self.fault.count is not None and self.hits >= self.fault.count


class FaultBook:
    """The faults on order, oldest first."""

    def __init__(self) -> None:
        self._orders: dict[str, OrderedFault] = {}
        self._ordered = 0

    def order(self, fault: Fault) -> OrderedFault:
        self._ordered += 1
        ordered = OrderedFault(f"fault-{self._ordered}", fault)
        self._orders[ordered.id] = ordered
        return ordered

    def orders(self) -> list[OrderedFault]:
        """All of them, spent ones too: they tell whether they hit."""
        return list(self._orders.values())

    def find(self, fault_id: str) -> OrderedFault | None:
        return self._orders.get(fault_id)

    def cancel(self, fault_id: str) -> bool:
        """Take a fault back; what it holds must be let go by the caller. False when there is no such fault."""
        return self._orders.pop(fault_id, None) is not None

    def take(self, call: Call) -> list[OrderedFault]:
        """The faults that hit this call, in the order in which they were given; each is counted as a hit."""
        hitting = []
        for ordered in self._orders.values():
            if ordered.is_spent or not ordered.fault.matches(call):
                continue
            ordered.matched += 1
            if ordered.matched >= ordered.fault.nth:
                ordered.hits += 1
                hitting.append(ordered)
        return hitting
