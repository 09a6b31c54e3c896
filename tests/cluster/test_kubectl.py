"""What kubectl shows of objects that the operator looks after: columns, conditions, events, selectors, wait.

The schema's own side (explain, columns of hand-made objects) is tested in ``schema/test_kubectl.py``.
"""

from typing import Any

import pytest

from tests.cluster.conftest import KubectlError
from tests.cluster.user import User
from tests.support.waiting import eventually


def columns(table: str) -> list[dict[str, str]]:
    """A table of kubectl's, whose cells are parted by two blanks or more, read by the places of its headings."""
    heading, *rows = table.rstrip("\n").split("\n")
    names = heading.split()
    starts = [heading.index(f" {name}") + 1 if heading.index(name) else 0 for name in names]
    ends = [*starts[1:], None]
    return [
        {name: row[start:end].strip() for name, start, end in zip(names, starts, ends, strict=True)} for row in rows
    ]


def get(user: User, *args: str) -> list[dict[str, str]]:
    return columns(user.kubectl("get", *args, f"--namespace={user.namespace}"))


def test_get_shows_what_matters_in_columns(user: User) -> None:
    key = user.ready("columns", secret={"name": "its-secret"}, rotation={"schedule": "30d"})

    (row,) = get(user, "skey", "columns")

    assert row.pop("AGE")
    assert row.pop("ROTATED")
    assert row == {
        "NAME": "columns",
        "READY": "True",
        "REASON": "Available",
        "SECRET": "its-secret",
        "PREFIX": key["status"]["current"]["prefix"],
        "NEXT": key["status"]["rotation"]["nextRotationAt"],
    }
    assert row["PREFIX"].startswith("sk_test_")


def test_get_wide_adds_the_provider_and_a_sentence(user: User) -> None:
    user.ready("wide")

    told = user.kubectl("get", "skey", "wide", f"--namespace={user.namespace}", "--output=wide")

    assert user.world.provider in told
    assert "The key is live, and in the Secret wide." in told


def test_get_shows_a_key_that_cannot_be_minted_with_its_reason(user: User) -> None:
    user.world.apply_key("homeless", providerRef={"name": "there-is-none"})
    user.world.wait_reason("homeless", "ProviderNotFound")

    (row,) = get(user, "skey", "homeless")

    assert (row["READY"], row["REASON"], row["SECRET"], row["PREFIX"]) == ("False", "ProviderNotFound", "", "")


def test_the_category_lists_everything_of_saperly(user: User) -> None:
    user.ready("category")

    listed = user.kubectl("get", "saperly", f"--namespace={user.namespace}", "--output=name").split()

    assert "saperlykey.saperly.com/category" in listed
    assert f"clustersaperlyprovider.saperly.com/{user.world.provider}" in listed


def test_describe_shows_conditions_and_events_and_no_plaintext(user: User) -> None:
    user.ready("described")
    eventually(lambda: user.world.events("described"), "the event is there")

    told = user.kubectl("describe", "skey", "described", f"--namespace={user.namespace}")

    assert "The key is live, and in the Secret described." in told
    for kind in ("Ready", "KeyActive", "SecretSynced"):
        assert kind in told
    events = told.rpartition("Events:")[2]
    assert "Issued" in events
    assert "saperly.com/saperly-operator" in events
    assert user.world.plaintext("described") not in told


def test_wait_for_ready_returns_when_the_key_is_in_its_secret(user: User) -> None:
    user.world.apply_key("awaited")

    told = user.kubectl(
        "wait", "--for=condition=Ready", "skey/awaited", f"--namespace={user.namespace}", "--timeout=60s"
    )

    assert "condition met" in told
    assert user.has_secret("awaited")


def test_wait_ignores_a_condition_of_an_earlier_spec(user: User) -> None:
    user.ready("outdated")
    with user.operator_down():
        user.change("outdated", displayName="nobody sees this yet")
        with pytest.raises(KubectlError, match="timed out"):
            user.kubectl(
                "wait", "--for=condition=Ready", "skey/outdated", f"--namespace={user.namespace}", "--timeout=1s"
            )

    user.kubectl("wait", "--for=condition=Ready", "skey/outdated", f"--namespace={user.namespace}", "--timeout=60s")


def test_wait_for_stalled_returns_when_a_person_has_to_act(user: User) -> None:
    user.world.apply_key("stuck", providerRef={"name": "there-is-none"})

    user.kubectl("wait", "--for=condition=Stalled", "skey/stuck", f"--namespace={user.namespace}", "--timeout=60s")


def test_wait_for_deletion_returns_when_the_key_is_revoked(user: User) -> None:
    user.ready("leaving")
    user.delete("leaving")

    user.kubectl("wait", "--for=delete", "skey/leaving", f"--namespace={user.namespace}", "--timeout=60s")

    assert [child for child in user.minted("leaving") if child.is_live] == []


def test_field_selectors_choose_keys_by_secret_and_provider(user: User) -> None:
    user.ready("chosen", secret={"name": "chosen-secret"})
    user.ready("not-chosen")

    by_secret = get(user, "skey", "--field-selector=spec.secret.name=chosen-secret")
    by_provider = get(user, "skey", f"--field-selector=spec.providerRef.name={user.world.provider}")

    assert [row["NAME"] for row in by_secret] == ["chosen"]
    assert {"chosen", "not-chosen"} <= {row["NAME"] for row in by_provider}


def test_get_shows_whether_a_cluster_provider_works(user: User) -> None:
    eventually(lambda: _provider_row(user)["READY"] == "True", "the provider is Ready")
    assert _provider_row(user)["REASON"] == "Available"
    assert _provider_row(user)["ENVIRONMENT"] == "test"

    user.kubectl("delete", "secret", "saperly-service-key", f"--namespace={user.world.system}")
    eventually(lambda: _provider_row(user)["READY"] == "False", "the missing Secret is told")
    assert _provider_row(user)["REASON"] == "ServiceKeySecretNotFound"

    user.world.put_service_key(user.service_key)
    eventually(lambda: _provider_row(user)["READY"] == "True", "the provider is Ready again")


def _provider_row(user: User) -> dict[str, str]:
    (row,) = columns(user.kubectl("get", "csprov", user.world.provider))
    return row


def namespaced_provider(name: str, secret: str) -> dict[str, Any]:
    return {
        "apiVersion": "saperly.com/v1alpha1",
        "kind": "SaperlyProvider",
        "metadata": {"name": name},
        "spec": {"environment": "test", "serviceKeys": [{"name": "main", "secretRef": {"name": secret}}]},
    }


def test_a_namespaced_provider_mints_with_the_service_key_of_its_own_namespace(user: User) -> None:
    credential = user.vendor.create_service_key()
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "team-service-key"}}
    user.kubectl.apply(
        secret | {"stringData": {"SAPERLY_SERVICE_KEY": credential.plaintext.get_secret_value()}},
        namespace=user.namespace,
    )
    user.kubectl.apply(namespaced_provider("team", "team-service-key"), namespace=user.namespace)

    user.ready("of-the-team", providerRef={"kind": "SaperlyProvider", "name": "team"})

    assert user.only_live("of-the-team").created_by_service_key_id == credential.id
    (row,) = get(user, "sprov", "team")
    assert (row["READY"], row["REASON"]) == ("True", "Available")

    user.delete("of-the-team")
    user.world.wait_gone("of-the-team")
    assert [child for child in user.minted("of-the-team") if child.is_live] == []


def test_a_namespaced_provider_does_not_reach_another_namespace(user: User) -> None:
    user.kubectl.apply(namespaced_provider("elsewhere", "saperly-service-key"), namespace=user.world.system)
    elsewhere = ("get", "sprov", "elsewhere", f"--namespace={user.world.system}")
    eventually(lambda: columns(user.kubectl(*elsewhere))[0]["READY"] == "True", "the provider works, where it is")

    user.world.apply_key("beyond", providerRef={"kind": "SaperlyProvider", "name": "elsewhere"})
    told = user.world.wait_reason("beyond", "ProviderNotFound")

    assert "There is no SaperlyProvider" in told["message"]
    assert user.minted("beyond") == []
