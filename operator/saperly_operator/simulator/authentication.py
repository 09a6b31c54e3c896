"""Who is calling: the two credential tiers, and which endpoints each may call."""

from saperly_operator.simulator.errors import invalid_api_key, unauthorized
from saperly_operator.simulator.messages import Request
from saperly_operator.simulator.state import KEY_OPERATIONS, Child, Operation, ServiceKey, digest_of
from saperly_operator.simulator.store import Store


def authenticate(store: Store, request: Request, operation: Operation) -> ServiceKey | Child:
    """The caller, or 401.

    A service key is good for the six key operations and nothing else, a child key for everything else; the wrong tier
    is told the same as an unknown or revoked credential, so that nothing can be learnt from the difference.
    """
    scheme, _, credential = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not credential.strip():
        raise unauthorized()
    digest = digest_of(credential.strip())
    caller: ServiceKey | Child | None
    caller = store.service_key_of(digest) if operation in KEY_OPERATIONS else store.child_of(digest)
    if caller is None or caller.revoked_at is not None:
        raise invalid_api_key()
    return caller
