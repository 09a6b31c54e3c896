"""The ground that every custom resource stands on: the model base, schema marks, metadata and conditions.

Used by the other modules of this room and by nobody else directly, apart from ``Condition``, ``Metadata`` and
``Timestamp``. Pure: no I/O, no clock.

Two readers look at these models. Python reads objects with them (unknown fields are ignored, so that an older
operator can read what a newer one wrote), and ``crd`` writes the OpenAPI schema from them. What only the API server
can judge, such as a CEL rule, is attached as a mark (``Rule``, ``ListMap``, ``ListSet``); Python does not repeat it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    PlainSerializer,
    ValidationError,
)
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

GROUP = "saperly.com"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"


class InvalidResourceError(ValueError):
    """An object of ours that the models cannot read: it was stored under another schema.

    The text names fields and what is wrong with them, never their values.
    """


@dataclass(frozen=True)
class Rule:
    """A CEL rule for the API server (``x-kubernetes-validations``); ``self`` is the marked value.

    The message says what to do; the API server puts the field's path before it.
    """

    rule: str
    message: str
    field_path: str | None = None
    """Where to point when the rule sits on an object but blames one field, e.g. ``.names``."""

    def as_schema(self) -> dict[str, str]:
        """The entry of ``x-kubernetes-validations``."""
        entry = {"rule": self.rule, "message": self.message}
        return entry if self.field_path is None else {**entry, "fieldPath": self.field_path}

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler(core)
        schema.setdefault("x-kubernetes-validations", []).append(self.as_schema())
        return schema


@dataclass(frozen=True)
class ListMap:
    """Marks a list as a map: server-side apply merges its items by these keys, and they are unique."""

    keys: tuple[str, ...]

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(core) | {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(self.keys)}


@dataclass(frozen=True)
class ListSet:
    """Marks a list of scalars as a set: no value twice."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(core) | {"x-kubernetes-list-type": "set"}


@dataclass(frozen=True)
class MapLimits:
    """Marks a map of strings with the bounds that the schema language needs to price CEL rules over it."""

    max_properties: int
    max_value_length: int

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        values = {"type": "string", "maxLength": self.max_value_length}
        return handler(core) | {"additionalProperties": values, "maxProperties": self.max_properties}


def _to_utc_seconds(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=0)


Timestamp = Annotated[
    AwareDatetime,
    AfterValidator(_to_utc_seconds),
    PlainSerializer(lambda moment: _to_utc_seconds(moment).strftime("%Y-%m-%dT%H:%M:%SZ"), when_used="json"),
]
"""A point in time in UTC, cut to whole seconds as Kubernetes stores it: what is in memory is what is read back."""


class ApiModel(BaseModel):
    """A frozen part of a custom resource: snake_case in Python, camelCase in the API."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        populate_by_name=True,
        alias_generator=to_camel,
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
    )

    rules: ClassVar[Sequence[Rule]] = ()
    """CEL rules over the whole object, for what one field may be only in view of another."""

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler(core)
        if cls.rules:
            target = handler.resolve_ref_schema(schema)
            target["x-kubernetes-validations"] = [rule.as_schema() for rule in cls.rules]
        return schema

    @classmethod
    def from_api(cls, value: Any) -> Self:
        """Read the plain structure that the API returned.

        Raises:
            InvalidResourceError: a field is missing or of the wrong shape.
        """
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            problems = (f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False))
            raise InvalidResourceError(f"{cls.__name__} cannot be read: {'; '.join(problems)}") from None

    def to_api(self) -> dict[str, Any]:
        """The plain structure as the API takes it; what is unset is left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    def to_merge_patch(self) -> dict[str, Any]:
        """This value as a JSON merge patch that leaves exactly it behind: null clears what is unset.

        Within lists, which a merge patch replaces whole, what is unset is left out as in ``to_api``.
        """
        return {key: _for_merge(value) for key, value in self.model_dump(mode="json", by_alias=True).items()}

    def changed(self, **changes: Any) -> Self:
        """A copy with these attributes replaced, validated (``model_copy(update=…)`` validates nothing)."""
        return self.model_validate({**dict(self), **changes})


def _for_merge(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _for_merge(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


class Metadata(ApiModel):
    """The part of ``ObjectMeta`` that the operator reads."""

    name: str
    namespace: str | None = None
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    creation_timestamp: Timestamp | None = None
    deletion_timestamp: Timestamp | None = None
    finalizers: tuple[str, ...] = ()
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)


class ConditionStatus(StrEnum):
    """The three values of a Kubernetes condition."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


# As metav1.Condition has them.
_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_CONDITION_TYPE = rf"^({_LABEL}(\.{_LABEL})*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$"
_CONDITION_REASON = r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"


class Condition(ApiModel):
    """One aspect of an object's state, in the form that all Kubernetes clients understand (metav1.Condition)."""

    type: Annotated[str, Field(max_length=316, pattern=_CONDITION_TYPE)]
    """The aspect, in CamelCase, e.g. Ready."""
    status: ConditionStatus
    """True, False or Unknown."""
    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The metadata.generation that this condition speaks of; an older one means that it is out of date."""
    last_transition_time: Timestamp
    """When status last changed."""
    reason: Annotated[str, Field(min_length=1, max_length=1024, pattern=_CONDITION_REASON)]
    """Why, as one CamelCase word for programs."""
    message: Annotated[str, Field(max_length=32768)]
    """Why, and what to do, as a sentence for people."""


Conditions = Annotated[tuple[Condition, ...], Field(max_length=16), ListMap(keys=("type",))]
