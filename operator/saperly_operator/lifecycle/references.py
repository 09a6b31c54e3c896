"""Key references: from the vendor's row to what status remembers of it, and which ids this object refers to. Pure."""

from datetime import datetime

from saperly_operator.lifecycle.attributes import Attributes
from saperly_operator.lifecycle.naming import Tag
from saperly_operator.resources.saperly_key_status import (
    Intent,
    KeyAttribute,
    KeyRef,
    Operation,
    RetiringKey,
    SaperlyKeyStatus,
)
from saperly_operator.saperly.models import ChildKey, MintRequest

_REQUESTED = {
    "agent_label": KeyAttribute.AGENT_LABEL,
    "line_id": KeyAttribute.LINE_ID,
    "monthly_cap_cents": KeyAttribute.MONTHLY_CAP_CENTS,
}


def minted_ref(row: ChildKey, intent: Intent, before: KeyRef | None) -> KeyRef:
    """The reference to the key that ``intent`` brought about, with the attributes that it bears.

    A minted key bears those that the stored request asked for, a rotated one those of ``before``, the key in whose place
    it came: its name too, with the serial of that one, which is put right like any other attribute that differs.
    """
    if intent.operation is Operation.ROTATE:
        inherits = before is not None and before.id == intent.rotates
        attributes_hash = before.attributes_hash if before is not None and inherits else ""
        managed = before.managed_attributes if before is not None and inherits else ()
        claimed = before.claimed_values if before is not None and inherits else ()
    else:
        asked = _asked_for(intent)
        attributes_hash, managed, claimed = asked.hash, asked.managed, ()
    return KeyRef(
        id=row.id,
        prefix=row.key_prefix,
        serial=intent.serial,
        provider=intent.provider,
        service_key=intent.service_key,
        created_by=row.created_by_service_key_id,
        minted_at=row.created_at,
        attributes_hash=attributes_hash,
        managed_attributes=managed,
        claimed_values=claimed,
        rotated_from=row.rotated_from,
    )


def _asked_for(intent: Intent) -> Attributes:
    request = MintRequest.model_validate_json(intent.request)
    asked = request.model_dump(mode="json", exclude_none=True, exclude={"environment"})
    return Attributes(
        values=tuple(sorted(asked.items())),
        managed=tuple(attribute for field, attribute in _REQUESTED.items() if field in asked),
    )


def retiring(ref: KeyRef, reason: str, revoke_after: datetime) -> RetiringKey:
    """``ref`` on its way out."""
    return RetiringKey.model_validate({**dict(ref), "reason": reason, "revoke_after": revoke_after})


def referenced_ids(status: SaperlyKeyStatus) -> frozenset[str]:
    """The ids that status itself accounts for. Only the operator writes status, so these are ours without a tag."""
    current = [status.current.id] if status.current else []
    return frozenset([*current, *(entry.id for entry in status.retiring)])


def listed_ref(row: ChildKey, provider: str, service_key: str) -> KeyRef:
    """The reference to a key that a list of that service key showed under this object's tag."""
    tag = Tag.parse(row.name)
    return KeyRef(
        id=row.id,
        prefix=row.key_prefix,
        serial=tag.serial if tag is not None else 0,
        provider=provider,
        service_key=service_key,
        created_by=row.created_by_service_key_id,
        minted_at=row.created_at,
        rotated_from=row.rotated_from,
    )


def rotated_away(status: SaperlyKeyStatus, key_id: str) -> bool:
    """Whether another key of this object took the place of that one at Saperly, which is then dead."""
    refs = [*([status.current] if status.current else []), *status.retiring]
    return any(ref.rotated_from == key_id for ref in refs)


def joined(before: tuple[RetiringKey, ...], more: tuple[RetiringKey, ...]) -> tuple[RetiringKey, ...]:
    """Each id once: the API server refuses a list map with the same key twice."""
    known = {entry.id for entry in before}
    added = {entry.id: entry for entry in more if entry.id not in known}
    return (*before, *added.values())
