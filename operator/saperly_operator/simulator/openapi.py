"""The vendor's paths as an OpenAPI 3.1 document, built by hand from the contract.

Served at ``/openapi.json``; the contract tests drive the simulator with it. Components are in ``openapi_schemas``.
"""

from collections.abc import Mapping

from saperly_operator.simulator.openapi_schemas import ERROR_CODES, SCHEMAS
from saperly_operator.simulator.validation import AUDIT_TYPES
from saperly_operator.simulator.vendor_http import BASE_PATH

Json = dict[str, object]

RELEASE = "0.5.7.0"
"""The release of the vendor's API that the contract was read from."""


def document() -> Json:
    """The whole document; a new value at each call."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Saperly key management (simulated)", "version": RELEASE},
        "servers": [{"url": BASE_PATH}],
        "paths": {
            "/v1/keys": {"post": _mint(), "get": _list()},
            "/v1/keys/{id}": {
                "parameters": [_ID],
                "get": _key_operation("getKey", "One key, revoked ones too", 404),
                "patch": _update(),
                "delete": _key_operation("revokeKey", "Revoke a key at once", 402, 404),
            },
            "/v1/keys/{id}/rotate": {"parameters": [_ID], "post": _rotate()},
            "/v1/audit": {"get": _audit()},
        },
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {
                "serviceKey": {"type": "http", "scheme": "bearer", "description": "sk_svc_test_… or sk_svc_live_…"},
                "apiKey": {"type": "http", "scheme": "bearer", "description": "sk_test_… or sk_live_…"},
            },
        },
    }


_UNRESERVED: Json = {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[A-Za-z0-9_-]+$"}
_ID: Json = {"name": "id", "in": "path", "required": True, "schema": _UNRESERVED}
_IDEMPOTENCY_KEY: Json = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}


def _mint() -> Json:
    return {
        "operationId": "mintKey",
        "summary": "Mint a child key; the plaintext is in the first answer only",
        "security": [{"serviceKey": []}],
        "parameters": [_IDEMPOTENCY_KEY],
        "requestBody": _body("MintRequest"),
        "responses": {"201": _answer("MintedKeyAnswer"), **_errors(400, 401, 402, 403, 404, 409, 422, 429)},
    }


def _list() -> Json:
    return {
        "operationId": "listKeys",
        "summary": "Live keys of this service key, in no reliable order",
        "security": [{"serviceKey": []}],
        "parameters": [_whole_number("limit", 1, 100, 50), _whole_number("offset", 0, None, 0)],
        "responses": {"200": _answer("KeyPage"), **_errors(401, 403, 422, 429)},
    }


def _update() -> Json:
    operation = _key_operation("updateKey", "Change a key; null clears what can be cleared", 402, 404, 422)
    return {**operation, "requestBody": _body("UpdateRequest")}


def _rotate() -> Json:
    return {
        "operationId": "rotateKey",
        "summary": "Replace a key in one transaction; the old one dies at once",
        "security": [{"serviceKey": []}],
        "parameters": [_IDEMPOTENCY_KEY],
        "responses": {"201": _answer("MintedKeyAnswer"), **_errors(400, 401, 402, 403, 404, 409, 422, 429)},
    }


def _audit() -> Json:
    types = "|".join(AUDIT_TYPES)
    return {
        "operationId": "readAudit",
        "summary": "What happened to an API key, newest first",
        "security": [{"apiKey": []}],
        "parameters": [
            {"name": "api_key_id", "in": "query", "schema": {**_UNRESERVED, "default": "self"}},
            _whole_number("limit", 1, 500, 100),
            {
                "name": "event_types",
                "in": "query",
                "schema": {"type": "string", "pattern": f"^({types})(,({types}))*$"},
            },
        ],
        "responses": {"200": _answer("AuditPage"), **_errors(401, 403, 404, 422, 429)},
    }


def _key_operation(operation_id: str, summary: str, *failures: int) -> Json:
    return {
        "operationId": operation_id,
        "summary": summary,
        "security": [{"serviceKey": []}],
        "responses": {"200": _answer("KeyAnswer"), **_errors(401, 403, 429, *failures)},
    }


def _whole_number(name: str, least: int, most: int | None, default: int) -> Json:
    schema: Json = {"type": "integer", "minimum": least, "default": default}
    if most is not None:
        schema["maximum"] = most
    return {"name": name, "in": "query", "schema": schema}


def _body(schema: str) -> Json:
    return {"required": True, "content": {"application/json": {"schema": _ref(schema)}}}


def _answer(schema: str) -> Json:
    headers = {"Date": {"required": True, "schema": {"type": "string"}, "description": "The vendor's clock"}}
    return {"description": schema, "headers": headers, "content": {"application/json": {"schema": _ref(schema)}}}


def _errors(*statuses: int) -> Mapping[str, Json]:
    return {str(status): _error(status) for status in sorted(set(statuses))}


def _error(status: int) -> Json:
    codes = {"properties": {"error": {"properties": {"code": {"enum": list(ERROR_CODES[status])}}}}}
    return {
        "description": ", ".join(ERROR_CODES[status]),
        "content": {"application/json": {"schema": {"allOf": [_ref("Failure"), codes]}}},
    }


def _ref(schema: str) -> Json:
    return {"$ref": f"#/components/schemas/{schema}"}
