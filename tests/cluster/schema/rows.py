"""How the tables of accepted and refused values are written."""

from typing import Any, NamedTuple

import pytest


class Refused(NamedTuple):
    """A value that must not be stored: where it stands, what it is, and the rule that the answer must name."""

    field: str
    value: Any
    rule: str


class Accepted(NamedTuple):
    """A value that must be stored as it is."""

    field: str
    value: Any


def spec_with(field: str, value: Any, base: dict[str, Any] | None = None) -> dict[str, Any]:
    """An object's content that differs from ``base`` in ``value`` at ``field``, a path like ``spec.secret.key``."""
    *parents, last = field.removeprefix("spec.").split(".")
    spec = dict(base or {})
    place = spec
    for parent in parents:
        place[parent] = dict(place.get(parent, {}))
        place = place[parent]
    place[last] = value
    return {"spec": spec}


def value_at(document: dict[str, Any], field: str) -> Any:
    """What stands at ``field``."""
    for part in field.split("."):
        document = document[part]
    return document


def named(row: Refused | Accepted) -> str:
    """A row's id in test output: field and value, cut short."""
    value = ascii(row.value)
    return f"{row.field}={value if len(value) <= 40 else f'{value[:24]}…({len(value)})'}"


def table(*rows: Refused | Accepted) -> list[Any]:
    """The rows as pytest parameters."""
    return [pytest.param(row, id=named(row)) for row in rows]
