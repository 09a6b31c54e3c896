"""The sweep on the real cluster: which keys at the vendor it takes for lost, and which it leaves alone."""

import base64
from collections.abc import Iterator

import pytest

from saperly_operator.lifecycle.naming import Owner, Tag, vendor_name
from saperly_operator.resources import annotations
from saperly_operator.simulator.control_orders import KeyOrder
from tests.cluster.user import User, holds_key

OLD, YOUNG = 31 * 60, 25 * 60
"""Seconds, on either side of the age at which an unreferenced key counts as an orphan."""

SERIAL = 900


@pytest.fixture(scope="module", autouse=True)
def frequent_sweeps(user: User) -> None:
    """Lists every second in the place of every ten minutes."""
    user.patch_provider({"spec": {"sweepInterval": "1s"}})


@pytest.fixture
def shuffled(user: User) -> Iterator[None]:
    """The vendor lists its keys in another order at each call."""
    user.vendor.change_settings({"list_order": "shuffled"})
    yield
    user.vendor.change_settings({"list_order": "id"})


def plant(user: User, owner: str, *, age: int = OLD, installation: str | None = None, serial: int = SERIAL) -> str:
    """A live key at the vendor that carries the tag of an object and that nothing refers to; returns its id."""
    tag = Tag.of(installation or user.installation, Owner(user.namespace, owner), serial)
    return plant_named(user, vendor_name("planted", tag), age)


def plant_named(user: User, name: str, age: int = OLD) -> str:
    order = KeyOrder(service_key_id=user.portal_service_key_id, name=name, age_seconds=age)
    return user.vendor.plant_key(order).id


def crowd(user: User, size: int) -> set[str]:
    """Keys of another installation until the vendor has ``size`` live ones; returns the ids of all of those."""
    for serial in range(1, size - len(user.vendor.live_keys()) + 1):
        plant(user, "crowd", installation="another installation", serial=serial)
    return {child.id for child in user.vendor.live_keys()}


def test_a_key_of_an_object_that_nothing_refers_to_is_revoked(user: User) -> None:
    current = user.ready("owner")["status"]["current"]["id"]
    orphan = plant(user, "owner")

    user.wait_revoked(orphan)

    user.wait("owner", "nothing retires", lambda key: not key["status"].get("retiring"))
    assert user.world.reasons("owner", "Revoked") == ["Issued", "Orphaned", "Revoked"]
    assert user.only_live("owner").id == user.status("owner")["current"]["id"] == current
    assert holds_key(user, "owner", current)


def test_the_next_mint_takes_a_serial_above_every_one_seen(user: User) -> None:
    first = user.ready("serial", rotation={"overlap": "1s"})["status"]["current"]["id"]
    orphan = plant(user, "serial", serial=41)
    user.wait_revoked(orphan)

    user.annotate("serial", rotate_requested_at="now")
    second = user.wait_rotated("serial", first)["status"]["current"]

    assert second["serial"] == 42


def test_several_orphans_of_one_object_are_all_revoked(user: User) -> None:
    user.ready("many")
    orphans = [plant(user, "many", serial=SERIAL + number) for number in range(12)]

    for orphan in orphans:
        user.wait_revoked(orphan)

    user.wait_settled("many")
    assert user.only_live("many").id == user.status("many")["current"]["id"]


def test_keys_that_may_be_somebodys_are_left_alone(user: User) -> None:
    user.ready("cautious")
    used = plant(user, "cautious", serial=SERIAL + 1)
    user.vendor.use_key(used)
    left = {
        "too young": plant(user, "cautious", age=YOUNG, serial=SERIAL + 2),
        "of another installation": plant(user, "cautious", installation="another installation"),
        "tagged in the middle": plant_named(user, f"[{Tag.of(user.installation, Owner('a', 'b'), 1)}] by hand"),
        "without a tag": plant_named(user, "made by a person"),
    }
    proof = plant(user, "cautious", serial=SERIAL + 3)  # its end shows that the sweep has seen them all

    user.wait_revoked(proof)
    user.wait_sweeps(2)

    assert {why: user.child(key_id).is_live for why, key_id in left.items()} == dict.fromkeys(left, True)
    assert user.child(used).is_live


def test_a_key_whose_object_is_gone_is_revoked(user: User) -> None:
    young = plant(user, "gone", age=YOUNG)
    used = plant(user, "gone", serial=SERIAL + 1)
    user.vendor.use_key(used)
    orphan = plant(user, "gone", serial=SERIAL + 2)

    user.wait_revoked(orphan)
    user.wait_sweeps(2)

    assert user.child(young).is_live
    assert user.child(used).is_live


def test_a_key_that_a_restored_secret_names_is_left_alone(user: User) -> None:
    held = "held-by-a-secret"
    tag = Tag.of(user.installation, Owner(user.namespace, held), 7)
    with user.operator_down():  # a backup brings the Secret first; the object may follow
        key_id = plant_named(user, vendor_name("restored", tag))
        user.kubectl.apply(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {
                    "name": held,
                    "labels": {annotations.MANAGED_BY_LABEL: annotations.MANAGED_BY},
                    "annotations": {
                        annotations.KEY_ID: key_id,
                        annotations.OWNER: f"{user.namespace}/{held}",
                        annotations.SERIAL: "7",
                        annotations.INSTALLATION: user.installation,
                    },
                },
                "data": {"SAPERLY_API_KEY": base64.b64encode(b"restored").decode()},
            },
            namespace=user.namespace,
        )
    proof = plant(user, "gone-too")

    user.wait_revoked(proof)
    user.wait_sweeps(2)
    assert user.child(key_id).is_live

    user.delete_secret(held)
    user.wait_revoked(key_id)


def test_a_list_that_is_shuffled_at_each_call_hides_nothing(user: User, shuffled: None) -> None:
    current = user.ready("shuffled")["status"]["current"]["id"]
    others = crowd(user, 110)
    orphan = plant(user, "shuffled")

    user.wait_revoked(orphan)

    assert user.only_live("shuffled").id == current
    assert {child.id for child in user.vendor.live_keys()} == others


def test_every_page_of_a_long_list_is_read(user: User) -> None:
    user.ready("paged")
    others = crowd(user, 250)
    orphans = [plant(user, "paged", serial=SERIAL + number) for number in range(5)]

    for orphan in orphans:
        user.wait_revoked(orphan)

    assert {child.id for child in user.vendor.live_keys()} == others
