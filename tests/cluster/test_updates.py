"""Changes of a SaperlyKey's spec: what reaches the vendor as a PATCH, what stays as it is, and what costs a mint."""

from collections.abc import Iterator
from typing import Any

import pytest

from saperly_operator.simulator.control_orders import ServiceKeyOrder
from saperly_operator.simulator.faults import Fault, FaultKind
from saperly_operator.simulator.state import Child, Operation
from tests.cluster.user import User, holds_key
from tests.support.waiting import eventually


@pytest.fixture
def policy(user: User) -> Iterator["PolicyOfTheProvider"]:
    """Sets the provider's policy; none is left after the test."""
    policy = PolicyOfTheProvider(user)
    yield policy
    policy.set(None)


class PolicyOfTheProvider:
    def __init__(self, user: User) -> None:
        self._user = user

    def set(self, policy: dict[str, Any] | None) -> None:
        self._user.patch_provider({"spec": {"policy": policy}})


def changed_child(user: User, name: str, **spec: Any) -> Child:
    """The one key of ``name`` once the operator has seen a change of its spec and rests; it was never minted anew."""
    user.change(name, **spec)
    user.wait_settled(name)
    (child,) = user.minted(name)
    assert child.is_live
    return child


def test_every_attribute_changes_in_place_without_a_mint(user: User) -> None:
    line = user.vendor.create_line().id
    key = user.ready("changes", agentLabel="support", monthlyCapCents=5000)

    child = changed_child(user, "changes", displayName="Support agent")
    assert child.name.startswith("Support agent [")
    assert changed_child(user, "changes", agentLabel="sales").agent_label == "sales"
    assert changed_child(user, "changes", lineId=line).line_id == line
    assert changed_child(user, "changes", permissions="read_only").permissions == "read_only"
    assert changed_child(user, "changes", monthlyCapCents=7000).monthly_cap_cents == 7000

    assert user.status("changes")["current"]["id"] == key["status"]["current"]["id"] == child.id
    assert holds_key(user, "changes", child.id)
    reasons = user.world.reasons("changes", "Updated", 5)
    assert reasons == ["Issued", *["Updated"] * 5]


def test_several_changes_at_once_are_one_patch(user: User) -> None:
    user.ready("together", agentLabel="support")
    before = user.call_number()

    child = changed_child(user, "together", agentLabel="sales", monthlyCapCents=100, displayName="together now")

    assert (child.agent_label, child.monthly_cap_cents) == ("sales", 100)
    assert user.calls(after=before) == user.calls(Operation.UPDATE, after=before) == 1


def test_an_attribute_taken_out_of_the_spec_is_cleared(user: User) -> None:
    line = user.vendor.create_line().id
    user.ready("cleared", agentLabel="support", lineId=line, monthlyCapCents=5000)

    child = changed_child(user, "cleared", agentLabel=None, lineId=None, monthlyCapCents=None)

    assert (child.agent_label, child.line_id, child.monthly_cap_cents) == (None, None, None)


def test_an_attribute_never_set_stays_as_a_person_set_it_in_the_portal(user: User) -> None:
    key = user.ready("portal", agentLabel="support")
    user.edit_in_portal(key["status"]["current"]["id"], {"monthly_cap_cents": 1234})

    child = changed_child(user, "portal", agentLabel="sales")

    assert (child.agent_label, child.monthly_cap_cents) == ("sales", 1234)


def test_the_policys_maximum_cap_is_sent_where_the_spec_names_none(user: User, policy: PolicyOfTheProvider) -> None:
    policy.set({"maxMonthlyCapCents": 9000})

    user.ready("maximum")
    user.ready("below", monthlyCapCents=100)

    assert user.only_live("maximum").monthly_cap_cents == 9000
    assert user.only_live("below").monthly_cap_cents == 100


def test_a_maximum_cap_that_comes_later_reaches_keys_minted_before(user: User, policy: PolicyOfTheProvider) -> None:
    user.ready("before-the-cap")
    assert user.only_live("before-the-cap").monthly_cap_cents is None

    policy.set({"maxMonthlyCapCents": 8000})
    eventually(lambda: user.only_live("before-the-cap").monthly_cap_cents == 8000, "the cap of the policy is sent")

    policy.set({"maxMonthlyCapCents": 6000})
    eventually(lambda: user.only_live("before-the-cap").monthly_cap_cents == 6000, "the lower cap is sent")

    policy.set(None)
    eventually(lambda: user.only_live("before-the-cap").monthly_cap_cents is None, "the cap is cleared")
    assert len(user.minted("before-the-cap")) == 1


def test_a_policy_that_forbids_what_a_key_has_is_told_while_the_key_goes_on(
    user: User, policy: PolicyOfTheProvider
) -> None:
    user.ready("permitted", permissions="full")

    policy.set({"permissions": ["call_only"]})
    told = user.world.wait_reason("permitted", "PolicyViolated", "Stalled")
    assert "spec.permissions is full" in told["message"]
    assert user.conditions("permitted")["Ready"]["status"] == "True"

    user.change("permitted", permissions="call_only")
    user.wait_settled("permitted")
    (child,) = user.minted("permitted")
    assert (child.is_live, child.permissions) == (True, "call_only")


def test_a_refused_change_leaves_the_key_ready_and_says_why(user: User) -> None:
    user.ready("refused", agentLabel="support")
    user.change("refused", lineId="00000000-0000-4000-8000-000000000001")

    user.world.wait_reason("refused", "LineNotFound", "Stalled")
    conditions = user.conditions("refused")
    assert conditions["Ready"]["status"] == "True"
    assert "spec.lineId" in conditions["Ready"]["message"]
    assert user.world.reasons("refused", "LineNotFound")

    child = changed_child(user, "refused", lineId=None, agentLabel="sales")
    assert (child.agent_label, child.line_id) == ("sales", None)


def test_a_change_waits_out_an_outage_of_the_vendor(user: User) -> None:
    user.ready("outage", agentLabel="support")
    user.vendor.order_fault(Fault(kind=FaultKind.STATUS, operation=Operation.UPDATE, count=2))
    user.vendor.order_fault(Fault(kind=FaultKind.RESET, when="after", operation=Operation.UPDATE, nth=3))

    child = changed_child(user, "outage", agentLabel="sales")

    assert child.agent_label == "sales"
    assert user.conditions("outage")["Ready"]["status"] == "True"


def test_another_provider_mints_once_and_the_old_key_is_revoked_by_the_old_service_key(user: User) -> None:
    first = user.ready("moving", rotation={"overlap": "2s"})["status"]["current"]
    second_key = user.vendor.create_service_key(ServiceKeyOrder(name="second"))
    user.world.put_service_key(second_key.plaintext.get_secret_value(), name="second-service-key")
    second = f"{user.world.provider}-second"
    user.add_provider(second, "second-service-key")

    user.change("moving", providerRef={"name": second})
    now = user.wait_rotated("moving", first["id"])["status"]["current"]

    old, new = user.minted("moving")
    assert (old.id, new.id) == (first["id"], now["id"])
    assert (old.created_by_service_key_id, new.created_by_service_key_id) == (
        user.portal_service_key_id,
        second_key.id,
    )
    user.wait_revoked(old.id)
    revokes = [call for call in user.vendor.calls() if call.key_id == old.id and call.operation is Operation.REVOKE]
    assert [(call.service_key_id, call.status) for call in revokes] == [(user.portal_service_key_id, 200)]
    assert user.only_live("moving").id == new.id
    assert holds_key(user, "moving", new.id)
