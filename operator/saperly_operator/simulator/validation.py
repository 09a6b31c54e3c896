"""From bytes and query strings to typed input, or 422 with details that name the field."""

import re
from typing import TypeVar
from urllib.parse import parse_qsl

from pydantic import BaseModel, ValidationError

from saperly_operator.saperly.models import MintRequest, Permissions, UpdateRequest
from saperly_operator.simulator.errors import validation_error
from saperly_operator.simulator.settings import Settings

AUDIT_TYPES = ("call", "sms", "compliance_event", "billing_transaction")
_NEVER_CLEARED = ("name", "permissions")
_Body = TypeVar("_Body", bound=BaseModel)


def mint_body(body: bytes, settings: Settings) -> MintRequest:
    """The body of a mint. An explicit null is the same as leaving the field out."""
    request = _parsed(MintRequest, body)
    _check_attributes(request, settings)
    return request


def update_body(body: bytes, settings: Settings) -> UpdateRequest:
    """The body of a PATCH: at least one field; null clears what may be cleared."""
    request = _parsed(UpdateRequest, body)
    if not request.model_fields_set:
        raise validation_error({"body": "At least one field is required."})
    wrong = {
        name: "Cannot be null."
        for name in _NEVER_CLEARED
        if name in request.model_fields_set and getattr(request, name) is None
    }
    if wrong:
        raise validation_error(wrong)
    _check_attributes(request, settings)
    return request


def integer(query: dict[str, str], name: str, default: int, least: int, most: int | None = None) -> int:
    """A whole number in a query string; 422 when it is none or out of bounds."""
    text = query.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,100}", text, re.ASCII) or not least <= int(text) <= (most or int(text)):
        bounds = f"from {least} to {most}" if most else f"of at least {least}"
        raise validation_error({name: f"Must be a whole number {bounds}."})
    return int(text)


def event_types(query: dict[str, str]) -> frozenset[str]:
    """The comma-separated ``event_types``; all when it is not given."""
    text = query.get("event_types")
    if text is None:
        return frozenset(AUDIT_TYPES)
    types = frozenset(text.split(","))
    if not types <= set(AUDIT_TYPES):
        raise validation_error({"event_types": f"Must be a comma-separated list of {', '.join(AUDIT_TYPES)}."})
    return types


def details_of(error: ValidationError) -> dict[str, str]:
    """Field to what is wrong with it; the input itself is never shown."""
    return {
        ".".join(str(part) for part in problem["loc"]) or "body": problem["msg"]
        for problem in error.errors(include_url=False, include_context=False, include_input=False)
    }


def query_of(text: str, *known: str) -> dict[str, str]:
    """The query string; of a repeated name the last counts, and names not ``known`` are refused, as in bodies."""
    query = dict(parse_qsl(text, keep_blank_values=True))
    unknown = {name: "No such parameter." for name in query if name not in known}
    if unknown:
        raise validation_error(unknown)
    return query


def _parsed(model: type[_Body], body: bytes) -> _Body:
    try:
        return model.model_validate_json(body, strict=True)
    except ValidationError as error:
        raise validation_error(details_of(error)) from None


def _check_attributes(request: MintRequest | UpdateRequest, settings: Settings) -> None:
    label = request.agent_label
    if label is not None and (re.search("[A-Z]", label) or len(label) > settings.agent_label_max):
        raise validation_error({"agent_label": f"Lower case, at most {settings.agent_label_max} characters."})
    if request.permissions is Permissions.LEGACY_FULL:
        raise validation_error({"permissions": "legacy_full cannot be set."})
