"""Providers: what is wrong with their Secrets is told, and objects look again when it is mended."""

from base64 import b64encode

import pytest

from saperly_operator.kube import errors
from saperly_operator.kube.api import CLUSTER_PROVIDERS, PLAIN, SECRETS
from saperly_operator.resources import reasons
from tests.support.faulty_kube import Fault
from tests.unit.controller.world import NAME, NAMESPACE, SYSTEM, World

PROVIDER = ("ClusterSaperlyProvider", "", "default")


async def put(world: World, value: str | None) -> None:
    """What the Secret of the service key holds from now on."""
    encoded = None if value is None else b64encode(value.encode()).decode()
    data = {"SAPERLY_SERVICE_KEY": encoded}
    await world.memory.patch(SECRETS, SYSTEM, "saperly-service-key", {"data": data}, options=PLAIN)
    await world.operator.provider_worker.handle(PROVIDER)


async def conditions(world: World) -> dict[str, tuple[str, str, str]]:
    status = (await world.memory.get(CLUSTER_PROVIDERS, None, "default"))["status"]
    return {each["type"]: (each["status"], each["reason"], each["message"]) for each in status["conditions"]}


async def test_a_provider_that_works_is_ready_and_shows_a_prefix_only(world: World) -> None:
    status = (await world.memory.get(CLUSTER_PROVIDERS, None, "default"))["status"]
    assert (await conditions(world)) == {"Ready": ("True", reasons.AVAILABLE, "Keys can be minted.")}
    ((entry, handle),) = world.operator.tools.service_keys.entries().items()
    shown = {"name": "main", "prefix": "sk_svc_test_", "material": handle.material}
    assert (entry, status["serviceKeys"]) == ((PROVIDER, "main"), [shown])
    assert status["observedGeneration"] == 1


@pytest.mark.parametrize(
    ("value", "reason", "says"),
    [
        pytest.param(None, reasons.SERVICE_KEY_SECRET_NOT_FOUND, "There is no Secret", id="no entry"),
        pytest.param("sk_test_NEVERSHOWTHIS", reasons.SERVICE_KEY_MALFORMED, "an API key", id="a child key"),
        pytest.param("NEVERSHOWTHIS", reasons.SERVICE_KEY_MALFORMED, "begins with", id="no key"),
        pytest.param("sk_svc_live_NEVERSHOWTHIS", reasons.ENVIRONMENT_MISMATCH, "live environment", id="live"),
    ],
)
async def test_what_is_wrong_with_a_service_key_is_told_without_showing_it(
    world: World, value: str | None, reason: str, says: str
) -> None:
    await put(world, value)
    told = await conditions(world)
    assert told["Ready"][:2] == ("False", reason)
    assert told["Stalled"][:2] == ("True", reason)
    assert says in told["Ready"][2]
    assert "NEVERSHOWTHIS" not in str(told)


async def test_a_key_put_right_makes_the_provider_ready_and_its_objects_look_again(world: World) -> None:
    await put(world, "nonsense")
    await world.restart()
    await world.apply()
    await world.reconcile()
    assert (await world.reasons())["Stalled"] == reasons.SERVICE_KEY_MALFORMED
    assert world.requests == []
    world.operator.keys.forget((NAMESPACE, NAME))
    await put(world, world.control.create_service_key().plaintext)
    assert world.operator.keys.waiting == 1
    assert "Stalled" not in await conditions(world)
    await world.reconcile()
    assert (await world.reasons())["Ready"] == reasons.AVAILABLE


async def test_saying_the_same_again_is_no_write(world: World) -> None:
    world.forget_calls()
    await world.operator.provider_worker.handle(PROVIDER)
    assert world.kube.writes == []


async def test_the_last_good_key_revokes_when_its_secret_is_gone(world: World) -> None:
    await world.apply()
    await world.reconcile()
    await put(world, None)
    await world.delete()
    await world.reconcile()
    assert world.live() == []


async def test_an_api_that_does_not_answer_changes_nothing(world: World) -> None:
    world.operator.provider_queue.forget(PROVIDER)
    world.kube.faults.append(Fault("GET secrets", errors.Unavailable("GET", None, "TimeoutError")))
    await world.operator.provider_worker.handle(PROVIDER)
    assert (await conditions(world))["Ready"][0] == "True"
    assert world.operator.provider_queue.planned == 1, "it is looked at again"


async def test_a_status_that_cannot_be_written_does_not_keep_objects_from_their_keys(world: World) -> None:
    world.kube.faults.append(Fault("PATCH clustersaperlyproviders/status", errors.Refused("PATCH", 403, "Forbidden")))
    await put(world, world.control.create_service_key().plaintext)
    await world.apply()
    await world.reconcile()
    assert (await world.reasons())["Ready"] == reasons.AVAILABLE
