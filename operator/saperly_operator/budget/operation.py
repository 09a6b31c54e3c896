"""The requests that the budget counts. Spelled as the vendor client spells them, whom this room does not import."""

from enum import StrEnum


class Operation(StrEnum):
    """One call that a service key makes; each has its own limit at the vendor."""

    MINT = "mint"
    ROTATE = "rotate"
    LIST = "list"
    GET = "get"
    UPDATE = "update"
    REVOKE = "revoke"
