"""The status of a ``SaperlyKey``: the operator's whole memory of one key.

Written by the operator alone, through the status subresource, so what it says of ids is trusted. A value here
outlives every process; whatever a restart must not forget is a field of this module.
"""

from enum import StrEnum
from typing import Annotated, Final, NamedTuple

from pydantic import Field

from saperly_operator.resources.base import ApiModel, Conditions, ListMap, ListSet, Timestamp
from saperly_operator.resources.fields import KeyId, Sentence, ShortText, ShownPrefix
from saperly_operator.resources.findings import Drift, Redelivery, RevokedOutside, UnownedKey


class KeyAttribute(StrEnum):
    """The attributes of a key that may be left unmanaged."""

    AGENT_LABEL = "agentLabel"
    LINE_ID = "lineId"
    MONTHLY_CAP_CENTS = "monthlyCapCents"


RECENT_INTENTS: Final = 3
"""So many moments of mints are remembered, and no more mints can be allowed in an hour."""

CLAIMS: Final = 16
"""So many values that were perhaps set are remembered of one key."""

ClaimedValue = Annotated[str, Field(min_length=1, max_length=64)]
Serial = Annotated[int, Field(ge=0, le=2**53 - 1)]
WorkloadName = Annotated[str, Field(min_length=1, max_length=300)]


class KeyRef(ApiModel):
    """A key at Saperly that this object owns."""

    id: KeyId
    """The key's id at Saperly."""
    prefix: ShownPrefix = ""
    """The first characters of the key, as the Saperly portal shows them."""
    serial: Serial
    """The serial under which it was minted; it is in the key's name at Saperly."""
    provider: Annotated[str, Field(max_length=300)]
    """The provider that minted it, as Kind/name."""
    service_key: Annotated[str, Field(max_length=63)]
    """The entry of the provider's serviceKeys that minted it."""
    created_by: Annotated[str, Field(max_length=253)] | None = None
    """The id at Saperly of the service key that minted it; no other service key can see or revoke it."""
    minted_at: Timestamp
    """When it was minted, by Saperly's clock."""
    attributes_hash: Annotated[str, Field(max_length=64)] = ""
    """A hash of the attributes that were last sent for it; another one means that they must be sent again."""
    managed_attributes: Annotated[tuple[KeyAttribute, ...], Field(max_length=8), ListSet()] = ()
    """The optional attributes that this object has set on it; one removed from the spec is cleared at Saperly."""
    claimed_values: Annotated[tuple[ClaimedValue, ...], Field(max_length=CLAIMS), ListSet()] = ()
    """Short hashes of values that were about to be set for the first time, while Saperly has not confirmed that: one that
    is removed from the spec before it does is cleared only where Saperly shows such a value."""
    rotated_from: KeyId | None = None
    """The id of the key that it replaced in one step at Saperly (strategy Atomic)."""
    hidden_since: Timestamp | None = None
    """Since when Saperly does not show it to its service key; nothing can be said of it or done to it meanwhile."""


class RetiringKey(KeyRef):
    """A key that is no longer the one in the Secret and will be revoked."""

    reason: Annotated[str, Field(min_length=1, max_length=64)]
    """Why it goes, as one CamelCase word."""
    revoke_after: Timestamp
    """It is not revoked before this time."""
    waiting_for: Sentence | None = None
    """What its revocation waits for, if it waits for anything but that time."""
    replaced_at: Timestamp | None = None
    """When another key took its place in the Secret. Absent for a key that never was in use."""
    overlap_started_at: Timestamp | None = None
    """When everything that was awaited ran with the new key: its overlap counts from then. Absent before that."""
    last_used_at: Timestamp | None = None
    """When Saperly last saw it used, where its revocation was put off because of that."""
    fingerprint: Annotated[str, Field(max_length=64)] | None = None
    """A short hash of this object's uid and its plaintext, by which the plaintext is found in the Secret."""
    previous_key: Annotated[str, Field(max_length=253)] | None = None
    """The key within the Secret's data that still holds its plaintext."""
    withdrawn_at: Timestamp | None = None
    """When its plaintext was seen to be out of the Secret again; it is revoked no sooner than 2 minutes later."""


class RestartStatus(ApiModel):
    """The restarts of workloads that followed the last replacement of the key."""

    serial: Serial
    """The serial of the key that the workloads are restarted for."""
    started_at: Timestamp
    """When that key was in the Secret, and the restarts could begin."""
    workloads: Annotated[tuple[WorkloadName, ...], Field(max_length=16), ListSet()] = ()
    """The workloads that were restarted for it, as Kind/name: none is restarted twice."""
    finished_at: Timestamp | None = None
    """When the last of their rollouts was seen to be finished. Absent while one is awaited."""
    given_up_at: Timestamp | None = None
    """When spec.rotation.maxOverlap had passed without that; nothing is awaited any more."""


class Operation(StrEnum):
    """What an intent is about to ask of Saperly."""

    MINT = "Mint"
    ROTATE = "Rotate"


class Intent(ApiModel):
    """A request to Saperly that may have been sent; stored before it is, and replayed byte for byte after a crash."""

    version: Annotated[int, Field(ge=1, le=1000)] = 1
    """The version of this record's meaning."""
    operation: Operation
    """What is asked: Mint (a new key) or Rotate (a key in the place of another, which dies)."""
    rotates: KeyId | None = None
    """The id of the key that is to be replaced: Rotate only."""
    serial: Serial
    """The serial of the key asked for."""
    started_at: Timestamp
    """When the intent was stored."""
    idempotency_key: Annotated[str, Field(min_length=1, max_length=255)]
    """The Idempotency-Key of the request."""
    request: Annotated[str, Field(max_length=4096)]
    """The body of the request, as it is sent; Rotate has none."""
    service_key: Annotated[str, Field(max_length=63)]
    """The entry of the provider's serviceKeys that the request is pinned to."""
    provider: Annotated[str, Field(max_length=300)]
    """The provider that the request is pinned to, as Kind/name."""
    material: Annotated[str, Field(max_length=64)] = ""
    """A short hash of that service key: the request is never repeated with another one."""
    holder: Annotated[str, Field(min_length=1, max_length=253)]
    """The operator process that may send the request."""
    trigger: Annotated[str, Field(min_length=1, max_length=64)]
    """What caused it, as one CamelCase word."""
    rotate_request: Annotated[str, Field(max_length=1024)] | None = None
    """The value of the annotation saperly.com/rotate-requested-at that is answered once the key is delivered."""


class SecretStatus(ApiModel):
    """The Secret as it was last written."""

    name: ShortText
    """The Secret's name."""
    key: ShortText
    """The key within its data."""
    fingerprint: Annotated[str, Field(max_length=64)]
    """A short hash of this object's uid and the plaintext: tells whether the data was altered, reveals nothing."""


class FailedRotation(ApiModel):
    """A key that was to be replaced in one step at Saperly and was not: a newly minted key takes its place instead."""

    id: KeyId
    """The key's id."""
    dead: bool
    """True: it was replaced (or may have been, by a service key that is gone since), but its successor's plaintext was
    lost, so that the Secret holds a dead key until another is minted. False: Saperly did not replace it."""


class LostSuccessor(ApiModel):
    """A key that took another's place at Saperly in one step, and whose id nobody learned: it is found, and revoked."""

    replaced: KeyId
    """The id of the key whose place it took, by which Saperly's list tells it."""
    provider: Annotated[str, Field(max_length=300)]
    """The provider of both, as Kind/name."""
    service_key: Annotated[str, Field(max_length=63)]
    """The entry of the provider's serviceKeys that made both."""
    material: Annotated[str, Field(max_length=64)] = ""
    """A short hash of that service key: the list of another one does not show it."""
    since: Timestamp
    """A list of keys begun after this time shows it."""


class RotationStatus(ApiModel):
    """What is known of rotations."""

    last_rotated_at: Timestamp | None = None
    """When the current key replaced the one before it; the first mint counts."""
    next_rotation_at: Timestamp | None = None
    """When the schedule replaces the key next, jitter included. A time in the past: that is overdue, and the condition
    RotationOverdue says what it waits for."""
    last_handled_request: Annotated[str, Field(max_length=1024)] | None = None
    """The last value of the annotation saperly.com/rotate-requested-at that was answered."""
    schedule: Annotated[str, Field(max_length=128)] | None = None
    """The schedule in force: the last one asked for that could be followed."""
    schedule_since: Timestamp | None = None
    """When that schedule was first seen; moments of a cron expression before this time do not count."""
    failed: FailedRotation | None = None
    """The rotation in one step that is being made up for by a mint, if one is."""
    lost: Annotated[tuple[LostSuccessor, ...], Field(max_length=8), ListMap(keys=("replaced",))] = ()
    """Keys that nobody knows and that Saperly's list will show."""


class Failure(ApiModel):
    """The failure that is being backed off from; kept here so that a restart does not start over."""

    code: Annotated[str, Field(min_length=1, max_length=128)]
    """What failed, as one CamelCase word: the reason that the conditions show."""
    count: Annotated[int, Field(ge=1, le=2**31 - 1)]
    """How often in a row."""
    retry_at: Timestamp
    """When it is tried again by itself."""
    generation: Annotated[int, Field(ge=0)] | None = None
    """The metadata.generation that failed; a change of the spec is tried at once."""
    provider_generation: Annotated[int, Field(ge=0)] | None = None
    """The provider's metadata.generation at that time; a change of the provider is tried at once."""
    provider_uid: Annotated[str, Field(max_length=64)] | None = None
    """The provider's uid at that time; one that was deleted and made anew is tried at once."""
    material: Annotated[str, Field(max_length=64)] | None = None
    """A short hash of the service key at that time; another one is tried at once."""
    message: Sentence | None = None
    """What to do about it, as a sentence."""

    def applies_to(self, bound: "Bound") -> bool:
        """Whether neither the spec, nor the provider, nor its service key changed since."""
        return Bound(self.generation, self.provider_generation, self.provider_uid, self.material) == bound


class Bound(NamedTuple):
    """What a failure is bound to, under the names of its fields: where one differs, it is tried again at once."""

    generation: int | None
    provider_generation: int | None = None
    provider_uid: str | None = None
    material: str | None = None


class SaperlyKeyStatus(ApiModel):
    """What the operator knows of the key. Only the operator writes it."""

    observed_generation: Annotated[int, Field(ge=-1)] = -1
    """The metadata.generation that the operator last acted on; -1 before it first saw the object."""
    conditions: Conditions = ()
    """Ready, KeyActive, SecretSynced; and, present only while true, Reconciling, Stalled, RotationOverdue,
    ScheduleRefused, KeyNotVisible, AttributesContested and InUseOrphan."""
    installation: Annotated[str, Field(max_length=64)] | None = None
    """The installation of the operator that this object belongs to; another one leaves it alone."""
    serial: Serial | None = None
    """The highest serial used so far. It only ever rises."""
    current: KeyRef | None = None
    """The key in the Secret."""
    retiring: Annotated[tuple[RetiringKey, ...], Field(max_length=64), ListMap(keys=("id",))] = ()
    """Keys on their way to being revoked."""
    intent: Intent | None = None
    """The request to Saperly that is under way, if one is."""
    secret: SecretStatus | None = None
    """The Secret as it was last written."""
    restarted: RestartStatus | None = None
    """The restarts of workloads that followed the last replacement of the key."""
    rotation: RotationStatus | None = None
    """The last and the next rotation."""
    failure: Failure | None = None
    """The failure that is being backed off from, if there is one."""
    recent_intents: Annotated[tuple[Timestamp, ...], Field(max_length=RECENT_INTENTS)] = ()
    """When the mints of the last hour were begun: no object begins more than three in an hour."""
    revoked: RevokedOutside | None = None
    """The current key, when somebody else has revoked it and no other has taken its place yet."""
    reminted_at: Timestamp | None = None
    """When a key was last delivered in place of one that somebody else revoked; that is so at most once in 24 hours."""
    redelivered: Redelivery | None = None
    """How often a key was delivered because somebody else had changed or deleted what the Secret held."""
    drift: Annotated[tuple[Drift, ...], Field(max_length=64), ListMap(keys=("id",))] = ()
    """Keys whose attributes somebody else changed at Saperly, and how often that was put right."""
    unowned: Annotated[tuple[UnownedKey, ...], Field(max_length=32), ListMap(keys=("id",))] = ()
    """Keys at Saperly with this object's tag that are in use although nothing here refers to them."""
