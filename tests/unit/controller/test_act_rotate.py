"""``strategy: Atomic`` of one object between both APIs: what it costs, and what each failure of the vendor leaves."""

from datetime import datetime
from typing import Any

import pytest

from saperly_operator.budget.gate import Limits
from saperly_operator.kube import errors
from saperly_operator.kube.api import EVENTS, PLAIN, SAPERLY_KEYS, SECRETS
from saperly_operator.lifecycle.naming import Tag
from saperly_operator.resources import annotations, reasons
from saperly_operator.simulator.faults import Fault, FaultKind
from saperly_operator.simulator.state import Operation
from tests.support.faulty_kube import Fault as KubeFault
from tests.unit.controller.world import NAME, NAMESPACE, World

READY = {"Ready": reasons.AVAILABLE, "KeyActive": reasons.AVAILABLE, "SecretSynced": reasons.AVAILABLE}


async def delivered(world: World, **rotation: str) -> str:
    """The id of a first key that is two hours old, so that none of this hour's mints is spent."""
    await world.apply(rotation={"strategy": "Atomic", "jitter": "0s", **rotation})
    await world.reconcile()
    await world.reconcile_after(7200)
    assert await world.reasons() == READY
    world.forget_calls()
    return world.live()[0]


async def ask(world: World, value: str = "now") -> None:
    """Request a rotation, and let the object be looked at."""
    marks: dict[str, Any] = {"metadata": {"annotations": {annotations.ROTATE_REQUESTED_AT: value}}}
    body = await world.memory.patch(SAPERLY_KEYS, NAMESPACE, NAME, marks, options=PLAIN)
    world.operator.intake.key_event(None, body)
    await world.reconcile()


def spoil(world: World, **fault: Any) -> None:
    world.simulator.faults.order(
        Fault.model_validate({"kind": FaultKind.STATUS, "operation": Operation.ROTATE} | fault)
    )


async def announced(world: World) -> list[str]:
    return [event["reason"] for event in await world.memory.list(EVENTS)]


async def is_replaced_by_a_mint(world: World, old: str) -> None:
    """A key was minted in the old one's place, and is the one in the Secret."""
    key = await world.key()
    assert key.status.current is not None
    assert key.status.current.rotated_from is None
    assert key.status.current.id != old
    assert key.status.rotation is not None
    assert key.status.rotation.failed is None
    assert key.status.rotation.last_handled_request == "now"
    (child,) = [child for child in world.control.live_keys() if child.id == key.status.current.id]
    assert await world.digest() == child.digest
    assert (await world.reasons())["Ready"] == reasons.AVAILABLE


async def test_a_rotation_in_one_step_costs_three_calls_and_no_revoke(world: World) -> None:
    old = await delivered(world)
    await ask(world)
    (new,) = world.live()
    asked = [request.replace(old, "OLD").replace(new, "NEW") for request in world.requests]
    assert asked == ["POST /v1/keys/OLD/rotate", "GET /v1/keys/OLD", "PATCH /v1/keys/NEW"]
    assert world.kube.writes[:4] == [
        "PATCH secrets dry",
        "PATCH saperlykeys/status",
        "PATCH secrets",
        "PATCH saperlykeys/status",
    ]
    assert await world.reasons() == READY
    assert (await announced(world)).count(reasons.ROTATED) == 1


async def test_the_lineage_is_recorded_and_the_name_bears_the_new_serial(world: World) -> None:
    old = await delivered(world)
    await ask(world)
    key, (child,) = await world.key(), world.control.live_keys()
    assert key.status.current is not None
    assert (key.status.current.id, key.status.current.rotated_from) == (child.id, old)
    tag = Tag.parse(child.name)
    assert tag is not None
    assert tag.serial == key.status.current.serial == key.status.serial == 2
    secret = await world.secret()
    assert secret is not None
    marks = secret["metadata"]["annotations"]
    assert (marks[annotations.KEY_ID], marks[annotations.SERIAL]) == (child.id, "2")
    assert datetime.fromisoformat(marks[annotations.MINTED_AT]) == child.created_at


async def test_what_the_old_key_bears_beside_the_spec_is_kept_and_a_change_of_the_spec_follows(world: World) -> None:
    await world.apply(monthlyCapCents=5000, agentLabel="support")
    await delivered(world)
    await world.apply(agentLabel=None)
    await ask(world)
    (child,) = world.control.live_keys()
    assert (child.monthly_cap_cents, child.agent_label) == (5000, None)


async def test_a_second_rotation_in_one_step_follows_the_first(world: World) -> None:
    first = await delivered(world)
    await ask(world, "once")
    (second,) = world.live()
    await world.reconcile_after(7200)
    await ask(world, "twice")
    (third,) = world.control.live_keys()
    assert third.rotated_from == second
    assert first not in world.live()
    assert await world.reasons() == READY


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"status": 503, "when": "before"}, id="it never took effect"),
        pytest.param({"kind": FaultKind.RESET, "when": "before"}, id="reset before it took effect"),
        pytest.param({"status": 409, "code": "idempotency_in_progress", "retry_after": "1"}, id="it still runs"),
        pytest.param({"status": 429, "code": "rate_limited", "retry_after": "120"}, id="throttled"),
    ],
)
async def test_what_certainly_or_possibly_changed_nothing_is_sent_again(world: World, fault: dict[str, Any]) -> None:
    old = await delivered(world)
    spoil(world, **fault)
    await ask(world)
    await world.reconcile_after(121)
    (child,) = world.control.live_keys()
    assert child.rotated_from == old
    assert await world.reasons() == READY


async def test_a_429_pauses_rotations_for_as_long_as_it_says(world: World) -> None:
    old = await delivered(world)
    spoil(world, status=429, code="rate_limited", retry_after="120")
    await ask(world)
    assert (await world.reasons())["Reconciling"] == reasons.WAITING_FOR_BUDGET
    assert (await world.reasons())["Ready"] == reasons.WAITING_FOR_BUDGET, "the key works"
    await world.reconcile_after(119)
    assert world.live() == [old]
    await world.reconcile_after(1)
    assert world.live() != [old]


async def test_rotations_have_an_hourly_limit_of_their_own(world: World) -> None:
    old = await delivered(world)
    gate = next(iter(world.operator.tools.service_keys.entries().values())).gate
    gate.relimit(Limits(rotates_per_hour=0))
    await ask(world)
    assert world.live() == [old]
    assert (await world.reasons())["Reconciling"] == reasons.WAITING_FOR_BUDGET
    assert (await world.key()).status.intent is None, "nothing is begun without a turn"
    gate.relimit(Limits(rotates_per_hour=1, mints_per_hour=0))
    await world.reconcile_after(60)
    assert world.live() != [old], "mints have another"


async def test_a_lost_answer_costs_the_successor_and_a_mint_at_once(world: World) -> None:
    old = await delivered(world)
    spoil(world, status=503, when="after")
    await ask(world)
    assert world.minted() == 0
    await world.reconcile_after(5)
    assert world.minted() == 1
    await is_replaced_by_a_mint(world, old)
    await world.reconcile_after(1)
    assert len(world.live()) == 1, "the successor was found by the answer without plaintext, and revoked"
    assert await world.reasons() == READY
    assert (await announced(world)).count(reasons.ROTATED) == 1


async def test_an_answer_that_never_comes_again_is_made_up_for_by_a_look_at_the_key(world: World) -> None:
    """A 5xx that is cached under its Idempotency-Key: the same request would be answered so for 12 hours."""
    old = await delivered(world)
    spoil(world, status=503, when="after")
    spoil(world, status=503, when="before", nth=2, count=None)
    await ask(world)
    await world.reconcile_after(5)
    await is_replaced_by_a_mint(world, old)
    assert world.minted() == 1
    assert reasons.ROTATION_LOST in await announced(world)
    assert len(world.live()) == 2, "what took the old one's place is not known"
    world.clock.advance(60)
    await world.sweep()
    await world.reconcile()
    assert len(world.live()) == 1, "but is found by the next list, by whose place it took"
    key = await world.key()
    assert key.status.rotation is not None
    assert (key.status.rotation.lost, key.status.retiring) == ((), ())


async def test_a_key_that_lives_is_not_given_up_for_an_answer_that_does_not_come(world: World) -> None:
    old = await delivered(world)
    spoil(world, status=503, when="before", count=4)
    await ask(world)
    for wait in (5, 10, 20):
        await world.reconcile_after(wait)
        assert world.live() == [old]
        assert (await world.reasons())["Ready"] == reasons.OUTCOME_UNKNOWN, "it works meanwhile"
    await world.reconcile_after(40)
    (child,) = world.control.live_keys()
    assert child.rotated_from == old
    assert world.minted() == 0


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"status": 404, "code": "not_found"}, id="not found"),
        pytest.param({"status": 422, "code": "validation_error"}, id="refused"),
        pytest.param({"status": 402, "code": "agent_cap_exceeded"}, id="a cap"),
    ],
)
async def test_a_key_that_saperly_does_not_rotate_is_replaced_by_a_mint_and_ends_at_once(
    world: World, fault: dict[str, Any]
) -> None:
    old = await delivered(world)
    spoil(world, **fault)
    await ask(world)
    await is_replaced_by_a_mint(world, old)
    assert old not in world.live(), "whoever asks for it in one step wants no overlap"
    assert world.minted() == 1


async def test_a_key_that_somebody_revoked_is_replaced_by_a_mint(world: World) -> None:
    old = await delivered(world)
    world.control.revoke_key(old)
    await ask(world)
    await is_replaced_by_a_mint(world, old)


async def test_a_blocked_account_keeps_the_old_key_and_holds_no_intent(world: World) -> None:
    old = await delivered(world)
    block = world.control.block("insufficient_credits")
    await ask(world)
    assert world.live() == [old]
    assert (await world.reasons())["Stalled"] == reasons.INSUFFICIENT_CREDITS
    assert (await world.key()).status.intent is None
    world.control.unblock(block.id)
    await world.reconcile_after(3600)
    (child,) = world.control.live_keys()
    assert child.rotated_from == old


async def test_the_object_says_so_while_its_secret_holds_a_dead_key(world: World) -> None:
    old = await delivered(world)
    spoil(world, status=503, when="after")
    spoil(world, operation=Operation.MINT, status=402, code="insufficient_credits", count=3)
    await ask(world)
    await world.reconcile_after(5)
    told = await world.reasons()
    assert "Ready" not in told
    assert "KeyActive" not in told
    assert told["Stalled"] == reasons.INSUFFICIENT_CREDITS
    await world.reconcile_after(900, times=4)
    await is_replaced_by_a_mint(world, old)


async def test_a_secret_refused_for_good_ends_the_successor_and_says_that_nothing_works(world: World) -> None:
    await delivered(world)
    forbidden = errors.Refused("a call", 403, "Forbidden")
    world.kube.faults += [KubeFault("PATCH secrets", forbidden, nth=nth) for nth in range(1, 200)]
    await ask(world)
    await world.reconcile_after(20, times=12)
    assert world.live() == []
    told = await world.reasons()
    assert "Ready" not in told
    assert told["Stalled"] == reasons.SECRET_WRITE_REFUSED
    world.kube.faults.clear()
    await world.reconcile_after(3600)
    assert await world.reasons() == READY


async def test_without_a_mint_to_spare_the_key_is_minted_and_the_old_one_ends_at_once(world: World) -> None:
    old = await delivered(world)
    for number in range(3):
        await ask(world, f"request {number}")
    kinds = [child.rotated_from is not None for child in world.control.ledger()]
    assert kinds == [False, True, True, False], "the third of the hour is minted: no other could follow it"
    assert len(world.live()) == 1
    assert old not in world.live()
    assert await world.reasons() == READY


async def test_with_another_strategy_the_overlap_is_kept(world: World) -> None:
    old = await delivered(world, strategy="Overlap")
    await ask(world)
    assert len(world.live()) == 2
    assert old in world.live()


async def test_a_lost_secret_is_minted_for_with_an_overlap_whatever_the_strategy(world: World) -> None:
    old = await delivered(world)
    secret = await world.secret()
    assert secret is not None
    metadata = secret["metadata"]
    await world.memory.delete(SECRETS, NAMESPACE, NAME, uid=metadata["uid"], version=metadata["resourceVersion"])
    world.operator.intake.secret_event("DELETED", secret)
    await world.reconcile()
    assert old in world.live(), "nobody asked for its end: who still holds it works on"
    assert world.minted() == 1


async def test_a_lost_secret_and_a_request_together_end_the_old_key_at_once(world: World) -> None:
    """As in an incident: the Secret is deleted, and the key is to be replaced."""
    old = await delivered(world)
    secret = await world.secret()
    assert secret is not None
    metadata = secret["metadata"]
    await world.memory.delete(SECRETS, NAMESPACE, NAME, uid=metadata["uid"], version=metadata["resourceVersion"])
    world.operator.intake.secret_event("DELETED", secret)
    await ask(world)
    assert old not in world.live()
    assert len(world.live()) == 1
    assert await world.reasons() == READY


async def test_the_plaintext_of_a_dead_key_is_not_offered_as_the_old_one(world: World) -> None:
    await world.apply(secret={"previousKey": "OLD"})
    await delivered(world)
    await ask(world)
    secret = await world.secret()
    assert secret is not None
    assert set(secret["data"]) == {"SAPERLY_API_KEY"}


async def secret_lives(world: World) -> bool:
    digest = await world.digest()
    return any(child.digest == digest for child in world.control.live_keys())


@pytest.mark.parametrize(
    ("status", "code"), [(402, "insufficient_credits"), (403, "m3_fraud_block"), (404, "not_found")]
)
async def test_after_a_lost_answer_a_definite_one_does_not_hide_that_the_key_is_dead(
    world: World, status: int, code: str
) -> None:
    await world.apply(onRemoteRevocation="Hold")
    await delivered(world)
    spoil(world, status=503, when="after")
    spoil(world, status=status, code=code, nth=2, count=1)
    await ask(world)
    await world.apply(suspend=True)
    await world.reconcile_after(6)
    assert await secret_lives(world)


async def test_a_key_that_may_be_dead_is_looked_at_before_the_limit_of_rotations_is_waited_for(world: World) -> None:
    await delivered(world)
    spoil(world, status=503, when="after")
    spoil(world, status=429, code="rate_limited", retry_after="3600", nth=2, count=1)
    await ask(world)
    await world.reconcile_after(6)
    assert await secret_lives(world)


async def test_where_the_mint_after_a_lost_rotation_is_refused_the_object_is_not_ready(world: World) -> None:
    await delivered(world)
    spoil(world, status=503, when="after")
    spoil(world, status=404, code="not_found", nth=2, count=1)
    spoil(world, operation=Operation.MINT, status=402, code="insufficient_credits", count=3)
    await ask(world)
    await world.reconcile_after(6)
    assert "Ready" not in await world.reasons()


async def test_an_orphaned_secret_gets_the_key_that_makes_up_for_a_lost_rotation(world: World) -> None:
    await world.apply(deletionPolicy="Orphan")
    await delivered(world)
    spoil(world, status=503, when="after")
    await ask(world)
    world.kube.faults += [
        KubeFault("PATCH secrets", errors.Unavailable("a call", 503, "away"), nth=nth) for nth in range(2, 9)
    ]
    await world.reconcile_after(6)
    assert not await secret_lives(world), "the other one is minted, and waits for the Secret"
    world.kube.faults.clear()

    await world.delete()
    await world.reconcile_after(30)
    for _ in range(10):
        await world.sweep_when_due(600)
        await world.reconcile()

    with pytest.raises(errors.NotFound):
        await world.key()
    assert await secret_lives(world)
