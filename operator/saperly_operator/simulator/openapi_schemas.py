"""The components of the OpenAPI document: the key object, requests, pages and the error envelope."""

from collections.abc import Mapping

from saperly_operator.simulator.validation import AUDIT_TYPES

Json = dict[str, object]

ERROR_CODES: Mapping[int, tuple[str, ...]] = {
    400: ("missing_idempotency_key",),
    401: ("invalid_api_key", "unauthorized"),
    402: ("agent_cap_exceeded", "insufficient_credits", "payment_method_required"),
    403: ("agent_scope_error", "agent_permission_denied", "forbidden", "m3_fraud_block"),
    404: ("not_found",),
    409: ("idempotency_key_reused", "idempotency_in_progress"),
    422: ("validation_error",),
    429: ("rate_limited",),
}
"""The error table of the contract."""

_MOMENT: Json = {"type": "string", "format": "date-time"}
_CENTS: Json = {"type": "integer", "minimum": 0}
_SETTABLE = ["full", "call_only", "sms_only", "read_only"]


def _nullable(schema: Json) -> Json:
    return {"anyOf": [schema, {"type": "null"}]}


_NAME: Json = {"type": "string", "minLength": 1, "maxLength": 64}
_LABEL: Json = {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[^A-Z]+$"}
_LINE: Json = {"type": "string", "format": "uuid"}
_PERMISSIONS: Json = {"type": "string", "enum": _SETTABLE}
_CAP: Json = {"type": "integer", "minimum": 1, "maximum": 2**53 - 1}
_ENVIRONMENT: Json = {"type": "string", "enum": ["test", "live"]}

_KEY_PROPERTIES: Json = {
    "id": {"type": "string", "minLength": 1},
    "key_prefix": {"type": "string", "pattern": "^sk_(test|live)_[a-z0-9]{3}$"},
    "environment": _ENVIRONMENT,
    "name": {"type": "string"},
    "agent_label": _nullable({"type": "string"}),
    "line_id": _nullable({"type": "string"}),
    "permissions": {"type": "string", "enum": [*_SETTABLE, "legacy_full"]},
    "monthly_cap_cents": _nullable(_CENTS),
    "monthly_spend_cents": _CENTS,
    "created_at": _MOMENT,
    "revoked_at": _nullable(_MOMENT),
    "last_used_at": _nullable(_MOMENT),
    "rotated_from": _nullable({"type": "string"}),
    "created_by_service_key_id": {"type": "string"},
}

_KEY: Json = {"type": "object", "properties": _KEY_PROPERTIES, "required": list(_KEY_PROPERTIES)}

_MINTED: Json = {
    "allOf": [
        {"$ref": "#/components/schemas/Key"},
        {"properties": {"plaintext_key": {"type": "string", "pattern": "^sk_(test|live)_[a-z0-9]+$"}}},
    ],
}


def _object(**properties: object) -> Json:
    return {"type": "object", "properties": properties, "required": list(properties)}


SCHEMAS: Json = {
    "Key": _KEY,
    "KeyAnswer": _object(key={"$ref": "#/components/schemas/Key"}),
    "MintedKeyAnswer": _object(key=_MINTED),
    "KeyPage": _object(keys={"type": "array", "items": {"$ref": "#/components/schemas/Key"}}, total=_CENTS),
    "MintRequest": {
        "type": "object",
        "additionalProperties": False,
        "required": ["name"],
        "properties": {
            "name": _NAME,
            "agent_label": _nullable(_LABEL),
            "line_id": _nullable(_LINE),
            "permissions": _nullable(_PERMISSIONS),
            "monthly_cap_cents": _nullable(_CAP),
            "environment": _nullable(_ENVIRONMENT),
        },
    },
    "UpdateRequest": {
        "type": "object",
        "additionalProperties": False,
        "minProperties": 1,
        "properties": {
            "name": _NAME,
            "agent_label": _nullable(_LABEL),
            "line_id": _nullable(_LINE),
            "permissions": _PERMISSIONS,
            "monthly_cap_cents": _nullable(_CAP),
        },
    },
    "AuditPage": _object(
        events={
            "type": "array",
            "items": _object(
                type={"type": "string", "enum": list(AUDIT_TYPES)},
                id={"type": "string"},
                created_at=_MOMENT,
                data={"type": "object"},
            ),
        },
        limit={"type": "integer"},
        api_key_id={"type": "string"},
    ),
    "Failure": _object(
        error={
            "type": "object",
            "required": ["code", "message"],
            "properties": {
                "code": {"type": "string"},
                "message": {"type": "string"},
                "details": {
                    "type": "array",
                    "items": _object(field={"type": "string"}, message={"type": "string"}),
                },
            },
        },
    ),
}
