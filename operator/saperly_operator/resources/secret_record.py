"""The record that a Secret carries as annotations: enough to recognise the key in it after status was lost.

Written with the plaintext in one request, so that the two can never disagree. Rules: design, section 2.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from saperly_operator.resources import annotations

RECORD_ANNOTATIONS = (
    annotations.KEY_ID,
    annotations.KEY_PREFIX,
    annotations.SERIAL,
    annotations.INSTALLATION,
    annotations.OWNER,
    annotations.MINTED_AT,
    annotations.HANDLED_REQUEST,
    annotations.DIGEST,
)


@dataclass(frozen=True, slots=True)
class SecretRecord:
    """Which key a Secret holds, for whom, and under which serial. ``owner`` is ``namespace/name``."""

    key_id: str
    key_prefix: str
    serial: int
    installation: str
    owner: str
    minted_at: datetime | None
    handled_request: str | None = None
    digest: str = ""

    @classmethod
    def read(cls, values: Mapping[str, str]) -> "SecretRecord | None":
        """The record in the annotations ``values``, or None when it is not whole.

        Whoever may edit the Secret may write these, so nothing here is proof of anything by itself.
        """
        key_id, owner = values.get(annotations.KEY_ID), values.get(annotations.OWNER)
        installation, serial = values.get(annotations.INSTALLATION), values.get(annotations.SERIAL, "")
        if not key_id or not owner or not installation or not serial.isascii() or not serial.isdigit():
            return None
        return cls(
            key_id=key_id,
            key_prefix=values.get(annotations.KEY_PREFIX, ""),
            serial=int(serial[:10]),
            installation=installation,
            owner=owner,
            minted_at=_moment(values.get(annotations.MINTED_AT)),
            handled_request=values.get(annotations.HANDLED_REQUEST),
            digest=values.get(annotations.DIGEST, ""),
        )

    def fits(self, digest: str) -> bool:
        """Whether data of that ``plaintext_digest`` is what was written with this record."""
        return bool(self.digest) and self.digest == short_digest(digest)

    def write(self) -> dict[str, str]:
        """The annotations that say this."""
        written = {
            annotations.KEY_ID: self.key_id,
            annotations.KEY_PREFIX: self.key_prefix,
            annotations.SERIAL: str(self.serial),
            annotations.INSTALLATION: self.installation,
            annotations.OWNER: self.owner,
            annotations.DIGEST: self.digest,
        }
        if self.minted_at is not None:
            written[annotations.MINTED_AT] = self.minted_at.isoformat()
        if self.handled_request is not None:
            written[annotations.HANDLED_REQUEST] = self.handled_request
        return written


def _moment(text: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def plaintext_digest(plaintext: bytes) -> str:
    """A digest that caches keep in a plaintext's place. The plaintext is random, so it gives nothing away."""
    return hashlib.sha256(plaintext).hexdigest()


def short_digest(digest: str) -> str:
    """The 64 bits of a digest that a record shows; whoever reads it can read the plaintext beside it."""
    return digest[:16]


def fingerprint(uid: str, digest: str) -> str:
    """64 bits that tie a plaintext (by its digest) to the object of that ``uid``; what status may show."""
    return hashlib.sha256(f"{uid}\0{digest}".encode()).hexdigest()[:16]
