"""From watch events to work: who is looked at again, and who is not."""

from typing import Any

import pytest

from saperly_operator.controller.cache import Cache, ObjectKey, ProviderKey
from saperly_operator.controller.watch import Intake, make_settings
from saperly_operator.resources import annotations
from tests.builders import a_record

KEY = ("agents", "support")
PROVIDER = ("ClusterSaperlyProvider", "", "default")


class Inbox:
    """An intake, and what it asked for since it was last looked at."""

    def __init__(self) -> None:
        self.cache = Cache()
        self.keys: list[ObjectKey] = []
        self.providers: list[ProviderKey] = []
        self.forgotten: list[ObjectKey] = []
        self.intake = Intake(self.cache, self.keys.append, self.providers.append, self.forgotten.append)

    def taken(self) -> list[ObjectKey]:
        keys = list(self.keys)
        self.keys.clear()
        return keys


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


def key(name: str = "support", version: str = "10", **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "agents", "name": name, "uid": f"uid-{name}", "resourceVersion": version},
        "spec": spec,
    }


def secret(name: str = "support", version: str = "10", *, owner: str | None = "agents/support") -> dict[str, Any]:
    marks = a_record(owner=owner).write() if owner else {}
    metadata = {"namespace": "agents", "name": name, "uid": f"uid-s-{name}", "resourceVersion": version}
    return {"metadata": {**metadata, "annotations": marks}, "data": {}}


def provider(version: str = "10", generation: int = 1, **spec: Any) -> dict[str, Any]:
    entry = {"name": "main", "secretRef": {"name": "key"}}
    return {
        "metadata": {"name": "default", "uid": "uid-p", "resourceVersion": version, "generation": generation},
        "spec": {"environment": "test", "serviceKeys": [entry], **spec},
    }


def test_an_object_is_looked_at_when_it_shows_something_new(inbox: Inbox) -> None:
    inbox.intake.key_event("ADDED", key())
    inbox.intake.key_event(None, key())
    inbox.intake.key_event("MODIFIED", key(version="9"))
    assert inbox.taken() == [KEY]
    inbox.intake.key_event("MODIFIED", key(version="11"))
    assert inbox.taken() == [KEY]


def test_an_object_that_is_gone_is_forgotten_and_its_rivals_have_their_turn(inbox: Inbox) -> None:
    inbox.intake.key_event("ADDED", key())
    inbox.intake.key_event("ADDED", key("rival", secret={"name": "support"}))
    inbox.taken()
    inbox.intake.key_event("DELETED", key(version="12"))
    assert inbox.forgotten == [KEY]
    assert ("agents", "rival") in inbox.taken()
    assert inbox.cache.key(KEY) is None


def test_a_changed_secret_has_its_owner_and_its_claimants_looked_at(inbox: Inbox) -> None:
    inbox.intake.key_event("ADDED", key("claimant", secret={"name": "support"}))
    inbox.taken()
    inbox.intake.secret_event("ADDED", secret())
    assert set(inbox.taken()) == {KEY, ("agents", "claimant")}
    inbox.intake.secret_event("MODIFIED", secret())
    assert inbox.taken() == [], "it shows nothing new"


def test_a_secret_that_is_gone_or_lost_its_record_has_its_former_owner_looked_at(inbox: Inbox) -> None:
    inbox.intake.secret_event("ADDED", secret())
    inbox.taken()
    inbox.intake.secret_event("MODIFIED", secret(version="11", owner=None))
    assert inbox.taken() == [KEY]
    inbox.intake.secret_event("MODIFIED", secret(version="12"))
    inbox.taken()
    inbox.intake.secret_event("DELETED", secret(version="13"))
    assert inbox.taken() == [KEY]
    assert inbox.cache.secret(KEY) is None


@pytest.mark.parametrize("owner", ["others/support", "no path"], ids=["another namespace", "no owner at all"])
def test_a_record_moves_nobody_outside_its_own_namespace(inbox: Inbox, owner: str) -> None:
    inbox.intake.secret_event("ADDED", secret(owner=owner))
    assert inbox.taken() == []


def test_a_provider_is_looked_at_when_its_spec_changed_and_not_for_our_own_status(inbox: Inbox) -> None:
    inbox.intake.provider_event("ClusterSaperlyProvider", "ADDED", provider())
    inbox.intake.provider_event("ClusterSaperlyProvider", "MODIFIED", provider("11"))
    assert inbox.providers == [PROVIDER]
    inbox.intake.provider_event("ClusterSaperlyProvider", "MODIFIED", provider("12", generation=2))
    assert inbox.providers == [PROVIDER, PROVIDER]
    inbox.intake.provider_event("ClusterSaperlyProvider", "DELETED", provider("13", generation=2))
    assert inbox.providers == [PROVIDER] * 3
    assert inbox.cache.provider(PROVIDER) is None


def test_a_provider_that_cannot_be_read_moves_nobody(inbox: Inbox) -> None:
    inbox.intake.provider_event("ClusterSaperlyProvider", "ADDED", provider(environment="moon"))
    assert inbox.cache.provider(PROVIDER) is None


def test_a_namespaces_labels_decide_who_may_use_a_provider(inbox: Inbox) -> None:
    inbox.intake.key_event("ADDED", key())
    inbox.intake.key_event("ADDED", {**key(), "metadata": {**key()["metadata"], "namespace": "others"}})
    inbox.taken()
    labelled = {"metadata": {"name": "agents", "labels": {"team": "a"}}}
    inbox.intake.namespace_event("ADDED", labelled)
    assert inbox.taken() == [KEY]
    inbox.intake.namespace_event("MODIFIED", labelled)
    assert inbox.taken() == []
    inbox.intake.namespace_event("DELETED", labelled)
    assert inbox.cache.namespace("agents").labels == {}


def test_kopf_watches_only_our_secrets_and_stores_nothing() -> None:
    settings = make_settings()
    selector = settings.watching.label_selectors["", "v1", "secrets"]
    assert selector == f"{annotations.MANAGED_BY_LABEL}={annotations.MANAGED_BY}"
    assert settings.peering.standalone
    assert not settings.posting.enabled
    assert settings.persistence.finalizer != annotations.FINALIZER, "kopf takes away a finalizer of this name"
