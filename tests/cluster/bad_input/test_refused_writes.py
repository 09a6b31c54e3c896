"""Kubernetes itself stands in the way: rights taken away, admission after the mint, namespaces on their way out."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

from tests.cluster.bad_input.scene import Scene, policy
from tests.cluster.bad_input.secret_rows import SECRET_WRITES
from tests.support.waiting import eventually

ROLE = "saperly-operator"


@contextmanager
def _rights_on_secrets(scene: Scene, *verbs: str) -> Iterator[None]:
    """For a while the operator may do no more than ``verbs`` with Secrets."""
    rules = scene.kubectl.read("ClusterRole", ROLE)["rules"]
    fewer = [{**rule, "verbs": list(verbs)} if rule["resources"] == ["secrets"] else rule for rule in rules]
    _set_rules(scene, fewer)
    try:
        yield
    finally:
        _set_rules(scene, rules)


def _set_rules(scene: Scene, rules: list[dict[str, object]]) -> None:
    scene.kubectl("patch", "clusterrole", ROLE, "--type=merge", f"--patch={json.dumps({'rules': rules})}")


def test_without_the_right_to_write_secrets_nothing_is_minted_until_it_is_given_back(scene: Scene) -> None:
    scene.add("rights")
    with _rights_on_secrets(scene, "get", "list", "watch"):
        watch = scene.watch()
        scene.apply(scene.key_object("rights"))
        conditions = scene.wait_reason("rights", "SecretWriteRefused")
        scene.pass_rechecks(5)
        cost = watch.stop().cost("rights")
        assert conditions["Stalled"]["reason"] == "SecretWriteRefused"
        assert "403" in conditions["Ready"]["message"]
        assert "check RBAC" in conditions["Ready"]["message"]
        assert scene.wait_warned("rights") == ["SecretWriteRefused"]
        assert cost.calls == []
        assert cost.dry_runs <= 2 + watch.seconds
    scene.assert_one_live_key("rights")
    assert len(scene.minted("rights")) == 1


def test_a_write_refused_after_a_passed_dry_run_costs_few_mints_none_of_which_stays_live(scene: Scene) -> None:
    """A policy that lets dry runs pass cannot be foreseen: each try costs a key, so there are at most three in the
    hour (a quarter of a minute here)."""
    namespace = scene.add_namespace("after")
    scene.add("after-dry-run")
    scene.apply(*policy("after-dry-run", namespace, SECRET_WRITES, "has(request.dryRun) && request.dryRun"))
    _wait_policy_denies(scene, namespace)
    scene.apply(scene.key_object("after-dry-run", namespace))
    scene.wait_reason("after-dry-run", "SecretWriteRefused", namespace)
    scene.pass_rechecks(10)

    conditions = scene.conditions("after-dry-run", namespace)
    assert conditions["Ready"]["status"] == "False"
    assert conditions["Ready"]["reason"] == "SecretWriteRefused"
    assert conditions["Stalled"]["status"] == "True"
    assert "admission policies" in conditions["Ready"]["message"]
    assert scene.wait_warned("after-dry-run", namespace) == ["SecretWriteRefused"]
    assert 1 <= len(scene.minted("after-dry-run")) <= 3
    assert len(scene.live("after-dry-run")) <= 1, "the one whose write is still being tried, at most"

    for kind in ("validatingadmissionpolicybinding", "validatingadmissionpolicy"):
        scene.kubectl("delete", kind, "after-dry-run")
    scene.assert_one_live_key("after-dry-run", namespace)
    assert scene.wait_warned("after-dry-run", namespace) == ["SecretWriteRefused"]


def _wait_policy_denies(scene: Scene, namespace: str) -> None:
    """A new policy takes a moment to come into force."""

    def denied() -> bool:
        try:
            scene.kubectl("create", "secret", "generic", "probe", f"--namespace={namespace}")
        except Exception as error:  # noqa: BLE001 (whatever kubectl says, its text tells)
            return "not here" in str(error)
        scene.kubectl("delete", "secret", "probe", f"--namespace={namespace}")
        return False

    eventually(denied, "the policy is in force")


def test_in_a_namespace_being_deleted_nothing_is_minted_and_the_namespace_goes(scene: Scene) -> None:
    """Something else keeps the SaperlyKey, so that it is not being deleted yet while its namespace is. The event
    cannot be written: nothing can be created there any more."""
    namespace = scene.add_namespace("going")
    keys = {
        "apiGroups": ["saperly.com"],
        "apiVersions": ["v1alpha1"],
        "operations": ["DELETE"],
        "resources": ["saperlykeys"],
    }
    scene.apply(*policy("going", namespace, keys, "false"))
    scene.apply(scene.key_object("going", namespace))
    scene.wait_reason("going", "ProviderNotFound", namespace)
    scene.kubectl("delete", "namespace", namespace, "--wait=false")
    scene.kubectl("wait", f"namespace/{namespace}", "--for=jsonpath={.status.phase}=Terminating", "--timeout=30s")
    assert "deletionTimestamp" not in scene.kubectl.read("SaperlyKey", "going", namespace=namespace)["metadata"]

    watch = scene.watch()
    scene.add("going")
    conditions = scene.wait_reason("going", "NamespaceTerminating", namespace)
    assert conditions["Stalled"]["reason"] == "NamespaceTerminating"
    assert "being deleted" in conditions["Ready"]["message"]
    scene.pass_rechecks(3)
    assert watch.stop().cost("going").calls == []

    for kind in ("validatingadmissionpolicybinding", "validatingadmissionpolicy"):
        scene.kubectl("delete", kind, "going")
    scene.kubectl("wait", f"namespace/{namespace}", "--for=delete", "--timeout=60s")
    assert scene.minted("going") == []


def test_a_namespace_with_a_working_key_is_deleted_as_a_whole_and_the_key_revoked(scene: Scene) -> None:
    namespace = scene.add_namespace("whole")
    scene.add("whole")
    scene.apply(scene.key_object("whole", namespace))
    scene.assert_one_live_key("whole", namespace)
    scene.kubectl("delete", "namespace", namespace, "--timeout=60s")
    assert scene.live("whole") == []


def test_a_key_whose_namespace_is_no_more_allowed_can_still_be_deleted(scene: Scene) -> None:
    scene.add("disowned")
    scene.apply(scene.key_object("disowned"))
    scene.assert_one_live_key("disowned")
    scene.add_provider("disowned", allowedNamespaces={"names": ["elsewhere"]})
    assert scene.wait_reason("disowned", "NamespaceNotAllowed")["Ready"]["status"] == "True"
    here = f"--namespace={scene.world.namespace}"
    scene.kubectl("delete", "saperlykey", "disowned", here, "--timeout=60s")
    assert scene.live("disowned") == []
    assert "disowned" not in scene.world.secret_names()


def test_a_service_key_revoked_later_stalls_the_next_rotation_and_leaves_the_key_alone(scene: Scene) -> None:
    """What the revoked service key minted is seen by no other: a person has to vouch for the new one, and that the old
    key cannot be revoked is shown."""
    revoked = scene.add_service_key("revoked-later")
    scene.add_provider("revoked-later")
    scene.apply(scene.key_object("revoked-later", rotation={"overlap": "0s"}))
    before = scene.assert_one_live_key("revoked-later")
    scene.vendor.revoke_service_key(revoked)
    here = f"--namespace={scene.world.namespace}"
    scene.kubectl("annotate", "saperlykey", "revoked-later", "saperly.com/rotate-requested-at=now", here)

    conditions = scene.wait_reason("revoked-later", "ServiceKeyRejected")
    scene.pass_rechecks(5)
    assert conditions["Ready"]["status"] == "True"
    assert conditions["Stalled"]["reason"] == "ServiceKeyRejected"
    assert "Put a valid one" in conditions["Ready"]["message"]
    assert scene.wait_warned("revoked-later") == ["ServiceKeyRejected"]
    assert [row.id for row in scene.live("revoked-later")] == [before.id]

    scene.add_service_key("revoked-later")
    message = scene.wait_reason("revoked-later", "ServiceKeyReplaced")["Stalled"]["message"]
    assert len(scene.minted("revoked-later")) == 1
    (accepted,) = re.findall(r"saperly\.com/accept-service-key: [0-9a-f]+", message)
    scene.kubectl("annotate", "csprov", "revoked-later", accepted.replace(": ", "="))

    def rotated() -> bool:
        status = scene.kubectl.read("SaperlyKey", "revoked-later", namespace=scene.world.namespace)["status"]
        held = status["retiring"][0]
        assert held["id"] == before.id
        assert "portal" in held["waitingFor"]
        return bool(status["current"]["id"] != before.id)

    eventually(rotated, "a new key is there, and the old one is shown as not revoked")
    assert scene.live("revoked-later")[0].id == before.id
    assert scene.digest("revoked-later") == scene.minted("revoked-later")[-1].digest
    assert len(scene.minted("revoked-later")) == 2
