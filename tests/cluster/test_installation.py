"""An installation whose cluster was cloned, or restored elsewhere, on the real one: nothing is sent before a decision."""

import json

from saperly_operator.resources import reasons
from tests.cluster.commands import saperly_operator
from tests.cluster.world import World
from tests.support.waiting import eventually

CONFIG_MAP = "saperly-operator-installation"


def test_a_moved_installation_waits_until_an_administrator_moves_it(world: World) -> None:
    world.start_operator()
    world.apply_key("mine")
    key_id = world.wait_ready("mine")["status"]["current"]["id"]
    restored_elsewhere(world)
    world.apply_key("new")
    world.wait_reason("new", reasons.INSTALLATION_MOVED, kind="Stalled")
    world.wait_reason("mine", reasons.INSTALLATION_MOVED, kind="Stalled")
    assert [child.id for child in world.vendor.live_keys()] == [key_id]
    assert "undecided" in installation(world, "show")

    assert "goes on in this cluster" in installation(world, "move")

    made_way(world)
    world.start_operator()
    world.wait_ready("new")
    assert world.wait_ready("mine")["status"]["current"]["id"] == key_id
    assert "confirmed" in installation(world, "show")
    assert "nothing was changed" in installation(world, "move")


def test_a_new_installation_leaves_what_came_along_alone_and_says_so(world: World) -> None:
    world.start_operator()
    world.apply_key("theirs")
    key_id = world.wait_ready("theirs")["status"]["current"]["id"]
    restored_elsewhere(world)
    before = config(world)["id"]

    told = installation(world, "new")

    made_way(world)
    world.start_operator()
    assert before in told
    assert config(world)["id"] in told
    assert config(world)["id"] != before
    world.kubectl(
        "annotate", "skey", "theirs", "saperly.com/rotate-requested-at=now", f"--namespace={world.namespace}"
    )
    eventually(
        lambda: reasons.FOREIGN_INSTALLATION in [event["reason"] for event in world.events("theirs")], "it says so"
    )
    world.apply_key("ours")
    ours = world.wait_ready("ours")["status"]["current"]["id"]
    assert {child.id for child in world.vendor.live_keys()} == {key_id, ours}
    assert world.key("theirs")["status"]["current"]["id"] == key_id


def made_way(world: World) -> None:
    """The operator has seen the decision and ended by itself, for another to begin with it."""
    assert world.operator is not None
    assert world.operator.wait_exit(timeout=60) == 0


def restored_elsewhere(world: World) -> None:
    """The cluster that the installation was made in was another; the operator starts on that."""
    assert world.operator is not None
    world.operator.terminate()
    patch = json.dumps({"data": {"clusterUid": "of-another-cluster"}})
    world.kubectl("patch", "configmap", CONFIG_MAP, f"--namespace={world.system}", "--type=merge", f"--patch={patch}")
    world.start_operator()


def config(world: World) -> dict[str, str]:
    data: dict[str, str] = world.kubectl.read("ConfigMap", CONFIG_MAP, namespace=world.system)["data"]
    return data


def installation(world: World, *args: str) -> str:
    return saperly_operator(world.kubectl, "installation", *args, f"--namespace={world.system}")
