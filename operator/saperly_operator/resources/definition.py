"""How a custom resource is called and shown: the facts of a CRD that are not its schema.

``crd`` writes the CustomResourceDefinition from it; the kube room takes the REST path from it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from saperly_operator.resources.base import API_VERSION, GROUP, VERSION


class Scope(StrEnum):
    """Whether objects live in a namespace."""

    NAMESPACED = "Namespaced"
    CLUSTER = "Cluster"


@dataclass(frozen=True)
class Column:
    """A column of ``kubectl get``. A date is shown as an age, so only times in the past may be dates."""

    name: str
    type: str
    json_path: str
    description: str
    priority: int = 0
    """Above 0: only with ``-o wide``."""


@dataclass(frozen=True)
class Definition:
    """One kind of the group saperly.com."""

    kind: str
    plural: str
    singular: str
    short_name: str
    scope: Scope
    columns: Sequence[Column]
    selectable_fields: Sequence[str] = ()
    """JSON paths usable in ``kubectl get --field-selector``."""

    group: str = GROUP
    version: str = VERSION

    @property
    def api_version(self) -> str:
        """What objects of this kind say in ``apiVersion``."""
        return API_VERSION

    @property
    def schema_name(self) -> str:
        """How the API server calls the kind's schema in the OpenAPI document that it publishes."""
        return ".".join([*reversed(self.group.split(".")), self.version, self.kind])

    @property
    def crd_name(self) -> str:
        """The name of the CustomResourceDefinition."""
        return f"{self.plural}.{self.group}"
