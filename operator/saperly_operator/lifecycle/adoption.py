"""Which key may be taken over from a Secret without a mint: the proofs, as a table. Pure.

Two cases lead here. After a restore the Secret's record names the key (status and uid are gone), and the tag in the
vendor's row has to be this very object's: a record is only annotations, which whoever may edit a Secret can copy. And a
person may name a key that was made by other means, which then carries no tag at all (design, section 4, "Adoption").
"""

from dataclasses import dataclass
from datetime import datetime

from saperly_operator.lifecycle.attributes import listed_attributes, wanted_attributes
from saperly_operator.lifecycle.naming import Owner, Tag
from saperly_operator.resources import reasons
from saperly_operator.resources.provider import ProviderSpec
from saperly_operator.resources.saperly_key import SaperlyKey
from saperly_operator.resources.saperly_key_status import Bound, KeyRef
from saperly_operator.saperly.models import ChildKey


@dataclass(frozen=True, slots=True)
class AdoptionRefused:
    """What spoke against adopting ``key_id`` at ``at``, while spec, provider and Secret were as told here."""

    key_id: str
    fingerprint: str | None
    bound: Bound
    at: datetime
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A row of the vendor and what speaks for it.

    ``plaintext_fits``: the Secret's plaintext begins as the row says. ``taken_by``: another SaperlyKey that refers to
    it. ``named``: this object's annotation names it, so that it may be without a tag."""

    row: ChildKey
    plaintext_fits: bool
    taken_by: str | None
    named: bool


def misfit(candidate: Candidate, owner: Owner, installation: str, environment: str) -> tuple[str, str] | None:
    """Why the candidate is not ``owner``'s to adopt, as reason and message; None when every proof holds."""
    row, tag = candidate.row, Tag.parse(candidate.row.name)
    shown = f"The key {row.key_prefix}… that is to be adopted"
    if row.revoked_at is not None:
        return reasons.ADOPTION_KEY_REVOKED, f"{shown} is revoked at Saperly."
    if tag is None and not candidate.named:
        return reasons.ADOPTION_KEY_FOREIGN, f"{shown} does not carry this installation's tag at Saperly."
    if tag is not None and not tag.belongs_to(installation, owner):
        return reasons.ADOPTION_KEY_FOREIGN, f"{shown} was minted for another SaperlyKey, or by another installation."
    if candidate.taken_by is not None:
        return reasons.ADOPTION_KEY_TAKEN, f"{shown} is the SaperlyKey {candidate.taken_by}'s."
    if row.environment.value != environment:
        message = f"{shown} belongs to the environment {row.environment}, but the provider to {environment}."
        return reasons.ENVIRONMENT_MISMATCH, message
    if not candidate.plaintext_fits:
        return reasons.ADOPTION_KEY_MISMATCH, f"{shown} is another than the one whose plaintext the Secret holds."
    return None


def adopted_ref(
    row: ChildKey, key: SaperlyKey, provider: tuple[str, ProviderSpec], entry: str, installation: str
) -> KeyRef:
    """The reference to an adopted key. Its attributes are noted as they are: what the spec wants otherwise is sent."""
    name, spec = provider
    tag = Tag.parse(row.name)
    serial = tag.serial if tag is not None else 1
    managed = wanted_attributes(key, spec, installation, serial).managed
    return KeyRef(
        id=row.id,
        prefix=row.key_prefix,
        serial=serial,
        provider=name,
        service_key=entry,
        created_by=row.created_by_service_key_id,
        minted_at=row.created_at,
        attributes_hash=listed_attributes(row, managed).hash,
        managed_attributes=managed,
    )
