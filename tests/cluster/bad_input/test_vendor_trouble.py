"""The vendor is in trouble, which is nobody's bad input: it is told, waited out without a flood, and survived.

Nobody has to act, so that nothing stalls: Reconciling says that it goes on by itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from saperly_operator.simulator.faults import Fault, FaultKind
from saperly_operator.simulator.state import Operation
from tests.cluster.bad_input.scene import MINT_LIMIT_SECONDS, Cost, Scene
from tests.support.processes import Simulator
from tests.support.waiting import eventually

UNKNOWN = {"OutcomeUnknown", "OutcomeUnresolved", "MintLimitReached"}
"""Asked again; the list asked whether anything came of it; and after three requests of one hour it waits."""

RETRY = 1.0
"""Seconds: the longest wait between two tries of the same request, in these tests."""


@dataclass(frozen=True)
class Trouble:
    """Every POST of one service key meets ``fault``."""

    fault: Fault
    reasons: frozenset[str] = frozenset(UNKNOWN)
    every: float = RETRY
    """Seconds from one request to the next, at least, once it has backed off."""


def _status(status: int, code: str = "internal_error", retry_after: str | None = None) -> Fault:
    return Fault(kind=FaultKind.STATUS, status=status, code=code, retry_after=retry_after)


_BUDGET = frozenset({"WaitingForBudget"})

TROUBLES = {
    "http-500": Trouble(_status(500)),
    "http-503": Trouble(_status(503, retry_after="2"), every=2.0),
    "http-429": Trouble(_status(429, "rate_limited", retry_after="2"), _BUDGET, every=2.0),
    "http-429-silent": Trouble(_status(429, "rate_limited"), _BUDGET, every=60.0),
    "garbage": Trouble(Fault(kind=FaultKind.GARBAGE)),
    "truncated": Trouble(Fault(kind=FaultKind.TRUNCATE)),
    "redirect": Trouble(Fault(kind=FaultKind.REDIRECT)),
    "oversized": Trouble(Fault(kind=FaultKind.OVERSIZED)),
    "reset": Trouble(Fault(kind=FaultKind.RESET)),
}


@dataclass(frozen=True)
class Seen:
    """One SaperlyKey while the trouble lasts."""

    conditions: Mapping[str, Mapping[str, Any]]
    cost: Cost
    seconds: float
    minted: int
    warnings: list[str]


@pytest.fixture(scope="module")
def seen(scene: Scene) -> dict[str, Seen]:
    """All kinds of trouble at once, watched for some seconds."""
    for name, trouble in TROUBLES.items():
        key_id = scene.add_service_key(name)
        scene.add_provider(name)
        always = {"service_key_id": key_id, "operation": Operation.MINT, "count": None}
        scene.vendor.order_fault(trouble.fault.model_copy(update=always))
    watch = scene.watch()
    scene.apply(*(scene.key_object(name) for name in TROUBLES))
    for name in TROUBLES:
        eventually(partial(_is_told, scene, name), f"{name} is told")
    scene.pass_rechecks(8)
    watch.stop()
    return {
        name: Seen(
            scene.conditions(name), watch.cost(name), watch.seconds, len(scene.minted(name)), scene.warnings(name)
        )
        for name in TROUBLES
    }


def _is_told(scene: Scene, name: str) -> bool:
    return bool(scene.conditions(name)["Ready"]["reason"] != "Minting")


def requests(seen: Seen) -> float:
    """How many may be begun in that time: three an hour, and from then on, while nothing is minted, evenly spread."""
    return 3 + seen.seconds / (MINT_LIMIT_SECONDS / 3)


@pytest.mark.parametrize("name", TROUBLES)
def test_it_is_told_and_nothing_stalls(seen: dict[str, Seen], name: str) -> None:
    conditions = seen[name].conditions
    assert conditions["Ready"]["status"] == "False"
    assert conditions["Ready"]["reason"] in TROUBLES[name].reasons
    assert conditions["Reconciling"]["status"] == "True"
    assert "Stalled" not in conditions
    assert seen[name].minted == 0
    warnings = seen[name].warnings
    assert set(warnings) <= UNKNOWN
    if TROUBLES[name].reasons == _BUDGET:
        assert warnings == [], "a limit is no reason to warn anybody"
    else:
        assert 1 <= warnings.count("OutcomeUnknown") <= requests(seen[name]), "once for each request"


@pytest.mark.parametrize("name", TROUBLES)
def test_the_vendor_is_not_flooded(seen: dict[str, Seen], name: str) -> None:
    posts = seen[name].cost.count(Operation.MINT)
    first_tries = 3 * requests(seen[name])  # of each request, before its backoff has grown to its longest
    allowed = (1 if TROUBLES[name].reasons == _BUDGET else first_tries) + seen[name].seconds / TROUBLES[name].every
    assert 0 < posts <= allowed, f"{posts} requests in {seen[name].seconds:.0f} s"
    lists = seen[name].cost.count(Operation.LIST)
    assert lists <= 1 + requests(seen[name]), "the list is asked once for each request that stayed unanswered"


@pytest.fixture(scope="module")
def healed(scene: Scene, seen: dict[str, Seen]) -> Scene:
    scene.vendor.cancel_all_faults()
    return scene


@pytest.mark.parametrize("name", [name for name in TROUBLES if name != "http-429-silent"])
def test_it_goes_on_by_itself_with_one_key(healed: Scene, name: str) -> None:
    """(After a 429 without a Retry-After that is a minute later, which the unit tests of the pause live through.)"""
    live = healed.assert_one_live_key(name)
    assert [row.id for row in healed.minted(name)] == [live.id]


def test_while_saperly_is_down_it_is_tried_gently_and_told_once(scene: Scene) -> None:
    world = scene.world
    scene.add("down")
    port = int(world.simulator.base_url.split(":")[2].split("/")[0])
    world.simulator.kill()
    watched = scene.plane.audit.position()
    scene.apply(scene.key_object("down"))
    conditions = scene.wait_reason("down", "SaperlyUnreachable")
    scene.pass_rechecks(6)
    assert "cannot be reached" in conditions["Ready"]["message"]
    assert "by itself" in conditions["Ready"]["message"]
    assert "Stalled" not in conditions
    assert scene.warnings("down") == ["SaperlyUnreachable"]
    patches = [each for each in scene.plane.audit.requests(since=watched) if each.name == "down" and each.is_write]
    assert len(patches) <= 20, "each try is noted, and the tries get rarer"

    world.simulator = Simulator(world.folder, database=world.folder / "simulator.sqlite", port=port)
    live = scene.assert_one_live_key("down")
    assert [row.id for row in scene.minted("down")] == [live.id]
    assert scene.warnings("down") == ["SaperlyUnreachable"]
