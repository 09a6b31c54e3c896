"""The histories that the design names, one test each: two processes, and answers that are lost.

Each is red when the rule that it is about is taken out; which rule that is, tests/mutation says.
"""

import pytest

from saperly_operator.resources import reasons
from saperly_operator.simulator.settings import ListOrder
from saperly_operator.simulator.state import Operation
from tests.simulation.interruptions import Event, Interruptions, StallAt, Upon
from tests.simulation.stories import (
    SecretsUnavailable,
    at_rest,
    delivered,
    first_key,
    reason,
    service_key_id,
    tell,
)
from tests.simulation.world import World
from tests.support.memory_kube import SecretsRefused

POST, CREATE = "vendor POST", "create secrets"
GIVEN_UP = "patch saperlykeys/support/status intent none"


# --- a leader stalled between reading and writing the Secret while another replays ---------------------------------


@pytest.mark.parametrize("calls", [1, 2, 3], ids=["before both reads", "between the reads", "before the write"])
def test_a_leader_stalled_between_reading_and_writing_the_secret_while_another_replays(calls: int) -> None:
    """The second declares the first one's key lost, and the first one wakes up right before that is revoked."""

    async def story(world: World) -> None:
        await first_key(world)
        orders = world.interruptions.orders
        orders.append(StallAt(POST, calls=calls))
        await world.annotate("support", rotate_requested_at="now")
        await world.live_on(seconds=10)
        [first] = world.processes
        assert not first.is_running
        orders.append(StallAt(GIVEN_UP, calls=5))
        await world.live_on(seconds=70)
        second = world.processes[-1]
        assert second is not first
        assert not second.is_running, "it stands still before the revoke of what it believes to be lost"
        world.wake(first)
        await world.live_on(seconds=1)
        world.wake(second)
        await world.live_on(hours=3)
        await delivered(world)
        assert len(world.ledger()) == 3, "one lost plaintext costs one more mint"

    tell(story)


@pytest.mark.parametrize("calls", [1, 2, 3], ids=["before both reads", "between the reads", "before the write"])
def test_a_leader_stalled_with_its_first_key_while_another_replays(calls: int) -> None:
    """There is no Secret yet that could be fenced."""

    async def story(world: World) -> None:
        world.interruptions.orders.append(StallAt(POST, calls=calls, seconds=300))
        await world.apply("support")
        await world.live_on(hours=3)
        await delivered(world)
        assert len(world.live()) == 1
        assert len(world.ledger()) == 2

    tell(story)


def test_a_leader_stalled_before_its_post_while_another_replays() -> None:
    """Its POST is delivered after the other's 201."""

    async def story(world: World) -> None:
        world.interruptions.upon.append(Upon(POST, Event.STALL_BEFORE))
        await world.apply("support")
        await world.live_on(hours=3)
        await delivered(world)
        assert len(world.ledger()) == 1, "both sent the same request under the same Idempotency-Key"

    tell(story, Interruptions(stall=lambda: 120.0))


def test_its_post_delivered_after_the_others_201() -> None:
    async def story(world: World) -> None:
        world.interruptions.upon.append(Upon(POST, Event.CRASH_LATE))
        await world.apply("support")
        await world.live_on(hours=3)
        assert "late vendor POST" in world.story()
        await delivered(world)
        assert len(world.ledger()) == 1, "both sent the same request under the same Idempotency-Key"

    tell(story, Interruptions(lateness=lambda: 50.0))


def test_a_write_of_the_secret_delivered_after_its_process_died() -> None:
    """The next process waits until it has landed, and finds the key where it belongs."""

    async def story(world: World) -> None:
        world.interruptions.upon.append(Upon(CREATE, Event.CRASH_LATE))
        await world.apply("support")
        await world.live_on(hours=3)
        assert "late create secrets" in world.story()
        await delivered(world)
        assert len(world.ledger()) == 1

    tell(story, Interruptions(lateness=lambda: 55.0))


# --- unknown outcomes -----------------------------------------------------------------------------------------------


def test_a_5xx_that_is_cached() -> None:
    """The vendor minted, said 503, and says so again at every replay."""

    async def story(world: World) -> None:
        settings = world.core.store.settings
        world.control.configure(settings.model_copy(update={"cached_failures": frozenset({402, 503})}))
        world.interruptions.upon.append(Upon(POST, Event.ERROR_AFTER))
        await world.apply("support")
        await world.live_on(hours=3)
        await delivered(world)
        assert [child.is_live for child in world.ledger()] == [False, True]

    tell(story)


@pytest.mark.parametrize("seed", range(12))
def test_a_key_lost_at_a_page_boundary(seed: int) -> None:
    """It takes a list of two pages to find it, in another order at each call."""

    async def story(world: World) -> None:
        settings = world.core.store.settings
        changes = {"cached_failures": frozenset({402, 503}), "list_order": ListOrder.SHUFFLED}
        world.control.configure(settings.model_copy(update=changes))
        for number in range(150):
            world.control.plant_key(service_key_id(world), f"somebody else's {number}")
        world.interruptions.upon.append(Upon(POST, Event.ERROR_AFTER))
        await world.apply("support")
        await world.live_on(hours=2)
        await delivered(world)
        assert len(world.live()) == 151

    tell(story, seed=seed)


def test_an_intent_found_after_the_vendor_forgot_its_idempotency_key() -> None:
    """The operator was away for longer than the vendor remembers: the same request would mint a second key."""

    async def story(world: World) -> None:
        world.interruptions.upon.append(Upon(POST, Event.CRASH_AFTER))
        await world.apply("support")
        await world.live_on(seconds=1)
        world.kube_is_down = True
        await world.live_on(hours=13)
        world.kube_is_down = False
        await world.live_on(hours=3)
        await delivered(world)
        assert [child.is_live for child in world.ledger()] == [False, True]
        assert _serials(world) == [1, 2], "never the same serial twice"

    tell(story)


# --- Secrets that cannot be written ---------------------------------------------------------------------------------


def test_a_sweep_during_a_30_minute_secret_outage() -> None:
    """The key waits in memory for its Secret, and looks to the list like one that nobody has."""

    async def story(world: World) -> None:
        outage = SecretsUnavailable()
        world.interruptions.orders.append(StallAt(POST, seconds=1))
        await world.apply("support")
        await world.live_on(seconds=1)
        world.kube.admissions.append(outage)
        await world.live_on(minutes=50)
        assert len(world.live()) == 1
        assert _lists(world) >= 3
        world.kube.admissions.remove(outage)
        await world.live_on(minutes=10)
        assert len(world.ledger()) == 1
        await delivered(world)

    tell(story, sweepInterval="10m")


def test_dry_run_passes_write_refused_for_ever() -> None:
    """One lost plaintext costs one orphan, and the mints that follow back off."""

    async def story(world: World) -> None:
        policy = SecretsRefused("agents", passes_dry_run=True)
        world.kube.admissions.append(policy)
        await world.apply("support")
        await world.live_on(hours=24)
        assert len(world.ledger()) <= 10
        assert len(world.live()) <= 1
        assert await reason(world, "Stalled") == reasons.SECRET_WRITE_REFUSED
        world.kube.admissions.remove(policy)
        await world.live_on(hours=7)
        await delivered(world)
        assert len(world.live()) == 1

    tell(story)


def test_suspend_right_after_the_secret_write() -> None:
    """The process dies, and before the next one looks the object is suspended: what is open is finished all the same."""

    async def story(world: World) -> None:
        world.interruptions.upon.append(Upon(CREATE, Event.CRASH_AFTER))
        await world.apply("support")
        await world.live_on(seconds=1)
        await world.apply("support", suspend=True)
        await world.live_on(hours=3)
        await delivered(world)
        assert len(world.ledger()) == 1
        assert await reason(world) == reasons.SUSPENDED

    tell(story)


def test_the_managed_by_label_stripped() -> None:
    """Its watch says that the Secret is gone. It is not, and nothing is minted."""

    async def story(world: World) -> None:
        child = await first_key(world)
        await world.edit_secret("support", {"metadata": {"labels": {"app.kubernetes.io/managed-by": None}}})
        await world.live_on(minutes=10)
        assert (await delivered(world)).id == child.id
        assert len(world.ledger()) == 1
        secret = await world.secret("support")
        assert secret["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "saperly-operator"

    tell(story)


def test_a_record_that_names_somebody_elses_key() -> None:
    """Whoever may edit the Secret may write any id there; while a key's plaintext is lost it is not believed."""

    async def story(world: World) -> None:
        child = await first_key(world)
        theirs = world.control.plant_key(service_key_id(world), "somebody else's").child
        world.invariants.note_used(theirs.id)
        world.interruptions.upon.append(Upon(POST, Event.CRASH_AFTER))
        await world.annotate("support", rotate_requested_at="now")
        await world.live_on(seconds=1)
        await world.edit_secret("support", {"metadata": {"annotations": {"saperly.com/key-id": theirs.id}}})
        await world.live_on(hours=4)
        current = await delivered(world)
        assert current.id not in (child.id, theirs.id)
        assert {each.id for each in world.live()} == {current.id, theirs.id}

    tell(story)


# --- requests and deletions -----------------------------------------------------------------------------------------


def test_100_rotate_requests_in_an_hour() -> None:
    """I4 is asked at every intent; the last request is answered in the end."""

    async def story(world: World) -> None:
        await first_key(world)
        for number in range(100):
            await world.annotate("support", rotate_requested_at=f"request {number}")
            await world.live_on(seconds=36)
        await world.live_on(hours=4)
        key = await at_rest(world)
        assert key.status.rotation is not None
        assert key.status.rotation.last_handled_request == "request 99"
        assert len(world.ledger()) <= 6
        assert len(world.live()) == 1

    tell(story)


@pytest.mark.parametrize("event", [Event.CRASH_LATE, Event.LOST_LATE, Event.SLOW], ids=lambda event: event.name)
def test_delete_with_an_undelivered_post(event: Event) -> None:
    """The object may not go before what its request may mint was looked for."""

    async def story(world: World) -> None:
        world.interruptions.upon.append(Upon(POST, event))
        await world.apply("support")
        await world.live_on(seconds=0.5)
        await world.delete("support")
        await world.live_on(hours=2)
        assert await world.key("support") is None
        assert len(world.ledger()) == 1
        assert world.live() == []

    tell(story, Interruptions(lateness=lambda: 55.0))


def test_orphan_then_three_sweeps() -> None:
    """What was let go lives on, although nobody has used it yet and nothing in the cluster names it any more."""

    async def story(world: World) -> None:
        await world.apply("support", deletionPolicy="Orphan")
        await world.live_on(minutes=1)
        child = await delivered(world)
        await world.delete("support")
        before = _lists(world)
        await world.live_on(hours=2)
        assert _lists(world) >= before + 3
        assert await world.key("support") is None
        assert [each.id for each in world.live()] == [child.id]
        assert await world.digest("support") == child.digest
        assert (await world.secret("support"))["metadata"].get("annotations", {}).get("saperly.com/key-id") is None

    tell(story, sweepInterval="10m")


def _lists(world: World) -> int:
    """How often the vendor's keys were listed."""
    return sum(count for (operation, _), count in world.core.calls.counts().items() if operation is Operation.LIST)


def _serials(world: World) -> list[int]:
    return [int(child.name.rpartition(".")[2].rstrip("]")) for child in world.ledger()]
