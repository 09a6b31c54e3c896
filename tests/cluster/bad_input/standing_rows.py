"""What goes wrong around a SaperlyKey whose key works: it stays Ready, says what stalls, and loses nothing."""

import json
from collections.abc import Callable
from typing import Any

from tests.cluster.bad_input.scene import Scene
from tests.cluster.bad_input.wave import Cause, Row


def _patch(scene: Scene, kind: str, name: str, patch: dict[str, Any], *args: str) -> None:
    scene.kubectl("patch", kind, name, "--type=merge", f"--patch={json.dumps(patch)}", *args)


def _ready(scene: Scene, name: str, namespace: str | None = None, **provider: Any) -> dict[str, Any]:
    """A SaperlyKey with its key, whose old keys go at once when they are replaced. Returns its spec."""
    spec = {"rotation": {"overlap": "0s"}}
    scene.add(name, **provider)
    scene.apply(scene.key_object(name, namespace, **spec))
    scene.wait_at_rest(name, namespace)
    return spec


def _no_more_allowed_by_name(scene: Scene, name: str) -> Cause:
    spec = _ready(scene, name)
    scene.add_provider(name, allowedNamespaces={"names": ["elsewhere"]})
    return Cause(spec=spec, mend=lambda: scene.add_provider(name))


def _label_taken_away(scene: Scene, name: str) -> Cause:
    namespace = scene.add_namespace("labelled")
    scene.kubectl("label", "namespace", namespace, "agents=yes")
    spec = _ready(scene, name, namespace, allowedNamespaces={"selector": {"matchLabels": {"agents": "yes"}}})
    scene.kubectl("label", "namespace", namespace, "agents-")
    return Cause(
        spec=spec, namespace=namespace, mend=lambda: scene.kubectl("label", "namespace", namespace, "agents=yes")
    )


def _provider_deleted(scene: Scene, name: str) -> Cause:
    spec = _ready(scene, name)
    scene.kubectl("delete", "clustersaperlyprovider", name, "--wait=false")

    def mend() -> None:
        """It is held, since a key of it lives: let it go by hand, and put another in its place."""
        scene.kubectl(
            "patch", "clustersaperlyprovider", name, "--type=merge", '--patch={"metadata":{"finalizers":null}}'
        )
        scene.kubectl("wait", "--for=delete", f"clustersaperlyprovider/{name}", "--timeout=30s")
        scene.add_provider(name)

    return Cause(spec=spec, mend=mend)


def _policy_narrowed(policy: dict[str, Any], **good: Any) -> Callable[[Scene, str], Cause]:
    def spoil(scene: Scene, name: str) -> Cause:
        spec = _ready(scene, name)
        scene.add_provider(name, policy=policy)

        def mend() -> None:
            scene.apply(scene.key_object(name, **spec, **good))

        return Cause(spec=spec, mend=mend if good else lambda: scene.add_provider(name))

    return spoil


def _line_unknown(scene: Scene, name: str) -> Cause:
    spec = _ready(scene, name)
    wrong = {"lineId": "00000000-0000-4000-8000-000000000000"}
    return Cause(spec={**spec, **wrong}, mend=lambda: scene.apply(scene.key_object(name, **spec)))


def _immutable_and_due(scene: Scene, name: str) -> Cause:
    spec = _ready(scene, name)
    here = f"--namespace={scene.world.namespace}"
    _patch(scene, "secret", name, {"immutable": True}, here)
    scene.kubectl("annotate", "saperlykey", name, "saperly.com/rotate-requested-at=now", here)
    return Cause(spec=spec, mend=lambda: scene.kubectl("delete", "secret", name, here))


STANDING_ROWS: dict[str, Row] = {
    "no-more-allowed-by-name": Row(
        "NamespaceNotAllowed", ("administrator", "spec.allowedNamespaces"), _no_more_allowed_by_name, has_key=True
    ),
    "label-taken-away": Row(
        "NamespaceNotAllowed", ("administrator", "spec.allowedNamespaces"), _label_taken_away, has_key=True
    ),
    "provider-deleted": Row("ProviderNotFound", ("create it", "spec.providerRef"), _provider_deleted, has_key=True),
    "permissions-no-more-permitted": Row(
        "PolicyViolated",
        ("spec.permissions", "read_only"),
        _policy_narrowed({"permissions": ["read_only"]}, permissions="read_only"),
        has_key=True,
    ),
    "line-required-later": Row(
        "PolicyViolated", ("spec.lineId",), _policy_narrowed({"requireLine": True}), has_key=True
    ),
    "changed-to-unknown-line": Row(
        "LineNotFound",
        ("released", "Correct spec.lineId"),
        _line_unknown,
        has_key=True,
        by_update=True,
        asks=3.0,
    ),
    "immutable-secret-and-rotation-due": Row(
        "SecretImmutable", ("is immutable", "delete it"), _immutable_and_due, has_key=True, mints=2
    ),
}
