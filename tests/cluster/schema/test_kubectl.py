"""What a user sees of the resources through the real kubectl: explain, columns, selectors, status, the examples."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from saperly_operator.resources import SaperlyKey
from saperly_operator.resources.crd import KINDS, Kind, Schema, open_api_schema
from saperly_operator.resources.definition import Scope
from tests.cluster.conftest import Kubectl, KubectlError

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("crds")]

EXAMPLES = Path(__file__).parents[3] / "examples"

EACH_KIND = pytest.mark.parametrize("kind", KINDS, ids=[kind.__name__ for kind in KINDS])


def paths_of(schema: Schema, path: str) -> Iterator[tuple[str, Schema]]:
    """Every property below ``schema``, as kubectl explain names it: lists and maps are passed through."""
    inner = schema.get("items", schema)
    for name, child in inner.get("properties", {}).items():
        yield f"{path}.{name}", child
        yield from paths_of(child, f"{path}.{name}")


@EACH_KIND
def test_every_field_is_explained_to_clients(kind: Kind, kubectl: Kubectl) -> None:
    """Every field is read from the document that kubectl explain reads, which asks for it field by field."""
    definition = kind.definition
    published = json.loads(kubectl("get", "--raw", f"/openapi/v3/apis/{definition.api_version}"))
    schemas: dict[str, Schema] = published["components"]["schemas"]
    served = dict(paths_of(schemas[definition.schema_name], definition.plural))
    for part in ("spec", "status"):
        for path, schema in paths_of(
            {"properties": {part: open_api_schema(kind)["properties"][part]}}, definition.plural
        ):
            assert served[path]["description"] == schema["description"]


@EACH_KIND
def test_kubectl_explain_lists_every_field(kind: Kind, kubectl: Kubectl) -> None:
    listed = kubectl("explain", kind.definition.plural, "--recursive").split()
    schema = open_api_schema(kind)
    for path, _ in paths_of(schema, kind.definition.plural):
        assert path.rpartition(".")[2] in listed


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("skey.spec.secret.key", "The key within the Secret's data that holds the plaintext."),
        ("skey.spec.permissions", "What the key may do: full, call_only, sms_only or read_only."),
        ("skey.status.retiring.revokeAfter", "It is not revoked before this time."),
        ("csprov.spec.allowedNamespaces.all", "True allows every namespace of the cluster."),
        ("sprov.spec.serviceKeys.secretRef.key", "The key within the Secret's data."),
    ],
)
def test_kubectl_explain_tells_what_a_field_means(field: str, words: str, kubectl: Kubectl) -> None:
    assert words in " ".join(kubectl("explain", field).split())


@pytest.fixture
def stored(kubectl: Kubectl, namespace: str) -> Callable[..., dict[str, Any]]:
    """Store a SaperlyKey in the test's namespace; returns it as stored."""

    def store(name: str, spec: dict[str, Any], status: dict[str, Any] | None = None) -> dict[str, Any]:
        definition = SaperlyKey.definition
        body = {
            "apiVersion": definition.api_version,
            "kind": definition.kind,
            "metadata": {"name": name},
            "spec": spec,
        }
        kubectl.apply(body, namespace=namespace)
        if status is not None:
            patch = json.dumps({"status": status})
            kubectl("patch", "skey", name, "-n", namespace, "--subresource=status", "--type=merge", "-p", patch)
        document: dict[str, Any] = kubectl.json("get", "skey", name, "-n", namespace)
        return document

    return store


READY = {
    "observedGeneration": 1,
    "conditions": [
        {
            "type": "Ready",
            "status": "True",
            "reason": "Available",
            "message": "all is well",
            "lastTransitionTime": "2026-11-24T10:00:00Z",
        }
    ],
    "current": {
        "id": "k-1",
        "prefix": "sk_test_abc",
        "serial": 1,
        "provider": "ClusterSaperlyProvider/default",
        "serviceKey": "main",
        "mintedAt": "2026-11-24T10:00:00Z",
    },
    "secret": {"name": "support-key", "key": "SAPERLY_API_KEY", "fingerprint": "00"},
    "rotation": {"nextRotationAt": "2026-12-24T10:00:00Z"},
}


def test_a_new_object_has_not_been_observed_yet(stored: Callable[..., dict[str, Any]]) -> None:
    """Clients built on kstatus read an object without any condition as done, unless this says otherwise."""
    assert stored("support", {})["status"] == {"observedGeneration": -1}


def test_the_status_is_not_writable_with_the_object(kubectl: Kubectl, namespace: str) -> None:
    body = {"apiVersion": "saperly.com/v1alpha1", "kind": "SaperlyKey", "metadata": {"name": "forged"}, "spec": {}}
    kubectl.apply({**body, "status": READY}, namespace=namespace)
    assert kubectl.json("get", "skey", "forged", "-n", namespace)["status"] == {"observedGeneration": -1}


def test_a_status_that_the_model_writes_is_stored_whole(stored: Callable[..., dict[str, Any]]) -> None:
    status = SaperlyKey.from_api({"metadata": {"name": "x"}, "spec": {}, "status": READY}).status
    again = SaperlyKey.from_api(stored("support", {}, status.to_merge_patch()))
    assert again.status == status


def test_columns_show_what_matters(stored: Callable[..., dict[str, Any]], kubectl: Kubectl, namespace: str) -> None:
    stored("support", {}, READY)
    header, row = kubectl("get", "skey", "-n", namespace).splitlines()
    assert header.split() == ["NAME", "READY", "REASON", "SECRET", "PREFIX", "ROTATED", "NEXT", "AGE"]
    assert row.split()[:5] == ["support", "True", "Available", "support-key", "sk_test_abc"]
    assert "2026-12-24T10:00:00Z" in row


def test_the_wide_columns_add_provider_and_message(
    stored: Callable[..., dict[str, Any]], kubectl: Kubectl, namespace: str
) -> None:
    stored("support", {}, READY)
    header, row = kubectl("get", "skey", "-n", namespace, "-o", "wide").splitlines()
    assert header.split()[-2:] == ["PROVIDER", "MESSAGE"]
    assert row.endswith("default    all is well")


def test_kubectl_wait_understands_the_conditions(
    stored: Callable[..., dict[str, Any]], kubectl: Kubectl, namespace: str
) -> None:
    stored("support", {}, READY)
    kubectl("wait", "-n", namespace, "--for=condition=Ready", "skey/support", "--timeout=10s")


def test_keys_are_selected_by_provider_and_by_secret(
    stored: Callable[..., dict[str, Any]], kubectl: Kubectl, namespace: str
) -> None:
    stored("plain", {})
    stored("other", {"providerRef": {"kind": "SaperlyProvider", "name": "team"}, "secret": {"name": "elsewhere"}})

    def selected(selector: str) -> str:
        return kubectl("get", "skey", "-n", namespace, f"--field-selector={selector}", "-o", "name").strip()

    assert selected("spec.providerRef.name=default") == "saperlykey.saperly.com/plain"
    assert selected("spec.providerRef.kind=SaperlyProvider") == "saperlykey.saperly.com/other"
    assert selected("spec.secret.name=elsewhere") == "saperlykey.saperly.com/other"


def test_all_kinds_are_listed_by_the_category(
    stored: Callable[..., dict[str, Any]], kubectl: Kubectl, namespace: str
) -> None:
    stored("support", {})
    listed = kubectl("api-resources", "--categories=saperly", "-o", "name").split()
    assert sorted(listed) == sorted(kind.definition.crd_name for kind in KINDS)
    assert "saperlykey.saperly.com/support" in kubectl("get", "saperly", "-n", namespace, "-o", "name")


@EACH_KIND
def test_kinds_are_known_by_their_short_names_and_scopes(kind: Kind, kubectl: Kubectl) -> None:
    definition = kind.definition
    table = kubectl("api-resources", "--api-group=saperly.com", "--no-headers")
    (line,) = [line.split() for line in table.splitlines() if line.startswith(f"{definition.plural} ")]
    namespaced = str(definition.scope is Scope.NAMESPACED).lower()
    assert line == [definition.plural, definition.short_name, definition.api_version, namespaced, definition.kind]


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.name)
def test_examples_are_accepted_as_they_stand(example: Path, kubectl: Kubectl, namespace: str) -> None:
    """In a namespace of the test's own, since a dry run finds none of the namespaces that an example makes."""
    text = example.read_text(encoding="utf-8")
    for word in ("agents", "team-a", "saperly-system"):
        text = text.replace(f"namespace: {word}", f"namespace: {namespace}")
    options = ("--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict")
    output = kubectl("apply", *options, "-f", "-", stdin=text)
    assert output.count("serverside-applied (server dry run)") == text.count("\nkind: ")


def test_a_mistake_is_named_to_the_user_by_field_and_rule(kubectl: Kubectl, namespace: str) -> None:
    body = {
        "apiVersion": "saperly.com/v1alpha1",
        "kind": "SaperlyKey",
        "metadata": {"name": "support"},
        "spec": {"agentLabel": "Support"},
    }
    with pytest.raises(KubectlError, match=r'spec\.agentLabel: Invalid value: "Support": must be lower case'):
        kubectl.apply(body, namespace=namespace)
