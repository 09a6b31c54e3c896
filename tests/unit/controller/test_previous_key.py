"""The old plaintext beside the new one: written once, from what is proven, and gone before its key dies."""

from base64 import b64encode
from datetime import timedelta
from typing import Any

import pytest

from saperly_operator.kube import errors
from saperly_operator.kube.api import PLAIN, SECRETS
from saperly_operator.resources import reasons
from tests.support.faulty_kube import Fault
from tests.unit.controller.test_restart import HOUR, request_rotation
from tests.unit.controller.world import NAME, NAMESPACE, World

OLD = "SAPERLY_API_KEY_PREVIOUS"
KEEPING = {"previousKey": OLD}
LOST = errors.Unavailable("a call", None, "TimeoutError")
FORBIDDEN = errors.Refused("a call", 403, "Forbidden")
LEAD = 120


async def delivered(world: World, **secret: Any) -> str:
    await world.apply(secret=KEEPING | secret)
    await world.reconcile()
    (first,) = world.live()
    world.forget_calls()
    return first


async def entries(world: World, name: str = NAME) -> set[str]:
    secret = await world.secret(name)
    assert secret is not None
    return set(secret["data"])


async def edit(world: World, data: dict[str, str | None]) -> None:
    """Somebody with kubectl; the watch shows it."""
    coded = {key: None if value is None else b64encode(value.encode()).decode() for key, value in data.items()}
    body = await world.memory.patch(SECRETS, NAMESPACE, NAME, {"data": coded}, options=PLAIN)
    world.operator.intake.secret_event("MODIFIED", body)


def digest_of(world: World, key_id: str) -> str:
    return next(child.digest for child in world.control.live_keys() if child.id == key_id)


async def test_a_first_key_has_no_old_one(world: World) -> None:
    await delivered(world)
    assert await entries(world) == {"SAPERLY_API_KEY"}


async def test_the_old_plaintext_is_there_until_two_minutes_before_its_key_dies(world: World) -> None:
    first = await delivered(world)
    await request_rotation(world)
    assert await world.digest(NAME, OLD) == digest_of(world, first)
    assert await world.digest() != await world.digest(NAME, OLD)
    (entry,) = (await world.key()).status.retiring
    assert entry.previous_key == OLD

    await world.reconcile_after(HOUR - LEAD - 1)
    assert OLD in await entries(world)
    await world.reconcile_after(1)
    assert await entries(world) == {"SAPERLY_API_KEY"}
    await world.reconcile_after(LEAD - 1)
    assert first in world.live()
    await world.reconcile_after(1)
    assert first not in world.live()
    assert await world.reasons() == dict.fromkeys(("Ready", "KeyActive", "SecretSynced"), reasons.AVAILABLE)


async def test_what_it_costs(world: World) -> None:
    await delivered(world)
    await request_rotation(world)
    assert world.kube.writes.count("PATCH secrets") == 1, "both plaintexts in one write"
    world.forget_calls()
    await world.reconcile_after(HOUR - LEAD)
    assert world.kube.writes == ["PATCH secrets", "PATCH saperlykeys/status"]


async def test_an_operator_that_was_away_gives_it_its_two_minutes_all_the_same(world: World) -> None:
    first = await delivered(world)
    await request_rotation(world)
    await world.restart()
    await world.reconcile_after(2 * HOUR)
    assert await entries(world) == {"SAPERLY_API_KEY"}
    assert first in world.live()
    await world.reconcile_after(LEAD - 1)
    assert first in world.live()
    await world.reconcile_after(1)
    assert first not in world.live()


async def test_while_kubernetes_refuses_to_take_it_out_its_key_lives(world: World) -> None:
    first = await delivered(world)
    await request_rotation(world)
    world.kube.faults += [Fault("PATCH secrets", FORBIDDEN, nth=nth) for nth in (1, 2)]
    await world.reconcile_after(HOUR - LEAD)
    await world.reconcile_after(LEAD)
    assert (OLD in await entries(world), first in world.live()) == (True, True)
    await world.reconcile_after(LEAD)
    assert (OLD in await entries(world), first in world.live()) == (False, True)
    await world.reconcile_after(LEAD)
    assert first not in world.live()


@pytest.mark.parametrize("after", [False, True])
async def test_a_lost_answer_while_it_is_taken_out_is_made_up_for(after: bool, world: World) -> None:
    first = await delivered(world)
    await request_rotation(world)
    world.kube.faults.append(Fault("PATCH secrets", LOST, after=after))
    await world.reconcile_after(HOUR - LEAD)
    await world.restart()
    await world.reconcile_after(10)
    (entry,) = (await world.key()).status.retiring
    assert entry.withdrawn_at == world.clock.now()
    await world.reconcile_after(LEAD)
    assert first not in world.live()


async def test_a_crash_before_it_is_noted_that_it_is_out_counts_from_the_next_look(world: World) -> None:
    first = await delivered(world)
    await request_rotation(world)
    world.kube.faults.append(Fault("PATCH saperlykeys/status", LOST))
    await world.reconcile_after(HOUR - LEAD)
    await world.restart()
    await world.reconcile_after(60)
    (entry,) = (await world.key()).status.retiring
    assert (entry.previous_key, entry.withdrawn_at) == (None, world.clock.now())
    assert entry.revoke_after == world.clock.now() + timedelta(seconds=LEAD)
    assert first in world.live()


async def test_a_crash_between_the_secret_and_the_record_loses_neither(world: World) -> None:
    first = await delivered(world)
    world.kube.faults.append(Fault("PATCH saperlykeys/status", LOST, nth=2))
    await request_rotation(world)
    await world.restart()
    await world.reconcile_after(120, times=3)
    (entry,) = (await world.key()).status.retiring
    assert (entry.id, entry.previous_key) == (first, OLD)
    assert await world.digest(NAME, OLD) == digest_of(world, first)


async def test_a_plaintext_that_was_altered_is_not_passed_on_as_the_old_one(world: World) -> None:
    await delivered(world)
    await edit(world, {"SAPERLY_API_KEY": "somebody's own text"})
    await world.reconcile()
    assert (await world.key()).status.retiring[0].reason == reasons.SECRET_ALTERED
    assert await entries(world) == {"SAPERLY_API_KEY"}


@pytest.mark.parametrize("text", ["somebody's own text", ""])
async def test_what_somebody_puts_in_its_place_is_taken_out(text: str, world: World) -> None:
    first = await delivered(world)
    await request_rotation(world)
    await edit(world, {OLD: text})
    await world.reconcile()
    assert await entries(world) == {"SAPERLY_API_KEY"}
    (entry,) = (await world.key()).status.retiring
    assert (entry.id, entry.withdrawn_at) == (first, world.clock.now())


async def test_one_that_somebody_took_out_is_not_put_back(world: World) -> None:
    await delivered(world)
    await request_rotation(world)
    await edit(world, {OLD: None})
    world.forget_calls()
    await world.reconcile()
    assert await entries(world) == {"SAPERLY_API_KEY"}
    assert world.kube.writes == ["PATCH saperlykeys/status"]


async def test_entries_that_are_nobodys_business_stay(world: World) -> None:
    await delivered(world)
    await edit(world, {"MINE": "somebody's own text"})
    await request_rotation(world)
    await world.reconcile_after(HOUR)
    assert await entries(world) == {"SAPERLY_API_KEY", "MINE"}


async def test_two_rotations_in_a_row_show_the_younger_of_the_old_keys(world: World) -> None:
    first = await delivered(world)
    await request_rotation(world, "once")
    (second,) = set(world.live()) - {first}
    await world.reconcile_after(60)
    await request_rotation(world, "twice")
    assert await world.digest(NAME, OLD) == digest_of(world, second)
    shown = {old.id: (old.previous_key, old.withdrawn_at) for old in (await world.key()).status.retiring}
    assert shown == {first: (None, world.clock.now()), second: (OLD, None)}


@pytest.mark.parametrize("wanted", [None, "ANOTHER_PLACE"])
async def test_another_place_or_none_takes_it_out_of_the_former(wanted: str | None, world: World) -> None:
    await delivered(world)
    await request_rotation(world)
    await world.apply(secret={"previousKey": wanted})
    await world.reconcile()
    assert await entries(world) == {"SAPERLY_API_KEY"}
    (entry,) = (await world.key()).status.retiring
    assert entry.withdrawn_at == world.clock.now()


async def test_it_moves_with_the_key_to_another_secret(world: World) -> None:
    first = await delivered(world)
    await request_rotation(world)
    await world.apply(secret=KEEPING | {"name": "renamed"})
    await world.reconcile()
    assert await world.secret(NAME) is None
    assert await world.digest("renamed", OLD) == digest_of(world, first)
    await world.reconcile_after(HOUR - LEAD)
    assert await entries(world, "renamed") == {"SAPERLY_API_KEY"}
    await world.reconcile_after(LEAD)
    assert first not in world.live()


async def test_the_place_of_the_key_may_become_that_of_the_old_one(world: World) -> None:
    first = await delivered(world)
    await world.apply(secret={"key": "TOKEN", "previousKey": "SAPERLY_API_KEY"})
    await request_rotation(world)
    assert await world.digest(NAME, "SAPERLY_API_KEY") == digest_of(world, first)
    assert await entries(world) == {"TOKEN", "SAPERLY_API_KEY"}


async def test_with_orphan_it_is_out_before_the_secret_is_let_go(world: World) -> None:
    await delivered(world)
    await world.apply(deletionPolicy="Orphan")
    await request_rotation(world)
    await world.delete()
    await world.reconcile()
    assert OLD in await entries(world)
    await world.reconcile_after(HOUR - LEAD)
    await world.reconcile_after(LEAD)
    assert await entries(world) == {"SAPERLY_API_KEY"}
    assert len(world.live()) == 1


async def test_with_revoke_all_of_it_goes(world: World) -> None:
    await delivered(world)
    await request_rotation(world)
    await world.delete()
    await world.reconcile()
    assert (world.live(), await world.secret()) == ([], None)


async def test_a_key_whose_plaintext_is_seen_at_the_last_moment_is_not_revoked(world: World) -> None:
    first = await delivered(world)
    await request_rotation(world)
    value = (await world.secret() or {})["data"][OLD]
    await world.reconcile_after(HOUR - LEAD)
    # Put back behind the watch's back, just before the end.
    await world.memory.patch(SECRETS, NAMESPACE, NAME, {"data": {OLD: value}}, options=PLAIN)
    await world.reconcile_after(LEAD)
    assert first in world.live()
