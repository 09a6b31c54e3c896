"""``ClusterSaperlyProvider`` and ``SaperlyProvider``: a service key of Saperly, and who may mint with it.

One model for both kinds; only the cluster-wide one says which namespaces may use it. Read by every room above.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from saperly_operator.resources import annotations
from saperly_operator.resources.base import ApiModel, Conditions, ListMap, ListSet, Metadata, Rule
from saperly_operator.resources.definition import Column, Definition, Scope
from saperly_operator.resources.fields import CapCents, Duration, ObjectName, Permissions, SecretDataKey
from saperly_operator.resources.findings import UnownedKey
from saperly_operator.resources.saperly_key import ProviderKind, ProviderRef
from saperly_operator.resources.selectors import LabelSelector


class Environment(StrEnum):
    """The two worlds of a Saperly account."""

    TEST = "test"
    LIVE = "live"


class SecretRef(ApiModel):
    """Names a Secret and one key of its data."""

    name: ObjectName
    """The Secret's name."""
    key: SecretDataKey = "SAPERLY_SERVICE_KEY"
    """The key within the Secret's data."""


EntryName = Annotated[
    str,
    Field(min_length=1, max_length=63),
    Rule(
        "!format.dns1123Label().validate(self).hasValue()",
        "must be a DNS label: lower-case letters, digits and '-', beginning and ending with a letter or digit",
    ),
]


class ServiceKeyEntry(ApiModel):
    """One service key."""

    name: EntryName
    """A name of your choice for this service key; the keys minted with it refer to it."""
    secret_ref: SecretRef
    """The Secret that holds the service key."""


PerHour = Annotated[int, Field(ge=1, le=1_000_000)]


class Limits(ApiModel):
    """Saperly's hourly limits per service key. The defaults are the published ones; raise them where yours differ."""

    mints_per_hour: PerHour = 60
    """Mints in any 60 minutes."""
    rotates_per_hour: PerHour = 30
    """Rotations by Saperly's own rotate call in any 60 minutes."""
    lists_per_hour: PerHour = 600
    """List calls in any 60 minutes."""


class AllowedNamespaces(ApiModel):
    """The namespaces whose SaperlyKeys may use this provider. Nothing set: none may."""

    rules: ClassVar = (
        Rule(
            "!(has(self.all) && self.all) || (!has(self.selector) && (!has(self.names) || self.names.size() == 0))",
            "names and selector mean nothing beside all: leave them out, or leave all out",
        ),
    )

    names: Annotated[tuple[EntryName, ...], Field(max_length=256), ListSet()] = ()
    """Namespaces by name."""
    selector: LabelSelector | None = None
    """Namespaces by label. Whoever may label a namespace decides then who may mint."""
    all: bool = False
    """True allows every namespace of the cluster."""

    def allows(self, namespace: str, labels: Mapping[str, str]) -> bool:
        """Whether SaperlyKeys of ``namespace``, which carries ``labels``, may use the provider."""
        return self.all or namespace in self.names or (self.selector is not None and self.selector.matches(labels))


class Policy(ApiModel):
    """What a SaperlyKey may ask of this provider. It holds for keys already minted too."""

    permissions: (
        Annotated[
            tuple[Permissions, ...],
            Field(max_length=4),
            ListSet(),
            Rule("self.size() > 0", "must not be empty, or nothing could be minted: leave it out to permit all"),
        ]
        | None
    ) = None
    """The permissions that may be asked for. Left out: all."""
    max_monthly_cap_cents: CapCents | None = None
    """The highest monthly cap, in US cents; a SaperlyKey without a cap gets this one. Left out: no maximum."""
    require_line: bool = False
    """True refuses SaperlyKeys without a lineId."""


class ProviderSpec(ApiModel):
    """The service key to mint with, and the limits and policy to keep."""

    environment: Environment
    """test or live: the environment of the service key and of every key minted with it."""
    service_keys: Annotated[tuple[ServiceKeyEntry, ...], Field(min_length=1, max_length=1), ListMap(keys=("name",))]
    """The service key to mint with, created by a person in the Saperly portal."""
    limits: Limits = Field(default_factory=Limits)
    """Saperly's hourly limits per service key."""
    policy: Policy = Field(default_factory=Policy)
    """What a SaperlyKey may ask of this provider."""
    sweep_interval: Duration = "10m"
    """How often the keys at Saperly are compared with the SaperlyKeys here."""


class ClusterProviderSpec(ProviderSpec):
    """A provider's spec, with the namespaces that may use it."""

    allowed_namespaces: AllowedNamespaces = Field(default_factory=AllowedNamespaces)
    """The namespaces whose SaperlyKeys may use this provider. Left out: none may."""


class ServiceKeyStatus(ApiModel):
    """A service key as it was last read."""

    name: Annotated[str, Field(min_length=1, max_length=63)]
    """The entry of serviceKeys."""
    prefix: Annotated[str, Field(max_length=16)] = ""
    """The first characters of the service key, which tell its tier and environment."""
    material: Annotated[str, Field(max_length=64)] = ""
    """A short hash of the service key: another one has to show a key that this one minted before it is used."""


class ProviderStatus(ApiModel):
    """What the operator knows of the provider. Only the operator writes it."""

    observed_generation: Annotated[int, Field(ge=-1)] = -1
    """The metadata.generation that the operator last acted on; -1 before it first saw the object."""
    conditions: Conditions = ()
    """Ready; Reconciling, Stalled, SweepHeld and InUseOrphan are present only while true."""
    service_keys: Annotated[tuple[ServiceKeyStatus, ...], Field(max_length=16), ListMap(keys=("name",))] = ()
    """The service keys as they were last read."""
    unowned: Annotated[tuple[UnownedKey, ...], Field(max_length=32), ListMap(keys=("id",))] = ()
    """Keys at Saperly with this installation's tag that are in use although their SaperlyKey is gone."""


_COLUMNS = (
    Column("Ready", "string", '.status.conditions[?(@.type=="Ready")].status', "Whether keys can be minted."),
    Column("Reason", "string", '.status.conditions[?(@.type=="Ready")].reason', "Why it is ready or not."),
    Column("Environment", "string", ".spec.environment", "The environment of the keys, test or live."),
    Column("Age", "date", ".metadata.creationTimestamp", "The time since this object was created."),
    Column(
        "Message",
        "string",
        '.status.conditions[?(@.type=="Ready")].message',
        "What is going on, as a sentence.",
        priority=1,
    ),
)


class _Provider(ApiModel):
    definition: ClassVar[Definition]

    metadata: Metadata
    spec: ProviderSpec
    """The service key to mint with, and the limits and policy to keep."""
    status: ProviderStatus = Field(default_factory=ProviderStatus)
    """What the operator knows of the provider. Only the operator writes it."""

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def accepted_material(self) -> str | None:
        """The short hash of a service key that an administrator vouches for, though it sees none of the keys here."""
        return self.metadata.annotations.get(annotations.ACCEPT_SERVICE_KEY) or None

    @property
    def orphans_to_revoke(self) -> frozenset[str]:
        """The ids of keys without a SaperlyKey that somebody wants revoked though they are in use."""
        return annotations.listed_ids(self.metadata.annotations.get(annotations.REVOKE_ORPHANS, ""))

    @property
    def ref(self) -> ProviderRef:
        """How SaperlyKeys name this provider."""
        return ProviderRef(kind=ProviderKind(self.definition.kind), name=self.metadata.name)


class ClusterSaperlyProvider(_Provider):
    """A service key of Saperly that SaperlyKeys of the allowed namespaces may mint with. Its Secret is in the
    operator's own namespace."""

    definition: ClassVar[Definition] = Definition(
        kind="ClusterSaperlyProvider",
        plural="clustersaperlyproviders",
        singular="clustersaperlyprovider",
        short_name="csprov",
        scope=Scope.CLUSTER,
        columns=_COLUMNS,
        selectable_fields=(".spec.environment",),
    )

    spec: ClusterProviderSpec
    """The service key to mint with, the limits and policy to keep, and the namespaces that may use it."""

    def allows(self, namespace: str, namespace_labels: Mapping[str, str]) -> bool:
        """Whether a SaperlyKey in this namespace may use the provider."""
        return self.spec.allowed_namespaces.allows(namespace, namespace_labels)


class SaperlyProvider(_Provider):
    """A service key of Saperly that SaperlyKeys of the same namespace may mint with. Its Secret is there too."""

    definition: ClassVar[Definition] = Definition(
        kind="SaperlyProvider",
        plural="saperlyproviders",
        singular="saperlyprovider",
        short_name="sprov",
        scope=Scope.NAMESPACED,
        columns=_COLUMNS,
        selectable_fields=(".spec.environment",),
    )

    def allows(self, namespace: str, namespace_labels: Mapping[str, str]) -> bool:  # noqa: ARG002 (one interface)
        """Whether a SaperlyKey in this namespace may use the provider: only from its own."""
        return namespace == self.metadata.namespace


Provider = ClusterSaperlyProvider | SaperlyProvider
