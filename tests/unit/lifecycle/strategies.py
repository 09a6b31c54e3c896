"""Observations of every kind, drawn by Hypothesis: whatever a status that the operator wrote, a Secret that anybody
wrote, and a process's memory can look like together."""

from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from saperly_operator.lifecycle.observed import (
    Freshness,
    GateClosed,
    HeldKey,
    Memory,
    Observed,
    PreflightPassed,
    PreflightRefused,
    ProviderAbsent,
    RedactedKey,
    SecretAbsent,
    SecretForeign,
    ServiceKeyUnusable,
)
from saperly_operator.lifecycle.sweep_view import SweepView
from saperly_operator.lifecycle.workloads import WorkloadAbsent, WorkloadRefused
from saperly_operator.resources import annotations, reasons
from saperly_operator.resources.findings import Drift, RevokedOutside, UnownedKey
from saperly_operator.resources.saperly_key_status import (
    FailedRotation,
    Failure,
    Operation,
    RestartStatus,
    RetiringKey,
    RotationStatus,
    SaperlyKeyStatus,
)
from saperly_operator.saperly.models import ChildKey
from tests.builders import (
    AGENT,
    DAY,
    ENTRY,
    HOLDER,
    HOUR,
    INSTALLATION,
    KEPT,
    MATERIAL,
    MINUTE,
    NOW,
    OTHER_HOLDER,
    OTHER_INSTALLATION,
    PROVIDER,
    SECOND,
    a_key,
    a_look,
    a_provider,
    a_provider_state,
    a_record,
    a_ref,
    a_retiring,
    a_row,
    a_secret,
    a_service_key,
    a_sweep,
    a_workload,
    an_intent,
    changed,
    myself,
    observed,
)

OFFSETS = st.sampled_from(
    [
        -DAY,
        -11 * HOUR - SECOND,
        -11 * HOUR,
        -HOUR,
        -5 * MINUTE,
        -2 * MINUTE,
        -SECOND,
        timedelta(0),
        SECOND,
        10 * MINUTE,
        10 * MINUTE + SECOND,
        HOUR,
    ]
)
MOMENTS = OFFSETS.map(lambda offset: NOW + offset)
CODES = st.sampled_from([reasons.OUTCOME_UNKNOWN, reasons.SAPERLY_UNREACHABLE, reasons.LINE_NOT_FOUND])

FAILURES = st.builds(
    lambda code, count, at, generation: Failure(
        code=code, count=count, retry_at=at, generation=generation, provider_generation=1
    ),
    CODES,
    st.integers(1, 4),
    MOMENTS,
    st.sampled_from([0, 1]),
)
GATES = st.none() | st.builds(
    lambda until, person: GateClosed(until, reasons.WAITING_FOR_BUDGET, "It is shut.", person), MOMENTS, st.booleans()
)


ROTATIONS = st.builds(
    lambda at, schedule, since, handled, failed: RotationStatus(
        last_rotated_at=at, schedule=schedule, schedule_since=since, last_handled_request=handled, failed=failed
    ),
    MOMENTS,
    st.sampled_from([None, "1h", "0 3 * * 1", "often"]),
    st.none() | MOMENTS,
    st.sampled_from([None, "true"]),
    st.sampled_from([None, None, FailedRotation(id="key-4", dead=True), FailedRotation(id="key-4", dead=False)]),
)


@st.composite
def entries(draw: st.DrawFn, serial: int, at: datetime, reason: str) -> RetiringKey:
    """An old key that was never in use, or waits for a rollout, or is in its overlap."""
    entry = a_retiring(serial, revoke_after=at, reason=reason)
    if reason == reasons.PLAINTEXT_LOST or draw(st.booleans()):
        return entry
    return entry.changed(
        replaced_at=at,
        overlap_started_at=draw(st.none() | st.just(at)),
        last_used_at=draw(st.none() | MOMENTS),
        fingerprint="old",
        previous_key=draw(st.sampled_from([None, None, "OLD"])),
        withdrawn_at=draw(st.none() | st.just(at)),
    )


@st.composite
def statuses(draw: st.DrawFn) -> SaperlyKeyStatus:
    """A status as the operator writes it: ids once, the serials of retiring < current < intent."""
    retiring = draw(st.lists(st.tuples(st.integers(1, 3), MOMENTS), max_size=3, unique_by=lambda pair: pair[0]))
    has_key = draw(st.booleans())
    intent = draw(st.none() | st.tuples(MOMENTS, st.booleans(), st.booleans()))
    changes: dict[str, Any] = {}
    if intent is not None:
        started_at, ours, same_material = intent
        rotates: dict[str, Any] = {"operation": Operation.ROTATE, "rotates": "key-4", "request": ""}
        changes["intent"] = an_intent(
            5,
            started_at=started_at,
            holder=HOLDER if ours else OTHER_HOLDER,
            material=MATERIAL if same_material else "another",
            **(rotates if has_key and draw(st.booleans()) else {}),
        )
    if has_key and draw(st.booleans()):
        changes |= {"revoked": RevokedOutside(id=draw(st.sampled_from(["key-4", "key-3"])), revoked_at=NOW - HOUR)}
    if has_key:
        changes |= {"current": a_ref(4), "secret": draw(st.sampled_from([KEPT, KEPT.changed(name="before")]))}
    reasons_to_retire = st.sampled_from([reasons.ROTATION_SCHEDULED, reasons.PLAINTEXT_LOST])
    changes["restarted"] = draw(st.none() | st.builds(lambda at: RestartStatus(serial=4, started_at=at), MOMENTS))
    return SaperlyKeyStatus(
        installation=draw(st.sampled_from([INSTALLATION, INSTALLATION, INSTALLATION, None, OTHER_INSTALLATION])),
        serial=draw(st.sampled_from([None, 5, 9])) if intent is None else 5,
        retiring=tuple(draw(entries(n, at, draw(reasons_to_retire))) for n, at in retiring),
        rotation=draw(st.none() | ROTATIONS),
        failure=draw(st.none() | FAILURES),
        recent_intents=tuple(sorted(draw(st.lists(MOMENTS, max_size=3)))),
        reminted_at=draw(st.none() | MOMENTS),
        drift=draw(st.sampled_from([(), (Drift(id="key-4", digest="d", count=3, last_at=NOW - HOUR),)])),
        unowned=draw(st.sampled_from([(), (UnownedKey(id="key-9"),)])),
    ).changed(**changes)


SPECS = st.fixed_dictionaries(
    {"suspend": st.booleans(), "deletionPolicy": st.sampled_from(["Revoke", "Orphan"])},
    optional={
        "monthlyCapCents": st.just(5),
        "secret": st.sampled_from([{"key": "TOKEN"}, {"name": "renamed"}, {"previousKey": "OLD"}]),
        "rotation": st.sampled_from(
            [
                {"schedule": "1h"},
                {"schedule": "0 3 * * 1"},
                {"schedule": "often"},
                {"schedule": "@hourly", "overlap": "1d"},
                {"overlap": "0s", "maxOverlap": "5m", "requireIdle": True},
                {"schedule": "1h", "strategy": "Atomic"},
            ]
        ),
        "restart": st.just([AGENT.to_api()]),
    },
)
MARKS = st.dictionaries(
    st.sampled_from([annotations.ROTATE_REQUESTED_AT, annotations.FORCE_DELETE, annotations.ROTATION_SCHEDULE]),
    st.just("true"),
    max_size=2,
)
METADATA = st.builds(
    lambda deleted, held, marks: {
        "deletionTimestamp": deleted,
        "finalizers": [annotations.FINALIZER] if held else [],
        "annotations": marks,
    },
    st.none() | MOMENTS.map(lambda at: min(at, NOW)),
    st.sampled_from([True, True, True, False]),
    MARKS,
)
SECRETS = st.sampled_from(
    [
        SecretAbsent(),
        SecretForeign(None),
        a_secret(4),
        a_secret(5),
        a_secret(4, fingerprint="altered"),
        a_secret(4, record=None, metadata_in_sync=False),
        a_secret(5, record=a_record(20), intact=False),
        a_secret(4, immutable=True),
        a_secret(4, previous={"OLD": "old"}),
        a_secret(5, previous={"OLD": "another"}),
        a_secret(4, fingerprint=None),
    ]
)
PROVIDERS = st.sampled_from(
    [
        a_provider_state(),
        a_provider_state(),
        a_provider_state(spec=a_provider(policy={"requireLine": True})),
        a_provider_state(admits=False),
        a_provider_state(ref="ClusterSaperlyProvider/other"),
        ProviderAbsent(),
    ]
)
SERVICE_KEYS = st.one_of(
    st.builds(lambda mint, manage: a_service_key(mint=mint, manage=manage), GATES, GATES),
    st.just(ServiceKeyUnusable("ServiceKeyMalformed", "It is none.")),
)
ROWS = st.lists(
    st.builds(
        lambda n, at, used, cap: a_row(
            n, created_at=at, last_used_at=at if used else None, permissions="full" if cap else "call_only"
        ),
        st.integers(1, 12),
        MOMENTS,
        st.booleans(),
        st.booleans(),
    ),
    max_size=3,
    unique_by=lambda row: row.id,
)
TWIN = "SaperlyProvider/twin"
"""Another provider with the same service key: its list shows the same rows."""


def sweeps_of(
    rows: list[ChildKey], at: datetime, absent: frozenset[str], *, twin: bool, proven: bool
) -> dict[Any, SweepView]:
    (view,) = a_sweep(*rows, begun_at=at).values()
    swept = {(PROVIDER, ENTRY): changed(view, absent=absent - {row.id for row in rows}, is_proven=proven)}
    return swept | ({(TWIN, ENTRY): swept[PROVIDER, ENTRY]} if twin else {})


NO_SWEEPS: dict[Any, SweepView] = {}
SWEEPS = st.just(NO_SWEEPS) | st.builds(
    sweeps_of,
    ROWS,
    MOMENTS,
    st.frozensets(st.sampled_from(["key-4", "key-1"])),
    twin=st.booleans(),
    proven=st.booleans(),
)
WORKLOADS = st.sampled_from(
    [
        WorkloadAbsent(),
        WorkloadRefused("403 Forbidden"),
        a_workload(4),
        a_workload(4, available=0),
        a_workload(None),
        a_workload(3),
    ]
)
MEMORIES = st.builds(
    Memory,
    workloads=st.just({}) | st.builds(lambda state, at: {AGENT: a_look(state, min(at, NOW))}, WORKLOADS, MOMENTS),
    held=st.none()
    | st.builds(
        lambda n, since, written: HeldKey(n, a_row(n), since, "Refused." if since else None, written),
        st.sampled_from([5, 6]),
        st.none() | MOMENTS,
        st.none() | st.just(KEPT),
    ),
    redacted=st.none()
    | st.builds(
        lambda at, used, fenced: RedactedKey(5, a_row(5, created_at=at, last_used_at=at if used else None), fenced),
        MOMENTS,
        st.booleans(),
        st.booleans(),
    ),
    preflight=st.none()
    | MOMENTS.map(PreflightPassed)
    | MOMENTS.map(lambda at: PreflightPassed(at, Operation.ROTATE))
    | MOMENTS.map(lambda at: PreflightRefused(at, reasons.QUOTA_EXCEEDED, "Full.")),
    sweeps=SWEEPS,
    not_before=st.dictionaries(
        st.sampled_from(["write", "mint", "update", "look", "retire:key-4", "retire:key-1"]), MOMENTS, max_size=2
    ),
    has_turn=st.booleans(),
)


@st.composite
def observations(draw: st.DrawFn) -> Observed:
    """Any look at any object."""
    key = a_key(draw(statuses()), draw(METADATA), **draw(SPECS))
    kept = key.status.secret
    moved = kept is not None and (kept.name, kept.key) != (key.secret_name, key.spec.secret.key)
    return observed(
        key,
        freshness=draw(st.sampled_from(list(Freshness))),
        myself=myself(
            started_at=min(draw(MOMENTS), NOW), confirmed=draw(st.sampled_from([True, True, True, True, False]))
        ),
        secret=draw(SECRETS),
        former_secret=draw(SECRETS) if moved else None,
        provider=draw(PROVIDERS),
        service_keys=draw(st.just({}) | SERVICE_KEYS.map(lambda state: {(PROVIDER, ENTRY): state})),
        memory=draw(MEMORIES),
        older_claimant=draw(st.sampled_from([None, None, "first"])),
        stray_secrets=draw(st.sampled_from([(), (), ("stray",)])),
    )


@st.composite
def unhindered(draw: st.DrawFn) -> Observed:
    """A look at an object that may be minted for: it is ours and stays, its provider is well, its Secret proven."""
    look = draw(observations())
    status = look.key.status.changed(installation=INSTALLATION, failure=draw(st.none() | FAILURES), retiring=())
    key = look.key.changed(
        status=status,
        metadata=look.key.metadata.changed(deletion_timestamp=None, finalizers=(annotations.FINALIZER,)),
        spec=look.key.spec.changed(suspend=False),
    )
    return changed(
        look,
        key=key,
        provider=a_provider_state(),
        service_keys={(PROVIDER, ENTRY): a_service_key()},
        older_claimant=None,
        myself=changed(look.myself, confirmed=True),
        memory=changed(
            look.memory,
            preflight=PreflightPassed(NOW, draw(st.sampled_from(Operation))),
            redacted=None,
            held=None,
            not_before={},
        ),
    )
