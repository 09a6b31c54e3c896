"""The last looks before a revocation: what each of them spares."""

from dataclasses import replace

import httpx
import pytest

from saperly_operator.controller.act_retire import retire
from saperly_operator.kube.api import PLAIN, SAPERLY_KEYS, STATUS
from saperly_operator.lifecycle.naming import Owner, Tag, released_name, vendor_name
from saperly_operator.lifecycle.observed import Observed
from saperly_operator.lifecycle.steps import Decision, Retire
from saperly_operator.resources import reasons
from saperly_operator.resources.saperly_key_status import RetiringKey
from saperly_operator.simulator.faults import Fault, FaultKind
from saperly_operator.simulator.state import Operation
from tests.unit.controller.world import NAME, NAMESPACE, World

HOUR = 3600.0


async def rotated(world: World) -> RetiringKey:
    """An object whose first key is on its way out; returns its entry."""
    await world.apply()
    await world.reconcile()
    await world.annotate(rotate_requested_at="now")
    await world.reconcile()
    (entry,) = (await world.key()).status.retiring
    world.forget_calls()
    return entry


def look(world: World) -> Observed:
    observed = world.operator.tools.observer.cached((NAMESPACE, NAME))
    assert observed is not None
    return observed


@pytest.mark.parametrize("lives", [True, False], ids=["a key that lives", "a key that is revoked"])
async def test_a_revoke_answered_by_404_is_done_only_when_the_key_is_seen_to_be_revoked(
    world: World, *, lives: bool
) -> None:
    entry = await rotated(world)
    order = Fault(
        kind=FaultKind.STATUS,
        operation=Operation.REVOKE,
        status=404,
        code="not_found",
        when="before" if lives else "after",
    )
    world.simulator.faults.order(order)
    await world.reconcile_after(HOUR)
    left = [old.id for old in (await world.key()).status.retiring]
    assert left == ([entry.id] if lives else [])
    assert world.requests == [f"DELETE /v1/keys/{entry.id}", f"GET /v1/keys/{entry.id}"]
    await world.reconcile_after(60)
    assert entry.id not in world.live()
    assert (await world.key()).status.retiring == ()


async def test_an_entry_of_a_namesake_is_not_what_was_decided_about(world: World) -> None:
    """The object was deleted and made anew in between, and is on its own way with the same key."""
    entry = await rotated(world)
    decided = look(world)
    body = await world.memory.get(SAPERLY_KEYS, NAMESPACE, NAME)
    await world.memory.patch(SAPERLY_KEYS, NAMESPACE, NAME, {"metadata": {"finalizers": None}}, options=PLAIN)
    await world.delete()
    await world.memory.create(SAPERLY_KEYS, NAMESPACE, {"metadata": {"name": NAME}, "spec": body["spec"]})
    restored = {"status": {"retiring": body["status"]["retiring"], "installation": body["status"]["installation"]}}
    await world.memory.patch(SAPERLY_KEYS, NAMESPACE, NAME, restored, options=STATUS)
    await world.show()
    world.clock.advance(HOUR)
    decision = Decision(Retire(entry), reasons.REVOKING, "Revoking.")
    await retire(world.operator.tools, decided, Retire(entry), decision)
    assert world.requests == []
    await retire(world.operator.tools, look(world), Retire(entry), decision)
    assert entry.id not in world.live(), "while its own worker may"


async def test_a_key_without_an_owner_that_is_renamed_after_it_was_listed_is_left_alone(world: World) -> None:
    """Somebody released it: it is its user's from then on."""
    (handle,) = world.operator.tools.service_keys.entries().values()
    installation = world.operator.tools.observer.myself.installation
    name = vendor_name("planted", Tag.of(installation, Owner(NAMESPACE, "gone"), 50))
    minted = await handle.api.mint(f'{{"environment":"test","name":"{name}","permissions":"call_only"}}', "x")

    async def release(request: httpx.Request) -> None:
        if request.method == "GET" and request.url.path.endswith(minted.key.id):
            child = world.child(minted.key.id)
            world.simulator.core.store.put_child(replace(child, name=released_name(child.name)))

    world.on_request(release)
    world.clock.advance(HOUR)
    await world.sweep()
    assert world.live() == [minted.key.id]
