"""Secrets as the operator sees them: with digests in the place of data.

The one plaintext that ever leaves this module again is the one that a move has to copy (``entry``), read live and
dropped at once. What caches keep is a ``SecretView``.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field

from saperly_operator.kube.api import FIELD_MANAGER, Object
from saperly_operator.resources.secret_record import SecretRecord, plaintext_digest

_LONGEST_NAME = 128
"""Characters of a field manager's name; the API server's own limit."""


@dataclass(frozen=True, slots=True)
class SecretView:
    """A Secret without its data: of each entry only a digest. ``is_dependent``: it has an ownerReference. ``writers``:
    the entries that others than the operator wrote last, each with the name under which the API server noted that."""

    namespace: str
    name: str
    uid: str
    version: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    record: SecretRecord | None
    digests: Mapping[str, str]
    immutable: bool
    type: str
    is_dependent: bool = False
    writers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, secret: Object) -> "SecretView":
        """The view of a Secret as the API returned it."""
        metadata = secret["metadata"]
        annotations = metadata.get("annotations") or {}
        return cls(
            namespace=metadata["namespace"],
            name=metadata["name"],
            uid=metadata["uid"],
            version=metadata["resourceVersion"],
            labels=metadata.get("labels") or {},
            annotations=annotations,
            record=SecretRecord.read(annotations),
            digests={key: plaintext_digest(_decoded(value)) for key, value in (secret.get("data") or {}).items()},
            immutable=bool(secret.get("immutable")),
            type=str(secret.get("type") or "Opaque"),
            is_dependent=bool(metadata.get("ownerReferences")),
            writers=_writers(metadata.get("managedFields") or []),
        )


def _writers(managed: list[Object]) -> dict[str, str]:
    """From ``managedFields``, oldest first, so that of several owners of an entry the last one counts."""
    found: dict[str, str] = {}
    for each in sorted(managed, key=lambda each: str(each.get("time") or "")):
        data = (each.get("fieldsV1") or {}).get("f:data") or {}
        names = [path.removeprefix("f:") for path in data if path.startswith("f:")]
        found |= dict.fromkeys(names, str(each.get("manager") or "")[:_LONGEST_NAME])
    return {name: manager for name, manager in found.items() if manager not in ("", FIELD_MANAGER)}


def entry(secret: Object, key: str) -> bytes | None:
    """The data under ``key``, decoded; None when there is none. This is a plaintext: hand it on, never keep it."""
    value = (secret.get("data") or {}).get(key)
    return None if value is None else _decoded(value)


def encoded(value: bytes) -> str:
    """``value`` as a Secret's ``data`` holds it."""
    return base64.b64encode(value).decode()


def _decoded(value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return b""
