"""Names that the operator puts on objects, or obeys there: annotations, labels, finalizers."""

from typing import Final

PREFIX: Final = "saperly.com/"
"""Every name of ours begins so; users may not put names with it on a Secret through ``spec.secret``."""

# Set by users on a SaperlyKey.

ROTATION_SCHEDULE: Final = "saperly.com/rotation-schedule"
"""Overrides ``spec.rotation.schedule``, in the same grammar."""

ROTATE_REQUESTED_AT: Final = "saperly.com/rotate-requested-at"
"""An opaque token: each new value rotates once, now."""

FORCE_DELETE: Final = "saperly.com/force-delete"
"""``"true"`` lets a SaperlyKey go without any call to Saperly. It beats ``deletionPolicy: Orphan``."""

REVOKE_ORPHANS: Final = "saperly.com/revoke-orphans"
"""Ids of keys in use that nothing refers to, separated by commas: revoked now. On the SaperlyKey or the provider whose
status shows them; ``saperly-operator orphans revoke`` writes it."""

ADOPT_KEY_ID: Final = "saperly.com/adopt-key-id"
"""The id at Saperly of a key made by other means, whose plaintext is in the Secret of ``spec.secret`` already: it is
taken over in place of a first mint. The Secret has to carry ``ADOPT_FOR``."""

ACCEPT_SERVICE_KEY: Final = "saperly.com/accept-service-key"
"""On a provider: the short hash of a service key (as its condition shows it) that is to be used although it sees none
of the keys minted so far, because the one before it is gone for good."""

# Set by users on a Secret.

ADOPT_FOR: Final = "saperly.com/adopt-for"
"""The name of the SaperlyKey that may take this Secret over, set by somebody who may edit the Secret."""

# The record on a managed Secret: what survives when a backup restores Secrets without any status.

KEY_ID: Final = "saperly.com/key-id"
"""The vendor's id of the child key whose plaintext the Secret holds."""

KEY_PREFIX: Final = "saperly.com/key-prefix"
"""The first characters of that key, as the vendor shows them."""

DIGEST: Final = "saperly.com/digest"
"""64 bits of the plaintext's SHA-256, in hex: tells whether the data is still what was written beside it."""

SERIAL: Final = "saperly.com/serial"
"""The serial under which that key was minted, in decimal."""

INSTALLATION: Final = "saperly.com/installation"
"""The id of the installation that minted it."""

OWNER: Final = "saperly.com/owner"
"""``namespace/name`` of the SaperlyKey that the Secret belongs to."""

MINTED_AT: Final = "saperly.com/minted-at"
"""When that key was minted, RFC 3339 in UTC."""

HANDLED_REQUEST: Final = "saperly.com/handled-request"
"""The last ``rotate-requested-at`` that was answered."""

APPLIED: Final = "saperly.com/applied"
"""The names of the labels and annotations that the operator put on the Secret for ``spec.secret``, as JSON: one that
was taken out of the spec is taken off the Secret, and nothing else is."""

FENCED_BY: Final = "saperly.com/fenced-by"
"""The intent for which the Secret was last touched, so that a write prepared before that moment fails."""

# On the pod template of a workload that ``spec.restart`` names.

RESTARTED_PREFIX: Final = "saperly.com/restarted-"
"""Before the SaperlyKey's name: the serial of the key for which the workload was last restarted, and a short hash of
that object's uid. Changing it is what restarts the pods; nothing else of a workload is ever written."""

# On any object.

FINALIZER: Final = "saperly.com/revoke"
"""Holds a SaperlyKey until its keys are revoked (or released)."""

PROVIDER_FINALIZER: Final = "saperly.com/in-use"
"""Holds a provider until no SaperlyKey has a key of it, since only its service key can revoke those."""

MANAGED_BY_LABEL: Final = "app.kubernetes.io/managed-by"
"""The label by which the operator finds its Secrets."""

MANAGED_BY: Final = "saperly-operator"
"""The value of ``MANAGED_BY_LABEL``."""


def listed_ids(text: str) -> frozenset[str]:
    """The ids in an annotation's list, separated by commas or blanks."""
    return frozenset(text.replace(",", " ").split())
