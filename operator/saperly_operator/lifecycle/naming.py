"""Identity: every name by which this installation recognises what is its own.

The vendor keeps only one free text for a child key, its ``name`` of 64 bytes. It ends in a tag,
``[iiiiiiii.oooooooooooo.serial]``: base32 of hashes of the installation and of the owner's namespace/name, and the
serial. The tag is what lets a sweep find a key whose plaintext was lost together with the process that minted it.

Pure. Rules: design, section 3.
"""

import hashlib
import json
import re
from base64 import b32encode
from dataclasses import dataclass
from datetime import datetime

NAME_LIMIT_BYTES = 64
"""The vendor's limit for ``name``, counted in bytes of UTF-8 to be safe with either reading of "1–64"."""

_INSTALLATION_LENGTH = 8
_OWNER_LENGTH = 12
_TAG = re.compile(r"\[(?P<installation>[a-z2-7]{8})\.(?P<owner>[a-z2-7]{12})\.(?P<serial>[1-9][0-9]{0,15})\]\Z")


def _short(text: str, length: int) -> str:
    return b32encode(hashlib.sha256(text.encode()).digest()).decode().lower()[:length]


@dataclass(frozen=True, slots=True)
class Owner:
    """A SaperlyKey by namespace and name, which survive a restore (its uid does not)."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"

    @classmethod
    def parse(cls, text: str) -> "Owner | None":
        """The owner written ``namespace/name``, or None where the text is anything else."""
        namespace, slash, name = text.partition("/")
        return cls(namespace, name) if slash and namespace and name and "/" not in name else None


@dataclass(frozen=True, slots=True)
class Tag:
    """What the last bracket of a vendor ``name`` says."""

    installation: str
    owner: str
    serial: int

    @classmethod
    def of(cls, installation: str, owner: Owner, serial: int) -> "Tag":
        """The tag of the key that ``installation`` mints for ``owner`` under ``serial`` (1 or more)."""
        return cls(_short(installation, _INSTALLATION_LENGTH), _short(str(owner), _OWNER_LENGTH), serial)

    @classmethod
    def parse(cls, name: str) -> "Tag | None":
        """The tag at the very end of ``name``, or None. Brackets elsewhere are a user's text and mean nothing."""
        found = _TAG.search(name)
        return cls(found["installation"], found["owner"], int(found["serial"])) if found else None

    def belongs_to(self, installation: str, owner: Owner) -> bool:
        """Whether this installation minted the key for that very object."""
        return self == Tag.of(installation, owner, self.serial)

    def is_of_installation(self, installation: str) -> bool:
        return self.installation == _short(installation, _INSTALLATION_LENGTH)

    def __str__(self) -> str:
        return f"[{self.installation}.{self.owner}.{self.serial}]"


def vendor_name(readable: str, tag: Tag) -> str:
    """``readable`` cut to fit, a space, the tag: at most 64 bytes, never a broken character."""
    suffix = f" {tag}"
    room = NAME_LIMIT_BYTES - len(suffix.encode())
    cut = readable.encode()[:room].decode(errors="ignore").rstrip()
    return f"{cut}{suffix}" if cut else str(tag)


def released_name(name: str) -> str:
    """``name`` without its tag, for a key that its owner lets go (``deletionPolicy: Orphan``)."""
    return _TAG.sub("", name).rstrip() or "released"


def idempotency_key(
    installation: str, owner: Owner, serial: int, started_at: datetime, rotates: str | None = None
) -> str:
    """The deterministic ``Idempotency-Key`` of a mint, or of rotating the key of the id ``rotates``: the same intent
    always replays, another never collides."""
    operation = ["mint"] if rotates is None else ["rotate", rotates]
    parts = [*operation, installation, owner.namespace, owner.name, str(serial), started_at.isoformat()]
    return "saperly-operator-" + hashlib.sha256("\0".join(parts).encode()).hexdigest()[:40]


def canonical_json(body: dict[str, object]) -> str:
    """The one spelling of a request body, so that a replay is identical byte for byte."""
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
