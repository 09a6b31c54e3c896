"""What people do at the vendor behind the operator's back, on the real cluster: what a sweep makes of it."""

import pytest

from saperly_operator.lifecycle.naming import Owner, Tag, vendor_name
from saperly_operator.resources import annotations, reasons
from saperly_operator.simulator.control_orders import KeyOrder
from saperly_operator.simulator.state import Operation
from tests.cluster.commands import saperly_operator
from tests.cluster.user import User, holds_key
from tests.support.waiting import eventually

OLD = 31 * 60
"""Seconds; more than the age at which an unreferenced key is judged."""


@pytest.fixture(scope="module", autouse=True)
def frequent_sweeps(user: User) -> None:
    """Lists every second in the place of every ten minutes."""
    user.patch_provider({"spec": {"sweepInterval": "1s"}})


def used_orphan(user: User, owner: str) -> str:
    """A key in use that carries the tag of an object and that nothing refers to; returns its id."""
    tag = Tag.of(user.installation, Owner(user.namespace, owner), 900)
    order = KeyOrder(service_key_id=user.portal_service_key_id, name=vendor_name("in use", tag), age_seconds=OLD)
    key_id = user.vendor.plant_key(order).id
    user.vendor.use_key(key_id)
    return key_id


def test_a_key_revoked_in_the_portal_is_replaced_by_one_mint(user: User) -> None:
    first = user.ready("revoked")["status"]["current"]["id"]
    user.vendor.revoke_key(first)

    second = user.wait_rotated("revoked", first)["status"]["current"]["id"]

    assert user.only_live("revoked").id == second
    assert holds_key(user, "revoked", second)
    assert len(user.minted("revoked")) == 2
    assert user.world.reasons("revoked", reasons.REVOKED_EXTERNALLY)


def test_with_hold_a_person_decides(user: User) -> None:
    first = user.ready("held", onRemoteRevocation="Hold")["status"]["current"]["id"]
    user.vendor.revoke_key(first)

    user.world.wait_reason("held", reasons.REVOKED_EXTERNALLY, kind="Stalled")
    user.wait_sweeps(2)
    assert user.conditions("held")["Ready"]["status"] == "False"
    assert len(user.minted("held")) == 1

    user.annotate("held", rotate_requested_at="now")
    user.wait_rotated("held", first)
    assert len(user.minted("held")) == 2


def test_attributes_changed_in_the_portal_are_put_back_without_a_mint(user: User) -> None:
    key_id = user.ready("drifted", agentLabel="support", monthlyCapCents=5000)["status"]["current"]["id"]
    name = user.child(key_id).name
    user.edit_in_portal(key_id, {"permissions": "full", "monthly_cap_cents": None, "name": "renamed"})

    eventually(lambda: user.child(key_id).name == name, "the name is back")

    child = user.child(key_id)
    assert (child.permissions, child.monthly_cap_cents, child.agent_label) == ("call_only", 5000, "support")
    user.world.reasons("drifted", reasons.ATTRIBUTES_DRIFTED)
    before = user.call_number()
    user.wait_sweeps(2)
    assert user.calls(Operation.UPDATE, after=before) == 0
    assert [child.id for child in user.minted("drifted")] == [key_id]


def test_what_is_not_managed_stays_as_somebody_set_it(user: User) -> None:
    key_id = user.ready("free")["status"]["current"]["id"]
    user.edit_in_portal(key_id, {"monthly_cap_cents": 100})
    user.wait_sweeps(2)
    assert user.child(key_id).monthly_cap_cents == 100


def test_a_used_key_is_shown_on_its_object_and_revoked_by_command(user: User) -> None:
    current = user.ready("owner")["status"]["current"]["id"]
    orphan = used_orphan(user, "owner")

    shown = user.wait("owner", "shows it", lambda key: key["status"].get("unowned"))["status"]
    assert [each["id"] for each in shown["unowned"]] == [orphan]
    assert reasons.IN_USE_ORPHAN in user.conditions("owner")
    user.wait_sweeps(2)
    assert user.child(orphan).is_live

    told = orphans(user, "list")
    assert orphan in told
    assert f"saperlykeys {user.namespace}/owner" in told
    assert annotations.REVOKE_ORPHANS in orphans(user, "revoke", orphan)
    user.wait_revoked(orphan)
    user.wait("owner", "shows it no more", lambda key: not key["status"].get("unowned"))
    assert user.only_live("owner").id == current


def test_a_used_key_without_an_object_is_shown_on_its_provider_and_revoked_by_command(user: User) -> None:
    orphan = used_orphan(user, "gone")

    def shown() -> list[str]:
        status = user.kubectl.read("ClusterSaperlyProvider", user.world.provider)["status"]
        return [each["id"] for each in status.get("unowned", [])]

    eventually(lambda: shown() == [orphan], "the provider shows it")
    orphans(user, "revoke", orphan)
    user.wait_revoked(orphan)
    eventually(lambda: shown() == [], "the provider shows it no more")


def test_another_service_key_in_the_same_secret_is_not_used(user: User) -> None:
    first = user.ready("swapped")["status"]["current"]["id"]
    former, other = user.service_key, user.vendor.create_service_key().plaintext.get_secret_value()
    provider = user.world.provider
    with user.operator_down():
        user.world.put_service_key(other)
    eventually(
        lambda: user.provider_ready(provider)["reason"] == reasons.SERVICE_KEY_REPLACED, "the provider says so"
    )
    user.annotate("swapped", rotate_requested_at="now")
    user.world.wait_reason("swapped", reasons.SERVICE_KEY_REPLACED, kind="Stalled")
    assert len(user.minted("swapped")) == 1

    with user.operator_down():
        user.world.put_service_key(former)
    user.wait_rotated("swapped", first)
    assert len(user.minted("swapped")) == 2


def orphans(user: User, *args: str) -> str:
    return saperly_operator(user.kubectl, "orphans", *args)
