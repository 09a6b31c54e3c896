"""Bad input about the Secret to be written: it is found out before a mint, and costs no request to the vendor."""

from typing import Any

from tests.cluster.bad_input.scene import Scene, policy
from tests.cluster.bad_input.wave import Cause, Row

SECRET_WRITES = {
    "apiGroups": [""],
    "apiVersions": ["v1"],
    "operations": ["CREATE", "UPDATE"],
    "resources": ["secrets"],
}


def _in(scene: Scene) -> str:
    return f"--namespace={scene.world.namespace}"


def _somebodys_secret(scene: Scene, name: str) -> Cause:
    scene.add(name)
    scene.kubectl("create", "secret", "generic", name, "--from-literal=mine=yes", _in(scene))
    return Cause(mend=lambda: scene.kubectl("delete", "secret", name, _in(scene)))


def _immutable_secret(scene: Scene, name: str) -> Cause:
    """A user's own immutable Secret is somebody's Secret first. Renaming the target is the other way out."""
    scene.add(name)
    secret: dict[str, Any] = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "immutable": True}
    scene.kubectl.apply(secret, namespace=scene.world.namespace)
    return Cause(mend=lambda: scene.apply(scene.key_object(name, secret={"name": f"{name}-2"})))


def _owned_by_another(scene: Scene, name: str) -> Cause:
    """The Secret of a SaperlyKey that moved on from it, or is gone, by its record still belongs to that one."""
    scene.add(name)
    record = {
        "saperly.com/key-id": "another",
        "saperly.com/key-prefix": "sk_test_abc",
        "saperly.com/serial": "1",
        "saperly.com/installation": "another",
        "saperly.com/owner": f"{scene.world.namespace}/another",
        "saperly.com/minted-at": "2026-11-24T10:00:00Z",
    }
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "annotations": record}}
    scene.kubectl.apply(secret, namespace=scene.world.namespace)
    return Cause(mend=lambda: scene.kubectl("delete", "secret", name, _in(scene)))


def _claimed(scene: Scene, name: str) -> Cause:
    scene.add(name)
    scene.add("the-first")
    scene.apply(scene.key_object("the-first", secret={"name": "one-for-two"}))
    scene.wait_at_rest("the-first")
    return Cause(
        spec={"secret": {"name": "one-for-two"}},
        mend=lambda: scene.kubectl("delete", "saperlykey", "the-first", _in(scene), "--timeout=60s"),
    )


def _full_quota(scene: Scene, name: str) -> Cause:
    namespace = scene.add_namespace("full")
    scene.add(name)
    here = f"--namespace={namespace}"
    scene.kubectl("create", "quota", "none", "--hard=count/secrets=0", here)
    scene.kubectl("wait", "quota/none", "--for=jsonpath={.status.hard.count/secrets}=0", here, "--timeout=30s")
    return Cause(namespace=namespace, mend=lambda: scene.kubectl("delete", "quota", "none", here))


def _denied_by_admission(scene: Scene, name: str) -> Cause:
    namespace = scene.add_namespace("denied")
    scene.add(name)
    scene.apply(*policy(namespace, namespace, SECRET_WRITES, "false"))

    def mend() -> None:
        for kind in ("validatingadmissionpolicybinding", "validatingadmissionpolicy"):
            scene.kubectl("delete", kind, namespace)

    return Cause(namespace=namespace, mend=mend)


SECRET_ROWS: dict[str, Row] = {
    "secret-of-a-user": Row(
        "SecretNotOwned",
        ("not made by this operator", "never overwritten", "delete it", "spec.secret.name"),
        _somebodys_secret,
    ),
    "immutable-secret": Row("SecretNotOwned", ("never overwritten", "spec.secret.name"), _immutable_secret),
    "secret-of-another-key": Row(
        "SecretNotOwned", ("SaperlyKey", "/another", "delete it", "spec.secret.name"), _owned_by_another
    ),
    "secret-claimed-by-another-key": Row("SecretClaimed", ("the-first", "one-for-two", "spec.secret.name"), _claimed),
    "quota-full": Row("QuotaExceeded", ("ResourceQuota", "raise it"), _full_quota, tries=True),
    "admission-denies": Row("SecretWriteRefused", ("422", "admission policies"), _denied_by_admission, tries=True),
}
