"""From method and path to the operation meant; ids in a path are percent-decoded here and nowhere else."""

from dataclasses import dataclass
from urllib.parse import unquote

from saperly_operator.simulator.errors import ApiError, method_not_allowed, not_found
from saperly_operator.simulator.messages import Request
from saperly_operator.simulator.state import Operation


@dataclass(frozen=True, slots=True)
class Route:
    """``operation`` is ``other`` exactly when ``refusal`` says what a valid credential would be told."""

    operation: Operation
    key_id: str | None = None
    refusal: ApiError | None = None


_COLLECTION = {"POST": Operation.MINT, "GET": Operation.LIST}
_ONE_KEY = {"GET": Operation.GET, "PATCH": Operation.UPDATE, "DELETE": Operation.REVOKE}
_ROTATE = {"POST": Operation.ROTATE}
_AUDIT = {"GET": Operation.AUDIT}


def route(request: Request) -> Route:
    """Never fails: a path or method that is not served becomes a route that carries its refusal."""
    match request.path.split("/")[1:]:
        case ["v1", "keys"]:
            return _by_method(_COLLECTION, request.method)
        case ["v1", "keys", key_id] if key_id:
            return _by_method(_ONE_KEY, request.method, unquote(key_id))
        case ["v1", "keys", key_id, "rotate"] if key_id:
            return _by_method(_ROTATE, request.method, unquote(key_id))
        case ["v1", "audit"]:
            return _by_method(_AUDIT, request.method)
        case _:
            return Route(Operation.OTHER, refusal=not_found("path"))


def _by_method(methods: dict[str, Operation], method: str, key_id: str | None = None) -> Route:
    operation = methods.get(method)
    if operation is None:
        return Route(Operation.OTHER, refusal=method_not_allowed(", ".join(sorted(methods))))
    return Route(operation, key_id)
