"""Secrets with a dull face, and what is accepted as a service key."""

import copy
import dataclasses
import pickle
import traceback

import pytest

from saperly_operator.saperly.concealed import Credential, MalformedCredentialError, Plaintext
from saperly_operator.saperly.models import ChildKey, Environment
from saperly_operator.saperly.outcome import Minted
from tests.unit.saperly.builders import PLAINTEXT, SERVICE_KEY, a_key

SECRETS = [Credential.parse(SERVICE_KEY), Plaintext(PLAINTEXT)]


@pytest.mark.parametrize("secret", SECRETS, ids=lambda secret: type(secret).__name__)
def test_a_secret_shows_nowhere(secret: Credential | Plaintext) -> None:
    shown = [repr(secret), str(secret), f"{secret}", f"{secret:>80}", "%s %r" % (secret, secret), repr([secret])]  # noqa: UP031
    assert not [text for text in shown if secret.reveal() in text]
    assert not hasattr(secret, "__dict__")


@pytest.mark.parametrize("secret", SECRETS, ids=lambda secret: type(secret).__name__)
@pytest.mark.parametrize("leak", [pickle.dumps, copy.copy, copy.deepcopy], ids=["pickle", "copy", "deepcopy"])
def test_a_secret_is_neither_pickled_nor_copied(secret: Credential | Plaintext, leak: object) -> None:
    assert callable(leak)
    with pytest.raises(TypeError) as caught:
        leak(secret)
    assert secret.reveal() not in str(caught.value)


def test_an_outcome_turned_into_a_dict_does_not_take_the_plaintext_along() -> None:
    minted = Minted(ChildKey.model_validate(a_key()), Plaintext(PLAINTEXT))
    assert PLAINTEXT not in repr(minted)
    with pytest.raises(TypeError):
        dataclasses.asdict(minted)


def test_a_secret_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        SECRETS[0]._value = "other"


def test_secrets_are_equal_by_what_they_hold_and_of_one_type_only() -> None:
    assert Plaintext("a") == Plaintext("a")
    assert Plaintext("a") != Plaintext("b")
    assert Plaintext(SERVICE_KEY) != Credential.parse(SERVICE_KEY)
    assert Plaintext("a") != "a"
    assert len({Plaintext("a"), Plaintext("a"), Plaintext("ü")}) == 2


@pytest.mark.parametrize(
    "raw",
    [SERVICE_KEY, f"{SERVICE_KEY}\n", f" \t{SERVICE_KEY}\r\n", SERVICE_KEY.encode(), f"{SERVICE_KEY}\n".encode()],
)
def test_whitespace_around_a_service_key_is_dropped(raw: str | bytes) -> None:
    assert Credential.parse(raw).reveal() == SERVICE_KEY


@pytest.mark.contract("tier-service-key")
@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("", "empty"),
        (" \n", "empty"),
        (b"", "empty"),
        ("sk_svc_test_SECRET inside", "whitespace"),
        ("sk_svc_test_SECRET\nsk_svc_test_SECRET", "whitespace"),
        ("sk_svc_test_SECRÉT", "characters"),
        ("sk_svc_test_SECRET\x00", "characters"),
        (b"sk_svc_test_SECRET\xff", "characters"),
        ("sk_test_SECRET", "API key"),
        ("sk_live_SECRET", "API key"),
        ("sk_svc_prod_SECRET", "begins with"),
        ("SECRET", "begins with"),
        ("Bearer:sk_svc_test_SECRET", "begins with"),
        ("sk_svc_test_", "goes on"),
    ],
)
def test_what_is_no_service_key_is_refused_with_a_reason_and_without_an_echo(raw: str | bytes, reason: str) -> None:
    with pytest.raises(MalformedCredentialError, match=reason) as caught:
        Credential.parse(raw)
    error = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    ours = [frame for frame in error.stack if frame.filename != __file__]
    assert ours
    assert "SECR" not in f"{caught.value}{[frame.locals for frame in ours]}"
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("key", "environment", "prefix"),
    [
        ("sk_svc_test_abc", Environment.TEST, "sk_svc_test_"),
        ("sk_svc_live_abc", Environment.LIVE, "sk_svc_live_"),
    ],
)
def test_the_prefix_tells_the_environment_and_nothing_of_the_secret(
    key: str, environment: Environment, prefix: str
) -> None:
    credential = Credential.parse(key)
    assert credential.environment is environment
    assert credential.prefix == prefix


def test_the_material_hash_tells_one_key_from_another_and_stays_the_same() -> None:
    # Fixed: budgets and caches are named by it, across releases.
    assert Credential.parse("sk_svc_test_abc\n").material_hash == "ac31bb0660ef0c26"
    assert Credential.parse("sk_svc_test_abd").material_hash != "ac31bb0660ef0c26"


@pytest.mark.parametrize(
    ("plaintext", "environment"),
    [("sk_test_a", Environment.TEST), ("sk_live_a", Environment.LIVE), ("sk_svc_test_a", None), ("x", None)],
)
def test_a_plaintext_names_its_environment(plaintext: str, environment: Environment | None) -> None:
    assert Plaintext(plaintext).environment is environment
