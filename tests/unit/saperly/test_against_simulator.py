"""The client and the simulated vendor meet: what one says the other understands, through HTTP messages."""

import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

import httpx
import pytest

from saperly_operator.clock import ManualClock
from saperly_operator.saperly import errors
from saperly_operator.saperly.audit import AuditReader
from saperly_operator.saperly.canonical import mint_body
from saperly_operator.saperly.client import SaperlyClient
from saperly_operator.saperly.concealed import Credential
from saperly_operator.saperly.models import Environment, MintRequest, Permissions, UpdateRequest
from saperly_operator.saperly.outcome import Minted, Redacted
from saperly_operator.simulator.control import Control
from saperly_operator.simulator.server import Simulator
from saperly_operator.simulator.settings import RetryAfter, Settings
from saperly_operator.simulator.store import Store

URL = "https://saperly.example/api"


@dataclass
class World:
    """A vendor in virtual time, and a client with a service key of it."""

    clock: ManualClock
    control: Control
    http: httpx.AsyncClient
    service_key_id: str
    client: SaperlyClient

    async def mint(self, key: str = "key-1", name: str = "agent", **fields: object) -> Minted:
        request = MintRequest.model_validate({"name": name, "environment": "test", **fields})
        outcome = await self.client.mint(mint_body(request), key)
        assert isinstance(outcome, Minted)
        return outcome

    def with_service_key(self, plaintext: str) -> SaperlyClient:
        return SaperlyClient(URL, Credential.parse(plaintext), http=self.http, clock=self.clock)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    clock = ManualClock()
    simulator = Simulator(Store(), clock, random.Random(7).randbytes, access=None)
    created = simulator.control.create_service_key()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(simulator)) as http:
        client = SaperlyClient(URL, Credential.parse(created.plaintext), http=http, clock=clock)
        yield World(clock, simulator.control, http, created.service_key.id, client)


@pytest.mark.contract("key-object")
async def test_a_minted_key_has_what_was_asked_for_and_fits_its_plaintext(world: World) -> None:
    minted = await world.mint(agent_label="support", permissions="call_only", monthly_cap_cents=5000)
    assert minted.misfit(Environment.TEST) is None
    assert minted.misfit(Environment.LIVE) is not None
    key = minted.key
    assert (key.name, key.agent_label, key.permissions) == ("agent", "support", Permissions.CALL_ONLY)
    assert (key.monthly_cap_cents, key.created_by_service_key_id) == (5000, world.service_key_id)
    assert key.created_at == world.clock.now()


@pytest.mark.contract("idempotency-window")
async def test_a_replay_is_redacted_for_twelve_hours_and_then_mints_again(world: World) -> None:
    first = await world.mint()
    body = mint_body(MintRequest(name="agent", environment=Environment.TEST))
    world.clock.advance(timedelta(hours=11, minutes=59))
    assert await world.client.mint(body, "key-1") == Redacted(first.key)
    world.clock.advance(timedelta(minutes=2))
    second = await world.client.mint(body, "key-1")
    assert isinstance(second, Minted)
    assert second.key.id != first.key.id


@pytest.mark.contract("key-reused")
async def test_the_same_key_with_another_body_is_told(world: World) -> None:
    await world.mint()
    with pytest.raises(errors.IdempotencyKeyReused):
        await world.mint(name="another")


@pytest.mark.contract("revoke")
async def test_a_key_goes_through_its_life(world: World) -> None:
    old = (await world.mint()).key
    changed = await world.client.update_key(old.id, UpdateRequest(name="renamed", monthly_cap_cents=7))
    assert (changed.name, changed.monthly_cap_cents) == ("renamed", 7)
    cleared = await world.client.update_key(old.id, UpdateRequest(monthly_cap_cents=None))
    assert cleared.monthly_cap_cents is None

    rotated = await world.client.rotate(old.id, "key-2")
    assert isinstance(rotated, Minted)
    assert (rotated.key.rotated_from, rotated.key.name) == (old.id, "renamed")
    assert (await world.client.get_key(old.id)).revoked_at is not None

    revoked = await world.client.revoke_key(rotated.key.id)
    assert revoked.revoked_at == world.clock.now()
    with pytest.raises(errors.NotVisible):
        await world.client.revoke_key(rotated.key.id)
    assert (await world.client.get_key(rotated.key.id)).revoked_at == revoked.revoked_at
    assert world.control.live_keys() == []


async def test_pages_together_are_the_whole_list_and_bear_the_vendors_time(world: World) -> None:
    world.control.advance_clock(-180)
    minted = {(await world.mint(key=f"key-{n}")).key.id for n in range(5)}
    pages = [await world.client.list_page(2, offset) for offset in (0, 2, 4)]
    assert {key.id for listed in pages for key in listed.page.keys} == minted
    assert {listed.page.total for listed in pages} == {5}
    assert {listed.server_time for listed in pages} == {world.clock.now() - timedelta(minutes=3)}


@pytest.mark.contract("tier-visibility")
async def test_another_service_keys_child_is_not_visible(world: World) -> None:
    child = (await world.mint()).key
    stranger = world.with_service_key(world.control.create_service_key().plaintext)
    for call in (stranger.get_key(child.id), stranger.revoke_key(child.id), stranger.rotate(child.id, "key-2")):
        with pytest.raises(errors.NotVisible) as caught:
            await call
        assert not caught.value.may_be_line
    assert (await stranger.list_page()).page.total == 0


@pytest.mark.contract("update-line")
async def test_an_unknown_line_is_a_refusal_of_the_mint_and_a_doubt_of_the_update(world: World) -> None:
    nowhere = "6f1f0a52-9999-4000-8000-000000000001"
    with pytest.raises(errors.Refused):
        await world.mint(line_id=nowhere)
    child = (await world.mint(key="key-2")).key
    with pytest.raises(errors.NotVisible) as caught:
        await world.client.update_key(child.id, UpdateRequest(line_id=nowhere))
    assert caught.value.may_be_line
    assert (await world.client.get_key(child.id)).line_id is None, "which a GET settles"


@pytest.mark.contract("422-validation_error")
async def test_a_line_of_the_other_environment_is_refused_by_field(world: World) -> None:
    line = world.control.create_line(Environment.LIVE)
    with pytest.raises(errors.Refused) as caught:
        await world.mint(line_id=line.id)
    assert [detail.field for detail in caught.value.details] == ["line_id"]


async def test_a_revoked_service_key_is_rejected(world: World) -> None:
    world.control.revoke_service_key(world.service_key_id)
    with pytest.raises(errors.ServiceKeyRejected):
        await world.client.list_page()


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("agent_cap_exceeded", errors.Refused),
        ("agent_permission_denied", errors.Refused),
        ("agent_scope_error", errors.Refused),
        ("insufficient_credits", errors.AccountBlocked),
        ("payment_method_required", errors.AccountBlocked),
        ("forbidden", errors.AccountBlocked),
        ("m3_fraud_block", errors.AccountBlocked),
    ],
)
async def test_a_block_by_the_vendor_is_told_apart_by_whom_it_concerns(
    world: World, code: str, kind: type[errors.SaperlyError]
) -> None:
    world.control.block(code)
    with pytest.raises(errors.SaperlyError) as caught:
        await world.mint()
    assert type(caught.value) is kind
    assert caught.value.code == code


@pytest.mark.contract("mint-limit")
@pytest.mark.parametrize(
    ("way", "least", "most"), [(RetryAfter.SECONDS, 3595, 3600), (RetryAfter.DATE, 3595, 3601)], ids=str
)
async def test_a_spent_limit_is_told_with_the_time_to_wait_whatever_the_clocks(
    world: World, way: RetryAfter, least: float, most: float
) -> None:
    world.control.configure(Settings(retry_after=way, clock_offset_seconds=240))
    for n in range(60):
        await world.mint(key=f"key-{n}")
    with pytest.raises(errors.Throttled) as caught:
        await world.mint(key="one-too-many")
    assert caught.value.retry_after is not None
    assert least <= caught.value.retry_after <= most


async def test_a_limit_may_be_told_without_a_time(world: World) -> None:
    world.control.configure(Settings(retry_after=RetryAfter.MISSING))
    rotating = (await world.mint()).key.id
    for n in range(30):
        outcome = await world.client.rotate(rotating, f"rotate-{n}")
        rotating = outcome.key.id
    with pytest.raises(errors.Throttled) as caught:
        await world.client.rotate(rotating, "one-too-many")
    assert caught.value.retry_after is None


async def test_fields_that_no_document_names_are_ignored(world: World) -> None:
    world.control.configure(Settings(extra_fields=True))
    child = (await world.mint()).key
    assert (await world.client.list_page()).page.keys == (child,)


@pytest.mark.parametrize("spelling", ["created_at", "createdAt"])
async def test_the_holder_of_a_child_key_reads_its_audit_log(world: World, spelling: str) -> None:
    world.control.configure(Settings.model_validate({"audit_time_field": spelling}))
    minted = await world.mint()
    reader = AuditReader(URL, minted.plaintext, http=world.http, clock=world.clock)
    await reader.read()
    page = await reader.read(event_types=["compliance_event"])
    assert page.events, "the first read wrote an event"
    assert page.events[0].created_at == world.clock.now()
    assert page.api_key_id == minted.key.id
