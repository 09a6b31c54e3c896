"""The six endpoints under ``/v1/keys``: each one effect, all checks before the first write.

Called by the core with input that ``validation`` has parsed and a service key that ``authentication`` has let in.
Every one raises ``ApiError`` or returns an ``Answer``; since nothing is written before the last check, a refusal
leaves no trace but its call.
"""

from dataclasses import replace
from hashlib import sha256
from uuid import UUID

from saperly_operator.saperly.models import Environment, MintRequest, Permissions, UpdateRequest
from saperly_operator.simulator.errors import ApiError, not_found, validation_error
from saperly_operator.simulator.refusals import refuse_if_blocked
from saperly_operator.simulator.settings import ListOrder
from saperly_operator.simulator.state import Child, ServiceKey, digest_of
from saperly_operator.simulator.turn import Answer, Turn, key_object

_PREFIX_LENGTH = len("sk_live_abc")


def mint(turn: Turn, service_key: ServiceKey, body: MintRequest) -> Answer:
    """POST /v1/keys."""
    refuse_if_blocked(turn, service_key, line_id=body.line_id)
    if body.environment not in (None, service_key.environment):
        raise validation_error({"environment": f"The service key is of the environment {service_key.environment}."})
    _check_line(turn, service_key, body.line_id)
    plaintext = turn.new_credential(f"sk_{service_key.environment.value}_")
    child = Child(
        id=turn.new_id(),
        account_id=service_key.account_id,
        created_by_service_key_id=service_key.id,
        key_prefix=plaintext[:_PREFIX_LENGTH],
        digest=digest_of(plaintext),
        environment=service_key.environment,
        name=body.name,
        agent_label=body.agent_label,
        line_id=body.line_id,
        permissions=body.permissions or Permissions.FULL,
        monthly_cap_cents=body.monthly_cap_cents,
        created_at=turn.now,
    )
    turn.store.put_child(child)
    turn.note("api_key_created", child)
    return Answer(201, key_object(child), plaintext=plaintext)


def list_keys(turn: Turn, service_key: ServiceKey, limit: int, offset: int) -> Answer:
    """GET /v1/keys: live keys of this service key, and a compliance event for having looked."""
    refuse_if_blocked(turn, service_key)
    live = _in_order(turn, list(turn.store.live_children(service_key.id)))
    turn.write_event(
        "service_key_list_read",
        service_key.account_id,
        service_key.environment,
        None,
        {"service_key_id": service_key.id},
    )
    page = [key_object(child) for child in live[offset : offset + limit]]
    return Answer(200, payload={"keys": page, "total": len(live)})


def get(turn: Turn, service_key: ServiceKey, key_id: str) -> Answer:
    """GET /v1/keys/{id}: revoked keys too."""
    child = _own_child(turn, service_key, key_id)
    refuse_if_blocked(turn, service_key, child)
    return Answer(200, key_object(child))


def update(turn: Turn, service_key: ServiceKey, key_id: str, body: UpdateRequest) -> Answer:
    """PATCH /v1/keys/{id}: the fields that were sent, null included."""
    child = _own_child(turn, service_key, key_id)
    _check_live(turn, child)
    refuse_if_blocked(turn, service_key, child, line_id=body.line_id)
    _check_line(turn, service_key, body.line_id)
    changed = replace(child, **{name: getattr(body, name) for name in body.model_fields_set})
    turn.store.put_child(changed)
    turn.note("api_key_updated", changed)
    return Answer(200, key_object(changed))


def revoke(turn: Turn, service_key: ServiceKey, key_id: str) -> Answer:
    """DELETE /v1/keys/{id}: effective at once; the second one finds nothing."""
    child = _own_child(turn, service_key, key_id)
    if not child.is_live:
        raise not_found("key")
    refuse_if_blocked(turn, service_key, child)
    revoked = replace(child, revoked_at=turn.now)
    turn.store.put_child(revoked)
    turn.note("api_key_revoked", revoked)
    return Answer(200, key_object(revoked))


def rotate(turn: Turn, service_key: ServiceKey, key_id: str) -> Answer:
    """POST /v1/keys/{id}/rotate: the old key dies and its successor appears, in one transaction."""
    child = _own_child(turn, service_key, key_id)
    _check_live(turn, child)
    refuse_if_blocked(turn, service_key, child)
    plaintext = turn.new_credential(f"sk_{child.environment.value}_")
    successor = replace(
        child,
        id=turn.new_id(),
        key_prefix=plaintext[:_PREFIX_LENGTH],
        digest=digest_of(plaintext),
        created_at=turn.now,
        last_used_at=None,
        monthly_spend_cents=0,
        rotated_from=child.id,
    )
    turn.store.put_child(replace(child, revoked_at=turn.now))
    turn.store.put_child(successor)
    turn.note("api_key_rotated", successor, rotated_from=child.id)
    return Answer(201, key_object(successor), plaintext=plaintext)


def _own_child(turn: Turn, service_key: ServiceKey, key_id: str) -> Child:
    child = turn.store.child(key_id)
    if child is None or child.created_by_service_key_id != service_key.id:
        raise not_found("key")
    return child


def _check_live(turn: Turn, child: Child) -> None:
    if child.is_live:
        return
    if turn.settings.revoked_key_status == 404:
        raise not_found("key")
    raise validation_error({"id": "The key is revoked."})


def _check_line(turn: Turn, service_key: ServiceKey, line_id: str | None) -> None:
    if line_id is None:
        return
    line = turn.store.line(line_id)
    if line is None or line.released_at is not None or line.account_id != service_key.account_id:
        raise _no_such_line(turn, line_id)
    if line.environment is not Environment(service_key.environment):
        raise validation_error({"line_id": f"The line is not of the environment {service_key.environment}."})


def _no_such_line(turn: Turn, line_id: str) -> ApiError:
    if turn.settings.malformed_line_status == 422 and not _is_uuid(line_id):
        return validation_error({"line_id": "Must be a UUID."})
    return not_found("line")


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _in_order(turn: Turn, children: list[Child]) -> list[Child]:
    match turn.settings.list_order:
        case ListOrder.OLDEST_FIRST:
            return children
        case ListOrder.NEWEST_FIRST:
            return children[::-1]
        case ListOrder.ID:
            return sorted(children, key=lambda child: child.id)
        case ListOrder.SHUFFLED:
            salt = turn.entropy(8)
            return sorted(children, key=lambda child: sha256(salt + child.id.encode()).digest())
