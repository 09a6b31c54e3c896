"""What holds of every decision, whatever was observed: the invariants that ``decide`` alone can keep."""

from hypothesis import HealthCheck, given, settings

from saperly_operator.lifecycle.decide import decide
from saperly_operator.lifecycle.naming import Tag
from saperly_operator.lifecycle.observed import Observed, SecretOwned
from saperly_operator.lifecycle.references import referenced_ids
from saperly_operator.lifecycle.steps import (
    AbandonIntent,
    AdoptOrphans,
    AwaitSweep,
    Decision,
    Done,
    InspectKey,
    LeaveAlone,
    Mint,
    Reschedule,
    Restart,
    Retire,
    RevokeCurrent,
    Rotate,
    Stall,
    StoreIntent,
    WaitUntil,
    WriteSecret,
)
from saperly_operator.resources import reasons
from saperly_operator.resources.saperly_key import DeletionPolicy
from saperly_operator.resources.saperly_key_status import Operation
from tests.builders import NOW
from tests.unit.lifecycle.strategies import observations, unhindered
from tests.unit.lifecycle.table import TIMINGS

many = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def decided(given: Observed) -> Decision:
    return decide(given, NOW, TIMINGS)


@many
@given(observations())
def test_there_is_always_one_decision_and_always_the_same(given: Observed) -> None:
    decision = decided(given)
    assert decision == decided(given)
    assert decision.reason
    assert decision.message


@many
@given(observations())
def test_i5_only_a_deletion_with_revoke_ever_revokes_the_key_in_the_secret(given: Observed) -> None:
    step, status = decided(given).step, given.key.status
    current = status.current.id if status.current is not None else None
    match step:
        case RevokeCurrent(ref):
            assert given.key.is_being_deleted
            assert given.key.spec.deletion_policy is DeletionPolicy.REVOKE
            assert ref == status.current
        case Retire(entry):
            assert entry in status.retiring, "I1: stored first"
            assert entry.id != current
        case AbandonIntent(lost):
            assert current not in {entry.id for entry in lost}
        case AdoptOrphans(orphans):
            assert current not in {entry.id for entry in orphans}
        case _:
            pass


@many
@given(observations())
def test_an_old_key_is_not_retired_before_its_date_unless_the_object_goes(given: Observed) -> None:
    step = decided(given).step
    if not isinstance(step, Retire):
        return
    assert step.entry.revoke_after <= NOW or given.key.is_being_deleted


@many
@given(unhindered())
def test_i1_a_post_follows_a_stored_intent_of_ours_that_the_vendor_still_remembers(given: Observed) -> None:
    step = decided(given).step
    if not isinstance(step, Mint | Rotate):
        return
    assert isinstance(step, Rotate) == (step.intent.operation is Operation.ROTATE)
    assert step.intent == given.key.status.intent
    assert step.intent.holder == given.myself.holder
    assert -TIMINGS.clock_tolerance <= NOW - step.intent.started_at <= TIMINGS.replay_limit
    assert not given.key.is_being_deleted


@many
@given(observations())
def test_nothing_new_is_begun_for_an_object_that_goes_or_is_suspended(given: Observed) -> None:
    step = decided(given).step
    if given.key.is_being_deleted:
        assert not isinstance(step, StoreIntent | Mint | Rotate)
        last = given.key.spec.deletion_policy is DeletionPolicy.ORPHAN and given.current_is_dead
        assert last or not isinstance(step, WriteSecret)
    if given.key.spec.suspend and not given.current_is_dead:
        assert not isinstance(step, StoreIntent)


@many
@given(unhindered())
def test_the_serial_of_a_new_intent_exceeds_every_serial_seen(given: Observed) -> None:
    step = decided(given).step
    if not isinstance(step, StoreIntent):
        return
    status = given.key.status
    seen = [status.serial or 0, *(sweep_serials(given))]
    if isinstance(given.secret, SecretOwned) and given.secret.record is not None:
        seen.append(given.secret.record.serial)
    assert step.intent.serial > max(seen)
    assert status.intent is None
    assert len([at for at in status.recent_intents if at > NOW - TIMINGS.mint_limit_window]) < TIMINGS.mint_limit


@many
@given(unhindered())
def test_a_rotation_in_one_step_is_begun_only_where_a_mint_could_make_up_for_it(given: Observed) -> None:
    step, status = decided(given).step, given.key.status
    if not isinstance(step, StoreIntent) or step.intent.rotates is None:
        return
    assert status.current is not None
    assert step.intent.rotates == status.current.id
    assert step.intent.request == ""
    assert not given.current_is_dead
    begun = [at for at in status.recent_intents if at > NOW - TIMINGS.mint_limit_window]
    assert len(begun) < TIMINGS.mint_limit - 1


def sweep_serials(given: Observed) -> list[int]:
    tags = (Tag.parse(row.name) for sweep in given.memory.sweeps.values() for row in sweep.rows)
    return [tag.serial for tag in tags if tag is not None]


@many
@given(observations() | unhindered())
def test_what_a_secret_lacks_is_concluded_from_a_live_look_only(given: Observed) -> None:
    step = decided(given).step
    if given.is_live:
        return
    assert not isinstance(step, AdoptOrphans)
    if isinstance(step, StoreIntent):
        assert step.intent.trigger not in {reasons.SECRET_MISSING, reasons.SECRET_ALTERED}
    if isinstance(step, AbandonIntent) and step.lost:
        held = given.memory.held
        assert given.key.is_being_deleted
        assert held is not None, "whose plaintext never left this process"


@many
@given(observations() | unhindered())
def test_a_list_alone_never_mints_nor_retires_a_key_that_was_referred_to(given: Observed) -> None:
    step, status = decided(given).step, given.key.status
    if isinstance(step, StoreIntent) and step.intent.trigger == reasons.REVOKED_EXTERNALLY:
        assert status.revoked is not None, "Saperly said so, with a date"
        assert status.current is not None
        assert status.revoked.id == status.current.id
    if isinstance(step, InspectKey):
        assert step.ref == status.current


@many
@given(observations())
def test_no_id_is_retired_twice_nor_one_that_this_object_does_not_own(given: Observed) -> None:
    step, known = decided(given).step, referenced_ids(given.key.status)
    match step:
        case AdoptOrphans(orphans):
            ids = [entry.id for entry in orphans]
            assert len(ids) == len(set(ids))
            assert not known & set(ids)
        case _:
            pass


@many
@given(observations())
def test_another_installations_object_is_left_alone(given: Observed) -> None:
    theirs = given.key.status.installation
    foreign = theirs is not None and theirs != given.myself.installation
    forced = given.key.is_being_deleted and given.key.is_force_deleted
    assert isinstance(decided(given).step, LeaveAlone) == (foreign and not forced)


@many
@given(observations())
def test_to_rest_is_to_rest_until_later(given: Observed) -> None:
    match decided(given).step:
        case WaitUntil(until) | Stall(until) | AwaitSweep(until=until):
            assert until > NOW, "else the loop would spin"
        case Done(until) if until is not None:
            assert until > NOW
        case _:
            pass


@many
@given(observations())
def test_only_a_workload_of_the_spec_without_the_mark_is_restarted_while_it_is_awaited(given: Observed) -> None:
    step, status = decided(given).step, given.key.status
    if not isinstance(step, Restart):
        return
    assert step.workload in given.key.spec.restart
    assert status.restarted is not None
    assert step.seen.mark is None or not step.seen.mark.covers(step.mark)
    assert step.mark.serial == status.restarted.serial
    assert (status.restarted.finished_at, status.restarted.given_up_at) == (None, None)


@many
@given(observations())
def test_i3_new_dates_neither_forget_a_key_nor_change_which_it_is(given: Observed) -> None:
    step, status = decided(given).step, given.key.status
    if not isinstance(step, Reschedule):
        return
    facts = dict.fromkeys(("overlap_started_at", "waiting_for", "last_used_at", "previous_key", "withdrawn_at"))
    kept = {**facts, "revoke_after": NOW}
    assert [entry.changed(**kept) for entry in step.retiring] == [entry.changed(**kept) for entry in status.retiring]
    for before, after in zip(status.retiring, step.retiring, strict=True):
        if before.replaced_at is None:
            assert after == before, "a key that was never in use keeps its date"


@many
@given(observations())
def test_no_key_is_revoked_while_status_says_that_its_plaintext_is_in_the_secret(given: Observed) -> None:
    step = decided(given).step
    if isinstance(step, Retire) and not given.key.is_being_deleted:
        assert step.entry.previous_key is None
