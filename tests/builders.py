"""Valid values of everything that a decision rests on, in which a test states only what differs.

Three objects to start from, each consistent in itself: ``observed()`` was never minted for, ``minting()`` has an open
intent of this very process, ``delivered()`` is at rest with its first key in its Secret. The ``with_…`` functions and
``changed`` make altered copies.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from saperly_operator.lifecycle import overlap
from saperly_operator.lifecycle.attributes import wanted_attributes
from saperly_operator.lifecycle.naming import Owner, Tag, idempotency_key, vendor_name
from saperly_operator.lifecycle.observed import (
    Freshness,
    Memory,
    Myself,
    Observed,
    ProviderPresent,
    SecretAbsent,
    SecretOwned,
    ServiceKeyUsable,
)
from saperly_operator.lifecycle.references import minted_ref, retiring
from saperly_operator.lifecycle.sweep_view import SweepView
from saperly_operator.lifecycle.workloads import Workload, WorkloadLook, WorkloadState
from saperly_operator.resources import annotations, reasons
from saperly_operator.resources.base import ApiModel
from saperly_operator.resources.provider import ProviderSpec
from saperly_operator.resources.saperly_key import SaperlyKey
from saperly_operator.resources.saperly_key_status import (
    Intent,
    KeyRef,
    Operation,
    RestartStatus,
    RetiringKey,
    RotationStatus,
    SaperlyKeyStatus,
    SecretStatus,
)
from saperly_operator.resources.secret_record import SecretRecord
from saperly_operator.resources.workload import RestartMark, WorkloadRef
from saperly_operator.saperly.models import ChildKey, Environment

NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

INSTALLATION = "installation-1"
OTHER_INSTALLATION = "installation-2"
HOLDER = "operator-1"
OTHER_HOLDER = "operator-0"
OWNER = Owner("agents", "support")
PROVIDER = "ClusterSaperlyProvider/default"
ENTRY = "main"
MATERIAL = "0123456789abcdef"
UID = "uid-1"
FINGERPRINT = "fedcba9876543210"
KEPT = SecretStatus(name=OWNER.name, key="SAPERLY_API_KEY", fingerprint=FINGERPRINT)
"""Where the default object's plaintext is, once it was delivered."""
STARTED = NOW - DAY
"""When this process began: long ago, so that nothing waits for another process to settle."""

Value = TypeVar("Value")


def changed(base: Value, **changes: Any) -> Value:
    """A copy of a model or of a frozen dataclass with these attributes replaced."""
    if isinstance(base, ApiModel):
        return base.changed(**changes)
    return replace(base, **changes)  # type: ignore[type-var]


# --- resources -------------------------------------------------------------------------------------------------------


def a_key(status: SaperlyKeyStatus | None = None, metadata: dict[str, Any] | None = None, **spec: Any) -> SaperlyKey:
    """A SaperlyKey as the API returns it, finalizer included; ``spec`` and ``metadata`` in the API's spelling."""
    return SaperlyKey.from_api(
        {
            "metadata": {
                "name": OWNER.name,
                "namespace": OWNER.namespace,
                "uid": UID,
                "generation": 1,
                "resourceVersion": "100",
                "creationTimestamp": "2026-11-01T00:00:00Z",
                "finalizers": [annotations.FINALIZER],
                **(metadata or {}),
            },
            "spec": spec,
            "status": (status or SaperlyKeyStatus()).to_api(),
        }
    )


def a_provider(**spec: Any) -> ProviderSpec:
    """A provider's spec for the test environment, with one service key and no policy."""
    entry = {"name": ENTRY, "secretRef": {"name": "saperly-service-key"}}
    return ProviderSpec.from_api({"environment": "test", "serviceKeys": [entry], **spec})


def an_intent(serial: int = 1, *, key: SaperlyKey | None = None, **changes: Any) -> Intent:
    """The intent of this process to mint for ``key`` (the default object), stored just now."""
    started_at = changes.get("started_at", NOW)
    attributes = wanted_attributes(key or a_key(), a_provider(), INSTALLATION, serial)
    return Intent(
        operation=Operation.MINT,
        serial=serial,
        started_at=started_at,
        idempotency_key=idempotency_key(INSTALLATION, OWNER, serial, started_at),
        request=attributes.mint_body("test"),
        service_key=ENTRY,
        provider=PROVIDER,
        material=MATERIAL,
        holder=HOLDER,
        trigger=reasons.FIRST_SYNC,
    ).changed(**changes)


def a_row(serial: int = 1, **changes: Any) -> ChildKey:
    """The vendor's row of a live, unused key that this installation minted for the default object just now."""
    fields = {
        "id": f"key-{serial}",
        "key_prefix": f"sk_test_{serial}",
        "environment": Environment.TEST,
        "name": vendor_name(str(OWNER), Tag.of(INSTALLATION, OWNER, serial)),
        "permissions": "call_only",
        "created_at": NOW,
        "created_by_service_key_id": "svc-1",
    }
    return ChildKey.model_validate(fields | changes)


def a_ref(serial: int = 1, *, key: SaperlyKey | None = None, **changes: Any) -> KeyRef:
    """The reference to the key that ``an_intent(serial)`` minted, with the attributes that ``key`` wants."""
    row = a_row(serial, created_at=changes.pop("minted_at", NOW - DAY))
    return minted_ref(row, an_intent(serial, key=key), None).changed(**changes)


def a_retiring(serial: int = 1, **changes: Any) -> RetiringKey:
    """A key that was replaced by schedule and is due now; or within the hour of its overlap, by ``revoke_after``."""
    reason, due = changes.pop("reason", reasons.ROTATION_SCHEDULED), changes.pop("revoke_after", NOW)
    entry = retiring(a_ref(serial, **changes), reason, due)
    if due <= NOW or reason != reasons.ROTATION_SCHEDULED:
        return entry
    return entry.changed(replaced_at=due - HOUR, overlap_started_at=due - HOUR)


def a_record(serial: int = 1, **changes: Any) -> SecretRecord:
    """What the Secret says of the key that it holds."""
    ref = a_ref(serial)
    return replace(SecretRecord(ref.id, ref.prefix, serial, INSTALLATION, str(OWNER), ref.minted_at), **changes)


def a_delivered_status(serial: int = 1, *, key: SaperlyKey | None = None, **changes: Any) -> SaperlyKeyStatus:
    """All is as asked: one key, in its Secret."""
    wanted = key or a_key()
    return SaperlyKeyStatus(
        installation=INSTALLATION,
        serial=serial,
        current=a_ref(serial, key=key),
        secret=KEPT.changed(name=wanted.secret_name, key=wanted.spec.secret.key),
        rotation=RotationStatus(last_rotated_at=NOW - DAY),
    ).changed(**changes)


# --- observations ----------------------------------------------------------------------------------------------------


def myself(**changes: Any) -> Myself:
    """This process, up for a day."""
    return replace(Myself(HOLDER, STARTED, INSTALLATION), **changes)


def a_secret(serial: int = 1, **changes: Any) -> SecretOwned:
    """This object's Secret with the key of ``serial`` in it, as ``a_delivered_status`` knows it."""
    return replace(SecretOwned(a_record(serial), FINGERPRINT, metadata_in_sync=True), **changes)


def a_provider_state(**changes: Any) -> ProviderPresent:
    """A provider that admits this namespace."""
    return replace(ProviderPresent(PROVIDER, a_provider(), 1, admits=True), **changes)


def a_service_key(**changes: Any) -> ServiceKeyUsable:
    """A service key behind open gates."""
    return replace(ServiceKeyUsable("sk_svc_test_", MATERIAL), **changes)


def a_sweep(*rows: ChildKey, begun_at: datetime = NOW, server_time: datetime = NOW) -> dict[Any, SweepView]:
    """What the last list of the default service key showed of this object."""
    return {(PROVIDER, ENTRY): SweepView(begun_at, server_time, rows)}


AGENT = WorkloadRef.model_validate({"kind": "Deployment", "name": "agent"})
"""The workload that ``restarting`` restarts."""


def a_workload(serial: int | None = 2, **changes: Any) -> Workload:
    """A workload of one pod that was restarted for the key of ``serial`` of the default object, and runs with it."""
    mark = None if serial is None else RestartMark.of(UID, serial)
    return replace(Workload("uid-w", "7", mark, 2, 2, wanted=1, existing=1, updated=1, available=1), **changes)


def a_look(state: WorkloadState, at: datetime = NOW, *, is_overdue: bool = False) -> WorkloadLook:
    """What this process saw of a workload."""
    return WorkloadLook(at, state, is_overdue=is_overdue)


def observed(key: SaperlyKey | None = None, **changes: Any) -> Observed:
    """A cached look at an object that was never minted for (or at ``key``): no Secret, provider and key usable."""
    look = Observed(
        key=key or a_key(),
        freshness=Freshness.CACHED,
        myself=myself(),
        secret=SecretAbsent(),
        provider=a_provider_state(),
        service_keys={(PROVIDER, ENTRY): a_service_key()},
    )
    return replace(look, **changes)


def minting(serial: int = 1, **changes: Any) -> Observed:
    """A cached look at an object whose first key is being minted by this very process."""
    intent = an_intent(serial)
    status = SaperlyKeyStatus(
        installation=INSTALLATION, serial=serial, intent=intent, recent_intents=(intent.started_at,)
    )
    return observed(a_key(status), **changes)


def delivered(key: SaperlyKey | None = None, **changes: Any) -> Observed:
    """A cached look at an object at rest: ``key``'s spec and metadata, its first key in its Secret."""
    base = key or a_key()
    return observed(base.changed(status=a_delivered_status(key=base)), **{"secret": a_secret(), **changes})


def restarting(look: WorkloadLook | None = None, *, since: datetime = NOW - MINUTE, **spec: Any) -> Observed:
    """A cached look at an object whose second key was delivered at ``since``: the first waits for the rollout of
    ``AGENT``, at which this process looked last as ``look`` says."""
    base = a_key(**{"restart": [AGENT.to_api()], **spec})
    old = overlap.replaced(a_ref(1), reasons.ROTATION_SCHEDULED, since, base.spec)
    restarted = RestartStatus(serial=2, started_at=since)
    status = a_delivered_status(2, key=base, retiring=(old,), restarted=restarted)
    rotation = RotationStatus(last_rotated_at=since)
    memory = Memory(workloads={AGENT: look} if look is not None else {})
    return observed(base.changed(status=status.changed(rotation=rotation)), secret=a_secret(2), memory=memory)


def live(base: Observed) -> Observed:
    """The same, read from the API server a moment ago."""
    return replace(base, freshness=Freshness.LIVE)


def with_status(base: Observed, **changes: Any) -> Observed:
    """The same object with this in its status."""
    return replace(base, key=base.key.changed(status=base.key.status.changed(**changes)))


def with_intent(base: Observed, **changes: Any) -> Observed:
    """The same with its open intent changed."""
    intent = base.key.status.intent
    assert intent is not None
    return with_status(base, intent=intent.changed(**changes))


def with_spec(base: Observed, **changes: Any) -> Observed:
    """The same object after an edit of its spec, in the API's spelling; merged one level deep."""
    spec = base.key.spec.to_api() | changes
    metadata = base.key.metadata
    edited = metadata.changed(generation=metadata.generation + 1)
    return replace(base, key=SaperlyKey.model_validate({**dict(base.key), "metadata": edited, "spec": spec}))


def with_metadata(base: Observed, **changes: Any) -> Observed:
    """The same object with this in its metadata."""
    return replace(base, key=base.key.changed(metadata=base.key.metadata.changed(**changes)))


def with_memory(base: Observed, **changes: Any) -> Observed:
    """The same as seen by a process that remembers this."""
    return replace(base, memory=replace(base.memory, **changes))


def being_deleted(base: Observed, *, since: datetime = NOW - HOUR, force: bool = False) -> Observed:
    """The same object with a deletion timestamp."""
    marks = {annotations.FORCE_DELETE: "true"} if force else {}
    return with_metadata(base, deletion_timestamp=since, annotations={**base.key.metadata.annotations, **marks})
