"""How a SaperlyKey goes: nothing of it stays live at the vendor that was not released, in whatever order things die."""

from collections.abc import Iterator

import pytest

from saperly_operator.lifecycle.naming import Tag
from saperly_operator.resources import annotations
from saperly_operator.simulator.control_orders import ServiceKeyOrder
from saperly_operator.simulator.faults import Fault, FaultKind
from saperly_operator.simulator.state import Child, Operation
from tests.cluster.user import User, holds_key
from tests.support.waiting import eventually

MINUTE = 60


@pytest.fixture(autouse=True)
def no_fault_is_left(user: User) -> Iterator[None]:
    """A fault that a test ordered ends with it."""
    yield
    user.vendor.cancel_all_faults()


def live(user: User, name: str) -> list[Child]:
    return [child for child in user.minted(name) if child.is_live]


def vendor_is_down(user: User) -> None:
    """Every call is answered 503 until faults are taken back."""
    user.vendor.order_fault(Fault(kind=FaultKind.STATUS, count=None))


def delete_and_wait(user: User, name: str) -> None:
    user.delete(name)
    user.world.wait_gone(name)


def last_event(user: User, name: str, reason: str) -> dict[str, str]:
    """Reason and note of the newest event of an object, which may be gone by now, once there is one of that reason."""
    user.world.reasons(name, reason)
    event = user.world.events(name)[-1]
    return {"reason": event["reason"], "note": event["note"]}


def test_revoke_kills_every_key_and_deletes_the_secret(user: User) -> None:
    first = user.ready("revoke", rotation={"overlap": "7d"})["status"]["current"]["id"]
    user.annotate("revoke", rotate_requested_at="once")
    user.wait_rotated("revoke", first)
    assert len(live(user, "revoke")) == 2  # the old one has a week to go

    delete_and_wait(user, "revoke")

    assert live(user, "revoke") == []
    assert not user.has_secret("revoke")
    assert user.world.reasons("revoke", "Revoked", 2)[-2:] == ["Revoked", "Revoked"]


def test_orphan_leaves_a_key_that_works_in_a_secret_that_is_the_users(user: User) -> None:
    key_id = user.ready("orphan", deletionPolicy="Orphan")["status"]["current"]["id"]

    delete_and_wait(user, "orphan")

    released = user.child(key_id)
    assert released.is_live
    assert Tag.parse(released.name) is None
    assert holds_key(user, "orphan", key_id)
    secret = user.secret("orphan")["metadata"]
    assert annotations.MANAGED_BY_LABEL not in secret.get("labels", {})
    assert not [name for name in secret.get("annotations", {}) if name.startswith(annotations.PREFIX)]
    assert last_event(user, "orphan", "Released")["reason"] == "Released"

    user.patch_provider({"spec": {"sweepInterval": "1s"}})
    user.vendor.advance_clock(31 * MINUTE)
    user.wait_sweeps(3)
    assert user.child(key_id).is_live
    user.patch_provider({"spec": {"sweepInterval": None}})


def test_orphan_still_ends_the_old_keys(user: User) -> None:
    first = user.ready("orphan-old", deletionPolicy="Orphan", rotation={"overlap": "3s"})["status"]["current"]["id"]
    user.annotate("orphan-old", rotate_requested_at="once")
    second = user.wait_rotated("orphan-old", first)["status"]["current"]["id"]

    delete_and_wait(user, "orphan-old")

    assert user.child(first).revoked_at is not None
    assert user.child(second).is_live
    assert holds_key(user, "orphan-old", second)


def test_force_delete_makes_no_call_and_the_sweep_collects_what_it_left(user: User) -> None:
    key_id = user.ready("forced")["status"]["current"]["id"]
    vendor_is_down(user)
    before = user.call_number()

    user.annotate("forced", force_delete="true")
    delete_and_wait(user, "forced")

    assert user.calls(after=before) == 0
    event = last_event(user, "forced", "ForceDeleted")
    assert event["reason"] == "ForceDeleted"
    assert key_id in event["note"]
    assert user.child(key_id).is_live
    assert not user.has_secret("forced")

    user.vendor.cancel_all_faults()
    user.patch_provider({"spec": {"sweepInterval": "1s"}})
    user.wait_sweeps(2)
    assert user.child(key_id).is_live  # too young: somebody may be about to store it

    user.vendor.advance_clock(31 * MINUTE)
    user.wait_revoked(key_id)
    user.patch_provider({"spec": {"sweepInterval": None}})


def test_a_namespace_goes_with_everything_in_it(user: User) -> None:
    namespace = f"{user.namespace}-doomed"
    user.kubectl("create", "namespace", namespace)
    user.patch_provider({"spec": {"allowedNamespaces": {"names": [user.namespace, namespace]}}})
    elsewhere = user.in_namespace(namespace)
    names = [f"doomed-{number}" for number in range(5)]
    for name in names:
        elsewhere.ready(name)
    assert len([child for name in names for child in live(elsewhere, name)]) == len(names)

    user.kubectl("delete", "namespace", namespace, "--timeout=60s")

    assert [child for name in names for child in live(elsewhere, name)] == []


def test_a_provider_deleted_first_does_not_keep_the_key_alive(user: User) -> None:
    provider, _ = a_second_provider(user, "first-to-go")
    user.ready("without-provider", providerRef={"name": provider})

    user.kubectl("delete", "csprov", provider, "--wait=false")
    user.world.wait_reason("without-provider", "ProviderNotFound", "Stalled")
    assert user.conditions("without-provider")["Ready"]["status"] == "True"
    eventually(lambda: user.provider_ready(provider)["reason"] == "ProviderInUse", "it says why it is still there")
    with user.operator_down():  # what it had in memory is gone: the provider still leads to its service key
        pass
    delete_and_wait(user, "without-provider")

    assert live(user, "without-provider") == []
    user.kubectl("wait", "--for=delete", f"csprov/{provider}", "--timeout=30s")


def test_a_service_keys_secret_deleted_first_does_not_keep_the_key_alive(user: User) -> None:
    provider, secret = a_second_provider(user, "keyless")
    user.ready("without-secret", providerRef={"name": provider})

    user.kubectl("delete", "secret", secret, f"--namespace={user.world.system}")
    eventually(
        lambda: user.provider_ready(provider)["reason"] == "ServiceKeySecretNotFound", "the missing Secret is seen"
    )
    delete_and_wait(user, "without-secret")

    assert live(user, "without-secret") == []
    assert not user.has_secret("without-secret")


def a_second_provider(user: User, name: str) -> tuple[str, str]:
    """A provider with a service key of its own; its name, and the name of its Secret."""
    credential = user.vendor.create_service_key(ServiceKeyOrder(name=name))
    provider, secret = f"{user.world.provider}-{name}", f"{name}-service-key"
    user.world.put_service_key(credential.plaintext.get_secret_value(), name=secret)
    user.add_provider(provider, secret)
    return provider, secret


def test_a_deletion_waits_out_an_outage_of_the_vendor(user: User) -> None:
    key_id = user.ready("patient")["status"]["current"]["id"]
    vendor_is_down(user)

    user.delete("patient")
    told = user.world.wait_reason("patient", "RevocationFailed")
    assert "tried again" in told["message"]
    assert user.child(key_id).is_live
    assert holds_key(user, "patient", key_id)

    user.vendor.cancel_all_faults()
    user.world.wait_gone("patient")
    assert live(user, "patient") == []
    assert not user.has_secret("patient")


def test_a_deletion_waits_for_an_operator(user: User) -> None:
    user.ready("unattended")
    with user.operator_down():
        user.delete("unattended")
        assert user.world.key("unattended")["metadata"]["deletionTimestamp"]
        assert len(live(user, "unattended")) == 1

    user.world.wait_gone("unattended")
    assert live(user, "unattended") == []
    assert not user.has_secret("unattended")


def test_a_deletion_amid_a_mint_leaves_nothing(user: User) -> None:
    held = user.vendor.order_fault(Fault(kind=FaultKind.HOLD, when="after", operation=Operation.MINT))
    user.world.apply_key("amid")
    eventually(lambda: _holding(user, held.id), "the answer to the mint is held back")

    user.delete("amid")
    eventually(lambda: user.world.key("amid")["metadata"].get("deletionTimestamp"), "deletion has begun")
    user.vendor.release_fault(held.id)

    user.world.wait_gone("amid")
    assert live(user, "amid") == []
    assert len(user.minted("amid")) == 1
    assert not user.has_secret("amid")


def test_a_deletion_amid_a_mint_that_lands_late_leaves_nothing(user: User) -> None:
    held = user.vendor.order_fault(Fault(kind=FaultKind.HOLD, when="before", operation=Operation.MINT))
    user.world.apply_key("late")
    eventually(lambda: _holding(user, held.id), "the mint is held back before it took effect")

    user.operator.kill()
    user.delete("late")
    user.vendor.release_fault(held.id)  # it is carried out now, for a client that is dead
    eventually(lambda: len(user.minted("late")) == 1, "the late mint has landed")
    user.world.start_operator()

    user.world.wait_gone("late")
    assert live(user, "late") == []
    assert len(user.minted("late")) == 1


def _holding(user: User, fault_id: str) -> bool:
    return any(fault.holding for fault in user.vendor.faults() if fault.id == fault_id)


def test_suspend_never_blocks_a_deletion(user: User) -> None:
    user.ready("suspended")
    user.change("suspended", suspend=True)
    user.wait_settled("suspended")

    delete_and_wait(user, "suspended")

    assert live(user, "suspended") == []
    assert not user.has_secret("suspended")


def test_an_object_that_never_got_a_key_goes_at_once(user: User) -> None:
    user.world.apply_key("stillborn", providerRef={"name": "there-is-none"})
    user.world.wait_reason("stillborn", "ProviderNotFound", "Stalled")
    before = user.call_number()

    delete_and_wait(user, "stillborn")

    assert user.calls(after=before) == 0


def test_a_deleted_object_comes_back_under_its_name_with_a_key_of_its_own(user: User) -> None:
    first = user.ready("again")["status"]["current"]
    delete_and_wait(user, "again")

    second = user.ready("again")["status"]["current"]

    assert second["id"] != first["id"]
    assert [child.id for child in live(user, "again")] == [second["id"]]
    assert holds_key(user, "again", second["id"])
