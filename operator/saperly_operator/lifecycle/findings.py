"""What status tells of findings at the vendor, in words for people: one condition each, present only while true. Pure."""

from dataclasses import dataclass
from typing import Final

from saperly_operator.resources import annotations, reasons
from saperly_operator.resources.saperly_key_status import SaperlyKeyStatus

CONTESTED_FROM: Final = 3
"""How often the same attributes are put right at once; from then on it is called a contest, and they wait."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A condition's type, which is its reason too, and its message."""

    type: str
    message: str


def findings(status: SaperlyKeyStatus) -> tuple[Finding, ...]:
    """The findings that ``status`` holds."""
    found = (_hidden(status), _contested(status), _in_use(status))
    return tuple(finding for finding in found if finding is not None)


def _hidden(status: SaperlyKeyStatus) -> Finding | None:
    refs = [ref for ref in (status.current, *status.retiring) if ref is not None and ref.hidden_since is not None]
    if not refs:
        return None
    shown = ", ".join(f"{ref.prefix}…" for ref in refs)
    message = (
        f"Saperly does not show {shown} to the service key that minted it: it can be neither changed nor revoked "
        "here. Look for it in the Saperly portal."
    )
    return Finding(reasons.KEY_NOT_VISIBLE, message)


def _contested(status: SaperlyKeyStatus) -> Finding | None:
    contested = [drift for drift in status.drift if drift.count >= CONTESTED_FROM]
    if not contested:
        return None
    fields = ", ".join(sorted({field for drift in contested for field in drift.fields}))
    message = (
        f"Somebody changes {fields} at Saperly again and again; it is put right more and more rarely. Change the "
        "spec instead, or find out who does it."
    )
    return Finding(reasons.ATTRIBUTES_CONTESTED, message)


def _in_use(status: SaperlyKeyStatus) -> Finding | None:
    if not status.unowned:
        return None
    shown = ", ".join(f"{each.prefix}… ({each.id})" for each in status.unowned)
    message = (
        f"In use, though nothing here refers to it: {shown}. It is revoked after 24 idle hours, or at once when the "
        f"annotation {annotations.REVOKE_ORPHANS} names it."
    )
    return Finding(reasons.IN_USE_ORPHAN, message)
