"""Condition types and reasons: the vocabulary in which the operator says what is going on.

The same word is the reason of a condition, of the event that announces it and of the log line. Constants only; each
says when it is used. A reason, once released, keeps its meaning.
"""

from typing import Final

# ruff: noqa: S105 -- the word Secret names a Kubernetes object here.

# Condition types.

READY: Final = "Ready"
"""The Secret holds a key that works. On a provider: keys can be minted with it."""

KEY_ACTIVE: Final = "KeyActive"
"""The current key is live at Saperly."""

SECRET_SYNCED: Final = "SecretSynced"
"""The Secret holds the current key, with the labels and annotations asked for."""

RECONCILING: Final = "Reconciling"
"""The operator is at work or waits to go on by itself. Present only while true."""

STALLED: Final = "Stalled"
"""Nothing goes on until somebody mends what the message names. Present only while true."""

SWEEP_HELD: Final = "SweepHeld"
"""On a provider, present only while true: too many of the known keys are missing from Saperly's list at once; nothing
is concluded from it."""

ATTRIBUTES_CONTESTED: Final = "AttributesContested"
"""Somebody changes attributes of a key at Saperly again and again; they are put right more and more rarely. Present
only while true."""

IN_USE_ORPHAN: Final = "InUseOrphan"
"""A key with this installation's tag is in use although nothing refers to it; it is revoked after 24 idle hours, or by
command. Present only while true."""

ROTATION_OVERDUE: Final = "RotationOverdue"
"""A scheduled rotation is due and waits; its reason and message say for what. Present only while true."""

SCHEDULE_REFUSED: Final = "ScheduleRefused"
"""The rotation schedule cannot be followed; the last one that could be goes on. Present only while true."""

ROLLOUT_PENDING: Final = "RolloutPending"
"""A workload of ``spec.restart`` does not yet run with the new key; Ready stays true. Present only while true."""

# Progress and success.

AVAILABLE: Final = "Available"
"""All is as asked for."""

MINTING: Final = "Minting"
"""A key is being minted, or replaced in one step (strategy ``Atomic``)."""

WRITING_SECRET: Final = "WritingSecret"
"""A minted key is being written into the Secret."""

OUTCOME_UNKNOWN: Final = "OutcomeUnknown"
"""Saperly's answer to a request was lost; the same request is sent again."""

PLAINTEXT_LOST: Final = "PlaintextLost"
"""A key was minted but its plaintext never arrived; that key is revoked and another minted."""

SECRET_MISSING: Final = "SecretMissing"
"""The Secret was deleted by somebody else; a new key is minted into it."""

SECRET_ALTERED: Final = "SecretAltered"
"""The plaintext in the Secret was changed by somebody else; a new key is minted into it."""

WAITING_FOR_BUDGET: Final = "WaitingForBudget"
"""Saperly's hourly limit is used up; it goes on by itself at about the estimated time."""

BACKING_OFF: Final = "BackingOff"
"""A request failed and is tried again later by itself."""

SUSPENDED: Final = "Suspended"
"""``spec.suspend`` is true."""

UPDATING: Final = "Updating"
"""The key's attributes are being changed at Saperly."""

ATTRIBUTES_DRIFTED: Final = "AttributesDrifted"
"""Somebody changed attributes of a key at Saperly that the spec decides; they are put right."""

RESUMING: Final = "Resuming"
"""What another process of the operator began is being taken over."""

OUTCOME_UNRESOLVED: Final = "OutcomeUnresolved"
"""A request's outcome stayed unknown; what it may have minted is revoked, and another key is minted."""

SAPERLY_UNREACHABLE: Final = "SaperlyUnreachable"
"""No connection to Saperly can be made; nothing was sent."""

ORPHANED: Final = "Orphaned"
"""A key of this object at Saperly that was never used and that nothing refers to is revoked."""

ADOPTING: Final = "Adopting"
"""The key whose record or plaintext the Secret holds already is being taken over in place of a mint."""

RELEASING: Final = "Releasing"
"""The object is being deleted with ``Orphan``: key and Secret stay, and stop being the operator's."""

FORCE_DELETED: Final = "ForceDeleted"
"""The object was let go without any call to Saperly; the sweep collects what it left."""

REVOKING: Final = "Revoking"
"""The object is being deleted and its keys are being revoked."""

MINT_LIMIT_REACHED: Final = "MintLimitReached"
"""The object has begun three mints within an hour, the most that any one object may; it goes on by itself later."""

SERVICE_KEY_REPLACED: Final = "ServiceKeyReplaced"
"""The provider's Secret holds another service key than before, which sees none of the keys minted so far: nothing is
minted or revoked with it."""

SERVICE_KEY_UNPROVEN: Final = "ServiceKeyUnproven"
"""The provider's Secret holds another service key than before; whether it sees the keys minted so far is being asked."""

ORPHAN_REVOKED: Final = "OrphanRevoked"
"""A key in use that nothing refers to is revoked because a person asked for it."""

# What an event announces.

ADOPTED: Final = "Adopted"
"""The key in the Secret was taken over: after a restore, or by the annotation ``saperly.com/adopt-key-id``."""

ISSUED: Final = "Issued"
"""The first key is in the Secret."""

ROTATED: Final = "Rotated"
"""A new key is in the Secret; the one before it lives on for the overlap."""

REVOKED: Final = "Revoked"
"""A key was revoked at Saperly."""

RELEASED: Final = "Released"
"""Key and Secret were let go and live on (``deletionPolicy: Orphan``)."""

UPDATED: Final = "Updated"
"""The key's attributes were changed at Saperly."""

MOVED: Final = "Moved"
"""The key was moved to another Secret, or to another entry of its Secret."""

RESTARTED: Final = "Restarted"
"""Workloads of ``spec.restart`` were restarted, so that they start with the new key."""

ROLLED_OUT: Final = "RolledOut"
"""Every workload of ``spec.restart`` runs with the new key; the overlap of the old one begins."""

# Why a key was minted: the trigger of an intent, and the reason for which the key before it is retired.

FIRST_SYNC: Final = "FirstSync"
"""There was no key yet."""

PROVIDER_CHANGED: Final = "ProviderChanged"
"""The spec names another provider than the one that minted the key, or that is of another environment now."""

ROTATION_REQUESTED: Final = "RotationRequested"
"""The annotation ``saperly.com/rotate-requested-at`` has a new value."""

ROTATION_SCHEDULED: Final = "RotationScheduled"
"""The rotation schedule came due."""

ROTATION_LOST: Final = "RotationLost"
"""The key was replaced in one step at Saperly and its successor's plaintext was lost; another is minted at once."""

# The provider and what it permits.

PROVIDER_NOT_FOUND: Final = "ProviderNotFound"
"""The provider that ``spec.providerRef`` names does not exist."""

PROVIDER_IN_USE: Final = "ProviderInUse"
"""On a provider: it is being deleted, and held until no SaperlyKey has a key of it."""

NAMESPACE_NOT_ALLOWED: Final = "NamespaceNotAllowed"
"""The provider does not list this namespace in ``allowedNamespaces``."""

POLICY_VIOLATED: Final = "PolicyViolated"
"""The spec asks for what the provider's policy forbids."""

SERVICE_KEY_SECRET_NOT_FOUND: Final = "ServiceKeySecretNotFound"
"""On a provider: the Secret of the service key, or the key within its data, does not exist."""

SERVICE_KEY_SECRET_UNREADABLE: Final = "ServiceKeySecretUnreadable"
"""On a provider: Kubernetes does not let the operator read the Secret of the service key."""

SERVICE_KEY_MISSING: Final = "ServiceKeyMissing"
"""The provider, or the entry in it, that leads to the service key of this key is not known (any more)."""

SERVICE_KEY_MALFORMED: Final = "ServiceKeyMalformed"
"""On a provider: what the Secret holds does not look like a service key."""

SERVICE_KEY_REJECTED: Final = "ServiceKeyRejected"
"""Saperly answered 401: the service key is wrong or was revoked."""

ENVIRONMENT_MISMATCH: Final = "EnvironmentMismatch"
"""The service key, or the key minted with it, belongs to another environment than the provider says."""

SERVICE_KEY_FORBIDDEN: Final = "ServiceKeyForbidden"
"""Saperly answered 403 ``forbidden``: the account does not permit the request."""

ACCOUNT_BLOCKED: Final = "AccountBlocked"
"""Saperly answered 403 ``m3_fraud_block``: its abuse protection stopped the account."""

INSUFFICIENT_CREDITS: Final = "InsufficientCredits"
"""Saperly answered 402 ``insufficient_credits``."""

PAYMENT_METHOD_REQUIRED: Final = "PaymentMethodRequired"
"""Saperly answered 402 ``payment_method_required``."""

# Refusals of one key.

AGENT_CAP_EXCEEDED: Final = "AgentCapExceeded"
"""Saperly answered 402 ``agent_cap_exceeded``."""

AGENT_SCOPE_ERROR: Final = "AgentScopeError"
"""Saperly answered 403 ``agent_scope_error``: the line is outside what the account may use."""

AGENT_PERMISSION_DENIED: Final = "AgentPermissionDenied"
"""Saperly answered 403 ``agent_permission_denied``: the account may not grant these permissions."""

LINE_NOT_FOUND: Final = "LineNotFound"
"""Saperly answered 404: the line of ``spec.lineId`` does not exist or was released."""

VALIDATION_FAILED: Final = "ValidationFailed"
"""Saperly answered 422: it refuses a field of the request, such as a line of the other environment."""

REQUEST_REFUSED: Final = "RequestRefused"
"""Saperly refused the request with a code that this operator does not know."""

INVALID_SCHEDULE: Final = "InvalidSchedule"
"""The rotation schedule cannot be read, or never comes due; the last good one goes on."""

SCHEDULE_TOO_DENSE: Final = "ScheduleTooDense"
"""The rotation schedule would leave more old keys alive at once than an object may have; the last good one goes on."""

# The Secret.

SECRET_NOT_OWNED: Final = "SecretNotOwned"
"""A Secret of that name exists and is not the operator's; it is never overwritten."""

SECRET_CLAIMED: Final = "SecretClaimed"
"""Another SaperlyKey delivers into that Secret already."""

SECRET_IMMUTABLE: Final = "SecretImmutable"
"""The Secret is marked immutable and cannot be updated."""

SECRET_WRITE_REFUSED: Final = "SecretWriteRefused"
"""Kubernetes refuses the write of the Secret; the message says why."""

SECRET_CONTESTED: Final = "SecretContested"
"""Something takes labels or annotations off the Secret, changes its data or deletes it, again and again; that is put
right, or a new key delivered, more and more rarely."""

QUOTA_EXCEEDED: Final = "QuotaExceeded"
"""A ResourceQuota of the namespace leaves no room for the Secret."""

NAMESPACE_TERMINATING: Final = "NamespaceTerminating"
"""The namespace is being deleted; nothing can be created in it."""

# The workloads that are restarted.

ROLLOUT_IN_PROGRESS: Final = "RolloutInProgress"
"""Workloads were restarted for the new key; their rollouts are awaited."""

ROLLOUT_STALLED: Final = "RolloutStalled"
"""A rollout failed, is paused or takes too long; the old key lives on, at longest for ``spec.rotation.maxOverlap``."""

ROLLOUT_GIVEN_UP: Final = "RolloutGivenUp"
"""``spec.rotation.maxOverlap`` has passed and a workload still does not run with the new key; it is awaited no more."""

WORKLOAD_NOT_FOUND: Final = "WorkloadNotFound"
"""A workload that ``spec.restart`` names does not exist. The old key is held as for ``RolloutStalled``."""

RESTART_REFUSED: Final = "RestartRefused"
"""Kubernetes does not let the operator restart a workload. The old key is held as for ``RolloutStalled``."""

# Why a key is not adopted.

ADOPTION_SECRET_MISSING: Final = "AdoptionSecretMissing"
"""``saperly.com/adopt-key-id`` is set, but the Secret of ``spec.secret``, or the entry in it, does not exist."""

ADOPTION_SECRET_UNMARKED: Final = "AdoptionSecretUnmarked"
"""``saperly.com/adopt-key-id`` is set, but the Secret does not say by ``saperly.com/adopt-for`` that this SaperlyKey may
take it over."""

ADOPTION_SECRET_OWNED: Final = "AdoptionSecretOwned"
"""``saperly.com/adopt-key-id`` is set, but the Secret belongs to another object."""

ADOPTION_KEY_REVOKED: Final = "AdoptionKeyRevoked"
"""The key to adopt is revoked at Saperly."""

ADOPTION_KEY_MISMATCH: Final = "AdoptionKeyMismatch"
"""The plaintext in the Secret does not begin as the key to adopt does at Saperly."""

ADOPTION_KEY_FOREIGN: Final = "AdoptionKeyForeign"
"""The key to adopt carries the tag of another SaperlyKey or of another installation, or none where ours is needed."""

ADOPTION_KEY_TAKEN: Final = "AdoptionKeyTaken"
"""Another SaperlyKey refers to the key to adopt."""

# Ownership and identity.

FOREIGN_INSTALLATION: Final = "ForeignInstallation"
"""The object belongs to another installation of the operator, which alone may act on it."""

INSTALLATION_MOVED: Final = "InstallationMoved"
"""The operator's installation id was made in another cluster; nothing is sent to Saperly before a person decides."""

IDENTITY_CONFLICT: Final = "IdentityConflict"
"""Saperly's answer names a key that cannot be ours; nothing is touched until a person has looked."""

REVOKED_EXTERNALLY: Final = "RevokedExternally"
"""The current key was revoked by somebody else: another is minted, or (``onRemoteRevocation: Hold``, or a second time
within 24 hours) a person has to ask for one."""

REVOCATION_FAILED: Final = "RevocationFailed"
"""A key could not be revoked yet; it is tried again."""

KEY_NOT_VISIBLE: Final = "KeyNotVisible"
"""Saperly does not show a key to its service key, so that nothing can be said of it. As a condition present only while
true."""

RETIRING_FULL: Final = "RetiringFull"
"""Too many old keys wait to be revoked; nothing new is minted before one is gone."""
