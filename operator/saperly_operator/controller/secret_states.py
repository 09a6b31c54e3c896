"""What a Secret is to a SaperlyKey: its own, with which plaintext where; somebody else's; or missing. Pure.

Asked for each observation, and once more by whatever is about to write a Secret, of what it just read.
"""

from dataclasses import dataclass

from saperly_operator.controller.secret_metadata import metadata_in_sync
from saperly_operator.kube.secrets import SecretView
from saperly_operator.lifecycle.naming import Owner
from saperly_operator.lifecycle.observed import SecretForeign, SecretOwned, SecretState
from saperly_operator.resources import annotations
from saperly_operator.resources.saperly_key import SaperlyKey
from saperly_operator.resources.secret_record import SecretRecord, fingerprint


@dataclass(frozen=True, slots=True)
class Target:
    """A place that may hold this object's plaintext."""

    secret: str
    entry: str


def kept_target(key: SaperlyKey) -> Target:
    """Where the plaintext is by status; where it is to be before there is any."""
    kept = key.status.secret
    return Target(key.secret_name, key.spec.secret.key) if kept is None else Target(kept.name, kept.key)


def secret_state(view: SecretView, key: SaperlyKey, target: Target, installation: str) -> SecretState:
    """What a Secret is to this object."""
    digest = view.digests.get(target.entry)
    mark = None if digest is None else fingerprint(key.metadata.uid, digest)
    record = owned_record(view, key, installation)
    kept = key.status.secret
    # Its record was stripped, but its data still fits what only we could have written: it is ours, and repaired.
    proven = kept is not None and kept.name == view.name and mark is not None and mark == kept.fingerprint
    if view.type != key.spec.secret.type or (record is None and not proven):
        return SecretForeign(
            owner=view.record.owner if view.record is not None else None,
            adoptable=view.annotations.get(annotations.ADOPT_FOR) == key.name,
            is_dependent=view.is_dependent,
            has_entry=digest is not None,
            fingerprint=mark,
            immutable=view.immutable,
        )
    return SecretOwned(
        record=record,
        fingerprint=mark,
        metadata_in_sync=record is not None and metadata_in_sync(view, key) and _names_current(record, key),
        intact=record is not None and digest is not None and record.fits(digest),
        immutable=view.immutable,
        elsewhere=None if proven else _elsewhere(view, key, target),
        written_by=view.writers.get(target.entry),
        misplaced=_misplaced(view, record, key, target),
        previous=_previous(view, key, target),
    )


def _misplaced(
    view: SecretView, record: SecretRecord | None, key: SaperlyKey, target: Target
) -> tuple[str, str] | None:
    """The entry with the data that was written with the record, where the wanted one has other data or is missing."""
    wanted = view.digests.get(target.entry)
    if record is None or (wanted is not None and record.fits(wanted)):
        return None
    found = sorted((name, digest) for name, digest in view.digests.items() if record.fits(digest))
    return next(((name, fingerprint(key.metadata.uid, digest)) for name, digest in found), None)


def _previous(view: SecretView, key: SaperlyKey, target: Target) -> dict[str, str]:
    """What is under the entries that may hold an old plaintext. While another key is on its way, also the plaintext that
    status still knows, wherever it is: since it was kept, the spec may have named another place, or none."""
    marks = {name: fingerprint(key.metadata.uid, digest) for name, digest in view.digests.items()}
    kept = key.status.secret.fingerprint if key.status.secret is not None and key.status.intent is not None else None
    places = previous_places(key)
    return {name: mark for name, mark in marks.items() if name != target.entry and (name in places or mark == kept)}


def _elsewhere(view: SecretView, key: SaperlyKey, target: Target) -> str | None:
    """Another entry of the Secret with the very plaintext that status knows: a rename that was undone on its way."""
    kept, not_here = key.status.secret, {target.entry, *previous_places(key)}
    if kept is None or kept.name != view.name:
        return None
    found = (
        name for name, digest in view.digests.items() if fingerprint(key.metadata.uid, digest) == kept.fingerprint
    )
    return next((name for name in sorted(found) if name not in not_here), None)


def previous_places(key: SaperlyKey) -> tuple[str, ...]:
    """The keys of a Secret's data under which an old plaintext may be: the one that the spec names, and earlier ones."""
    places = (key.spec.secret.previous_key, *(old.previous_key for old in key.status.retiring))
    return tuple({place: None for place in places if place is not None})


def _names_current(record: SecretRecord, key: SaperlyKey) -> bool:
    """Whether the record names the key that status does; while there is none, nobody can say."""
    current = key.status.current
    return current is None or key.status.intent is not None or record.key_id == current.id


def owned_record(view: SecretView, key: SaperlyKey, installation: str) -> SecretRecord | None:
    """The Secret's record, when it names this very object and this installation."""
    record = view.record
    if record is None or record.owner != str(Owner(key.namespace, key.name)) or record.installation != installation:
        return None
    return record
