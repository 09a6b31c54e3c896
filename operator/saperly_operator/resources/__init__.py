"""The custom resources of the group saperly.com as frozen pydantic models; crds/ is generated from them.

Imports nothing of ours."""

from saperly_operator.resources.base import (
    API_VERSION,
    GROUP,
    VERSION,
    Condition,
    ConditionStatus,
    InvalidResourceError,
    Metadata,
)
from saperly_operator.resources.durations import format_duration, parse_duration
from saperly_operator.resources.fields import Permissions
from saperly_operator.resources.provider import (
    AllowedNamespaces,
    ClusterProviderSpec,
    ClusterSaperlyProvider,
    Environment,
    Limits,
    Policy,
    Provider,
    ProviderSpec,
    ProviderStatus,
    SaperlyProvider,
    SecretRef,
    ServiceKeyEntry,
    ServiceKeyStatus,
)
from saperly_operator.resources.saperly_key import (
    DeletionPolicy,
    ProviderKind,
    ProviderRef,
    RotationSpec,
    SaperlyKey,
    SaperlyKeySpec,
    SecretSpec,
)
from saperly_operator.resources.saperly_key_status import (
    Failure,
    Intent,
    KeyAttribute,
    KeyRef,
    Operation,
    RestartStatus,
    RetiringKey,
    RotationStatus,
    SaperlyKeyStatus,
    SecretStatus,
)
from saperly_operator.resources.selectors import LabelSelector
from saperly_operator.resources.workload import WorkloadKind, WorkloadRef

__all__ = [
    "API_VERSION",
    "GROUP",
    "VERSION",
    "AllowedNamespaces",
    "ClusterProviderSpec",
    "ClusterSaperlyProvider",
    "Condition",
    "ConditionStatus",
    "DeletionPolicy",
    "Environment",
    "Failure",
    "Intent",
    "InvalidResourceError",
    "KeyAttribute",
    "KeyRef",
    "LabelSelector",
    "Limits",
    "Metadata",
    "Operation",
    "Permissions",
    "Policy",
    "Provider",
    "ProviderKind",
    "ProviderRef",
    "ProviderSpec",
    "ProviderStatus",
    "RestartStatus",
    "RetiringKey",
    "RotationSpec",
    "RotationStatus",
    "SaperlyKey",
    "SaperlyKeySpec",
    "SaperlyKeyStatus",
    "SaperlyProvider",
    "SecretRef",
    "SecretSpec",
    "SecretStatus",
    "ServiceKeyEntry",
    "ServiceKeyStatus",
    "WorkloadKind",
    "WorkloadRef",
    "format_duration",
    "parse_duration",
]
