"""What bad input gets: a reason of its own, a message that says what to do, one event, no mint wasted, no hot loop, and
recovery by itself once the cause is gone.

What the API server refuses by schema is in ``schema/``. Each row here spoils something, applies a SaperlyKey, waits for
the verdict, lets several rechecks pass, and mends it.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from saperly_operator.envtest import ControlPlane
from saperly_operator.saperly.models import Environment
from saperly_operator.simulator.control_orders import BlockOrder, LineOrder, ServiceKeyOrder
from tests.cluster.conftest import OPERATOR, Kubectl
from tests.cluster.world import World, a_world
from tests.support.waiting import eventually

Mend = Callable[[], None]


@dataclass(frozen=True)
class Bad:
    """One kind of bad input. ``spoil`` returns how to mend it; it may add to the spec that is applied."""

    reason: str
    words: tuple[str, ...]
    spoil: Callable[[World, dict[str, Any]], Mend]
    mints: int = 0
    """POSTs that this kind cannot be told without: each is one request, and none of them mints."""


@pytest.fixture(scope="module")
def shared(kubectl: Kubectl, operator_kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One world for all rows: bad input must not spoil it for the next."""
    namespace = "bad-input"
    kubectl("create", "namespace", namespace)
    with a_world(kubectl, operator_kubeconfig, tmp_path_factory.mktemp("bad-input"), namespace) as world:
        world.install()
        world.vendor.lift_limits()
        world.start_operator({"SAPERLY_PROVIDER_REFRESH": "0.3"})
        yield world
    kubectl("delete", "namespace", namespace, "--wait=false")


def _provider(world: World, **spec: Any) -> None:
    world.kubectl.apply(world.provider_object(**spec))


def _restore(world: World) -> Mend:
    return lambda: _provider(world)


def _put_back(world: World) -> Mend:
    return lambda: world.put_service_key(world.simulator.service_key_file.read_text())


def unknown_provider(world: World, spec: dict[str, Any]) -> Mend:
    spec["providerRef"] = {"name": "nobody"}
    return lambda: world.apply_key("bad")


def namespace_not_allowed(world: World, spec: dict[str, Any]) -> Mend:
    _provider(world, allowedNamespaces={"names": ["elsewhere"]})
    return _restore(world)


def forbidden_permissions(world: World, spec: dict[str, Any]) -> Mend:
    _provider(world, policy={"permissions": ["read_only"]})
    return lambda: world.apply_key("bad", permissions="read_only")


def cap_beyond_policy(world: World, spec: dict[str, Any]) -> Mend:
    _provider(world, policy={"maxMonthlyCapCents": 100})
    spec["monthlyCapCents"] = 5000
    return _restore(world)


def line_required(world: World, spec: dict[str, Any]) -> Mend:
    _provider(world, policy={"requireLine": True})
    return _restore(world)


def no_service_key_secret(world: World, spec: dict[str, Any]) -> Mend:
    world.kubectl("delete", "secret", "saperly-service-key", f"--namespace={world.system}")
    return _put_back(world)


def malformed_service_key(world: World, spec: dict[str, Any]) -> Mend:
    world.put_service_key("not a service key")
    return _put_back(world)


def child_key_as_service_key(world: World, spec: dict[str, Any]) -> Mend:
    world.put_service_key("sk_test_thisisnoservicekeyatall")
    return _put_back(world)


def live_service_key_on_a_test_provider(world: World, spec: dict[str, Any]) -> Mend:
    world.put_service_key("sk_svc_live_thisisofanotherworld")
    return _put_back(world)


def unknown_service_key(world: World, spec: dict[str, Any]) -> Mend:
    world.put_service_key("sk_svc_test_nobodyhasevermadethis")
    return _put_back(world)


def revoked_service_key(world: World, spec: dict[str, Any]) -> Mend:
    created = world.vendor.create_service_key(ServiceKeyOrder())
    world.put_service_key(created.plaintext.get_secret_value())
    world.vendor.revoke_service_key(created.id)
    return _put_back(world)


def unknown_line(world: World, spec: dict[str, Any]) -> Mend:
    spec["lineId"] = "00000000-0000-4000-8000-000000000000"
    return lambda: world.apply_key("bad", lineId=world.vendor.create_line(LineOrder()).id)


def line_of_the_other_environment(world: World, spec: dict[str, Any]) -> Mend:
    spec["lineId"] = world.vendor.create_line(LineOrder(environment=Environment.LIVE)).id
    return lambda: world.apply_key("bad")


def _blocked(code: str) -> Callable[[World, dict[str, Any]], Mend]:
    def spoil(world: World, spec: dict[str, Any]) -> Mend:
        block = world.vendor.block(BlockOrder(code=code))
        return lambda: world.vendor.unblock(block.id)

    return spoil


def somebodys_secret(world: World, spec: dict[str, Any]) -> Mend:
    world.kubectl("create", "secret", "generic", "bad", "--from-literal=mine=yes", f"--namespace={world.namespace}")
    return lambda: _delete_secret(world, "bad")


def _delete_secret(world: World, name: str) -> None:
    world.kubectl("delete", "secret", name, f"--namespace={world.namespace}")


def another_keys_secret(world: World, spec: dict[str, Any]) -> Mend:
    world.apply_key("first")
    world.wait_ready("first")
    spec["secret"] = {"name": "first"}

    def mend() -> None:
        world.kubectl("delete", "saperlykey", "first", f"--namespace={world.namespace}", "--timeout=60s")

    return mend


def full_quota(world: World, spec: dict[str, Any]) -> Mend:
    here = f"--namespace={world.namespace}"
    used = len(world.secret_names())
    world.kubectl("create", "quota", "few", f"--hard=secrets={used}", here)
    world.kubectl("wait", "quota/few", "--for=jsonpath={.status.hard.secrets}", here, "--timeout=30s")

    def mend() -> None:
        world.kubectl("delete", "quota", "few", here)

    return mend


def refused_by_rbac(world: World, spec: dict[str, Any]) -> Mend:
    rule = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list", "watch", "patch", "delete"]}
    role = world.kubectl.json("get", "clusterrole", "saperly-operator")
    rules = [rule if each.get("resources") == ["secrets"] else each for each in role["rules"]]
    changed = {key: role[key] for key in ("apiVersion", "kind")} | {"metadata": {"name": "saperly-operator"}}
    world.kubectl.apply(changed | {"rules": rules})

    def mend() -> None:
        world.kubectl.apply(changed | {"rules": role["rules"]})

    return mend


ROWS: dict[str, Bad] = {
    "unknown provider": Bad("ProviderNotFound", ("create it", "spec.providerRef"), unknown_provider),
    "namespace not allowed": Bad("NamespaceNotAllowed", ("allowedNamespaces",), namespace_not_allowed),
    "permissions beyond the policy": Bad("PolicyViolated", ("spec.permissions", "read_only"), forbidden_permissions),
    "cap beyond the policy": Bad("PolicyViolated", ("spec.monthlyCapCents", "at most 100"), cap_beyond_policy),
    "line required": Bad("PolicyViolated", ("spec.lineId",), line_required),
    "no Secret of the service key": Bad("ServiceKeySecretNotFound", ("create it",), no_service_key_secret),
    "malformed service key": Bad("ServiceKeyMalformed", ("no service key",), malformed_service_key),
    "a child key as service key": Bad("ServiceKeyMalformed", ("sk_svc_test_",), child_key_as_service_key),
    "a live key on a test provider": Bad(
        "EnvironmentMismatch", ("live", "test"), live_service_key_on_a_test_provider
    ),
    "unknown service key": Bad("ServiceKeyRejected", ("valid one", "Secret"), unknown_service_key, mints=4),
    "revoked service key": Bad("ServiceKeyRejected", ("valid one", "Secret"), revoked_service_key, mints=4),
    "unknown line": Bad("LineNotFound", ("spec.lineId",), unknown_line, mints=3),
    "line of the other environment": Bad(
        "ValidationFailed", ("environment",), line_of_the_other_environment, mints=3
    ),
    "cap of the agent used up": Bad("AgentCapExceeded", ("cap", "portal"), _blocked("agent_cap_exceeded"), mints=3),
    "no credits": Bad("InsufficientCredits", ("top it up",), _blocked("insufficient_credits"), mints=4),
    "no payment method": Bad("PaymentMethodRequired", ("add one",), _blocked("payment_method_required"), mints=4),
    "scope": Bad("AgentScopeError", ("spec.lineId",), _blocked("agent_scope_error"), mints=3),
    "permission denied": Bad(
        "AgentPermissionDenied", ("spec.permissions",), _blocked("agent_permission_denied"), mints=3
    ),
    "forbidden": Bad("ServiceKeyForbidden", ("portal",), _blocked("forbidden"), mints=4),
    "fraud block": Bad("AccountBlocked", ("support",), _blocked("m3_fraud_block"), mints=4),
    "somebody's Secret": Bad("SecretNotOwned", ("never overwritten", "delete it"), somebodys_secret),
    "another SaperlyKey's Secret": Bad("SecretClaimed", ("first", "spec.secret.name"), another_keys_secret),
    "full quota": Bad("QuotaExceeded", ("ResourceQuota", "raise it"), full_quota),
    "refused by RBAC": Bad("SecretWriteRefused", ("RBAC",), refused_by_rbac),
}


@pytest.mark.parametrize("name", list(ROWS))
def test_bad_input(control_plane: ControlPlane, shared: World, name: str) -> None:
    world, bad = shared, ROWS[name]
    _provider(world)
    spec: dict[str, Any] = {}
    mend = bad.spoil(world, spec)
    _several_rechecks(control_plane)  # what was spoilt at the provider has been seen
    minted, calls = len(world.vendor.ledger()), _last_call(world)
    try:
        world.apply_key("bad", **spec)
        condition = world.wait_reason("bad", bad.reason)
        assert condition["status"] == "False"
        for words in bad.words:
            assert words in condition["message"], condition["message"]
        assert world.condition("bad", "Stalled")["reason"] == bad.reason
        _several_rechecks(control_plane, looks=10)
        assert len(world.vendor.ledger()) == minted, "a mint was wasted"
        posts = [call for call in world.vendor.calls(after=calls) if call.operation == "mint"]
        assert len(posts) <= bad.mints, f"a hot loop: {len(posts)} mints were asked for"
        assert [event["reason"] for event in world.events("bad")].count(bad.reason) == 1
    finally:
        mend()
    key = world.wait_ready("bad")
    secret = key["status"]["secret"]
    (live,) = [child for child in world.vendor.live_keys() if child.id == key["status"]["current"]["id"]]
    assert hashlib.sha256(world.plaintext(secret["name"]).encode()).hexdigest() == live.digest
    assert len(world.vendor.ledger()) == minted + 1
    world.kubectl("delete", "saperlykey", "bad", f"--namespace={world.namespace}", "--timeout=60s")
    assert world.vendor.live_keys() == []
    _forget_events(world)


def _last_call(world: World) -> int:
    return max((call.number for call in world.vendor.calls()), default=0)


def _several_rechecks(plane: ControlPlane, looks: int = 2) -> None:
    """Until the operator has read the provider's Secret so often again: every 0.3 s; a recheck is due every second."""
    since = plane.audit.position()

    def asked() -> bool:
        requests = plane.audit.requests(user=OPERATOR, since=since)
        return sum(request.name == "saperly-service-key" for request in requests) >= looks

    eventually(asked, "the operator goes on looking")


def _forget_events(world: World) -> None:
    world.kubectl("delete", "events.events.k8s.io", "--all", f"--namespace={world.namespace}")
