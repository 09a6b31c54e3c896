"""``SaperlyKey``: one child key at Saperly, delivered into one Secret.

Read by every room above; the schema in ``crds/`` is generated from it. Frozen; ``changed`` makes altered copies.
"""

import hashlib
from enum import StrEnum
from typing import Annotated, ClassVar, Self

from pydantic import Field

from saperly_operator.resources import annotations
from saperly_operator.resources.base import ApiModel, ListMap, MapLimits, Metadata, Rule
from saperly_operator.resources.definition import Column, Definition, Scope
from saperly_operator.resources.fields import (
    AgentLabel,
    CapCents,
    DisplayName,
    Duration,
    LineId,
    ObjectName,
    Permissions,
    Schedule,
    SecretDataKey,
    SecretMetadataRules,
)
from saperly_operator.resources.saperly_key_status import SaperlyKeyStatus
from saperly_operator.resources.workload import WorkloadRef

_LONGEST_TOKEN = 1024


class ProviderKind(StrEnum):
    """The two kinds of provider."""

    CLUSTER = "ClusterSaperlyProvider"
    NAMESPACED = "SaperlyProvider"


class ProviderRef(ApiModel):
    """Names the provider whose service key mints this key."""

    kind: ProviderKind = ProviderKind.CLUSTER
    """ClusterSaperlyProvider (shared by namespaces that it allows) or SaperlyProvider (in this namespace)."""
    name: ObjectName = "default"
    """The provider's name."""

    def __str__(self) -> str:
        """``ClusterSaperlyProvider/default``: the form that the status records."""
        return f"{self.kind}/{self.name}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the form that ``str`` gives.

        Raises:
            ValueError: the text names no provider.
        """
        kind, _, name = text.partition("/")
        return cls(kind=ProviderKind(kind), name=name)


class SecretType(StrEnum):
    """The types of Secret that may be written. Kubernetes gives meaning to all others."""

    OPAQUE = "Opaque"


class SecretSpec(ApiModel):
    """Where the plaintext is delivered."""

    rules: ClassVar = (
        Rule(
            "!has(self.previousKey) || self.previousKey != self.key",
            "must be another key of the Secret's data than the one in spec.secret.key",
            field_path=".previousKey",
        ),
    )

    name: ObjectName | None = None
    """The Secret's name; the SaperlyKey's own name when left out. Renaming moves the key, it does not mint."""
    key: SecretDataKey = "SAPERLY_API_KEY"
    """The key within the Secret's data that holds the plaintext."""
    previous_key: SecretDataKey | None = None
    """The key within the Secret's data that holds the old plaintext while the old key lives on. The operator writes it
    and takes it away, 2 minutes before the old key is revoked. Left out: the old plaintext is not kept."""
    type: SecretType = SecretType.OPAQUE
    """Always Opaque: every other type of Secret has a meaning to Kubernetes itself."""
    labels: Annotated[dict[str, str], MapLimits(64, 63), *SecretMetadataRules.LABELS] = Field(default_factory=dict)
    """Labels to put on the Secret. Nothing is copied from the SaperlyKey's own labels."""
    annotations: Annotated[dict[str, str], MapLimits(64, 4096), *SecretMetadataRules.ANNOTATIONS] = Field(
        default_factory=dict
    )
    """Annotations to put on the Secret. Nothing is copied from the SaperlyKey's own annotations."""


class RotationStrategy(StrEnum):
    """How the key is replaced when a schedule or a request asks for it."""

    OVERLAP = "Overlap"
    ATOMIC = "Atomic"


class RotationSpec(ApiModel):
    """When the key is replaced by a new one, and how long the old one lives on."""

    strategy: RotationStrategy = RotationStrategy.OVERLAP
    """Overlap mints a new key beside the old one, which lives on for the overlap. Atomic replaces the key at Saperly in
    one step: the old one is dead before the new one is in the Secret, so every user of it fails for a moment. Meant for
    a key that is compromised."""
    schedule: Schedule | None = None
    """When to rotate: a cron expression of five fields in UTC ("0 3 * * 1"; another time zone: "TZ=Europe/Berlin
    0 3 * * 1"), @hourly, @daily, @weekly, @monthly, @yearly, or the age at which a key is replaced (30d). At most once
    an hour. Left out: only on request. The annotation saperly.com/rotation-schedule wins over it."""
    overlap: Duration = "1h"
    """How long the old key lives on after the new one was delivered and every workload of spec.restart runs with it,
    such as 1h, 90m or 7d. A change reaches old keys that are still alive. With the strategy Atomic it says nothing about
    scheduled and requested rotations."""
    max_overlap: Duration = "7d"
    """How long, at the longest, an old key lives on while a workload of spec.restart does not come to run with the new
    one, or while it is in use and requireIdle is set. Then it is revoked all the same. Never shorter than overlap."""
    require_idle: bool = False
    """True also waits until Saperly has seen no use of the old key for as long as overlap: for users of the key that
    nobody restarts. At the longest for maxOverlap."""
    jitter: Duration = "10m"
    """The most by which a scheduled rotation is put off, differently for each object, so that they do not crowd; never
    beyond the schedule's following moment."""


class DeletionPolicy(StrEnum):
    """What becomes of key and Secret when the SaperlyKey goes."""

    REVOKE = "Revoke"
    ORPHAN = "Orphan"


class OnRemoteRevocation(StrEnum):
    """What follows when somebody else revokes the current key."""

    REMINT = "Remint"
    HOLD = "Hold"


class SaperlyKeySpec(ApiModel):
    """The key that is wanted."""

    provider_ref: ProviderRef = Field(default_factory=ProviderRef)
    """The provider whose service key mints this key. By default the ClusterSaperlyProvider named default."""
    display_name: DisplayName | None = None
    """The readable part of the key's name in the Saperly portal; namespace/name when left out."""
    agent_label: AgentLabel | None = None
    """The agent that the key's calls and messages are counted under, in lower case. Left out: not managed."""
    line_id: LineId | None = None
    """The only line that the key may use, as the UUID shown in the Saperly portal. Left out: not managed."""
    permissions: Permissions = Permissions.CALL_ONLY
    """What the key may do: full, call_only, sms_only or read_only."""
    monthly_cap_cents: CapCents | None = None
    """The most that the key may spend in a month, in US cents. Left out: the provider's maximum where it sets one,
    else not managed, and a cap set in the portal stays."""
    secret: SecretSpec = Field(default_factory=SecretSpec)
    """Where the plaintext is delivered."""
    rotation: RotationSpec = Field(default_factory=RotationSpec)
    """When the key is replaced by a new one."""
    restart: Annotated[tuple[WorkloadRef, ...], Field(max_length=16), ListMap(keys=("kind", "name"))] = ()
    """Workloads in this namespace that read the key only when they start: restarted once for each new key, as by
    kubectl rollout restart, and awaited before the overlap begins. Not on the first key, nor when the Secret moves."""
    deletion_policy: DeletionPolicy = DeletionPolicy.REVOKE
    """On deletion of this object: Revoke revokes the key and deletes the Secret, Orphan leaves both as they are."""
    on_remote_revocation: OnRemoteRevocation = OnRemoteRevocation.REMINT
    """When somebody else revokes the current key: Remint mints another (at most once in 24 hours, then as Hold), Hold
    waits for a new value of the annotation saperly.com/rotate-requested-at."""
    suspend: bool = False
    """True starts nothing new: no mint, no rotation. What is under way is finished, and deletion is never blocked."""


class SaperlyKey(ApiModel):
    """An API key at Saperly, minted by the operator, delivered into a Secret, and revoked when this object goes."""

    definition: ClassVar[Definition] = Definition(
        kind="SaperlyKey",
        plural="saperlykeys",
        singular="saperlykey",
        short_name="skey",
        scope=Scope.NAMESPACED,
        columns=(
            Column(
                "Ready", "string", '.status.conditions[?(@.type=="Ready")].status', "Whether the key can be used."
            ),
            Column("Reason", "string", '.status.conditions[?(@.type=="Ready")].reason', "Why it is ready or not."),
            Column("Secret", "string", ".status.secret.name", "The Secret that holds the key."),
            Column("Prefix", "string", ".status.current.prefix", "The first characters of the key."),
            Column("Rotated", "date", ".status.rotation.lastRotatedAt", "The time since the key was last replaced."),
            Column("Next", "string", ".status.rotation.nextRotationAt", "When the schedule replaces the key next."),
            Column("Age", "date", ".metadata.creationTimestamp", "The time since this object was created."),
            Column("Provider", "string", ".spec.providerRef.name", "The provider that mints the key.", priority=1),
            Column(
                "Message",
                "string",
                '.status.conditions[?(@.type=="Ready")].message',
                "What is going on, as a sentence.",
                priority=1,
            ),
        ),
        selectable_fields=(".spec.providerRef.kind", ".spec.providerRef.name", ".spec.secret.name"),
    )

    metadata: Metadata
    spec: SaperlyKeySpec
    """The key that is wanted."""
    status: SaperlyKeyStatus = Field(default_factory=SaperlyKeyStatus)
    """What the operator knows of the key. Only the operator writes it."""

    @property
    def namespace(self) -> str:
        """The namespace, which every stored SaperlyKey has."""
        return self.metadata.namespace or ""

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def path(self) -> str:
        """``namespace/name``: how this object is called in tags, records, logs and events."""
        return f"{self.namespace}/{self.name}"

    @property
    def secret_name(self) -> str:
        """The name of the Secret that the plaintext goes to."""
        return self.spec.secret.name or self.name

    @property
    def schedule(self) -> str | None:
        """The rotation schedule in force, unparsed: the annotation if present, else the spec's."""
        return self.metadata.annotations.get(annotations.ROTATION_SCHEDULE) or self.spec.rotation.schedule

    @property
    def rotate_request(self) -> str | None:
        """The token of the last request to rotate, if there is one; of one too long for status, a digest."""
        token = self.metadata.annotations.get(annotations.ROTATE_REQUESTED_AT)
        if token is None or len(token) <= _LONGEST_TOKEN:
            return token or None
        return f"sha256:{hashlib.sha256(token.encode(errors='surrogatepass')).hexdigest()}"

    @property
    def key_to_adopt(self) -> str | None:
        """The id of a key that was made by other means and is to be taken over."""
        return self.metadata.annotations.get(annotations.ADOPT_KEY_ID) or None

    @property
    def orphans_to_revoke(self) -> frozenset[str]:
        """The ids of unreferenced keys that somebody wants revoked though they are in use."""
        return annotations.listed_ids(self.metadata.annotations.get(annotations.REVOKE_ORPHANS, ""))

    @property
    def is_being_deleted(self) -> bool:
        return self.metadata.deletion_timestamp is not None

    @property
    def has_finalizer(self) -> bool:
        return annotations.FINALIZER in self.metadata.finalizers

    @property
    def is_force_deleted(self) -> bool:
        """Whether it is to be let go without any call to Saperly. Means nothing before deletion."""
        return self.metadata.annotations.get(annotations.FORCE_DELETE) == "true"
