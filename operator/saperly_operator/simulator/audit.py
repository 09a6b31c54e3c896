"""GET /v1/audit: what happened to an API key, read by an API key. Reading is itself recorded."""

from dataclasses import replace
from itertools import islice

from saperly_operator.simulator.errors import ApiError, not_found
from saperly_operator.simulator.state import Child, Event
from saperly_operator.simulator.turn import Answer, Turn, rfc3339

MAX_LIMIT = 500
DEFAULT_LIMIT = 100


def read(turn: Turn, reader: Child, api_key_id: str, limit: int, types: frozenset[str]) -> Answer:
    """The newest ``limit`` events of ``api_key_id`` (``self``, or a key of the same account and environment).

    A key that is scoped to a line may read only itself.
    """
    target = _target(turn, reader, api_key_id)
    found = turn.store.events_of(target.account_id, target.environment, target.id)
    newest = list(islice((event for event in found if event.type in types), limit))
    turn.note("audit_read", target, read_by=reader.id)
    current = turn.store.child(reader.id) or reader
    turn.store.put_child(replace(current, last_used_at=turn.now))
    time_field = turn.settings.audit_time_field
    events = [_event_object(event, time_field) for event in newest]
    return Answer(200, payload={"events": events, "limit": limit, "api_key_id": target.id})


def _target(turn: Turn, reader: Child, api_key_id: str) -> Child:
    target = reader if api_key_id == "self" else turn.store.child(api_key_id)
    own = (reader.account_id, reader.environment)
    if target is None or (target.account_id, target.environment) != own:
        raise not_found("key")
    if reader.line_id is not None and target.id != reader.id:
        raise ApiError(
            403, "agent_scope_error", "A key scoped to a line may read only itself.", {"line_id": reader.line_id}
        )
    return target


def _event_object(event: Event, time_field: str) -> dict[str, object]:
    return {"type": event.type, "id": event.id, time_field: rfc3339(event.created_at), "data": dict(event.data)}
