"""Both credential tiers, and what each is told at the other's door."""

import pytest

from saperly_operator.saperly.models import Environment
from tests.unit.simulator.vendor import Vendor

KEY_CALLS = [
    ("POST", "/v1/keys"),
    ("GET", "/v1/keys"),
    ("GET", "/v1/keys/some-id"),
    ("PATCH", "/v1/keys/some-id"),
    ("DELETE", "/v1/keys/some-id"),
    ("POST", "/v1/keys/some-id/rotate"),
]


@pytest.mark.contract("tier-api-key")
@pytest.mark.contract("401-invalid_api_key")
@pytest.mark.parametrize(("method", "path"), KEY_CALLS)
def test_a_child_key_is_refused_by_every_key_endpoint(method: str, path: str) -> None:
    vendor = Vendor()
    plaintext = vendor.minted()["plaintext_key"]
    assert vendor.call(method, path, {"name": "x"}, key="k", by=plaintext).refusal == (401, "invalid_api_key")


@pytest.mark.contract("tier-service-key")
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/audit"), ("POST", "/v1/calls"), ("POST", "/v1/messages"), ("GET", "/"), ("PUT", "/v1/keys")],
)
def test_a_service_key_is_refused_by_every_other_endpoint(method: str, path: str) -> None:
    assert Vendor().call(method, path).refusal == (401, "invalid_api_key")


@pytest.mark.contract("tier-service-key")
@pytest.mark.parametrize(("method", "path"), KEY_CALLS)
def test_a_service_key_is_let_in_by_every_key_endpoint(method: str, path: str) -> None:
    assert Vendor().call(method, path, {"name": "x"}, key="k").status != 401


@pytest.mark.contract("401-invalid_api_key")
def test_an_unknown_service_key_is_refused() -> None:
    assert Vendor().call("GET", "/v1/keys", by="sk_svc_test_nobody").refusal == (401, "invalid_api_key")


@pytest.mark.contract("401-invalid_api_key")
def test_a_revoked_service_key_is_refused_while_its_children_live_on() -> None:
    vendor = Vendor()
    child = vendor.minted()
    vendor.control.revoke_service_key(vendor.service_key.service_key.id)
    assert vendor.call("GET", "/v1/keys").refusal == (401, "invalid_api_key")
    assert vendor.call("GET", "/v1/audit", by=child["plaintext_key"]).status == 200


@pytest.mark.contract("401-unauthorized")
@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer  ", "Basic c2s6", "sk_svc_test_bare"])
def test_a_request_without_a_bearer_credential_is_unauthorized(header: str | None) -> None:
    vendor = Vendor()
    request = vendor.request("GET", "/v1/keys", by="")
    headers = {} if header is None else {"authorization": header}
    response = vendor.core.handle(type(request)(request.method, request.path, headers=headers))
    assert (response.status, b'"unauthorized"' in response.body) == (401, True)


@pytest.mark.contract("tier-api-key")
def test_a_child_key_works_until_it_is_revoked_and_shows_when_it_was_used() -> None:
    vendor = Vendor()
    child = vendor.minted()
    assert child["last_used_at"] is None
    vendor.clock.advance(60)
    assert vendor.call("GET", "/v1/audit?api_key_id=self", by=child["plaintext_key"]).status == 200
    seen = vendor.call("GET", f"/v1/keys/{child['id']}").key
    assert seen["last_used_at"] == "2026-11-24T10:01:00.000Z"
    vendor.call("DELETE", f"/v1/keys/{child['id']}")
    assert vendor.call("GET", "/v1/audit", by=child["plaintext_key"]).refusal == (401, "invalid_api_key")


@pytest.mark.contract("tier-environment")
@pytest.mark.parametrize("environment", list(Environment))
def test_prefixes_tell_tier_and_environment(environment: Environment) -> None:
    vendor = Vendor(environment=environment)
    child = vendor.minted()
    assert vendor.service_key.plaintext.startswith(f"sk_svc_{environment}_")
    assert child["plaintext_key"].startswith(f"sk_{environment}_")
    assert child["environment"] == environment


def test_an_unserved_path_is_not_found_by_a_child_key_and_a_wrong_method_not_allowed() -> None:
    vendor = Vendor()
    plaintext = vendor.minted()["plaintext_key"]
    assert vendor.call("POST", "/v1/calls", by=plaintext).refusal == (404, "not_found")
    refused = vendor.call("POST", "/v1/audit", by=plaintext)
    assert (refused.status, refused.headers["Allow"]) == (405, "GET")


@pytest.mark.contract("tier-visibility")
@pytest.mark.contract("404-not_found")
@pytest.mark.parametrize("account", ["default", "another account"])
@pytest.mark.parametrize(
    ("method", "suffix", "body"), [("GET", "", None), ("PATCH", "", {"name": "x"}), ("DELETE", "", None),
                                   ("POST", "/rotate", None)],
)  # fmt: skip
def test_another_service_keys_child_is_not_found(method: str, suffix: str, body: object, account: str) -> None:
    vendor = Vendor()
    child = vendor.minted()
    other = vendor.another_service_key(account_id=account).plaintext
    assert vendor.call(method, f"/v1/keys/{child['id']}{suffix}", body, key="k", by=other).refusal == (
        404,
        "not_found",
    )
    assert vendor.live_ids() == {child["id"]}


@pytest.mark.contract("tier-visibility")
def test_another_service_keys_child_is_absent_from_the_list() -> None:
    vendor = Vendor()
    own = vendor.minted()["id"]
    other = vendor.another_service_key().plaintext
    theirs = vendor.minted(by=other)["id"]
    assert [key["id"] for key in vendor.call("GET", "/v1/keys").json["keys"]] == [own]
    assert [key["id"] for key in vendor.call("GET", "/v1/keys", by=other).json["keys"]] == [theirs]
