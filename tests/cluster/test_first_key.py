"""The main job on a real cluster: one object, one mint, one Secret; deleted, nothing is live."""

import hashlib

from tests.cluster.world import World


def test_one_object_is_one_mint_one_secret_and_no_live_key_after_its_deletion(world: World) -> None:
    world.start_operator()
    world.apply_key("support", agentLabel="support", monthlyCapCents=5000)
    key = world.wait_ready("support")

    (child,) = world.vendor.ledger()
    assert child.id == key["status"]["current"]["id"]
    assert child.agent_label == "support"
    assert child.monthly_cap_cents == 5000
    assert child.permissions == "call_only"
    assert hashlib.sha256(world.plaintext("support").encode()).hexdigest() == child.digest
    assert world.reasons("support", "Issued") == ["Issued"]

    world.kubectl("delete", "saperlykey", "support", f"--namespace={world.namespace}", "--timeout=60s")
    assert world.vendor.live_keys() == []
    assert "support" not in world.secret_names()
