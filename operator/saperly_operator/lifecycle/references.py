"""Key references: from the vendor's row to what status remembers of it, and which ids this object refers to. Pure."""

from datetime import datetime

from saperly_operator.lifecycle.attributes import Attributes
from saperly_operator.resources.saperly_key_status import Intent, KeyAttribute, KeyRef, RetiringKey, SaperlyKeyStatus
from saperly_operator.saperly.models import ChildKey, MintRequest

_REQUESTED = {
    "agent_label": KeyAttribute.AGENT_LABEL,
    "line_id": KeyAttribute.LINE_ID,
    "monthly_cap_cents": KeyAttribute.MONTHLY_CAP_CENTS,
}


def minted_ref(row: ChildKey, intent: Intent) -> KeyRef:
    """The reference to the key that ``intent`` minted, with the attributes that its stored request asked for."""
    request = MintRequest.model_validate_json(intent.request)
    asked = request.model_dump(mode="json", exclude_none=True, exclude={"environment"})
    attributes = Attributes(
        values=tuple(sorted(asked.items())),
        managed=tuple(attribute for field, attribute in _REQUESTED.items() if field in asked),
    )
    return KeyRef(
        id=row.id,
        prefix=row.key_prefix,
        serial=intent.serial,
        provider=intent.provider,
        service_key=intent.service_key,
        created_by=row.created_by_service_key_id,
        minted_at=row.created_at,
        attributes_hash=attributes.hash,
        managed_attributes=attributes.managed,
    )


def retiring(ref: KeyRef, reason: str, revoke_after: datetime) -> RetiringKey:
    """``ref`` on its way out."""
    return RetiringKey.model_validate({**dict(ref), "reason": reason, "revoke_after": revoke_after})


def referenced_ids(status: SaperlyKeyStatus) -> frozenset[str]:
    """The ids that status itself accounts for. Only the operator writes status, so these are ours without a tag."""
    current = [status.current.id] if status.current else []
    return frozenset([*current, *(entry.id for entry in status.retiring)])
