"""The bodies of Secret writes. Pure; the only code that puts a plaintext into an object, right before it is sent."""

from collections.abc import Mapping

from saperly_operator.controller.secret_metadata import (
    patched_annotations,
    patched_labels,
    wanted_annotations,
    wanted_labels,
)
from saperly_operator.controller.secret_states import kept_target
from saperly_operator.kube.api import Object
from saperly_operator.kube.secrets import SecretView, encoded, entry
from saperly_operator.lifecycle.naming import Owner
from saperly_operator.lifecycle.transitions import answered_request
from saperly_operator.resources.saperly_key import SaperlyKey
from saperly_operator.resources.saperly_key_status import KeyRef
from saperly_operator.resources.secret_record import (
    RECORD_ANNOTATIONS,
    SecretRecord,
    fingerprint,
    plaintext_digest,
    short_digest,
)
from saperly_operator.saperly.concealed import Plaintext

_STAND_IN = b"x" * 64
"""As long as a key or longer, so that a dry run meets the same quotas and size limits."""


def record_of(key: SaperlyKey, ref: KeyRef, installation: str, digest: str) -> SecretRecord:
    """What the Secret is to say of the key that it holds; ``digest`` is its plaintext's."""
    handled = key.status.rotation.last_handled_request if key.status.rotation else None
    current = key.status.current
    return SecretRecord(
        key_id=ref.id,
        key_prefix=ref.prefix,
        serial=ref.serial,
        installation=installation,
        owner=str(Owner(key.namespace, key.name)),
        minted_at=ref.minted_at,
        # A new key answers the request that its intent was stored for; one that was there before, what status says.
        handled_request=handled if current is not None and current.id == ref.id else answered_request(key),
        digest=short_digest(digest),
    )


def create_body(key: SaperlyKey, record: Mapping[str, str], data: Mapping[str, str]) -> Object:
    """A new Secret. No ownerReference: what happens to it on deletion is ours to order."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": key.secret_name,
            "namespace": key.namespace,
            "labels": wanted_labels(key),
            "annotations": {**wanted_annotations(key), **record},
        },
        "type": key.spec.secret.type.value,
        "data": dict(data),
    }


def update_patch(
    key: SaperlyKey, view: SecretView, *, record: Mapping[str, str], data: Mapping[str, str], left: str | None = None
) -> Object:
    """A merge patch of exactly the Secret in ``view``, in exactly that state, else it conflicts.

    With new ``data``, the entry where status knows a plaintext, and the one that it is moved from (``left``), are taken
    out where they are no part of it.
    """
    kept = kept_target(key)
    places = {left} | ({kept.entry} if kept.secret == view.name else set())
    stale = {place: None for place in places if data and place is not None and place in view.digests.keys() - data}
    return {
        "metadata": {
            "uid": view.uid,
            "resourceVersion": view.version,
            "labels": patched_labels(key, view),
            "annotations": {**patched_annotations(key, view), **record},
        },
        "data": {**data, **stale},
    }


def dry_run_body(key: SaperlyKey) -> Object:
    """A Secret of the size and shape of the real one, to be tried and thrown away."""
    record = dict.fromkeys(RECORD_ANNOTATIONS, "x" * 36)
    previous = key.spec.secret.previous_key
    old = {previous: encoded(_STAND_IN)} if previous is not None else {}
    return create_body(key, record, plaintext_data(key, _STAND_IN) | old)


def plaintext_data(key: SaperlyKey, plaintext: bytes | Plaintext) -> dict[str, str]:
    """The Secret's data: the key's plaintext under the name that the spec gives it."""
    raw = plaintext.reveal().encode() if isinstance(plaintext, Plaintext) else plaintext
    return {key.spec.secret.key: encoded(raw)}


def previous_data(key: SaperlyKey, existing: Object | None) -> dict[str, str]:
    """The plaintext that is about to be replaced, under ``spec.secret.previousKey``.

    Only from the Secret as it was read live, and only where its data is what status knows: what anybody else put there
    must not be shown to a key's users as their old one.
    """
    name, kept = key.spec.secret.previous_key, key.status.secret
    if name is None or kept is None or existing is None or existing["metadata"]["name"] != kept.name:
        return {}
    if key.status.revoked is not None:
        return {}  # somebody else revoked the current key: its plaintext is of no use to anybody
    return _entry_that_fits(key, existing, kept.key, kept.fingerprint, name)


def carried_previous(key: SaperlyKey, source: Object) -> dict[str, str]:
    """An old plaintext that is in the Secret ``source``, for the one that the key moves to."""
    name = key.spec.secret.previous_key
    for old in key.status.retiring:
        if name is not None and old.previous_key is not None and old.fingerprint is not None:
            return _entry_that_fits(key, source, old.previous_key, old.fingerprint, name)
    return {}


def _entry_that_fits(key: SaperlyKey, secret: Object, place: str, mark: str, name: str) -> dict[str, str]:
    value = entry(secret, place)
    if value is None or fingerprint(key.metadata.uid, plaintext_digest(value)) != mark:
        return {}
    return {name: encoded(value)}
