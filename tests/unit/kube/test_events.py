"""Events: a body that the API takes, and never an error."""

import logging

import pytest

from saperly_operator.clock import ManualClock
from saperly_operator.kube import errors
from saperly_operator.kube.api import EVENTS, NAMESPACES
from saperly_operator.kube.events import EventType, EventWriter, Occurrence, Regarding
from tests.builders import NOW, SECOND
from tests.support.faulty_kube import Fault, FaultyKube
from tests.support.memory_kube import MemoryKube

KEY = Regarding("SaperlyKey", "agents", "support", "uid-1", "7")
ISSUED = Occurrence(EventType.NORMAL, "Issued", "Mint", "The key is in Secret support.")


@pytest.fixture
async def kube() -> FaultyKube:
    memory = MemoryKube(ManualClock())
    for name in ("agents", "default"):
        await memory.create(NAMESPACES, "", {"metadata": {"name": name}})
    return FaultyKube(memory)


async def test_an_event_names_what_it_is_about_and_who_says_so(kube: FaultyKube) -> None:
    await EventWriter(kube, instance="operator-1").emit(KEY, ISSUED, NOW)
    (event,) = await kube.list(EVENTS)
    assert event["metadata"]["namespace"] == "agents"
    assert event["metadata"]["name"].startswith("support.")
    assert event["eventTime"] == "2026-11-24T10:00:00.000000Z"
    assert (event["type"], event["reason"], event["action"]) == ("Normal", "Issued", "Mint")
    assert event["note"] == "The key is in Secret support."
    assert event["reportingController"] == "saperly.com/saperly-operator"
    assert event["reportingInstance"] == "operator-1"
    assert event["regarding"] == {
        "apiVersion": "saperly.com/v1alpha1",
        "kind": "SaperlyKey",
        "namespace": "agents",
        "name": "support",
        "uid": "uid-1",
        "resourceVersion": "7",
    }


async def test_an_event_about_a_cluster_scoped_object_is_in_the_default_namespace(kube: FaultyKube) -> None:
    provider = Regarding("ClusterSaperlyProvider", "", "default", "uid-2", "7")
    await EventWriter(kube, instance="operator-1").emit(provider, ISSUED, NOW)
    (event,) = await kube.list(EVENTS)
    assert event["metadata"]["namespace"] == "default"


async def test_what_is_too_long_is_cut(kube: FaultyKube) -> None:
    long = Regarding("SaperlyKey", "agents", "x" * 253, "uid-1", "7")
    await EventWriter(kube, instance="i" * 300).emit(long, Occurrence(EventType.WARNING, "A", "B", "n" * 2000), NOW)
    (event,) = await kube.list(EVENTS)
    assert len(event["metadata"]["name"]) <= 253
    assert len(event["note"]) == 1024
    assert len(event["reportingInstance"]) == 128


async def test_the_same_event_at_another_time_is_another(kube: FaultyKube) -> None:
    writer = EventWriter(kube, instance="operator-1")
    for now in (NOW, NOW, NOW + SECOND):
        await writer.emit(KEY, ISSUED, now)
    assert len(await kube.list(EVENTS)) == 2


@pytest.mark.parametrize(
    "error",
    [errors.Refused("POST", 403, "Forbidden"), errors.Unavailable("POST", None, "TimeoutError")],
    ids=["refused", "no answer"],
)
async def test_an_event_that_cannot_be_written_is_logged_and_nothing_else(
    kube: FaultyKube, error: errors.KubeError, caplog: pytest.LogCaptureFixture
) -> None:
    kube.faults.append(Fault("POST events", error))
    with caplog.at_level(logging.WARNING):
        await EventWriter(kube, instance="operator-1").emit(KEY, ISSUED, NOW)
    (line,) = caplog.records
    assert line.getMessage() == "an event could not be written"
    assert getattr(line, "reason", None) == "Issued"
