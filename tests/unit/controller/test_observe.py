"""What a Secret is to an object, and what a live look reads, in which order."""

from base64 import b64encode
from typing import Any

import pytest

from saperly_operator.controller.secret_states import Target, kept_target, secret_state
from saperly_operator.kube.api import PLAIN, SAPERLY_KEYS
from saperly_operator.kube.secrets import SecretView
from saperly_operator.lifecycle.observed import Freshness, SecretForeign, SecretOwned, SecretState
from saperly_operator.resources import annotations
from saperly_operator.resources.saperly_key import SaperlyKey
from saperly_operator.resources.secret_record import fingerprint, plaintext_digest, short_digest
from tests.builders import INSTALLATION, KEPT, OTHER_INSTALLATION, UID, a_delivered_status, a_key, a_record
from tests.unit.controller.world import NAME, NAMESPACE, World

PLAINTEXT = b"sk_test_1NEVERSHOWTHIS"
DIGEST = plaintext_digest(PLAINTEXT)
MARK = fingerprint(UID, DIGEST)
TARGET = Target("support", "SAPERLY_API_KEY")


def a_view(record: Any = None, data: bytes = PLAINTEXT, *, label: bool = True, **more: Any) -> SecretView:
    metadata = {
        "namespace": "agents",
        "name": "support",
        "uid": "uid-s",
        "resourceVersion": "7",
        "labels": {annotations.MANAGED_BY_LABEL: annotations.MANAGED_BY} if label else {},
        "annotations": record.write() if record is not None else {},
    }
    return SecretView.of({"metadata": metadata, "data": {TARGET.entry: b64encode(data).decode()}, **more})


RECORD = a_record(digest=short_digest(DIGEST))
DELIVERED = a_key(a_delivered_status(secret=KEPT.changed(fingerprint=MARK)))


def state(view: SecretView, key: SaperlyKey = DELIVERED, target: Target = TARGET) -> SecretState:
    return secret_state(view, key, target, INSTALLATION)


def owned(view: SecretView, key: SaperlyKey = DELIVERED, target: Target = TARGET) -> SecretOwned:
    found = state(view, key, target)
    assert isinstance(found, SecretOwned)
    return found


def test_our_secret_as_we_left_it() -> None:
    assert state(a_view(RECORD)) == SecretOwned(RECORD, MARK, metadata_in_sync=True, intact=True)


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(None, id="no record"),
        pytest.param(a_record(owner="agents/other"), id="of another object"),
        pytest.param(a_record(owner="others/support"), id="of an object of that name elsewhere"),
        pytest.param(a_record(installation=OTHER_INSTALLATION), id="of another installation"),
    ],
)
def test_a_secret_without_our_record_is_foreign_before_the_first_key(record: Any) -> None:
    found = state(a_view(record), a_key())
    assert isinstance(found, SecretForeign)
    assert found.owner == (record.owner if record else None)


def test_a_stripped_record_is_ours_while_the_data_fits() -> None:
    assert owned(a_view()) == SecretOwned(None, MARK, metadata_in_sync=False, intact=False)


def test_a_stripped_record_over_other_data_is_foreign() -> None:
    assert isinstance(state(a_view(data=b"somebody's own")), SecretForeign)


def test_data_that_fits_another_object_of_the_same_name_is_foreign() -> None:
    recreated = DELIVERED.changed(metadata=DELIVERED.metadata.changed(uid="uid-2"))
    assert isinstance(state(a_view(), recreated), SecretForeign), "the fingerprint is of one uid"


def test_altered_data_shows_in_the_fingerprint_and_beside_the_record() -> None:
    altered = owned(a_view(RECORD, data=b"altered"))
    assert altered.fingerprint == fingerprint(UID, plaintext_digest(b"altered"))
    assert not altered.intact


def test_a_missing_entry_has_no_fingerprint() -> None:
    assert owned(a_view(RECORD), target=Target("support", "OTHER")).fingerprint is None


def test_an_immutable_secret_says_so() -> None:
    assert owned(a_view(RECORD, immutable=True)).immutable


def test_a_stripped_label_or_another_key_id_is_out_of_sync() -> None:
    assert not owned(a_view(RECORD, label=False)).metadata_in_sync
    assert not owned(a_view(a_record(key_id="another", digest=short_digest(DIGEST)))).metadata_in_sync


def test_the_plaintext_is_where_status_says_or_where_it_is_to_be() -> None:
    assert kept_target(a_key()) == TARGET
    moved = a_key(a_delivered_status(), secret={"name": "renamed", "key": "TOKEN"})
    assert kept_target(moved) == TARGET


async def test_a_live_look_reads_the_secret_first_and_then_the_object(world: World) -> None:
    await world.apply()
    await world.reconcile()
    world.forget_calls()
    look = await world.operator.tools.observer.live((NAMESPACE, NAME))
    assert world.kube.calls == ["GET secrets", "GET saperlykeys"]
    assert look is not None
    assert look.freshness is Freshness.LIVE


async def test_a_look_at_an_object_that_named_another_secret_meanwhile_is_no_live_one(world: World) -> None:
    await world.apply()
    await world.reconcile()
    renamed = {"spec": {"secret": {"name": "renamed"}}}
    await world.memory.patch(SAPERLY_KEYS, NAMESPACE, NAME, renamed, options=PLAIN)
    first = await world.operator.tools.observer.live((NAMESPACE, NAME))
    assert first is not None
    assert first.freshness is Freshness.CACHED
    second = await world.operator.tools.observer.live((NAMESPACE, NAME))
    assert second is not None
    assert second.freshness is Freshness.LIVE


async def test_a_look_during_which_another_process_recorded_a_delivery_is_no_live_one(world: World) -> None:
    await world.apply()
    before = await world.memory.get(SAPERLY_KEYS, NAMESPACE, NAME)
    await world.reconcile()
    world.operator.tools.cache.drop_key((NAMESPACE, NAME))
    world.operator.tools.cache.put_key(before)
    first = await world.operator.tools.observer.live((NAMESPACE, NAME))
    assert first is not None
    assert first.freshness is Freshness.CACHED, "the Secret may have been read before it was written"
    second = await world.operator.tools.observer.live((NAMESPACE, NAME))
    assert second is not None
    assert second.freshness is Freshness.LIVE


async def test_a_look_at_what_is_gone_is_nothing(world: World) -> None:
    await world.apply()
    await world.delete()
    assert await world.operator.tools.observer.live((NAMESPACE, NAME)) is None
    assert world.operator.tools.observer.cached((NAMESPACE, NAME)) is None


async def test_of_two_claims_the_elder_wins_and_a_delivered_one_before_all(world: World) -> None:
    await world.apply("b-first", secret={"name": "shared"})
    world.clock.advance(60)
    await world.apply("a-second", secret={"name": "shared"})
    observer = world.operator.tools.observer
    elder, younger = observer.cached((NAMESPACE, "b-first")), observer.cached((NAMESPACE, "a-second"))
    assert elder is not None
    assert younger is not None
    assert (elder.older_claimant, younger.older_claimant) == (None, "b-first")
    await world.reconcile("a-second")
    assert world.requests == [], "the second is told so and mints nothing"
    await world.reconcile("b-first")
    assert len(world.live()) == 1
