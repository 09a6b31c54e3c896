"""The cache: newer bodies win, and its indexes never point at what is gone."""

from base64 import b64encode
from typing import Any

import pytest

from saperly_operator.controller.cache import Cache, NamespaceView, is_newer
from saperly_operator.kube.secrets import SecretView
from saperly_operator.resources.provider import ClusterSaperlyProvider, SaperlyProvider
from saperly_operator.resources.saperly_key import ProviderKind
from tests.builders import a_record


def body(name: str = "support", version: str = "10", *, uid: str = "uid-1", **spec: Any) -> dict[str, Any]:
    return {"metadata": {"namespace": "agents", "name": name, "uid": uid, "resourceVersion": version}, "spec": spec}


def secret(name: str = "support", version: str = "10", *, uid: str = "uid-s", owned: bool = True) -> SecretView:
    marks = a_record().write() if owned else {}
    metadata = {
        "namespace": "agents",
        "name": name,
        "uid": uid,
        "resourceVersion": version,
        "annotations": marks,
    }
    return SecretView.of({"metadata": metadata, "data": {"TOKEN": b64encode(b"hello").decode()}})


def names(bodies: Any) -> list[str]:
    return [each["metadata"]["name"] for each in bodies]


@pytest.mark.parametrize(
    ("version", "than", "newer"),
    [
        pytest.param("11", "10", True, id="later"),
        pytest.param("9", "10", False, id="a number, not a text: 9 is earlier than 10"),
        pytest.param("10", "10", False, id="the same"),
        pytest.param("b", "a", True, id="not a number: the later arrival wins"),
        pytest.param("a", "a", False, id="the same, not a number"),
    ],
)
def test_which_version_is_newer(version: str, than: str, newer: bool) -> None:
    assert is_newer(version, than) is newer


def test_a_body_never_replaces_a_newer_one() -> None:
    cache = Cache()
    assert cache.put_key(body(version="10"))
    assert not cache.put_key(body(version="9"))
    assert not cache.put_key(body(version="10"))
    assert cache.put_key(body(version="11"))
    known = cache.key(("agents", "support"))
    assert known is not None
    assert known["metadata"]["resourceVersion"] == "11"


def test_another_object_of_the_same_name_is_taken_whatever_its_version() -> None:
    cache = Cache()
    cache.put_key(body(version="10"))
    assert cache.put_key(body(version="5", uid="uid-2"))
    cache.put_secret(secret(version="10"))
    assert cache.put_secret(secret(version="5", uid="uid-t"))


def test_claims_follow_the_spec_and_end_with_the_object() -> None:
    cache = Cache()
    cache.put_key(body("one"))
    cache.put_key(body("two", secret={"name": "one"}))
    cache.put_key(body("elsewhere", secret={"name": "other"}))
    assert names(cache.claimants("agents", "one")) == ["one", "two"]
    cache.put_key(body("two", "11", secret={"name": "two"}))
    assert names(cache.claimants("agents", "one")) == ["one"]
    assert names(cache.claimants("agents", "two")) == ["two"]
    cache.drop_key(("agents", "one"))
    assert names(cache.claimants("agents", "one")) == []
    assert names(cache.claimants("others", "two")) == [], "a claim is of one namespace"
    assert sorted(cache.all_keys()) == [("agents", "elsewhere"), ("agents", "two")]


def test_a_secret_is_found_by_the_owner_that_its_record_names() -> None:
    cache = Cache()
    cache.put_secret(secret("old"))
    cache.put_secret(secret("new"))
    assert [view.name for view in cache.secrets_of("agents/support")] == ["new", "old"]
    assert not cache.put_secret(secret("old", "9"))
    cache.put_secret(secret("old", "11", owned=False))
    cache.drop_secret(("agents", "new"))
    cache.drop_secret(("agents", "new"))
    assert list(cache.secrets_of("agents/support")) == []
    assert [view.name for view in cache.secrets()] == ["old"]


def test_every_object_is_known_with_its_provider() -> None:
    cache = Cache()
    cache.put_key(body("one"))
    cache.put_key(body("two", providerRef={"kind": "SaperlyProvider", "name": "own"}))
    refs = {key[1]: str(ref) for key, ref in cache.provider_refs()}
    assert refs == {"one": "ClusterSaperlyProvider/default", "two": "SaperlyProvider/own"}


def test_providers_are_told_apart_by_kind_and_namespace() -> None:
    cache = Cache()
    spec = {"environment": "test", "serviceKeys": [{"name": "main", "secretRef": {"name": "key"}}]}
    cluster = ClusterSaperlyProvider.from_api({"metadata": {"name": "default"}, "spec": spec})
    own = SaperlyProvider.from_api({"metadata": {"name": "default", "namespace": "agents"}, "spec": spec})
    cache.put_provider(cluster)
    cache.put_provider(own)
    keys = [(ProviderKind.CLUSTER.value, "", "default"), (ProviderKind.NAMESPACED.value, "agents", "default")]
    assert [cache.provider(key) for key in keys] == [cluster, own]
    cache.drop_provider(keys[0])
    assert list(cache.providers()) == [own]


def test_a_namespace_is_news_only_when_its_labels_changed() -> None:
    cache = Cache()
    assert cache.put_namespace("agents", NamespaceView({"team": "a"}))
    assert not cache.put_namespace("agents", NamespaceView({"team": "a"}))
    assert cache.put_namespace("agents", NamespaceView({"team": "b"}))
    cache.drop_namespace("agents")
    assert cache.namespace("agents") == NamespaceView()


def test_no_plaintext_is_kept() -> None:
    cache = Cache()
    cache.put_secret(secret())
    kept = repr(list(cache.secrets()))
    assert "hello" not in kept
    assert b64encode(b"hello").decode() not in kept
