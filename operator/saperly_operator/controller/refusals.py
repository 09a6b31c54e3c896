"""A definite refusal of a Secret's write, in words for people. Pure."""

from dataclasses import dataclass

from saperly_operator.kube import errors as kube_errors
from saperly_operator.resources import reasons


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a Secret cannot be written, and what to do."""

    reason: str
    message: str


def refusal_of(error: kube_errors.KubeError, secret: str) -> Refusal:
    """The refusal that an error of the Kubernetes API stands for."""
    match error:
        case kube_errors.QuotaExceeded():
            reason, hint = (
                reasons.QUOTA_EXCEEDED,
                "the namespace's ResourceQuota is full: raise it, or delete Secrets",
            )
        case kube_errors.NamespaceTerminating() | kube_errors.NotFound():
            reason, hint = reasons.NAMESPACE_TERMINATING, "the namespace is being deleted"
        case kube_errors.Immutable():
            reason, hint = reasons.SECRET_IMMUTABLE, "it is immutable: delete it, and a new key is delivered"
        case _:
            reason = reasons.SECRET_WRITE_REFUSED
            hint = f"Kubernetes answers {error.status} {error.reason}: check RBAC, admission policies and webhooks"
    return Refusal(reason, f"The Secret {secret} cannot be written: {hint}.")


def foreign_refusal(secret: str) -> Refusal:
    """The Secret turned out to be somebody else's."""
    message = f"The Secret {secret} is not the operator's and is never overwritten: delete it, or name another."
    return Refusal(reasons.SECRET_NOT_OWNED, message)


def altered_refusal(secret: str) -> Refusal:
    """The write was taken, and what was stored is not what was sent."""
    message = (
        f"Something changes the data of the Secret {secret} while it is written (an admission webhook?): let it leave "
        "that Secret alone."
    )
    return Refusal(reasons.SECRET_WRITE_REFUSED, message)
