"""A graceful end loses nothing, and two operators at once lose nothing either.

SIGTERM as from a rollout: what is minted is delivered and recorded before the process exits, with 0. Until then its
successor may be running already, and by mistake two may run for ever: each key is minted by one of them.
"""

import time

from saperly_operator.simulator.state import Operation
from tests.cluster import crash_points as points
from tests.cluster.crash_points import AtKube, AtVendor, Fate
from tests.cluster.crash_site import CrashSite
from tests.support.kube_proxy import Answer, Hold, Match, When
from tests.support.waiting import eventually

HALF_A_DRAIN = 22.5
"""Seconds: an operator that ends sooner has not waited for its drain to run out, however busy the machine is."""


def ask_to_stop(site: CrashSite) -> None:
    """SIGTERM; returns once the operator has stopped watching and finishes what is in flight."""
    site.operator.ask_to_stop()
    eventually(lambda: '"message": "draining"' in site.operator.output(), "the operator drains")


def assert_delivered_and_recorded(site: CrashSite, name: str) -> None:
    """Nobody runs any more, and the one key minted is in the Secret and in status."""
    status = site.world.key(name)["status"]
    (row,) = site.rows(name)
    assert row.revoked_at is None
    assert status["current"]["id"] == row.id
    assert "intent" not in status
    assert site.digest(name) == row.digest


def test_sigterm_while_a_mint_is_under_way_ends_with_the_key_delivered(site: CrashSite) -> None:
    name = site.new_name()
    stop = site.stop_at(AtVendor(Operation.MINT), name, Fate.ARRIVES_LATE)
    site.world.apply_key(name)
    stop.wait_held()
    ask_to_stop(site)
    stop.settle()
    assert site.operator.wait_exit() == 0
    assert_delivered_and_recorded(site, name)


def test_sigterm_while_the_secret_cannot_be_written_ends_with_the_key_delivered(site: CrashSite) -> None:
    name = site.new_name()
    stop = site.stop_at(AtKube(points.secret_create), name, Fate.NEVER_ARRIVES)
    outage = site.proxy.order(points.secret_create(name), Answer(503), count=3)
    site.world.apply_key(name)
    stop.wait_held()
    ask_to_stop(site)
    stop.settle()
    assert site.operator.wait_exit() == 0
    assert outage.is_spent
    assert_delivered_and_recorded(site, name)


def test_sigterm_while_the_record_cannot_be_stored_ends_with_it_stored(site: CrashSite) -> None:
    name = site.new_name()
    stop = site.stop_at(AtKube(points.recorded), name, Fate.NEVER_ARRIVES)
    outage = site.proxy.order(points.recorded(name), Answer(500), count=2)
    site.world.apply_key(name)
    stop.wait_held()
    ask_to_stop(site)
    stop.settle()
    assert site.operator.wait_exit() == 0
    assert outage.is_spent
    assert_delivered_and_recorded(site, name)


def test_sigterm_begins_nothing_new(site: CrashSite) -> None:
    held, waiting = site.new_name(), site.new_name()
    stop = site.stop_at(AtVendor(Operation.MINT), held, Fate.ARRIVES_LATE)
    site.world.apply_key(held)
    stop.wait_held()
    ask_to_stop(site)
    site.world.apply_key(waiting)
    stop.settle()
    assert site.operator.wait_exit() == 0
    assert site.rows(waiting) == []
    site.restart()
    site.assert_one_live_key(waiting, mints=1)


def test_sigterm_at_rest_ends_soon(site: CrashSite) -> None:
    name = site.new_name()
    site.apply_ready([name])
    began = time.monotonic()
    assert site.operator.terminate() == 0
    assert time.monotonic() - began < HALF_A_DRAIN, "nothing is waited for"


def test_two_operators_by_mistake_mint_each_key_once(site: CrashSite) -> None:
    site.kill()
    settle = {"SAPERLY_TIMINGS__TAKEOVER_SETTLE": "PT60S"}  # as in production: far beyond what one mint takes
    site.restart(settle)
    names = [site.new_name() for _ in range(20)]
    with site.second_operator(settle):
        site.apply_ready(names)
        for name in names:
            site.assert_one_live_key(name, mints=1)


def test_two_operators_that_take_over_too_soon_still_leave_one_live_key_each(site: CrashSite) -> None:
    site.kill()
    site.restart()  # with the short settling time that tests have
    names = [site.new_name() for _ in range(8)]
    with site.second_operator():
        site.apply_ready(names)
        for name in names:
            site.assert_one_live_key(name)
        assert max(len(site.rows(name)) for name in names) <= 3, "no object mints more than three times an hour"


def test_an_operator_that_read_the_secret_before_another_delivered_it_mints_no_more(site: CrashSite) -> None:
    name = site.new_name()
    site.proxy.order(points.intent_stored(name), Answer(409))  # as if the other had been first; so it looks again
    slow = site.proxy.order(Match("GET", rf"/secrets/{name}$"), Hold(When.AFTER))
    site.world.apply_key(name)
    slow.wait_held()
    with site.second_operator():
        site.assert_one_live_key(name, mints=1)
        assert slow.let_pass() == 404, "there was no Secret when it looked"
        assert site.operator.terminate() == 0
        site.assert_one_live_key(name, mints=1)


def test_an_operator_that_was_taken_over_while_it_was_writing_writes_no_more(site: CrashSite) -> None:
    name = site.new_name()
    slow = site.proxy.order(points.secret_create(name), Hold(When.BEFORE))
    site.world.apply_key(name)
    slow.wait_held()
    with site.second_operator():
        site.assert_one_live_key(name, mints=2)
        assert slow.let_pass() == 409
        site.assert_one_live_key(name, mints=2)
    site.assert_one_live_key(name, mints=2)


def test_an_operator_that_was_taken_over_before_it_looked_writes_nothing(site: CrashSite) -> None:
    name = site.new_name()
    slow = site.proxy.order(Match("GET", rf"/secrets/{name}$"), Hold(When.BEFORE))
    site.world.apply_key(name)
    slow.wait_held()
    assert len(site.rows(name)) == 1, "it holds a plaintext, and is about to read the Secret"
    with site.second_operator():
        site.assert_one_live_key(name, mints=2)
        assert slow.let_pass() == 200, "what it reads now is the Secret that the other has written"
        assert site.operator.terminate() == 0
        site.assert_one_live_key(name, mints=2)
