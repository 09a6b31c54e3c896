"""Workloads that read a SaperlyKey's Secret: how the spec names them, and the mark that a restart leaves on one.

Used by ``saperly_key`` and by whoever restarts them. Pure.
"""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from saperly_operator.resources.annotations import PREFIX, RESTARTED_PREFIX
from saperly_operator.resources.base import ApiModel
from saperly_operator.resources.fields import ObjectName

_NAME_LIMIT = 63 - len(RESTARTED_PREFIX.removeprefix(PREFIX))
"""What is left for a name of the 63 characters that Kubernetes takes after an annotation's slash."""

_HASH_LENGTH = 12


class WorkloadKind(StrEnum):
    """The kinds of workload that can be restarted: those of the group apps that own a pod template."""

    DEPLOYMENT = "Deployment"
    STATEFUL_SET = "StatefulSet"
    DAEMON_SET = "DaemonSet"


class WorkloadRef(ApiModel):
    """A workload in the namespace of the SaperlyKey; no other namespace can be named."""

    kind: WorkloadKind
    """Deployment, StatefulSet or DaemonSet."""
    name: ObjectName
    """The workload's name, in this object's own namespace."""

    def __str__(self) -> str:
        """``Deployment/support``: the form that status, messages and events use."""
        return f"{self.kind}/{self.name}"


@dataclass(frozen=True, slots=True)
class RestartMark:
    """What the annotation on a pod template says: for which object, and up to which of its serials, it was restarted.

    ``owner`` stands for the object's uid: an object of the same name that comes later counts its serials anew, and
    must not take its predecessor's mark for its own.
    """

    serial: int
    owner: str

    @classmethod
    def of(cls, uid: str, serial: int) -> Self:
        """The mark of the restart for the key that the object of that ``uid`` minted under ``serial``."""
        return cls(serial, hashlib.sha256(uid.encode()).hexdigest()[:8])

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read the form that ``str`` gives; None for any other text."""
        serial, dot, owner = text.partition(".")
        if not dot or not owner or not (serial.isascii() and serial.isdigit()) or len(serial) > 16:
            return None
        return cls(int(serial), owner)

    def __str__(self) -> str:
        return f"{self.serial}.{self.owner}"

    def covers(self, other: "RestartMark") -> bool:
        """Whether pods made from a template with this mark began after the key that ``other`` stands for was there."""
        return self.owner == other.owner and self.serial >= other.serial


def restarted_annotation(name: str) -> str:
    """The annotation in which the SaperlyKey called ``name`` marks pod templates: one each, so that two that restart
    the same workload do not undo each other's mark."""
    if len(name) <= _NAME_LIMIT:
        return RESTARTED_PREFIX + name
    shortened = name[: _NAME_LIMIT - _HASH_LENGTH - 1].rstrip("-.")
    return f"{RESTARTED_PREFIX}{shortened}-{hashlib.sha256(name.encode()).hexdigest()[:_HASH_LENGTH]}"
