"""Writes the CustomResourceDefinitions from the models.

Called by ``saperly-operator crds`` (and so by ``make manifests``) and by tests. Pure: models in, plain data out.

Pydantic's own JSON schema is not structural as Kubernetes wants it: it has ``$ref``, ``title``, null types and
defaults everywhere. ``_structural`` rewrites it node by node under these rules of the Kubernetes API conventions:

- every property has a description, every list a type, every integer a width;
- a default is written only for a scalar of the spec outside lists, since GitOps tools report defaulted list items as
  drift. An object that holds such scalars gets the default ``{}``, without which they would not take effect;
- the status has one default, ``observedGeneration: -1``: clients built on kstatus then read a new object as in
  progress instead of done.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

from saperly_operator.resources.base import ApiModel
from saperly_operator.resources.definition import Column, Definition
from saperly_operator.resources.provider import ClusterSaperlyProvider, SaperlyProvider
from saperly_operator.resources.saperly_key import SaperlyKey

Schema = dict[str, Any]
Kind = type[SaperlyKey | ClusterSaperlyProvider | SaperlyProvider]

KINDS: Final[tuple[Kind, ...]] = (SaperlyKey, ClusterSaperlyProvider, SaperlyProvider)
"""Every custom resource, in the order of importance to a reader."""

CATEGORY: Final = "saperly"
"""``kubectl get saperly`` lists all of them."""

_BUILT_IN: Final[Mapping[str, str]] = {
    "apiVersion": "The version of this object's schema.",
    "kind": "The kind of this object.",
}


class SchemaError(Exception):
    """A model that no structural schema can be written for: a defect of the model, named by its path."""


@dataclass(frozen=True)
class _Place:
    """Where in the schema a node stands."""

    path: str
    definitions: Mapping[str, Schema]
    takes_defaults: bool

    def below(self, name: str) -> "_Place":
        return _Place(f"{self.path}.{name}", self.definitions, self.takes_defaults)

    def in_list(self) -> "_Place":
        return _Place(f"{self.path}[]", self.definitions, takes_defaults=False)


def definitions() -> Iterator[tuple[str, Schema]]:
    """Each CRD with the name of its file."""
    for kind in KINDS:
        definition = kind.definition
        yield f"{definition.group}_{definition.plural}.yaml", custom_resource_definition(kind)


def as_yaml(document: Schema) -> str:
    """The document in the form in which it is committed."""
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)


def custom_resource_definition(kind: Kind) -> Schema:
    """The CustomResourceDefinition of a kind, as ``kubectl apply`` takes it."""
    definition = kind.definition
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": definition.crd_name},
        "spec": {
            "group": definition.group,
            "names": {
                "kind": definition.kind,
                "listKind": f"{definition.kind}List",
                "plural": definition.plural,
                "singular": definition.singular,
                "shortNames": [definition.short_name],
                "categories": [CATEGORY],
            },
            "scope": definition.scope.value,
            "versions": [_version(kind, definition)],
        },
    }


def _version(kind: Kind, definition: Definition) -> Schema:
    return {
        "name": definition.version,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [_printer_column(column) for column in definition.columns],
        "selectableFields": [{"jsonPath": path} for path in definition.selectable_fields],
        "schema": {"openAPIV3Schema": open_api_schema(kind)},
    }


def _printer_column(column: Column) -> Schema:
    entry: Schema = {
        "name": column.name,
        "type": column.type,
        "jsonPath": column.json_path,
        "description": column.description,
    }
    return {**entry, "priority": column.priority} if column.priority else entry


def open_api_schema(kind: Kind) -> Schema:
    """The structural schema of a kind's objects."""
    properties: Schema = {
        "apiVersion": {"type": "string", "description": _BUILT_IN["apiVersion"]},
        "kind": {"type": "string", "description": _BUILT_IN["kind"]},
        "metadata": {"type": "object"},
        "spec": _part(kind, "spec", takes_defaults=True),
        "status": {**_part(kind, "status", takes_defaults=False), "default": {"observedGeneration": -1}},
    }
    return {"type": "object", "description": _text(kind.__doc__), "required": ["spec"], "properties": properties}


def _part(kind: Kind, name: str, *, takes_defaults: bool) -> Schema:
    field = kind.model_fields[name]
    model = field.annotation
    if not (isinstance(model, type) and issubclass(model, ApiModel)):
        raise SchemaError(f"{kind.__name__}.{name} is not a model")
    schema = model.model_json_schema(by_alias=True, mode="validation")
    place = _Place(name, schema.pop("$defs", {}), takes_defaults)
    return _structural({**schema, "description": field.description}, place)


def _structural(node: Schema, place: _Place) -> Schema:
    """The node without references, unions with null and titles, with its description first."""
    node, _ = _resolved(node, place)
    result: Schema = {"type": node.get("type"), "description": _text(node.get("description"))}
    match node:
        case {"type": "object", "properties": _}:
            result |= _object(node, place)
        case {"type": "object"}:
            result |= _kept(node, "additionalProperties", "maxProperties")
        case {"type": "array"}:
            result |= _list(node, place)
        case {"type": "integer"}:
            result |= {"format": "int64"} | _kept(node, "minimum", "maximum")
        case {"type": "string"}:
            result |= _kept(node, "enum", "format", "pattern", "minLength", "maxLength")
        case {"type": "boolean"}:
            pass
        case _:
            raise SchemaError(f"{place.path}: no structural schema for {sorted(node)}")
    return result | _kept(node, "x-kubernetes-validations")


def _resolved(node: Schema, place: _Place) -> tuple[Schema, bool]:
    """The node with references followed and ``null`` taken out of unions; and whether there was a ``null``.

    What stands beside a reference wins over what it refers to: a property's own description is the better one.
    """
    beside = dict(node)
    if (reference := beside.pop("$ref", None)) is not None:
        target, nullable = _resolved(place.definitions[reference.removeprefix("#/$defs/")], place)
        return {**target, **beside}, nullable
    if (union := beside.pop("anyOf", None)) is not None:
        members = [member for member in union if member != {"type": "null"}]
        if len(members) != 1:
            raise SchemaError(f"{place.path}: a union of types has no structural schema")
        return {**_resolved(members[0], place)[0], **beside}, True
    if "const" in beside:
        beside["enum"] = [beside.pop("const")]
    return beside, False


def _object(node: Schema, place: _Place) -> Schema:
    required = node.get("required", [])
    properties = {name: _property(child, place.below(name)) for name, child in node["properties"].items()}
    return {"required": sorted(required), "properties": properties} if required else {"properties": properties}


def _property(node: Schema, place: _Place) -> Schema:
    """A property, with its default where it takes one."""
    resolved, nullable = _resolved(node, place)
    schema = _structural(node, place)
    if not schema["description"]:
        raise SchemaError(f"{place.path} has no description")
    if not place.takes_defaults or nullable:
        return schema
    default = resolved.get("default")
    if isinstance(default, str | int | bool):
        schema["default"] = default
    elif any("default" in child for child in schema.get("properties", {}).values()) and "required" not in schema:
        schema["default"] = {}
    return schema


def _list(node: Schema, place: _Place) -> Schema:
    items = _structural(node["items"], place.in_list())
    if not items["description"]:
        del items["description"]
    list_type = {"x-kubernetes-list-type": node.get("x-kubernetes-list-type", "atomic")}
    return (
        {"items": items} | _kept(node, "minItems", "maxItems") | list_type | _kept(node, "x-kubernetes-list-map-keys")
    )


def _kept(node: Schema, *names: str) -> Schema:
    return {name: node[name] for name in names if name in node}


def _text(description: str | None) -> str:
    """A docstring as one line: ``kubectl explain`` breaks lines by itself."""
    return " ".join((description or "").split())
