"""Bad input about providers, service keys, namespaces and policies: all but the rejected ones cost no request."""

from typing import Any

from saperly_operator.saperly.models import Environment
from tests.cluster.bad_input.scene import ENTRY, Scene
from tests.cluster.bad_input.wave import Cause, Row


def _unknown_provider(scene: Scene, name: str) -> Cause:
    scene.add_service_key(name)
    return Cause(mend=lambda: scene.add_provider(name))


def _without_its_secret(scene: Scene, name: str) -> Cause:
    scene.add_provider(name)
    return Cause(mend=lambda: scene.add_service_key(name))


def _without_the_entry(scene: Scene, name: str) -> Cause:
    scene.add(name, serviceKeys=[{"name": "main", "secretRef": {"name": name, "key": "OTHER_KEY"}}])
    return Cause(mend=lambda: scene.add_provider(name))


def _holding(text: str) -> Any:
    def spoil(scene: Scene, name: str) -> Cause:
        scene.world.put_service_key(text, name)
        scene.add_provider(name)
        return Cause(mend=lambda: scene.add_service_key(name))

    return spoil


def _live_key(scene: Scene, name: str) -> Cause:
    scene.add_service_key(name, Environment.LIVE)
    scene.add_provider(name)
    return Cause(mend=lambda: scene.add_service_key(name))


def _revoked(scene: Scene, name: str) -> Cause:
    scene.vendor.revoke_service_key(scene.add_service_key(name))
    scene.service_keys.pop(name)  # its calls are nobody's from now on
    scene.add_provider(name)
    return Cause(mend=lambda: scene.add_service_key(name))


def _outside_policy(policy: dict[str, Any], **spec: Any) -> Any:
    def spoil(scene: Scene, name: str) -> Cause:
        scene.add(name, policy=policy)
        return Cause(spec=spec, mend=lambda: scene.add_provider(name))

    return spoil


def _corrected_by_user(policy: dict[str, Any], bad: dict[str, Any], good: dict[str, Any]) -> Any:
    def spoil(scene: Scene, name: str) -> Cause:
        scene.add(name, policy=policy)
        return Cause(spec=bad, mend=lambda: scene.apply(scene.key_object(name, **good)))

    return spoil


def _not_allowed_by_name(scene: Scene, name: str) -> Cause:
    scene.add(name, allowedNamespaces={"names": ["elsewhere"]})
    return Cause(mend=lambda: scene.add_provider(name))


def _not_allowed_by_selector(scene: Scene, name: str) -> Cause:
    scene.add(name, allowedNamespaces={"selector": {"matchLabels": {"agents": "yes"}}})
    namespace = scene.add_namespace("unlabelled")
    return Cause(namespace=namespace, mend=lambda: scene.kubectl("label", "namespace", namespace, "agents=yes"))


def _nobody_allowed(scene: Scene, name: str) -> Cause:
    scene.add(name, allowedNamespaces={})
    return Cause(mend=lambda: scene.add_provider(name))


PROVIDER_ROWS: dict[str, Row] = {
    "unknown-provider": Row(
        "ProviderNotFound", ("ClusterSaperlyProvider", "create it", "spec.providerRef"), _unknown_provider
    ),
    "provider-without-its-secret": Row(
        "ServiceKeySecretNotFound",
        ("provider-without-its-secret", ENTRY, "create it"),
        _without_its_secret,
        at_provider=True,
    ),
    "secret-without-the-entry": Row(
        "ServiceKeySecretNotFound", ("OTHER_KEY", "create it"), _without_the_entry, at_provider=True
    ),
    "malformed-service-key": Row(
        "ServiceKeyMalformed",
        ("characters that no key has", "Put one of the test environment there"),
        _holding("not a service key"),
        at_provider=True,
    ),
    "empty-service-key": Row(
        "ServiceKeyMalformed", ("is empty", "Put one of the test environment there"), _holding(""), at_provider=True
    ),
    "child-key-as-service-key": Row(
        "ServiceKeyMalformed",
        ("this is an API key", "sk_svc_test_"),
        _holding("sk_test_0000000000000000000000000000"),
        at_provider=True,
    ),
    "live-key-on-a-test-provider": Row(
        "EnvironmentMismatch",
        ("live environment", "spec.environment is test", "put one of the test environment"),
        _live_key,
        at_provider=True,
    ),
    "wrong-service-key": Row(
        "ServiceKeyRejected",
        ("Put a valid one", "provider's Secret"),
        _holding("sk_svc_test_0000000000000000000000000000"),
        asks=2.0,
        shares=2,
        at_provider=True,
    ),
    "revoked-service-key": Row(
        "ServiceKeyRejected",
        ("Put a valid one", "provider's Secret"),
        _revoked,
        asks=2.0,
        shares=2,
        at_provider=True,
    ),
    "permissions-outside-policy": Row(
        "PolicyViolated",
        ("spec.permissions", "read_only"),
        _corrected_by_user({"permissions": ["read_only"]}, {"permissions": "full"}, {"permissions": "read_only"}),
    ),
    "default-permissions-outside-policy": Row(
        "PolicyViolated", ("spec.permissions", "sms_only"), _outside_policy({"permissions": ["sms_only"]})
    ),
    "cap-beyond-policy": Row(
        "PolicyViolated",
        ("spec.monthlyCapCents", "at most 100"),
        _corrected_by_user({"maxMonthlyCapCents": 100}, {"monthlyCapCents": 101}, {"monthlyCapCents": 100}),
    ),
    "line-required-by-policy": Row("PolicyViolated", ("spec.lineId",), _outside_policy({"requireLine": True})),
    "namespace-not-allowed-by-name": Row(
        "NamespaceNotAllowed", ("administrator", "spec.allowedNamespaces"), _not_allowed_by_name
    ),
    "namespace-not-allowed-by-selector": Row(
        "NamespaceNotAllowed", ("administrator", "spec.allowedNamespaces"), _not_allowed_by_selector
    ),
    "no-namespace-allowed": Row("NamespaceNotAllowed", ("administrator", "spec.allowedNamespaces"), _nobody_allowed),
}
