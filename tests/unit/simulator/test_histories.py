"""Any history of calls, with answers lost, requests hanging and time passing, against a small model of the contract.

The model knows what was asked and when; after each step it holds the vendor to the hourly limits, to idempotency, and
to the one showing of each plaintext.
"""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from saperly_operator.simulator.core import Call
from saperly_operator.simulator.messages import Response
from saperly_operator.simulator.settings import Limits
from tests.unit.simulator.vendor import Reply, Vendor, reply_of

HOUR = 3600
LIMITS = Limits(mint=4, rotate=3, list=5)
WINDOW = 12 * HOUR

idempotency_keys = st.sampled_from(["k1", "k2", "k3"])
names = st.sampled_from(["one", "two"])
owners = st.sampled_from([0, 1])


@dataclass
class Outcome:
    """What is known to have happened under one Idempotency-Key: the request, when it began, and its row."""

    request: str
    began: float
    row: str


class Histories(RuleBasedStateMachine):
    in_flight = Bundle("in_flight")

    def __init__(self) -> None:
        super().__init__()
        self.vendor = Vendor()
        self.vendor.configure(limits=LIMITS)
        self.credentials = [self.vendor.service_key.plaintext, self.vendor.another_service_key().plaintext]
        self.admitted: dict[tuple[int, str], list[float]] = defaultdict(list)
        self.outcomes: dict[tuple[int, str], Outcome] = {}
        self.running: dict[tuple[int, str], int] = {}
        self.plaintexts: list[str] = []
        self.live: dict[str, int] = {}

    def now(self) -> float:
        return self.vendor.clock.monotonic()

    def ask(self, owner: int, operation: str, method: str, path: str, **request: Any) -> Call:
        """Begin a call and check what the limit made of it."""
        call = self.vendor.core.begin(self.vendor.request(method, path, by=self.credentials[owner], **request))
        hits = self.admitted[owner, operation]
        within = [at for at in hits if at > self.now() - HOUR]
        limit = getattr(LIMITS, operation)
        refused = call.code == "rate_limited"
        assert refused == (limit is not None and len(within) >= limit)
        if not refused:
            hits.append(self.now())
        return call

    @rule(target=in_flight, owner=owners, key=idempotency_keys, name=names)
    def begin_mint(self, owner: int, key: str, name: str) -> tuple[int, str, str, Call]:
        call = self.ask(owner, "mint", "POST", "/v1/keys", body={"name": name}, key=key)
        self.check_beginning(owner, f"mint {key}", name, call)
        return owner, f"mint {key}", name, call

    @rule(target=in_flight, data=st.data(), owner=owners, key=idempotency_keys)
    def begin_rotate(self, data: st.DataObject, owner: int, key: str) -> tuple[int, str, str, Call]:
        own = sorted(row for row, minted_by in self.live.items() if minted_by == owner)
        row = data.draw(st.sampled_from(own)) if own else "nobody"
        call = self.ask(owner, "rotate", "POST", f"/v1/keys/{row}/rotate", key=key)
        self.check_beginning(owner, f"rotate {key}", row, call)
        return owner, f"rotate {key}", row, call

    def check_beginning(self, owner: int, scoped_key: str, request: str, call: Call) -> None:
        """A call that is neither running, nor refused by the limit, is a replay, a reuse or the first."""
        name = (owner, scoped_key)
        if call.code == "rate_limited":
            return
        known = self.outcomes.get(name)
        if name in self.running:
            assert call.code in ("idempotency_in_progress", "idempotency_key_reused")
        elif known is not None and self.now() - known.began < WINDOW:
            if known.request == request:
                assert call.response is not None
                reply = reply_of(call.response)
                assert (reply.status, reply.key["id"]) == (201, known.row)
                assert "plaintext_key" not in reply.key
            else:
                assert call.code == "idempotency_key_reused"
        else:
            assert call.response is None
            self.running[name] = call.number

    @rule(flying=consumes(in_flight))
    def finish(self, flying: tuple[int, str, str, Call]) -> None:
        first = flying[3].response is None
        self.commit(flying)
        reply = reply_of(self.vendor.core.answer(flying[3]))
        if first and reply.status == 201:
            self.plaintexts.append(reply.key["plaintext_key"])

    @rule(flying=consumes(in_flight))
    def lose_the_answer(self, flying: tuple[int, str, str, Call]) -> None:
        self.commit(flying)
        self.vendor.core.abandon(flying[3])

    @rule(flying=consumes(in_flight))
    def lose_the_request(self, flying: tuple[int, str, str, Call]) -> None:
        self.forget(flying)
        self.vendor.core.abandon(flying[3])

    @rule(flying=consumes(in_flight), committed=st.booleans())
    def answer_500(self, flying: tuple[int, str, str, Call], committed: bool) -> None:
        if committed:
            self.commit(flying)
        else:
            self.forget(flying)
        self.vendor.core.fail(flying[3], Response(500, {}, b"{}"))
        self.vendor.core.answer(flying[3])

    def commit(self, flying: tuple[int, str, str, Call]) -> None:
        owner, scoped_key, request, call = flying
        first = call.response is None
        self.vendor.core.commit(call)
        self.forget(flying)
        assert call.response is not None
        reply = reply_of(call.response)
        if not first or reply.status != 201:
            return
        row = reply.key["id"]
        self.outcomes[owner, scoped_key] = Outcome(request, call.began_at.timestamp() - self.epoch(), row)
        self.live[row] = owner
        if scoped_key.startswith("rotate"):
            assert reply.key["rotated_from"] == request
            del self.live[request]

    def forget(self, flying: tuple[int, str, str, Call]) -> None:
        owner, scoped_key, _, call = flying
        if self.running.get((owner, scoped_key)) == call.number:
            del self.running[owner, scoped_key]

    def epoch(self) -> float:
        return self.vendor.clock.now().timestamp() - self.now()

    @rule(data=st.data(), owner=owners)
    def revoke(self, data: st.DataObject, owner: int) -> None:
        if not self.live:
            return
        row = data.draw(st.sampled_from(sorted(self.live)))
        reply = self.vendor.call("DELETE", f"/v1/keys/{row}", by=self.credentials[owner])
        assert reply.status == (200 if self.live[row] == owner else 404)
        if reply.status == 200:
            del self.live[row]

    @rule(owner=owners)
    def list_keys(self, owner: int) -> None:
        call = self.ask(owner, "list", "GET", "/v1/keys?limit=100")
        reply: Reply = self.vendor.finish(call)
        if reply.status == 200:
            listed = {key["id"] for key in reply.json["keys"]}
            assert listed == {row for row, minted_by in self.live.items() if minted_by == owner}

    @rule(seconds=st.sampled_from([1, 600, HOUR - 1, HOUR, WINDOW - 1, WINDOW]))
    def pass_time(self, seconds: int) -> None:
        self.vendor.clock.advance(seconds)

    @invariant()
    def the_live_keys_are_those_that_the_history_explains(self) -> None:
        assert self.vendor.live_ids() == set(self.live)

    @invariant()
    def no_plaintext_was_shown_twice(self) -> None:
        assert len(self.plaintexts) == len(set(self.plaintexts))


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=150, stateful_step_count=40, deadline=None, derandomize=True)
