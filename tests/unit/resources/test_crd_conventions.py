"""Every generated schema keeps the Kubernetes API conventions, checked node by node.

The API server enforces some of them when a CRD is applied; these are the ones that it lets pass and users pay for.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from saperly_operator.cli.crds import HEADER
from saperly_operator.resources import crd
from saperly_operator.resources.crd import KINDS, Kind, Schema

CRDS = Path(__file__).parents[3] / "crds"

NAMES = [kind.__name__ for kind in KINDS]


@pytest.fixture(params=KINDS, ids=NAMES)
def kind(request: pytest.FixtureRequest) -> Kind:
    chosen: Kind = request.param
    return chosen


@pytest.fixture
def schema(kind: Kind) -> Schema:
    return crd.open_api_schema(kind)


def nodes(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """Every node with its path; list items are ``[]``, values of maps ``{}``."""
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")
    if "additionalProperties" in schema:
        yield from nodes(schema["additionalProperties"], f"{path}{{}}")


def own_nodes(schema: Schema) -> Iterator[tuple[str, Schema]]:
    """The nodes of spec and status: the rest is Kubernetes' own."""
    for part in ("spec", "status"):
        yield from nodes(schema["properties"][part], part)


def breaches(schema: Schema, kept: Any) -> list[str]:
    return [path for path, node in own_nodes(schema) if not kept(node)]


def test_every_node_names_one_type(schema: Schema) -> None:
    types = {"object", "array", "string", "integer", "boolean"}
    assert breaches(schema, lambda node: node.get("type") in types) == []


def test_no_node_uses_what_a_structural_schema_may_not(schema: Schema) -> None:
    banned = {"$ref", "$defs", "anyOf", "oneOf", "allOf", "title", "const", "uniqueItems", "definitions"}
    assert breaches(schema, lambda node: not banned & set(node)) == []


def test_no_object_forbids_additional_properties(schema: Schema) -> None:
    assert breaches(schema, lambda node: node.get("additionalProperties") is not False) == []


def test_every_property_has_a_description_of_one_line_that_ends_as_a_sentence(schema: Schema) -> None:
    described = [(path, node) for path, node in own_nodes(schema) if not path.endswith(("[]", "{}"))]
    assert [path for path, node in described if not node["description"].endswith(".")] == []
    assert [path for path, node in described if "\n" in node["description"] or "`" in node["description"]] == []


def test_every_string_is_bounded(schema: Schema) -> None:
    """By a length, by an enumeration, or by the format of a time."""

    def bounded(node: Schema) -> bool:
        return (
            node["type"] != "string" or bool({"maxLength", "enum"} & set(node)) or node.get("format") == "date-time"
        )

    assert breaches(schema, bounded) == []


def test_every_integer_is_64_bits_wide_and_has_a_minimum(schema: Schema) -> None:
    def bounded(node: Schema) -> bool:
        return node["type"] != "integer" or (node["format"] == "int64" and "minimum" in node)

    assert breaches(schema, bounded) == []


def test_every_list_is_bounded_and_says_how_it_merges(schema: Schema) -> None:
    def typed(node: Schema) -> bool:
        if node["type"] != "array":
            return True
        return "maxItems" in node and node["x-kubernetes-list-type"] in {"atomic", "set", "map"}

    assert breaches(schema, typed) == []


def test_the_keys_of_every_list_map_are_required_scalars_of_its_items(schema: Schema) -> None:
    for path, node in own_nodes(schema):
        for key in node.get("x-kubernetes-list-map-keys", []):
            assert key in node["items"]["required"], path
            assert node["items"]["properties"][key]["type"] == "string", path


def test_every_map_is_bounded(schema: Schema) -> None:
    assert breaches(schema, lambda node: "additionalProperties" not in node or "maxProperties" in node) == []


def test_every_object_lists_its_properties_or_is_a_map(schema: Schema) -> None:
    def closed(node: Schema) -> bool:
        return node["type"] != "object" or "properties" in node or "additionalProperties" in node

    assert breaches(schema, closed) == []


def test_nothing_within_a_list_is_defaulted(schema: Schema) -> None:
    assert [path for path, node in own_nodes(schema) if "[]" in path and "default" in node] == []


def test_an_object_is_defaulted_only_to_let_the_defaults_of_its_scalars_take_effect(schema: Schema) -> None:
    defaulted = [node for path, node in own_nodes(schema) if node["type"] == "object" and "default" in node]
    for node in defaulted:
        if node["default"] == {"observedGeneration": -1}:
            continue
        assert node["default"] == {}
        assert "required" not in node
        assert any("default" in child for child in node["properties"].values())


def test_a_defaulted_scalar_is_not_required(schema: Schema) -> None:
    for path, node in own_nodes(schema):
        defaulted = {name for name, child in node.get("properties", {}).items() if "default" in child}
        assert not defaulted & set(node.get("required", [])), path


def test_every_default_takes_effect_in_an_empty_object(schema: Schema) -> None:
    """A default below an object that is itself absent would be dead text."""

    def reachable(node: Schema, path: str) -> Iterator[str]:
        for name, child in node.get("properties", {}).items():
            if "default" in child:
                yield f"{path}.{name}"
                yield from reachable(child, f"{path}.{name}")

    written = {path for path, node in nodes(schema["properties"]["spec"], "spec") if "default" in node}
    assert written == set(reachable(schema["properties"]["spec"], "spec"))


def test_the_status_has_no_default_but_the_observed_generation(schema: Schema) -> None:
    status = schema["properties"]["status"]
    assert status["default"] == {"observedGeneration": -1}
    assert [path for path, node in nodes(status, "status") if "default" in node] == ["status"]


def test_every_rule_has_a_message_of_one_line(schema: Schema) -> None:
    for path, node in own_nodes(schema):
        for rule in node.get("x-kubernetes-validations", []):
            assert rule["message"], path
            assert "\n" not in rule["message"], path
            assert len(rule["message"]) < 400, path


def test_there_are_no_transition_rules(schema: Schema) -> None:
    """A field that cannot be changed makes GitOps tools delete and recreate the object, which here revokes a key."""
    rules = [rule["rule"] for _, node in own_nodes(schema) for rule in node.get("x-kubernetes-validations", [])]
    assert [rule for rule in rules if "oldSelf" in rule] == []


def test_conditions_are_those_of_kubernetes(schema: Schema) -> None:
    conditions = schema["properties"]["status"]["properties"]["conditions"]
    assert conditions["x-kubernetes-list-map-keys"] == ["type"]
    items = conditions["items"]
    assert set(items["properties"]) == {
        "type",
        "status",
        "observedGeneration",
        "lastTransitionTime",
        "reason",
        "message",
    }
    assert items["required"] == ["lastTransitionTime", "message", "reason", "status", "type"]


def test_the_status_is_a_subresource(kind: Kind) -> None:
    (version,) = crd.custom_resource_definition(kind)["spec"]["versions"]
    assert version["subresources"] == {"status": {}}


def test_columns_end_with_the_age_and_show_dates_of_the_past_only(kind: Kind) -> None:
    (version,) = crd.custom_resource_definition(kind)["spec"]["versions"]
    shown = [column for column in version["additionalPrinterColumns"] if not column.get("priority")]
    assert shown[-1]["name"] == "Age"
    assert shown[-1]["jsonPath"] == ".metadata.creationTimestamp"
    assert {column["name"] for column in shown if column["type"] == "date"} <= {"Age", "Rotated"}


def test_columns_and_selectable_fields_point_into_the_schema(kind: Kind, schema: Schema) -> None:
    paths = {path for path, _ in nodes(schema)}
    (version,) = crd.custom_resource_definition(kind)["spec"]["versions"]
    pointers = [column["jsonPath"] for column in version["additionalPrinterColumns"]]
    pointers += [field["jsonPath"] for field in version["selectableFields"]]
    plain = [pointer.replace('[?(@.type=="Ready")]', "[]") for pointer in pointers]
    assert [pointer for pointer in plain if pointer not in paths | {".metadata.creationTimestamp"}] == []


def test_names_do_not_collide() -> None:
    names = [kind.definition for kind in KINDS]
    spoken = [word for name in names for word in (name.plural, name.singular, name.short_name)]
    assert len(spoken) == len(set(spoken))


def test_the_committed_files_are_what_the_models_say() -> None:
    """``make manifests`` mends it."""
    generated = {name: HEADER + crd.as_yaml(document) for name, document in crd.definitions()}
    assert {path.name: path.read_text(encoding="utf-8") for path in CRDS.glob("*.yaml")} == generated


def test_the_written_form_reads_back_as_the_same_document() -> None:
    for _, document in crd.definitions():
        assert yaml.safe_load(crd.as_yaml(document)) == document
