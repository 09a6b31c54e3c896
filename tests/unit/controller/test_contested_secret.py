"""A Secret into which somebody else (a GitOps tool, a secret store) writes, too: what workloads live on lives."""

from base64 import b64encode

import httpx
import pytest

from saperly_operator.kube.api import PLAIN, SECRETS
from saperly_operator.resources import reasons
from saperly_operator.simulator.state import Operation
from tests.unit.controller.test_act_rotate import ask, delivered, spoil
from tests.unit.controller.world import NAME, NAMESPACE, World

ENTRY = "SAPERLY_API_KEY"
THEIRS = b64encode(b"somebody's").decode()


async def held(world: World) -> str:
    """What the Secret holds, encoded."""
    secret = await world.secret()
    assert secret is not None
    return str(secret["data"][ENTRY])


async def put(world: World, value: str) -> None:
    """Somebody writes into the Secret."""
    body = await world.memory.patch(SECRETS, NAMESPACE, NAME, {"data": {ENTRY: value}}, options=PLAIN)
    world.operator.intake.secret_event("MODIFIED", body)
    await world.reconcile()


async def contest(world: World) -> None:
    """Three keys are delivered for what somebody else wrote, and it is written once more."""
    for _ in range(3):
        await put(world, THEIRS)
        await world.reconcile_after(1300)
    await put(world, THEIRS)
    assert (await world.reasons())["Stalled"] == reasons.SECRET_CONTESTED


async def test_an_old_key_that_somebody_puts_back_again_and_again_is_never_revoked_while_it_is_there(
    world: World,
) -> None:
    first = await delivered(world, strategy="Overlap", overlap="1h")
    old = await held(world)
    await ask(world)
    held_at_revoke: list[str] = []

    async def note(request: httpx.Request) -> None:
        if request.method == "DELETE" and request.url.path.endswith(first):
            held_at_revoke.append(await held(world))

    world.on_request(note)
    for _ in range(600 // 5):
        if await held(world) != old:
            await put(world, old)
        await world.reconcile_after(300)
    assert old not in held_at_revoke


async def test_the_revocation_of_an_old_key_that_is_back_in_the_secret_says_why_it_waits_and_ends_with_that(
    world: World,
) -> None:
    first = await delivered(world, strategy="Overlap", overlap="2h")
    old = await held(world)
    await ask(world)
    await contest(world)
    await put(world, old)
    await world.reconcile_after(2 * 3600 - 3 * 1300)
    assert await held(world) == old, "three keys were delivered in its place, and the next one waits"
    entry = next(entry for entry in (await world.key()).status.retiring if entry.id == first)
    assert first in world.live()
    assert entry.waiting_for == f"its plaintext is in the Secret {NAME}"
    for _ in range(4):
        await world.reconcile_after(3600)
    assert await held(world) != old
    assert first not in world.live()


@pytest.mark.parametrize("strategy", ["Overlap", "Atomic"])
async def test_a_key_that_is_to_go_at_once_goes_although_its_plaintext_was_put_back(
    world: World, strategy: str
) -> None:
    """After a request under Atomic somebody else may have it: no workload that still reads it saves it."""
    first = await delivered(world, strategy="Overlap", overlap="0s")
    old = await held(world)
    await world.apply(rotation={"strategy": strategy, "overlap": "0s"})
    spoil(world, status=422, code="validation_error")
    spoil(world, operation=Operation.REVOKE, status=503, count=None)
    await ask(world)
    await contest(world)
    await put(world, old)
    for order in world.simulator.faults.orders():
        world.simulator.faults.cancel(order.id)
    await world.reconcile_after(1800)
    assert await held(world) == old
    assert (first in world.live()) == (strategy == "Overlap")


async def test_a_person_who_names_another_secret_as_told_gets_a_key_there_at_once(world: World) -> None:
    await delivered(world, strategy="Overlap")
    await contest(world)
    (stalled,) = (each for each in (await world.key()).status.conditions if each.type == "Stalled")
    assert "name another Secret in spec.secret.name" in stalled.message
    await world.reconcile_after(1300)
    await world.apply(secret={"name": "another"})
    await world.reconcile()
    assert (await world.reasons())["Ready"] == reasons.AVAILABLE
    assert await world.digest("another") == world.child(str(await world.current_id())).digest


async def test_narrower_permissions_reach_the_key_that_lives_while_its_secret_is_contested(world: World) -> None:
    await delivered(world, strategy="Overlap")
    await contest(world)
    await world.apply(permissions="read_only")
    await world.reconcile()
    assert world.child(str(await world.current_id())).permissions == "read_only"
    assert (await world.reasons())["Stalled"] == reasons.SECRET_CONTESTED
