"""What a key is to look like at the vendor, and how to bring one there.

An attribute that the spec leaves unset is not managed: what a person set in the portal stays. One that we set and
that was then taken out of the spec is cleared; ``managedAttributes`` of the key remembers which those are. Pure.
"""

import hashlib
from dataclasses import dataclass

from saperly_operator.lifecycle.naming import Owner, Tag, canonical_json, vendor_name
from saperly_operator.resources.provider import Policy, ProviderSpec
from saperly_operator.resources.saperly_key import SaperlyKey, SaperlyKeySpec
from saperly_operator.resources.saperly_key_status import CLAIMS, KeyAttribute, KeyRef
from saperly_operator.saperly.models import ChildKey, Permissions, UpdateRequest

_HASH_VERSION = "1"

_FIELDS = {
    KeyAttribute.AGENT_LABEL: "agent_label",
    KeyAttribute.LINE_ID: "line_id",
    KeyAttribute.MONTHLY_CAP_CENTS: "monthly_cap_cents",
}


@dataclass(frozen=True, slots=True)
class Attributes:
    """The attributes of one key, under the vendor's field names; only what is managed."""

    values: tuple[tuple[str, str | int], ...]
    managed: tuple[KeyAttribute, ...]

    @property
    def hash(self) -> str:
        """Stands for the values in status. The version in front makes a later change of the recipe recognisable."""
        digest = hashlib.sha256(canonical_json(dict(self.values)).encode()).hexdigest()[:24]
        return f"{_HASH_VERSION}:{digest}"

    def mint_body(self, environment: str) -> str:
        """The body of a mint, as one canonical string: it is stored, and sent byte for byte."""
        return canonical_json({**dict(self.values), "environment": environment})

    def update_from(self, managed_before: tuple[KeyAttribute, ...]) -> UpdateRequest:
        """The PATCH that brings a key here; what was managed before and is no more is cleared."""
        cleared = {_FIELDS[attribute]: None for attribute in managed_before if attribute not in self.managed}
        return UpdateRequest.model_validate({**dict(self.values), **cleared})


def claims(ref: KeyRef, update: UpdateRequest, managed: tuple[KeyAttribute, ...]) -> tuple[str, ...]:
    """What is to be remembered before ``update`` is sent for the key: each value that nobody has confirmed yet."""
    unconfirmed = {_attribute(claim) for claim in ref.claimed_values}
    new = (
        _claim(attribute, getattr(update, _FIELDS[attribute]))
        for attribute in managed
        if attribute not in ref.managed_attributes or attribute in unconfirmed
    )
    return tuple(dict.fromkeys([*ref.claimed_values, *new]))[-CLAIMS:]


def given_up(ref: KeyRef, managed: tuple[KeyAttribute, ...]) -> frozenset[KeyAttribute]:
    """Attributes that are managed no more before anybody confirmed that they were set."""
    return frozenset(_attribute(claim) for claim in ref.claimed_values) - frozenset(managed)


def sparing(update: UpdateRequest, ref: KeyRef, managed: tuple[KeyAttribute, ...], row: ChildKey) -> UpdateRequest:
    """``update`` without clearing what ``row`` shows to be somebody else's value: ours never came there."""
    theirs = {
        _FIELDS[attribute]
        for attribute in given_up(ref, managed)
        if _claim(attribute, getattr(row, _FIELDS[attribute])) not in ref.claimed_values
    }
    return UpdateRequest.model_validate(update.model_dump(exclude_unset=True, exclude=theirs))


def _claim(attribute: KeyAttribute, value: str | int | None) -> str:
    return f"{attribute.value}:{hashlib.sha256(str(value).encode()).hexdigest()[:16]}"


def _attribute(claim: str) -> KeyAttribute:
    return KeyAttribute(claim.partition(":")[0])


def wanted_attributes(key: SaperlyKey, provider: ProviderSpec, installation: str, serial: int) -> Attributes:
    """What the key minted under ``serial`` is to look like."""
    spec, owner = key.spec, Owner(key.namespace, key.name)
    optional = {
        KeyAttribute.AGENT_LABEL: spec.agent_label,
        KeyAttribute.LINE_ID: spec.line_id,
        KeyAttribute.MONTHLY_CAP_CENTS: spec.monthly_cap_cents or provider.policy.max_monthly_cap_cents,
    }
    chosen = {attribute: value for attribute, value in optional.items() if value is not None}
    values: dict[str, str | int] = {
        "name": vendor_name(spec.display_name or str(owner), Tag.of(installation, owner, serial)),
        # Always sent: the vendor's own default is full.
        "permissions": Permissions(spec.permissions).value,
        **{_FIELDS[attribute]: value for attribute, value in chosen.items()},
    }
    return Attributes(values=tuple(sorted(values.items())), managed=tuple(chosen))


def listed_attributes(row: ChildKey, managed: tuple[KeyAttribute, ...]) -> Attributes:
    """What the vendor's row looks like, of that which is managed: the same hash says that it is as it was sent."""
    values: dict[str, str | int] = {"name": row.name, "permissions": str(row.permissions)}
    for attribute in managed:
        value = getattr(row, _FIELDS[attribute])
        if value is not None:
            values[_FIELDS[attribute]] = value
    return Attributes(values=tuple(sorted(values.items())), managed=managed)


def differing_fields(wanted: Attributes, listed: Attributes) -> tuple[str, ...]:
    """The vendor's names of the attributes in which the two differ."""
    ours, theirs = dict(wanted.values), dict(listed.values)
    return tuple(sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)))


def needs_update(ref: KeyRef, wanted: Attributes) -> bool:
    """Whether what was last sent for the key is not what is wanted now."""
    return ref.attributes_hash != wanted.hash or set(ref.managed_attributes) != set(wanted.managed)


def policy_violation(spec: SaperlyKeySpec, policy: Policy) -> str | None:
    """What of the spec the provider's policy forbids, as a sentence that says what to change; None when nothing."""
    if policy.permissions and spec.permissions not in policy.permissions:
        allowed = ", ".join(policy.permissions)
        return f"spec.permissions is {spec.permissions}, but the provider allows only: {allowed}."
    limit = policy.max_monthly_cap_cents
    if limit is not None and spec.monthly_cap_cents is not None and spec.monthly_cap_cents > limit:
        return f"spec.monthlyCapCents is {spec.monthly_cap_cents}, but the provider allows at most {limit}."
    if policy.require_line and spec.line_id is None:
        return "spec.lineId is missing, but the provider requires one."
    return None
