"""Whatever state an object was left in, the decisions bring it to rest in few steps, and nothing is left behind."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saperly_operator.lifecycle.naming import Tag
from saperly_operator.lifecycle.overlap import awaits_rollout
from saperly_operator.lifecycle.references import referenced_ids
from saperly_operator.resources import annotations, reasons
from saperly_operator.resources.saperly_key import SaperlyKey
from saperly_operator.resources.saperly_key_status import Operation, RotationStatus, SaperlyKeyStatus
from tests.builders import (
    AGENT,
    DAY,
    HOLDER,
    HOUR,
    INSTALLATION,
    KEPT,
    MINUTE,
    NOW,
    OTHER_HOLDER,
    OWNER,
    SECOND,
    a_key,
    a_ref,
    a_retiring,
    a_row,
    an_intent,
)
from tests.unit.lifecycle.ideal_world import IdealWorld, fingerprint_of

STEPS = 60
EDITS = st.fixed_dictionaries(
    {},
    optional={
        "monthlyCapCents": st.just(5),
        "secret": st.sampled_from([{"name": "renamed"}, {"key": "TOKEN"}, {"name": "renamed", "key": "TOKEN"}]),
        "rotation": st.sampled_from(
            [
                {"schedule": "30d"},
                {"schedule": "1h", "jitter": "0s"},
                {"strategy": "Atomic"},
                {"schedule": "1h", "jitter": "0s", "strategy": "Atomic"},
            ]
        ),
        "suspend": st.booleans(),
        "restart": st.just([AGENT.to_api()]),
    },
)


@dataclass(frozen=True)
class Left:
    """How the operator's last process and others left the object: an intent may be open, posted, and delivered."""

    has_key: bool
    intent_age: timedelta | None
    posted: bool
    in_secret: bool
    holder: str
    old_keys: tuple[timedelta, ...]
    orphans: tuple[timedelta, ...]
    damage: str | None
    edit: tuple[tuple[str, object], ...]
    asked: bool
    deletion: str | None
    rotating: bool = False

    @property
    def rotates(self) -> bool:
        """Whether the open intent replaces the key that there is."""
        return self.rotating and self.has_key


LEFT = st.builds(
    Left,
    has_key=st.booleans(),
    intent_age=st.sampled_from([None, timedelta(0), MINUTE, 5 * MINUTE, HOUR, 11 * HOUR + SECOND, 13 * HOUR]),
    posted=st.booleans(),
    in_secret=st.booleans(),
    holder=st.sampled_from([HOLDER, OTHER_HOLDER]),
    old_keys=st.lists(st.sampled_from([-HOUR, timedelta(0), HOUR]), max_size=3).map(tuple),
    orphans=st.lists(st.sampled_from([MINUTE, 30 * MINUTE, DAY]), max_size=3).map(tuple),
    damage=st.sampled_from([None, None, "deleted", "altered", "stripped"]),
    edit=EDITS.map(lambda edit: tuple(edit.items())),
    asked=st.booleans(),
    deletion=st.sampled_from([None, None, "Revoke", "Orphan"]),
    rotating=st.booleans(),
)


def world_of(left: Left) -> IdealWorld:
    """The old keys are 1–3, the orphans 4–6, the current key 7, the intent's 8."""
    world = IdealWorld(a_key())
    status = SaperlyKeyStatus(installation=INSTALLATION, serial=7)
    for serial, offset in enumerate(left.old_keys, start=1):
        world.rows[f"key-{serial}"] = a_row(serial, created_at=NOW - 2 * DAY)
        status = status.changed(retiring=(*status.retiring, a_retiring(serial, revoke_after=NOW + offset)))
    for serial, age in enumerate(left.orphans, start=4):
        world.rows[f"key-{serial}"] = a_row(serial, created_at=NOW - age)
    if left.has_key:
        world.rows["key-7"] = a_row(7, created_at=NOW - DAY)
        put(world, "key-7")
        kept = KEPT.changed(fingerprint=fingerprint_of("key-7"))
        status = status.changed(current=a_ref(7), secret=kept, rotation=RotationStatus(last_rotated_at=NOW - DAY))
    if left.intent_age is not None:
        status = status.changed(serial=8, intent=open_intent(world, left, left.intent_age))
    damage(world, left.damage)
    world.key = object_of(left, status)
    world.sweep()
    return world


def open_intent(world: IdealWorld, left: Left, age: timedelta) -> object:
    changes: dict[str, Any] = (
        {"operation": Operation.ROTATE, "rotates": "key-7", "request": ""} if left.rotates else {}
    )
    intent = an_intent(8, started_at=NOW - age, holder=left.holder, **changes)
    if left.posted:
        world.now = NOW - age
        row = world.mint(intent)
        world.now = NOW
        if left.in_secret:
            put(world, row.id)
    return intent


def put(world: IdealWorld, key_id: str) -> None:
    world.places["support", "SAPERLY_API_KEY"] = key_id
    world.records["support"] = key_id


def damage(world: IdealWorld, kind: str | None) -> None:
    if kind == "altered":
        world.places = dict.fromkeys(world.places, "somebody's own text")
    elif kind is not None:
        world.records.clear()
    if kind == "deleted":
        world.places.clear()


def object_of(left: Left, status: SaperlyKeyStatus) -> SaperlyKey:
    metadata: dict[str, object] = {
        "annotations": {annotations.ROTATE_REQUESTED_AT: "now"} if left.asked else {},
        "deletionTimestamp": NOW if left.deletion else None,
    }
    unrecorded = left.intent_age is not None and left.posted and left.in_secret
    edit = {field: value for field, value in left.edit if field != "secret" or not unrecorded}
    spec = edit | ({"deletionPolicy": left.deletion} if left.deletion else {})
    return a_key(status, metadata, **spec)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(LEFT)
def test_an_object_comes_to_rest_and_every_live_key_of_it_is_accounted_for(left: Left) -> None:
    world = world_of(left)
    last = world.run(STEPS)
    if last.reason == reasons.SECRET_NOT_OWNED:
        assert left.damage == "stripped", "without its record it is not ours any more"
    elif left.deletion is None:
        world.now += 31 * MINUTE  # when the youngest orphan is old enough
        world.sweep()
        world.run(STEPS)
        at_rest(world)
    else:
        deleted(world, left)


def at_rest(world: IdealWorld) -> None:
    status = world.key.status
    assert not world.gone
    for entry in status.retiring:
        put_off = world.memory.not_before.get(f"retire:{entry.id}", world.now)
        assert max(entry.revoke_after, put_off) > world.now, "I3: what is due is revoked"
    assert world.live_ids() <= referenced_ids(status), "I3: nothing live is forgotten"
    assert status.intent is None
    assert not any(map(awaits_rollout, status.retiring)), "every workload rolls out here"
    if world.key.spec.suspend:
        return
    place = (world.key.secret_name, world.key.spec.secret.key)
    assert status.current is not None
    assert recorded(world) == {place: status.current.id}, "I2"
    assert status.current.id in world.live_ids(), "I2"


def deleted(world: IdealWorld, left: Left) -> None:
    assert world.gone
    tagged = {row.id for row in world.rows.values() if row.revoked_at is None and Tag.parse(row.name)}
    assert tagged <= {f"key-{serial}" for serial in (4, 5, 6)}, "the sweep collects orphans"
    if left.deletion == "Revoke":
        assert recorded(world) == {}
    elif world.key.status.serial == 7 and left.has_key and left.damage is None:
        assert set(world.places.values()) == {"key-7"}
        assert "key-7" in world.live_ids()


def recorded(world: IdealWorld) -> dict[tuple[str, str], str]:
    """What is where, apart from Secrets whose record somebody took off: those are not ours any more."""
    return {where: held for where, held in world.places.items() if where[0] in world.records}


@pytest.mark.parametrize(
    ("posted", "in_secret", "mints"),
    [
        pytest.param(False, False, 1, id="before the POST: replayed, one key"),
        pytest.param(True, False, 2, id="after the 201: one lost key, one more mint"),
        pytest.param(True, True, 1, id="after the Secret: recorded"),
    ],
)
def test_i4_a_crash_costs_at_most_one_key_and_one_more_mint(posted: bool, in_secret: bool, mints: int) -> None:
    left = Left(False, MINUTE, posted, in_secret, OTHER_HOLDER, (), (), None, (), False, None)
    world = world_of(left)
    world.run(STEPS)
    world.now += 10 * SECOND
    world.run(STEPS)
    assert len(world.rows) == mints
    assert world.live_ids() == set(world.places.values())
    assert len(world.live_ids()) == 1


def test_a_first_mint_takes_seven_steps_and_a_rest_none() -> None:
    world = IdealWorld(a_key(metadata={"finalizers": []}))
    world.run(STEPS)
    done = [line.split()[2] for line in world.trace]
    assert done == ["AddFinalizer", "Preflight", "StoreIntent", "Mint", "WriteSecret", "Record", "Done"]
    world.trace.clear()
    world.run(1)
    assert world.trace == [f"{NOW:%d %H:%M:%S} Done {reasons.AVAILABLE}"]


def test_the_tag_of_the_key_in_the_secret_is_its_objects_own() -> None:
    world = IdealWorld(a_key())
    world.run(STEPS)
    (row,) = world.rows.values()
    tag = Tag.parse(row.name)
    assert tag is not None
    assert tag.belongs_to(INSTALLATION, OWNER)
