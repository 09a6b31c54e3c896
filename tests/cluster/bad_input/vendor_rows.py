"""Bad input that only the vendor can see: each try is one request, and the tries get rarer."""

from collections.abc import Callable

from saperly_operator.saperly.models import Environment
from saperly_operator.simulator.control_orders import BlockOrder, LineOrder
from tests.cluster.bad_input.scene import Scene
from tests.cluster.bad_input.wave import Cause, Row

BACKOFF = 3.0
"""Seconds: the longest wait between two tries of one object is 4, kept in status in whole seconds."""
BREAKER = 2.0
"""Seconds: the longest wait between two probes of a service key."""


def _unknown_line(scene: Scene, name: str) -> Cause:
    scene.add(name)

    def mend() -> None:
        line = scene.vendor.create_line(LineOrder(account_id=name))
        scene.apply(scene.key_object(name, lineId=line.id))

    return Cause(spec={"lineId": "00000000-0000-4000-8000-000000000000"}, mend=mend)


def _released_line(scene: Scene, name: str) -> Cause:
    scene.add(name)
    line = scene.vendor.create_line(LineOrder(account_id=name))
    scene.vendor.release_line(line.id)
    return Cause(spec={"lineId": line.id}, mend=lambda: scene.apply(scene.key_object(name)))


def _line_of_the_other_environment(scene: Scene, name: str) -> Cause:
    scene.add(name)
    line = scene.vendor.create_line(LineOrder(account_id=name, environment=Environment.LIVE))
    return Cause(spec={"lineId": line.id}, mend=lambda: scene.apply(scene.key_object(name)))


def _blocked(code: str) -> Callable[[Scene, str], Cause]:
    """The cause goes in the portal: nothing in the cluster changes, so that only a further try can find it out."""

    def spoil(scene: Scene, name: str) -> Cause:
        scene.add(name)
        block = scene.vendor.block(BlockOrder(code=code, scope_id=name))
        return Cause(mend=lambda: scene.vendor.unblock(block.id))

    return spoil


VENDOR_ROWS: dict[str, Row] = {
    "unknown-line": Row("LineNotFound", ("released", "Correct spec.lineId"), _unknown_line, asks=BACKOFF),
    "released-line": Row("LineNotFound", ("released", "Correct spec.lineId"), _released_line, asks=BACKOFF),
    "line-of-the-other-environment": Row(
        "ValidationFailed",
        ("line_id", "spec", "environment"),
        _line_of_the_other_environment,
        asks=BACKOFF,
    ),
    "agent-cap-exceeded": Row(
        "AgentCapExceeded", ("cap", "Raise it", "portal"), _blocked("agent_cap_exceeded"), asks=BACKOFF
    ),
    "agent-scope-error": Row(
        "AgentScopeError", ("Correct spec.lineId",), _blocked("agent_scope_error"), asks=BACKOFF
    ),
    "agent-permission-denied": Row(
        "AgentPermissionDenied", ("Correct spec.permissions",), _blocked("agent_permission_denied"), asks=BACKOFF
    ),
    "insufficient-credits": Row(
        "InsufficientCredits",
        ("top it up", "portal"),
        _blocked("insufficient_credits"),
        asks=BREAKER,
        at_provider=True,
    ),
    "payment-method-required": Row(
        "PaymentMethodRequired",
        ("add one", "portal"),
        _blocked("payment_method_required"),
        asks=BREAKER,
        at_provider=True,
    ),
    "forbidden": Row("ServiceKeyForbidden", ("portal",), _blocked("forbidden"), asks=BREAKER, at_provider=True),
    "m3-fraud-block": Row(
        "AccountBlocked", ("support", "tried again"), _blocked("m3_fraud_block"), asks=BREAKER, at_provider=True
    ),
}
