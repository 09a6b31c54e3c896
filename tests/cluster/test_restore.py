"""Backups, restores and clones on the real cluster: keys are taken over, and none is minted or touched for nothing."""

from typing import Any

from saperly_operator.lifecycle.naming import Owner, Tag
from saperly_operator.resources import annotations, reasons
from saperly_operator.simulator.control_orders import KeyOrder
from saperly_operator.simulator.state import Operation
from tests.cluster.user import ENTRY, User, holds_key
from tests.support.leaks import EVIDENCE

_KEPT = ("name", "namespace", "labels", "annotations", "finalizers")


def saved(body: dict[str, Any]) -> dict[str, Any]:
    """As a backup keeps it: no uid, no owner, no status."""
    metadata = {each: body["metadata"][each] for each in _KEPT if each in body["metadata"]}
    return {key: value for key, value in body.items() if key != "status"} | {"metadata": metadata}


def lose(user: User, name: str) -> None:
    """The object and its Secret are gone, without a word to the operator."""
    user.patch(name, {"metadata": {"finalizers": None}})
    user.kubectl("delete", "skey", name, f"--namespace={user.namespace}", "--ignore-not-found")
    user.delete_secret(name)


def test_a_restore_with_new_uids_and_no_status_mints_nothing(user: User) -> None:
    key_id = user.ready("restored", monthlyCapCents=100)["status"]["current"]["id"]
    user.annotate("restored", rotate_requested_at="before the backup")
    key_id = user.wait_rotated("restored", key_id)["status"]["current"]["id"]
    backup = [saved(user.secret("restored")), saved(user.world.key("restored"))]
    with user.operator_down():
        lose(user, "restored")
        before = user.call_number()
        user.kubectl.apply(*backup, namespace=user.namespace)  # the Secret comes first

    status = user.wait_settled("restored")["status"]

    assert (status["current"]["id"], status["serial"]) == (key_id, 2)
    assert holds_key(user, "restored", key_id)
    assert user.calls(Operation.MINT, Operation.UPDATE, Operation.REVOKE, after=before) == 0
    assert user.world.reasons("restored", reasons.ADOPTED).count(reasons.ADOPTED) == 1
    user.delete("restored")
    user.wait_revoked(key_id)


def test_a_lost_status_is_rebuilt_while_the_operator_runs(user: User) -> None:
    key = user.ready("wiped")
    key_id = key["status"]["current"]["id"]
    user.patch("wiped", {"status": dict.fromkeys(key["status"])}, subresource="status")

    user.wait("wiped", "has its key back", lambda key: key["status"].get("current", {}).get("id") == key_id)

    user.wait_settled("wiped")
    assert len(user.minted("wiped")) == 1


def test_a_copied_record_does_not_take_over_the_key_of_another_object(user: User) -> None:
    theirs = user.ready("owner")["status"]["current"]["id"]
    forged = saved(user.secret("owner"))
    forged["metadata"] |= {
        "name": "thief",
        "annotations": forged["metadata"]["annotations"] | {annotations.OWNER: f"{user.namespace}/thief"},
    }
    user.kubectl.apply(forged, namespace=user.namespace)

    mine = user.ready("thief")["status"]["current"]["id"]

    assert mine != theirs
    assert holds_key(user, "thief", mine)
    user.delete("thief")
    user.wait_revoked(mine)
    assert user.child(theirs).is_live


def test_a_key_made_by_hand_is_taken_over_by_name(user: User) -> None:
    order = KeyOrder(service_key_id=user.portal_service_key_id, name="made by hand")
    planted = user.vendor.plant_key(order)
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "by-hand"},
        "stringData": {ENTRY: EVIDENCE.learn(planted.plaintext.get_secret_value())},
    }
    user.kubectl.apply(secret, namespace=user.namespace)
    body = user.world.key_object("by-hand", metadata={"annotations": {annotations.ADOPT_KEY_ID: planted.id}})
    user.kubectl.apply(body, namespace=user.namespace)
    user.world.wait_reason("by-hand", reasons.ADOPTION_SECRET_UNMARKED, kind="Stalled")
    assert user.child(planted.id).name == "made by hand"

    user.patch_secret("by-hand", {"metadata": {"annotations": {annotations.ADOPT_FOR: "by-hand"}}})

    user.wait("by-hand", "is adopted", lambda key: key["status"].get("current", {}).get("id") == planted.id)
    user.wait_settled("by-hand")
    tag = Tag.parse(user.child(planted.id).name)
    assert tag is not None
    assert tag.belongs_to(user.installation, Owner(user.namespace, "by-hand"))
    assert holds_key(user, "by-hand", planted.id)
