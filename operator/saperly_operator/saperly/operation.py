"""The calls of the Saperly API by name, as errors, metrics and logs spell them."""

from enum import StrEnum


class Operation(StrEnum):
    """One call of the API. All but ``READ_AUDIT`` authenticate with a service key."""

    MINT = "mint"
    ROTATE = "rotate"
    LIST = "list"
    GET = "get"
    UPDATE = "update"
    REVOKE = "revoke"
    READ_AUDIT = "read_audit"
