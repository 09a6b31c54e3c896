"""What people do in the random histories: users of the cluster, its administrators, and people at the vendor.

Each deed takes effect at once. What lasts for a while (an outage, a full quota) ends by itself, in the midst of others.
"""

from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

from saperly_operator.kube.api import CONFIG_MAPS, DEPLOYMENTS, PLAIN, SAPERLY_KEYS, SECRETS, Object
from saperly_operator.saperly.models import Permissions
from saperly_operator.simulator.settings import Limits
from saperly_operator.simulator.state import Scope
from tests.simulation.cluster import NAMESPACE
from tests.simulation.history import NAMES, Deed, History
from tests.simulation.pods import RollsOut
from tests.support.memory_kube import SecretQuota, SecretsRefused

# --- SaperlyKeys --------------------------------------------------------------------------------------------------


async def apply(history: History, name: str) -> None:
    label = history.random.choice(["support", "sales", None])
    cap = history.random.choice([None, 100, 5000])
    await history.world.apply(name, agentLabel=label, monthlyCapCents=cap)


async def rename_secret(history: History, name: str) -> None:
    if await history.world.key(name):
        entry = history.random.choice(["SAPERLY_API_KEY", "TOKEN"])
        secret = history.random.choice([name, f"{name}-renamed"])
        await history.world.apply(name, secret={"name": secret, "key": entry})


async def ask_for_care(history: History, name: str) -> None:
    """Workloads to restart (one is there, one is not), the old plaintext kept, old keys that have to stand idle."""
    if not await history.world.key(name):
        return
    workloads = [{"kind": "Deployment", "name": "agent"}, {"kind": "StatefulSet", "name": "absent"}]
    rotation = {"overlap": history.random.choice(["0s", "10m", "1h"]), "maxOverlap": "4h"}
    await history.world.apply(
        name,
        restart=history.random.choice([[], workloads[:1], workloads[:1], workloads]),
        secret={"previousKey": history.random.choice([None, "OLD", "OLD", "OLDER"])},
        rotation={**rotation, "requireIdle": history.random.random() < 0.5},
    )
    if not history.world.kube.snapshot(DEPLOYMENTS, NAMESPACE):
        await RollsOut(history.world, "agent", history.random.choice([1, 300, 5000])).deploy()
    await history.world.annotate(name, rotate_requested_at=str(history.random.random()))


async def alter_old_plaintext(history: History, name: str) -> None:
    key = await history.world.key(name)
    if key is not None and key.spec.secret.previous_key is not None:
        value = history.random.choice(["b29wcw==", None])
        await history.world.edit_secret(key.secret_name, {"data": {key.spec.secret.previous_key: value}})


async def claim_the_others_secret(history: History, name: str) -> None:
    if await history.world.key(name):
        await history.world.apply(name, secret={"name": NAMES[0]})
        history.for_a_while(
            history.random.choice([60, 4000]), lambda: _patch_key(history, name, {"spec": {"secret": {"name": None}}})
        )


async def choose_deletion_policy(history: History, name: str) -> None:
    if await history.world.key(name):
        await history.world.apply(name, deletionPolicy=history.random.choice(["Orphan", "Revoke"]))


async def suspend(history: History, name: str) -> None:
    if await history.world.key(name):
        await history.world.apply(name, suspend=history.random.random() < 0.6)


async def request_rotation(history: History, name: str) -> None:
    await history.world.annotate(name, rotate_requested_at=str(history.random.random()))


async def request_many_rotations(history: History, name: str) -> None:
    for _ in range(8):
        await history.world.annotate(name, rotate_requested_at=str(history.random.random()))
        await history.world.live_on(seconds=history.random.choice([0.1, 30]))


async def choose_strategy(history: History, name: str) -> None:
    if await history.world.key(name):
        strategy = history.random.choice(["Atomic", "Atomic", "Overlap"])
        await history.world.apply(name, rotation={"strategy": strategy})


async def rotate_in_one_step(history: History, name: str) -> None:
    await history.world.apply(name, rotation={"strategy": "Atomic"})
    await history.world.annotate(name, rotate_requested_at=str(history.random.random()))


async def set_schedule(history: History, name: str) -> None:
    """For a while: in the end nothing may be due any more."""
    schedule = history.random.choice(["1h", "7h", "TZ=Europe/Berlin 0 3 * * *", "0 25 * * *"])
    await history.world.annotate(name, rotation_schedule=schedule)
    taken_away: Object = {"metadata": {"annotations": {"saperly.com/rotation-schedule": None}}}
    history.for_a_while(history.random.choice([60, 20_000]), lambda: _patch_key(history, name, taken_away))


async def delete(history: History, name: str) -> None:
    await history.world.delete(name)


async def recreate(history: History, name: str) -> None:
    await history.world.delete(name)
    await history.world.live_on(seconds=history.random.choice([0.001, 200, 4000]))
    await history.world.apply(name)


async def force_delete(history: History, name: str) -> None:
    await history.world.annotate(name, force_delete="true")
    await history.world.delete(name)


async def delete_the_namespace(history: History, name: str) -> None:
    await history.world.end_namespace(NAMESPACE)


def _patch_key(history: History, name: str, patch: Object) -> None:
    """From a timer: it may be gone by then."""
    world = history.world
    if any(body["metadata"]["name"] == name for body in world.kube.snapshot(SAPERLY_KEYS, NAMESPACE)):
        _now(world.kube.patch(SAPERLY_KEYS, NAMESPACE, name, patch, options=PLAIN))


def _now(call: Coroutine[Any, Any, object]) -> None:
    """Carry out a call of the Kubernetes in memory, which never waits, outside of any task."""
    try:
        call.send(None)
    except StopIteration:
        return


# --- Secrets ------------------------------------------------------------------------------------------------------


async def delete_secret(history: History, name: str) -> None:
    key = await history.world.key(name)
    if key is not None:
        await history.world.delete_secret(key.secret_name)


async def alter_secret(history: History, name: str) -> None:
    """Somebody writes nonsense, or puts back what the Secret held before: a GitOps tool, a backup."""
    key = await history.world.key(name)
    if key is not None:
        held = [(body.get("data") or {}).get(key.spec.secret.key) for body in _once_stored(history, key.secret_name)]
        value = history.random.choice(["b29wcw==", *sorted({each for each in held if each is not None})])
        await history.world.edit_secret(key.secret_name, {"data": {key.spec.secret.key: value}})


def _once_stored(history: History, secret: str) -> Iterator[Object]:
    """What the Secret was after each of its changes."""
    for change in history.world.kube.changes:
        if change.plural == SECRETS.plural and change.new is not None and change.new["metadata"]["name"] == secret:
            yield change.new


async def strip_label(history: History, name: str) -> None:
    key = await history.world.key(name)
    if key is not None:
        patch = {"metadata": {"labels": {"app.kubernetes.io/managed-by": None}}}
        await history.world.edit_secret(key.secret_name, patch)


async def strip_record(history: History, name: str) -> None:
    key = await history.world.key(name)
    if key is not None:
        marks = ("key-id", "serial", "installation", "owner", "digest")
        gone = {f"saperly.com/{mark}": None for mark in marks}
        await history.world.edit_secret(key.secret_name, {"metadata": {"annotations": gone}})


async def name_another_key_in_the_record(history: History, name: str) -> None:
    """Whoever may edit the Secret may write any id there."""
    key, ledger = await history.world.key(name), history.world.ledger()
    if key is not None and ledger:
        mark = {"saperly.com/key-id": history.random.choice(ledger).id}
        await history.world.edit_secret(key.secret_name, {"metadata": {"annotations": mark}})


async def fill_the_quota(history: History, name: str) -> None:
    quota = SecretQuota(NAMESPACE)
    history.world.kube.admissions.append(quota)
    seconds = history.random.choice([30, 900, 7200])
    history.for_a_while(seconds, lambda: history.world.kube.admissions.remove(quota))


async def refuse_secrets(history: History, name: str) -> None:
    policy = SecretsRefused(NAMESPACE, passes_dry_run=history.random.random() < 0.5)
    history.world.kube.admissions.append(policy)
    seconds = history.random.choice([30, 300, 7200])
    history.for_a_while(seconds, lambda: history.world.kube.admissions.remove(policy))


# --- at the vendor --------------------------------------------------------------------------------------------------


async def revoke_in_the_portal(history: History, name: str) -> None:
    key = await history.world.key(name)
    if key is not None and key.status.current is not None:
        history.world.control.revoke_key(key.status.current.id)
        history.revoked.add(key.status.current.id)


async def edit_in_the_portal(history: History, name: str) -> None:
    """The key in the Secret and those on their way out look otherwise; sometimes without the name that tells whose."""
    key, store, rng = await history.world.key(name), history.world.core.store, history.random
    refs = [] if key is None else [*key.status.retiring, *([key.status.current] if key.status.current else [])]
    for child in filter(None, (store.child(ref.id) for ref in refs)):
        renamed = "renamed by hand" if rng.random() < 0.3 else child.name
        edited = replace(
            child, name=renamed, agent_label=f"by-hand-{rng.randint(1, 9)}", permissions=Permissions.FULL
        )
        store.put_child(edited)


async def use_keys(history: History, name: str) -> None:
    await history.world.use_keys()


async def vendor_down(history: History, name: str) -> None:
    _switch(history, "vendor_is_down", history.random.choice([30, 600, 7200]))


async def throttle(history: History, name: str) -> None:
    control, store = history.world.control, history.world.core.store
    usual = store.settings.limits
    few = Limits(mint=1, get=3, update=3, revoke=3, list=4)
    control.configure(store.settings.model_copy(update={"limits": few}))

    def end() -> None:
        control.configure(store.settings.model_copy(update={"limits": usual}))

    history.for_a_while(history.random.choice([60, 3600, 9000]), end)


async def block(history: History, name: str) -> None:
    """A 401, 402 or 403 that a person has to mend."""
    codes = (
        *("insufficient_credits", "payment_method_required", "agent_cap_exceeded", "m3_fraud_block"),
        *("forbidden", "unauthorized", "agent_permission_denied"),
    )
    control = history.world.control
    blocked = control.block(history.random.choice(codes), scope=Scope.ACCOUNT)
    history.for_a_while(history.random.choice([60, 3600, 14000]), lambda: control.unblock(blocked.id))


# --- the cluster's administrators, and its accidents ------------------------------------------------------------------


async def kubernetes_down(history: History, name: str) -> None:
    world, seconds = history.world, history.random.choice([5, 100, 2000, 7200])
    world.kube_is_down = True
    for process in world.processes:
        process.interrupt_watches()
    from_list = history.random.random() < 0.5

    def end() -> None:
        world.kube_is_down = False
        for process in world.processes:
            process.resume_watches(from_list=from_list)

    history.for_a_while(seconds, end)


async def break_a_watch(history: History, name: str) -> None:
    world, plural = history.world, history.random.choice(["secrets", "saperlykeys", "saperlykeys", "namespaces"])
    for process in world.processes:
        process.interrupt_watches(plural)
    from_list = history.random.random() < 0.7

    def end() -> None:
        for process in world.processes:
            process.resume_watches(plural, from_list=from_list)

    history.for_a_while(history.random.choice([20, 400, 5000]), end)


async def start_another_process(history: History, name: str) -> None:
    """As a rolling update does: for a while both act."""
    former = history.world.running()
    history.world.start()

    def end() -> None:
        for process in former:
            process.kill()

    history.for_a_while(history.random.choice([5, 100, 1500]), end)


async def kill_the_operator(history: History, name: str) -> None:
    for process in history.world.running():
        process.kill()


async def stall_the_operator(history: History, name: str) -> None:
    for process in history.world.running():
        process.stall(history.random.choice([10, 100, 900]))


async def jump_the_clock(history: History, name: str) -> None:
    """The cluster's clock is wrong for a while, until it is put right."""
    by = timedelta(seconds=history.random.choice([-400, -60, 60, 400]))
    history.world.clock.jump(by)
    history.for_a_while(history.random.choice([60, 2000]), lambda: history.world.clock.jump(-by))


async def swap_the_service_key(history: History, name: str) -> None:
    """Its Secret holds another one of the same account, until somebody notices."""
    world = history.world
    other = world.control.create_service_key().plaintext
    await world.put_service_key(other)
    patch = {"data": {"SAPERLY_SERVICE_KEY": world.encoded(world.service_key)}}

    def end() -> None:
        _now(world.kube.patch(SECRETS, "saperly-system", "saperly-service-key", patch, options=PLAIN))

    history.for_a_while(history.random.choice([100, 5000, 20000]), end)


async def lose_the_namespace_and_restore_it(history: History, name: str) -> None:
    """Secrets come back first, then SaperlyKeys with new uids and no status."""
    world = history.world
    saved = world.saved()
    world.kube.wipe(NAMESPACE)
    await world.live_on(seconds=history.random.choice([0.1, 100, 5000]))
    await world.bring_back(saved, seconds=history.random.choice([0.1, 60, 4000]))


async def copy_etcd(history: History, name: str) -> None:
    if history.world.kube.snapshot(CONFIG_MAPS):  # a copy without the installation would begin another
        history.copy = history.world.kube.backup()


async def roll_etcd_back(history: History, name: str) -> None:
    world = history.world
    if history.copy is None:
        return
    world.roll_back(history.copy)
    for body in world.kube.snapshot(SAPERLY_KEYS):
        current = body["status"].get("current")
        child = world.core.store.child(current["id"]) if current else None
        if child is not None and not child.is_live:
            history.revoked.add(child.id)  # rotated away since: by this status it was revoked by somebody else


async def start_a_second_installation(history: History, name: str) -> None:
    """In another cluster, on the same service key."""
    world = history.world
    if not world.others:
        second = world.another_cluster("second")
        await second.set_up(world.service_key, sweepInterval="1h")
        await second.apply(name)


async def clone_everything(history: History, name: str) -> None:
    world = history.world
    if not world.others and world.kube.snapshot(CONFIG_MAPS):  # before that there was no installation to clone
        world.clone("clone")


async def rotate_by_schedule(history: History, name: str) -> None:
    schedule = history.random.choice(["2h", "@hourly"])
    await history.world.apply(name, rotation={"schedule": schedule, "overlap": "20m", "jitter": "5m"})
    seconds = history.random.choice([4000, 9000])
    history.for_a_while(seconds, lambda: _patch_key(history, name, {"spec": {"rotation": {"schedule": None}}}))


DEEDS: tuple[Deed, ...] = (
    *(apply, apply, apply, apply, rename_secret, rename_secret, claim_the_others_secret),
    *(ask_for_care, ask_for_care, ask_for_care, alter_old_plaintext),
    *(choose_deletion_policy, suspend, request_rotation, request_rotation, request_many_rotations),
    *(choose_strategy, rotate_in_one_step, rotate_in_one_step, set_schedule),
    *(delete, delete, recreate, force_delete, delete_the_namespace),
    *(delete_secret, delete_secret, alter_secret, strip_label, strip_record, name_another_key_in_the_record),
    *(
        fill_the_quota,
        refuse_secrets,
        revoke_in_the_portal,
        edit_in_the_portal,
        use_keys,
        vendor_down,
        throttle,
        block,
    ),
    *(kubernetes_down, break_a_watch, break_a_watch, start_another_process, kill_the_operator, stall_the_operator),
    *(jump_the_clock, swap_the_service_key, rotate_by_schedule, rotate_by_schedule, clone_everything),
    *(lose_the_namespace_and_restore_it, copy_etcd, copy_etcd, roll_etcd_back, start_a_second_installation),
)

End = Callable[[], None]


def _switch(history: History, switch: str, seconds: float) -> None:
    setattr(history.world, switch, True)
    history.for_a_while(seconds, lambda: setattr(history.world, switch, False))
