"""The installation's identity: begun once, and unconfirmed in any other cluster."""

import pytest

from saperly_operator.clock import ManualClock
from saperly_operator.controller.installation import CONFIG_MAP, Installation, ensure_installation
from saperly_operator.kube import errors
from saperly_operator.kube.api import CONFIG_MAPS, NAMESPACES, PLAIN
from tests.support.faulty_kube import Fault, FaultyKube
from tests.support.memory_kube import MemoryKube

SYSTEM = "saperly-system"


@pytest.fixture
async def kube() -> FaultyKube:
    memory = MemoryKube(ManualClock())
    for name in ("kube-system", SYSTEM):
        await memory.create(NAMESPACES, "", {"metadata": {"name": name}})
    return FaultyKube(memory)


async def test_it_is_begun_once_and_found_again(kube: FaultyKube) -> None:
    assert await ensure_installation(kube, SYSTEM, lambda: "first") == Installation("first", confirmed=True)
    assert await ensure_installation(kube, SYSTEM, lambda: "second") == Installation("first", confirmed=True)


async def test_of_two_that_begin_at_once_the_first_wins(kube: FaultyKube) -> None:
    await kube.inner.create(
        CONFIG_MAPS, SYSTEM, {"metadata": {"name": CONFIG_MAP}, "data": await cluster_of(kube, "theirs")}
    )
    kube.faults.append(Fault("GET configmaps", errors.NotFound("GET", 404, "NotFound")))  # not there a moment ago
    assert await ensure_installation(kube, SYSTEM, lambda: "mine") == Installation("theirs", confirmed=True)


async def cluster_of(kube: FaultyKube, identity: str) -> dict[str, str]:
    system = await kube.inner.get(NAMESPACES, None, "kube-system")
    return {"id": identity, "clusterUid": system["metadata"]["uid"]}


@pytest.mark.parametrize(
    "data",
    [{"clusterUid": "another"}, {"clusterUid": None}, {"id": ""}, {"id": None}],
    ids=["another cluster", "no cluster", "an empty id", "no id"],
)
async def test_anything_else_than_this_cluster_and_an_id_is_unconfirmed(
    kube: FaultyKube, data: dict[str, str | None]
) -> None:
    await ensure_installation(kube, SYSTEM, lambda: "first")
    await kube.inner.patch(CONFIG_MAPS, SYSTEM, CONFIG_MAP, {"data": data}, options=PLAIN)
    assert not (await ensure_installation(kube, SYSTEM, lambda: "second")).confirmed


async def test_an_api_that_does_not_answer_begins_nothing(kube: FaultyKube) -> None:
    kube.faults.append(Fault("GET configmaps", errors.Unavailable("GET", None, "TimeoutError")))
    with pytest.raises(errors.Unavailable):
        await ensure_installation(kube, SYSTEM, lambda: "first")
    assert kube.writes == []
