"""Comparing a list of live keys with what the SaperlyKeys here refer to: what of it concerns whom. No I/O.

Called by the sweep right after a list, on the cache as it is then: references are newer than the list, so that a key
minted meanwhile is never taken for a stray. Works on bodies as they come: it runs over the whole fleet at every sweep.

An object that nothing concerns gets no view and is not looked at: at rest a fleet costs its list and nothing more.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from saperly_operator.controller.cache import ObjectKey, key_refs, lost_successors
from saperly_operator.controller.listing import Listing
from saperly_operator.controller.service_keys import Held
from saperly_operator.kube.api import Object
from saperly_operator.lifecycle.attributes import listed_attributes
from saperly_operator.lifecycle.naming import Owner, Tag
from saperly_operator.lifecycle.observed import ServiceKeyName
from saperly_operator.lifecycle.sweep_view import SweepView
from saperly_operator.resources.saperly_key_status import KeyAttribute
from saperly_operator.saperly.models import ChildKey

_ABSENT_AT_LEAST = 5
_ABSENT_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class Known:
    """One SaperlyKey as the comparison needs it. ``names`` are the service keys, under the names that it knows them
    by, that were listed."""

    key: ObjectKey
    body: Object
    names: frozenset[ServiceKeyName]

    @property
    def status(self) -> Mapping[str, Any]:
        return self.body.get("status") or {}

    @property
    def rotation(self) -> Mapping[str, Any]:
        return (self.body.get("spec") or {}).get("rotation") or {}

    @property
    def refs(self) -> Sequence[Mapping[str, Any]]:
        """The keys that status accounts for."""
        return key_refs(self.body)

    @property
    def replaced(self) -> frozenset[str]:
        """The ids of keys whose successor nobody knows, or may not yet know."""
        intent = self.status.get("intent") or {}
        rotated = {intent["rotates"]} if intent.get("rotates") else set()
        return frozenset({lost["replaced"] for lost in lost_successors(self.body)} | rotated)


@dataclass(slots=True)
class Comparison:
    """``views`` by object, only for those that something concerns; ``unowned`` rows of this installation whose owner
    is not among the known; ``serials`` the highest by owner tag."""

    views: dict[ObjectKey, dict[ServiceKeyName, SweepView]] = field(default_factory=dict)
    unowned: list[ChildKey] = field(default_factory=list)
    serials: dict[str, int] = field(default_factory=dict)
    held: Held | None = None


def compare(listing: Listing, known: Iterable[Known], recorded: frozenset[str], installation: str) -> Comparison:
    """What ``listing`` says to whom. ``recorded`` are the ids that records of managed Secrets name."""
    known = tuple(known)
    tagged = _by_owner(listing.rows, installation)
    expected = {each.key: _expected(each, listing) for each in known}
    absent = _missing(expected, listing)
    comparison = Comparison(held=_held(expected, absent))
    comparison.serials = {tag: max(serial for serial, _ in rows) for tag, rows in tagged.items()}
    rows_by_id = {row.id: row for row in listing.rows}
    successors = _by_predecessor(listing.rows)
    referenced: set[str] = set()
    for each in known:
        owned = [row for _, row in tagged.pop(Tag.of(installation, Owner(*each.key), 1).owner, [])]
        judged = frozenset() if comparison.held else absent.get(each.key, frozenset())
        refs = {ref["id"]: ref for ref in each.refs}
        referenced |= refs.keys()
        named = (rows_by_id[key_id] for key_id in refs.keys() & rows_by_id.keys())
        # A successor bears the name of the key before it, which a person may have changed: its lineage tells whose it is.
        heirs = (row for replaced in each.replaced for row in successors.get(replaced, ()))
        rows = {row.id: row for row in (*owned, *named, *heirs)}
        if judged or _concerns(each, rows, refs, recorded):
            view = SweepView(
                listing.begun_at,
                listing.server_time,
                tuple(rows.values()),
                listing.is_proven,
                recorded & rows.keys(),
                judged,
            )
            comparison.views[each.key] = dict.fromkeys(each.names, view)
    strays = (row for rows in tagged.values() for _, row in rows)
    comparison.unowned = [row for row in strays if row.id not in referenced]
    return comparison


def _by_owner(rows: Iterable[ChildKey], installation: str) -> dict[str, list[tuple[int, ChildKey]]]:
    owners: dict[str, list[tuple[int, ChildKey]]] = defaultdict(list)
    for row in rows:
        tag = Tag.parse(row.name)
        if tag is not None and tag.is_of_installation(installation):
            owners[tag.owner].append((tag.serial, row))
    return owners


def _by_predecessor(rows: Iterable[ChildKey]) -> dict[str, list[ChildKey]]:
    successors: dict[str, list[ChildKey]] = defaultdict(list)
    for row in rows:
        if row.rotated_from is not None:
            successors[row.rotated_from].append(row)
    return successors


def _expected(known: Known, listing: Listing) -> frozenset[str]:
    """The ids of this object that the list should show: minted by this service key before it, and live as far as
    anybody knows."""
    creators = {row.created_by_service_key_id for row in listing.rows if row.created_by_service_key_id}
    revoked = (known.status.get("revoked") or {}).get("id")
    return frozenset(
        ref["id"]
        for ref in known.refs
        if (ref["provider"], ref["serviceKey"]) in known.names
        and not ref.get("hiddenSince")
        and ref["id"] != revoked
        and (not creators or ref.get("createdBy") in {None, *creators})
        and datetime.fromisoformat(ref["mintedAt"]) < listing.server_time.replace(microsecond=0)
    )


def _missing(expected: Mapping[ObjectKey, frozenset[str]], listing: Listing) -> dict[ObjectKey, frozenset[str]]:
    listed = frozenset(row.id for row in listing.rows)
    return {key: ids - listed for key, ids in expected.items() if ids - listed}


def _held(expected: Mapping[ObjectKey, frozenset[str]], absent: Mapping[ObjectKey, frozenset[str]]) -> Held | None:
    known, missing = sum(map(len, expected.values())), sum(map(len, absent.values()))
    return Held(missing, known) if missing > max(_ABSENT_AT_LEAST, _ABSENT_SHARE * known) else None


def _concerns(
    known: Known, rows: Mapping[str, ChildKey], refs: Mapping[str, Mapping[str, Any]], recorded: frozenset[str]
) -> bool:
    """Whether its worker has anything to do with this list."""
    status = known.status
    if status.get("intent") or status.get("unowned") or status.get("drift"):
        return True
    if known.replaced:
        return True  # also that nothing took the place of a key is worth telling: it is looked for until then
    if status.get("retiring") and known.rotation.get("requireIdle"):
        return True  # when its old keys were last used decides on their dates
    strays = rows.keys() - refs.keys() - recorded
    return bool(strays) or any(_differs(row, refs[row.id]) for row in rows.values() if row.id in refs)


def _differs(row: ChildKey, ref: Mapping[str, Any]) -> bool:
    """The key is visible again, or does not look as it was last sent."""
    if ref.get("hiddenSince"):
        return True
    sent = ref.get("attributesHash")
    managed = tuple(KeyAttribute(attribute) for attribute in ref.get("managedAttributes") or ())
    return bool(sent) and listed_attributes(row, managed).hash != sent
