"""What others do to keys and Secrets, as far as it shows: parts of the status of a ``SaperlyKey`` and of a provider.

Used by ``saperly_key_status`` and ``provider``. Kept in status so that a restart neither forgets nor repeats what a
sweep found.
"""

from typing import Annotated

from pydantic import Field

from saperly_operator.resources.base import ApiModel, Timestamp
from saperly_operator.resources.fields import KeyId, ShownName, ShownPrefix


class RevokedOutside(ApiModel):
    """The current key was revoked by somebody else."""

    id: KeyId
    """The key's id at Saperly."""
    revoked_at: Timestamp
    """When it was revoked, by Saperly's clock."""


class Drift(ApiModel):
    """Attributes of a key that somebody else keeps changing at Saperly."""

    id: KeyId
    """The key's id at Saperly."""
    digest: Annotated[str, Field(max_length=64)]
    """A short hash of what was found there: the same again is counted."""
    fields: Annotated[tuple[Annotated[str, Field(max_length=64)], ...], Field(max_length=8)] = ()
    """Which attributes were found changed."""
    count: Annotated[int, Field(ge=1, le=2**31 - 1)]
    """How often the same was found and put right."""
    last_at: Timestamp
    """When it was last put right."""


class Redelivery(ApiModel):
    """Keys that were delivered because somebody else had changed or deleted what the Secret held."""

    count: Annotated[int, Field(ge=1, le=2**31 - 1)]
    """How often, without two days of calm in between; from the third time on the next one waits longer each time."""
    last_at: Timestamp
    """When it was last so."""
    secret: Annotated[str, Field(max_length=253)] = ""
    """The Secret that was changed or deleted: another one is not waited for."""


class UnownedKey(ApiModel):
    """A key at Saperly with this object's tag that is in use although nothing here refers to it."""

    id: KeyId
    """The key's id at Saperly."""
    prefix: ShownPrefix = ""
    """The first characters of the key, as the Saperly portal shows them."""
    name: ShownName = ""
    """Its name at Saperly."""
