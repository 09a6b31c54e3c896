"""One object between both APIs: what each story costs, and what a fault at one call leaves behind."""

from base64 import b64decode

import pytest

from saperly_operator.kube import errors
from saperly_operator.kube.api import PLAIN, SAPERLY_KEYS, SECRETS
from saperly_operator.resources import annotations, reasons
from saperly_operator.simulator.faults import Fault as VendorFault
from saperly_operator.simulator.faults import FaultKind
from tests.support.faulty_kube import Fault
from tests.support.memory_kube import SecretQuota
from tests.unit.controller.world import NAME, NAMESPACE, World

READY = {"Ready": reasons.AVAILABLE, "KeyActive": reasons.AVAILABLE, "SecretSynced": reasons.AVAILABLE}
LOST = errors.Unavailable("a call", None, "TimeoutError")
FORBIDDEN = errors.Refused("a call", 403, "Forbidden")


async def is_ready(world: World) -> None:
    """The Secret holds the one live key, and status says so."""
    assert await world.reasons() == READY
    (live,) = world.live()
    assert await world.current_id() == live
    (child,) = world.control.live_keys()
    assert await world.digest() == child.digest


async def delivered(world: World) -> None:
    await world.apply()
    await world.reconcile()
    await is_ready(world)
    world.forget_calls()


async def test_a_first_mint_costs_six_writes_two_live_reads_and_one_vendor_call(world: World) -> None:
    world.forget_calls()
    await world.apply()
    await world.reconcile()
    await is_ready(world)
    assert world.kube.writes == [
        "PATCH saperlykeys",
        "POST secrets dry",
        "PATCH saperlykeys/status",
        "POST secrets",
        "PATCH saperlykeys/status",
        "POST events",
    ]
    reads = [call for call in world.kube.calls if call not in world.kube.writes]
    assert reads == ["GET secrets", "GET saperlykeys"]
    assert world.requests == ["POST /v1/keys"]


async def test_an_object_at_rest_costs_nothing(world: World) -> None:
    await delivered(world)
    await world.reconcile_after(60, times=3)
    assert (world.kube.calls, world.requests) == ([], [])


async def test_a_new_process_that_finds_all_as_asked_writes_nothing(world: World) -> None:
    await delivered(world)
    await world.restart()
    world.forget_calls()
    await world.reconcile()
    assert (world.kube.writes, world.requests) == ([], [])


async def test_a_deletion_revokes_the_key_and_then_deletes_the_secret(world: World) -> None:
    await delivered(world)
    await world.delete()
    await world.reconcile()
    assert world.live() == []
    assert await world.secret() is None
    with pytest.raises(errors.NotFound):
        await world.key()
    assert world.kube.writes[-2:] == ["DELETE secrets", "PATCH saperlykeys"]


async def test_orphan_leaves_key_and_secret_without_our_marks(world: World) -> None:
    await delivered(world)
    await world.apply(deletionPolicy="Orphan")
    await world.delete()
    await world.reconcile()
    (child,) = world.control.live_keys()
    assert child.name == f"{NAMESPACE}/{NAME}"
    secret = await world.secret()
    assert secret is not None
    assert not [mark for mark in secret["metadata"]["annotations"] if mark.startswith(annotations.PREFIX)]
    assert annotations.MANAGED_BY_LABEL not in secret["metadata"].get("labels", {})


async def test_a_rotation_keeps_the_old_key_for_the_overlap(world: World) -> None:
    await delivered(world)
    (old,) = world.live()
    marks = {"metadata": {"annotations": {annotations.ROTATE_REQUESTED_AT: "now"}}}
    body = await world.memory.patch(SAPERLY_KEYS, NAMESPACE, NAME, marks, options=PLAIN)
    world.operator.intake.key_event(None, body)
    await world.reconcile()
    assert len(world.live()) == 2
    await world.reconcile_after(3599)
    assert old in world.live()
    await world.reconcile_after(1)
    assert old not in world.live()
    await is_ready(world)


async def test_a_rename_moves_the_plaintext_and_mints_nothing(world: World) -> None:
    await delivered(world)
    digest = await world.digest()
    await world.apply(secret={"name": "renamed"})
    await world.reconcile()
    assert await world.digest("renamed") == digest
    assert await world.secret(NAME) is None
    assert world.requests == []


async def test_a_secret_that_was_deleted_is_minted_for_once_more(world: World) -> None:
    await delivered(world)
    secret = await world.secret()
    assert secret is not None
    metadata = secret["metadata"]
    await world.memory.delete(SECRETS, NAMESPACE, NAME, uid=metadata["uid"], version=metadata["resourceVersion"])
    world.operator.intake.secret_event("DELETED", secret)
    await world.reconcile()
    assert world.minted() == 1
    assert (await world.reasons())["Ready"] == reasons.AVAILABLE


async def test_a_stripped_label_is_put_back_and_costs_one_read_and_one_write(world: World) -> None:
    await delivered(world)
    stripped = {"metadata": {"labels": {annotations.MANAGED_BY_LABEL: None}}}
    body = await world.memory.patch(SECRETS, NAMESPACE, NAME, stripped, options=PLAIN)
    world.operator.intake.secret_event("DELETED", body)  # so the watch by label sees it
    await world.reconcile()
    repaired = await world.secret()
    assert repaired is not None
    assert repaired["metadata"]["labels"][annotations.MANAGED_BY_LABEL] == annotations.MANAGED_BY
    assert world.requests == []
    assert world.kube.writes == ["PATCH secrets"]


# --- faults of Kubernetes --------------------------------------------------------------------------------------------

FIRST_MINT = [
    ("PATCH saperlykeys", 1),
    ("POST secrets dry", 1),
    ("PATCH saperlykeys/status", 1),
    ("GET secrets", 1),
    ("GET saperlykeys", 1),
    ("POST secrets", 1),
    ("PATCH saperlykeys/status", 2),
    ("POST events", 1),
]


@pytest.mark.parametrize(
    ("call", "nth", "after"),
    [
        pytest.param(call, nth, after, id=f"{call} {nth}, {'its answer lost' if after else 'before it arrived'}")
        for call, nth in FIRST_MINT
        for after in (False, True)
        if not (after and call.startswith("GET"))
    ],
)
async def test_a_lost_answer_costs_no_key(world: World, call: str, nth: int, after: bool) -> None:
    world.kube.faults.append(Fault(call, LOST, after=after, nth=nth))
    await world.apply()
    await world.reconcile()
    await world.reconcile_after(30, times=4)
    assert world.kube.faults == [], "it happened"
    await is_ready(world)
    assert world.minted() == 1, "the plaintext stayed in this process's hands"


async def test_a_status_that_somebody_wrote_in_between_is_decided_about_anew(world: World) -> None:
    world.kube.faults.append(Fault("PATCH saperlykeys/status", errors.Conflict("PATCH", 409, "Conflict"), nth=2))
    await world.apply()
    await world.reconcile()
    await is_ready(world)
    assert world.minted() == 1


async def test_a_refused_secret_keeps_its_plaintext_in_hand_and_says_so(world: World) -> None:
    world.kube.faults.append(Fault("POST secrets", FORBIDDEN))
    await world.apply()
    await world.reconcile()
    assert (await world.reasons())["Stalled"] == reasons.SECRET_WRITE_REFUSED
    assert world.operator.tools.scratchpads.holding() == 1
    await world.reconcile_after(10)
    await is_ready(world)
    assert world.minted() == 1


async def test_a_secret_refused_for_good_costs_one_key_which_is_revoked(world: World) -> None:
    world.kube.faults += [Fault("POST secrets", FORBIDDEN) for _ in range(200)]
    for number, fault in enumerate(world.kube.faults, start=1):
        fault.nth = number
    await world.apply()
    await world.reconcile()
    await world.reconcile_after(20, times=15)
    assert world.live() == []
    assert world.minted() == 1
    assert (await world.reasons())["Stalled"] == reasons.SECRET_WRITE_REFUSED
    assert world.operator.tools.scratchpads.holding() == 0


async def test_an_outage_after_one_refusal_does_not_count_as_refused_for_good(world: World) -> None:
    world.kube.faults.append(Fault("POST secrets", FORBIDDEN))
    world.kube.faults += [Fault("POST secrets", LOST, nth=nth) for nth in range(2, 30)]
    await world.apply()
    await world.reconcile()
    assert (await world.reasons())["Stalled"] == reasons.SECRET_WRITE_REFUSED
    await world.reconcile_after(30, times=10)
    world.kube.faults.clear()
    await world.reconcile_after(300)
    await is_ready(world)
    assert world.minted() == 1


async def test_a_full_quota_is_found_before_a_key_is_minted(world: World) -> None:
    world.memory.admissions.append(SecretQuota(NAMESPACE))
    await world.apply()
    await world.reconcile()
    assert (await world.reasons())["Stalled"] == reasons.QUOTA_EXCEEDED
    assert world.requests == []
    world.memory.admissions.clear()
    await world.reconcile_after(60)
    await is_ready(world)


async def test_an_event_that_is_refused_holds_nothing_up(world: World) -> None:
    world.kube.faults.append(Fault("POST events", FORBIDDEN))
    await world.apply()
    await world.reconcile()
    await is_ready(world)


# --- faults of the vendor --------------------------------------------------------------------------------------------


async def test_an_answer_lost_after_the_commit_costs_one_key_and_one_more_mint(world: World) -> None:
    world.simulator.faults.order(VendorFault(kind=FaultKind.STATUS, when="after"))
    await world.apply()
    await world.reconcile()
    assert (await world.reasons())["Reconciling"] == reasons.OUTCOME_UNKNOWN
    await world.reconcile_after(30, times=3)
    await is_ready(world)
    assert len({child.id for child in world.control.ledger()}) == 2


async def test_an_answer_lost_before_the_commit_costs_nothing(world: World) -> None:
    world.simulator.faults.order(VendorFault(kind=FaultKind.STATUS, when="before"))
    await world.apply()
    await world.reconcile()
    await world.reconcile_after(30)
    await is_ready(world)
    assert len(world.control.ledger()) == 1


# --- two processes ---------------------------------------------------------------------------------------------------


async def test_a_process_whose_intent_was_taken_over_never_writes_its_plaintext(world: World) -> None:
    first = world.operator
    world.kube.faults.append(Fault("POST secrets", LOST))
    await world.apply()
    await world.reconcile()
    assert first.tools.scratchpads.holding() == 1

    other = await world.another_process()
    await world.reconcile(operator=other)
    world.clock.advance(61)
    world.simulator.faults.order(VendorFault(kind=FaultKind.STATUS))  # its first replay comes to nothing
    await world.reconcile(operator=other)
    intent = (await world.key()).status.intent
    assert intent is not None
    assert intent.holder == other.tools.observer.myself.holder

    first.intake.key_event(None, await world.memory.get(SAPERLY_KEYS, NAMESPACE, NAME))
    await first.key_worker.handle((NAMESPACE, NAME))
    assert await world.secret() is None, "the other one may have read that there is none, and count on it"
    assert first.tools.scratchpads.holding() == 0


async def test_what_was_taken_over_is_brought_to_its_end_by_the_other_process(world: World) -> None:
    world.kube.faults.append(Fault("POST secrets", LOST))
    await world.apply()
    await world.reconcile()
    await world.restart()
    await world.reconcile()
    await world.reconcile_after(61)
    await is_ready(world)
    assert len(world.control.ledger()) == 2, "the first one's plaintext was lost with its process"


async def test_nothing_that_kubernetes_keeps_outside_a_secret_shows_a_plaintext(world: World) -> None:
    await delivered(world)
    secret = await world.secret()
    assert secret is not None
    plaintext = b64decode(secret["data"]["SAPERLY_API_KEY"]).decode()
    shown = await world.everything_but_secrets()
    assert plaintext not in shown
    assert secret["data"]["SAPERLY_API_KEY"] not in shown
