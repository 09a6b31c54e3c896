"""What a mint or a rotate comes to when it is answered: the key with its plaintext, or the key without it."""

from dataclasses import dataclass
from enum import StrEnum

from saperly_operator.saperly.concealed import Plaintext
from saperly_operator.saperly.models import ChildKey, Environment


class Misfit(StrEnum):
    """In what way a minted key is not the one that was asked for."""

    ENVIRONMENT = "environment"
    """The row or the plaintext belongs to the other environment."""
    PREFIX = "prefix"
    """The plaintext does not begin with the row's ``key_prefix``."""


@dataclass(frozen=True, slots=True)
class Minted:
    """The first answer: the only time that the plaintext is shown."""

    key: ChildKey
    plaintext: Plaintext

    def misfit(self, expected: Environment) -> Misfit | None:
        """What is wrong with this key, or None; the caller must not deliver a misfit."""
        if self.key.environment != expected or self.plaintext.environment != expected:
            return Misfit.ENVIRONMENT
        return None if self.plaintext.starts_with(self.key.key_prefix) else Misfit.PREFIX


@dataclass(frozen=True, slots=True)
class Redacted:
    """A replay, within 12 hours: the row as before, the plaintext lost for good unless someone kept it."""

    key: ChildKey


MintOutcome = Minted | Redacted
