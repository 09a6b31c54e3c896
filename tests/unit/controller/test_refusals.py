"""A refused Secret write, in words that say what to do."""

import pytest

from saperly_operator.controller.refusals import foreign_refusal, refusal_of
from saperly_operator.kube import errors
from saperly_operator.resources import reasons


@pytest.mark.parametrize(
    ("error", "reason", "says"),
    [
        (errors.QuotaExceeded("POST", 403, "exceeded quota"), reasons.QUOTA_EXCEEDED, "raise it, or delete Secrets"),
        (errors.NamespaceTerminating("POST", 403, ""), reasons.NAMESPACE_TERMINATING, "is being deleted"),
        (errors.NotFound("POST", 404, "NotFound"), reasons.NAMESPACE_TERMINATING, "is being deleted"),
        (errors.Immutable("PATCH", 422, "immutable"), reasons.SECRET_IMMUTABLE, "delete it, and a new key"),
        (errors.Refused("POST", 403, "Forbidden"), reasons.SECRET_WRITE_REFUSED, "403 Forbidden: check RBAC"),
        (errors.Refused("POST", 422, "Invalid"), reasons.SECRET_WRITE_REFUSED, "422 Invalid"),
    ],
    ids=["quota", "namespace going", "namespace gone", "immutable", "forbidden", "invalid"],
)
def test_a_refusal_names_the_secret_the_cause_and_the_remedy(error: errors.KubeError, reason: str, says: str) -> None:
    refusal = refusal_of(error, "support")
    assert refusal.reason == reason
    assert refusal.message.startswith("The Secret support cannot be written: ")
    assert says in refusal.message


def test_a_foreign_secret_is_never_overwritten() -> None:
    refusal = foreign_refusal("support")
    assert refusal.reason == reasons.SECRET_NOT_OWNED
    assert "never overwritten" in refusal.message
