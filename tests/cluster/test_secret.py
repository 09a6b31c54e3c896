"""What happens to the Secret: moved and rewritten without a mint, repaired, replaced by one mint, or left alone."""

import base64
import json
from typing import Any

from saperly_operator.kube.secrets import SecretView
from saperly_operator.resources import annotations
from tests.cluster.conftest import Kubectl
from tests.cluster.user import ENTRY, User, holds_key
from tests.support.waiting import eventually

MANAGED_BY = annotations.MANAGED_BY_LABEL


def metadata(user: User, secret: str) -> dict[str, Any]:
    """Labels and annotations of a Secret."""
    found: dict[str, Any] = user.secret(secret)["metadata"]
    return {"labels": found.get("labels", {}), "annotations": found.get("annotations", {})}


def entries(user: User, secret: str) -> set[str]:
    return set(user.secret(secret)["data"])


def current(user: User, name: str) -> str:
    """The id of the current key."""
    key_id: str = user.status(name)["current"]["id"]
    return key_id


def is_untouched(user: User, name: str, key_id: str) -> bool:
    """Whether ``key_id`` is current and live, and the only key ever minted for the object."""
    return [child.id for child in user.minted(name)] == [key_id] == [user.only_live(name).id] == [current(user, name)]


def test_another_name_moves_the_key_and_the_old_secret_goes(user: User) -> None:
    key_id = user.ready("renamed")["status"]["current"]["id"]

    user.change("renamed", secret={"name": "renamed-to"})
    user.wait_settled("renamed")
    eventually(lambda: not user.has_secret("renamed"), "the old Secret is gone")

    assert holds_key(user, "renamed-to", key_id)
    assert user.status("renamed")["secret"]["name"] == "renamed-to"
    assert is_untouched(user, "renamed", key_id)
    assert user.world.reasons("renamed", "Moved") == ["Issued", "Moved"]


def test_another_entry_moves_the_key_within_the_secret_and_the_old_entry_goes(user: User) -> None:
    key_id = user.ready("entry")["status"]["current"]["id"]

    user.change("entry", secret={"key": "TOKEN"})
    user.wait_settled("entry")

    assert entries(user, "entry") == {"TOKEN"}
    assert user.digest("entry", "TOKEN") == user.child(key_id).digest
    assert is_untouched(user, "entry", key_id)


def test_name_and_entry_change_in_one_go(user: User) -> None:
    key_id = user.ready("both")["status"]["current"]["id"]

    user.change("both", secret={"name": "both-to", "key": "TOKEN"})
    user.wait_settled("both")
    eventually(lambda: not user.has_secret("both"), "the old Secret is gone")

    assert entries(user, "both-to") == {"TOKEN"}
    assert user.digest("both-to", "TOKEN") == user.child(key_id).digest
    assert is_untouched(user, "both", key_id)


def test_a_move_waits_for_a_name_that_is_taken_and_goes_on_when_it_is_free(user: User) -> None:
    key_id = user.ready("waits")["status"]["current"]["id"]
    user.kubectl("create", "secret", "generic", "taken", f"--namespace={user.namespace}", "--from-literal=mine=1")

    user.change("waits", secret={"name": "taken"})
    user.world.wait_reason("waits", "SecretNotOwned", "Stalled")
    assert user.conditions("waits")["Ready"]["status"] == "True"
    assert entries(user, "taken") == {"mine"}
    assert holds_key(user, "waits", key_id)

    user.delete_secret("taken")
    user.wait_settled("waits")
    assert holds_key(user, "taken", key_id)
    assert is_untouched(user, "waits", key_id)


def test_labels_and_annotations_are_written_without_a_mint(user: User) -> None:
    key_id = user.ready("labelled", secret={"labels": {"team": "voice"}})["status"]["current"]["id"]
    assert metadata(user, "labelled")["labels"]["team"] == "voice"

    user.change("labelled", secret={"labels": {"team": "sms", "tier": "1"}, "annotations": {"note": "hello"}})
    user.wait_settled("labelled")

    found = metadata(user, "labelled")
    assert found["labels"] == {"team": "sms", "tier": "1", MANAGED_BY: annotations.MANAGED_BY}
    assert found["annotations"]["note"] == "hello"
    assert is_untouched(user, "labelled", key_id)


def test_a_deleted_secret_costs_one_mint_and_the_old_key_ends_after_the_overlap(user: User) -> None:
    first = user.ready("deleted", rotation={"overlap": "3s"})["status"]["current"]["id"]

    user.delete_secret("deleted")
    now = user.wait_rotated("deleted", first)["status"]

    (old,) = now["retiring"]
    assert (old["id"], old["reason"]) == (first, "SecretMissing")
    assert holds_key(user, "deleted", now["current"]["id"])
    user.wait_revoked(first)
    assert [child.id for child in user.minted("deleted")] == [first, now["current"]["id"]]
    assert user.only_live("deleted").id == now["current"]["id"]


def test_altered_data_cost_one_mint_and_the_old_key_ends_after_the_overlap(user: User) -> None:
    first = user.ready("altered", rotation={"overlap": "3s"})["status"]["current"]["id"]

    user.patch_secret("altered", {"data": {ENTRY: base64.b64encode(b"something else").decode()}})
    now = user.wait_rotated("altered", first)["status"]

    (old,) = now["retiring"]
    assert (old["id"], old["reason"]) == (first, "SecretAltered")
    assert holds_key(user, "altered", now["current"]["id"])
    user.wait_revoked(first)
    assert [child.id for child in user.minted("altered")] == [first, now["current"]["id"]]


def test_an_entry_that_was_taken_out_costs_one_mint(user: User) -> None:
    first = user.ready("emptied", rotation={"overlap": "1s"})["status"]["current"]["id"]

    user.patch_secret("emptied", {"data": {ENTRY: None}})
    now = user.wait_rotated("emptied", first)["status"]

    assert holds_key(user, "emptied", now["current"]["id"])
    assert len(user.minted("emptied")) == 2


def test_a_stripped_label_is_only_put_back(user: User) -> None:
    key_id = user.ready("unlabelled")["status"]["current"]["id"]

    user.patch_secret("unlabelled", {"metadata": {"labels": {MANAGED_BY: None}}})
    eventually(lambda: MANAGED_BY in metadata(user, "unlabelled")["labels"], "the label is back")
    user.wait_settled("unlabelled")

    assert holds_key(user, "unlabelled", key_id)
    assert is_untouched(user, "unlabelled", key_id)


def test_a_stripped_record_is_only_put_back(user: User) -> None:
    key_id = user.ready("unrecorded")["status"]["current"]["id"]
    record = metadata(user, "unrecorded")["annotations"]
    assert record[annotations.KEY_ID] == key_id

    user.patch_secret("unrecorded", {"metadata": {"annotations": dict.fromkeys(record)}})
    eventually(lambda: metadata(user, "unrecorded")["annotations"] == record, "the whole record is back")
    user.wait_settled("unrecorded")

    assert is_untouched(user, "unrecorded", key_id)


def test_a_label_stripped_together_with_the_record_is_put_back(user: User) -> None:
    key_id = user.ready("bare")["status"]["current"]["id"]
    record = metadata(user, "bare")["annotations"]

    stripped = {"labels": {MANAGED_BY: None}, "annotations": dict.fromkeys(record)}
    user.patch_secret("bare", {"metadata": stripped})
    eventually(lambda: metadata(user, "bare")["annotations"] == record, "the record is back")

    assert metadata(user, "bare")["labels"] == {MANAGED_BY: annotations.MANAGED_BY}
    assert is_untouched(user, "bare", key_id)


def test_labels_annotations_and_entries_of_others_stay_through_a_rotation(user: User) -> None:
    first = user.ready("shared", rotation={"overlap": "1s"})["status"]["current"]["id"]
    user.patch_secret(
        "shared",
        {
            "metadata": {"labels": {"mine": "yes"}, "annotations": {"note": "kept"}},
            "data": {"OTHER": base64.b64encode(b"kept").decode()},
        },
    )

    user.annotate("shared", rotate_requested_at="now")
    now = user.wait_rotated("shared", first)["status"]["current"]["id"]

    found = metadata(user, "shared")
    assert (found["labels"]["mine"], found["annotations"]["note"]) == ("yes", "kept")
    assert entries(user, "shared") == {ENTRY, "OTHER"}
    assert holds_key(user, "shared", now)


def test_a_secret_replaced_by_the_users_own_is_told_and_never_overwritten(user: User) -> None:
    first = user.ready("replaced", rotation={"overlap": "1s"})["status"]["current"]["id"]

    with user.operator_down():  # so that it finds the Secret replaced, not first deleted
        user.delete_secret("replaced")
        user.kubectl(
            "create", "secret", "generic", "replaced", f"--namespace={user.namespace}", "--from-literal=mine=1"
        )
    told = user.world.wait_reason("replaced", "SecretNotOwned", "Stalled")

    assert "delete it" in told["message"]
    assert user.conditions("replaced")["Ready"]["status"] == "False"
    assert entries(user, "replaced") == {"mine"}
    assert is_untouched(user, "replaced", first)

    user.delete_secret("replaced")
    now = user.wait_rotated("replaced", first)["status"]["current"]["id"]
    assert holds_key(user, "replaced", now)
    assert len(user.minted("replaced")) == 2


def test_the_api_server_tells_who_wrote_an_entry_last(kubectl: Kubectl, namespace: str) -> None:
    """What SecretContested shows of another controller."""
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "shared"},
        "stringData": {"OURS": "a", "THEIRS": "b"},
    }
    place = f"--namespace={namespace}"
    kubectl("create", place, "--field-manager=saperly-operator", "--filename=-", stdin=json.dumps(secret))
    patch = json.dumps({"stringData": {"THEIRS": "c"}})
    kubectl("patch", "secret", "shared", place, "--field-manager=vault", "--type=merge", f"--patch={patch}")
    body = kubectl.json("get", "secret", "shared", place, "--show-managed-fields")
    assert SecretView.of(body).writers == {"THEIRS": "vault"}
