"""Beginning a mint: everything that must hold before an intent is stored (design, section 4, steps 1 and 2).

Asked by every check that finds a reason to mint (I8 names them all), and by ``checks_rotate`` for a rotation in one
step. The order goes from what costs nothing to what costs a request: what could not be delivered must never be made.
"""

from dataclasses import dataclass

from saperly_operator.lifecycle.attributes import policy_violation, wanted_attributes
from saperly_operator.lifecycle.case import Case, recent_intents
from saperly_operator.lifecycle.checks_retire import retiring_room
from saperly_operator.lifecycle.naming import Owner, idempotency_key
from saperly_operator.lifecycle.observed import (
    PreflightPassed,
    PreflightRefused,
    ProviderAbsent,
    ProviderPresent,
    SecretAbsent,
    SecretForeign,
    SecretOwned,
    ServiceKeyUnusable,
    ServiceKeyUsable,
)
from saperly_operator.lifecycle.steps import (
    AddFinalizer,
    Decision,
    Preflight,
    ReadLive,
    Stall,
    StoreIntent,
    WaitUntil,
)
from saperly_operator.resources import reasons
from saperly_operator.resources.saperly_key_status import Intent, Operation


def provider_unfit(case: Case) -> Decision | None:
    """The provider is missing, does not admit this namespace, or its policy forbids what the spec asks."""
    match case.observed.provider:
        case ProviderAbsent():
            ref = case.key.spec.provider_ref
            return case.stall(
                reasons.PROVIDER_NOT_FOUND,
                f"There is no {ref.kind} named {ref.name}, or it is being deleted: create it, or name another in "
                "spec.providerRef.",
            )
        case ProviderPresent(admits=False, ref=ref):
            return case.stall(
                reasons.NAMESPACE_NOT_ALLOWED,
                f"{ref} does not allow the namespace {case.key.namespace}: an administrator may add it to the "
                "provider's spec.allowedNamespaces.",
            )
        case ProviderPresent(spec=spec):
            violation = policy_violation(case.key.spec, spec.policy)
            return None if violation is None else case.stall(reasons.POLICY_VIOLATED, violation)


SPARE_ROOM = 4
"""Entries beyond ``RETIRING_LIMIT``, still within the schema, for what must not wait for room: the end of an outage, and
a rotation in one step, which leaves no old key alive."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """What is to be begun, why, and with which entry of which provider. ``rotates`` is the id of a key to be replaced in
    one step; without it a key is minted."""

    provider: ProviderPresent
    entry: str
    trigger: str
    rotates: str | None = None

    @property
    def operation(self) -> Operation:
        return Operation.MINT if self.rotates is None else Operation.ROTATE


def begin_mint(case: Case, trigger: str) -> Decision:
    """The next step towards a new key, or what stands in its way."""
    unfit, provider = provider_unfit(case), case.observed.provider
    if unfit is not None or isinstance(provider, ProviderAbsent):
        return unfit or case.stall(reasons.PROVIDER_NOT_FOUND, "There is no provider.")
    return begin(case, Beginning(provider, provider.spec.service_keys[0].name, trigger))


def begin(case: Case, beginning: Beginning) -> Decision:
    """The next step towards what is to be begun, or what stands in its way."""
    return (
        _refused_before(case)
        or _too_many_mints(case)
        or _no_room_to_retire(case, beginning)
        or _secret_not_ours(case)
        or _no_turn(case, beginning)
        or _no_finalizer(case)
        or _secret_unproven(case, beginning)
        or _store_intent(case, beginning)
    )


def _refused_before(case: Case) -> Decision | None:
    """The same request was refused before, and neither the spec, the provider nor its service key changed since."""
    failure = case.status.failure
    until = case.put_off_until(failure) if failure is not None else None
    if failure is None or until is None or not failure.applies_to(case.observed.bound):
        return None
    message = failure.message or "It is tried again by itself."
    if failure.code == reasons.OUTCOME_UNRESOLVED:
        return Decision(WaitUntil(until), failure.code, message)  # nobody has to act
    return Decision(Stall(until), failure.code, message)


def _too_many_mints(case: Case) -> Decision | None:
    recent = recent_intents(case)
    if len(recent) < case.timings.mint_limit:
        return None
    until, failure = recent[0] + case.timings.mint_limit_window, case.status.failure
    if failure is not None and failure.code == reasons.SECRET_WRITE_REFUSED:
        # What used the mints up is what somebody has to mend; that they are used up is only what follows.
        return Decision(Stall(until), failure.code, failure.message or "Kubernetes refuses the Secret.")
    message = f"{len(recent)} mints within the hour: no object may begin more. It goes on by itself."
    return Decision(WaitUntil(until), reasons.MINT_LIMIT_REACHED, message)


def _no_room_to_retire(case: Case, beginning: Beginning) -> Decision | None:
    urgent = beginning.rotates is not None or case.observed.current_is_dead
    if retiring_room(case, SPARE_ROOM if urgent else 0) > 0:
        return None
    message = f"{len(case.status.retiring)} old keys wait to be revoked; nothing new is minted before one is gone."
    return Decision(WaitUntil(case.now + case.timings.recheck), reasons.RETIRING_FULL, message)


def _secret_not_ours(case: Case) -> Decision | None:
    name, claimant = case.key.secret_name, case.observed.older_claimant
    if claimant is not None:
        message = (
            f"The SaperlyKey {claimant} delivers into the Secret {name} already: name another in spec.secret.name."
        )
        return case.stall(reasons.SECRET_CLAIMED, message)
    match case.observed.secret:
        case SecretForeign() if not case.observed.is_live:
            # Nothing watches a Secret that is not ours: only a live look sees it go.
            return Decision(ReadLive(), reasons.SECRET_NOT_OWNED, f"The Secret {name} is not the operator's.")
        case SecretForeign(owner=owner):
            whose = f"belongs to the SaperlyKey {owner}" if owner else "exists and was not made by this operator"
            message = (
                f"The Secret {name} {whose}; it is never overwritten: delete it, or name another in spec.secret.name."
            )
            return case.stall(reasons.SECRET_NOT_OWNED, message)
        case SecretOwned(immutable=True):
            message = f"The Secret {name} is immutable: delete it, and a new key is delivered into a new one."
            return case.stall(reasons.SECRET_IMMUTABLE, message)
        case SecretAbsent() | SecretOwned():
            return None


def _no_turn(case: Case, beginning: Beginning) -> Decision | None:
    match case.observed.service_key(beginning.provider.ref, beginning.entry):
        case ServiceKeyUnusable(reason, message):
            return case.stall(reason, message)
        case ServiceKeyUsable() as usable:
            closed = usable.gate(beginning.operation)
            if closed is None or closed.until <= case.now or _has_turn(case, beginning):
                return None
            step = Stall(closed.until) if closed.needs_person else WaitUntil(closed.until)
            return Decision(step, closed.reason, closed.message)


def _has_turn(case: Case, beginning: Beginning) -> bool:
    """A turn was reserved by a preflight that is still good: the gate may have closed behind it."""
    match case.observed.memory.preflight:
        case PreflightPassed(at, operation):
            return operation is beginning.operation and case.now < at + case.timings.preflight_valid
        case _:
            return False


def _no_finalizer(case: Case) -> Decision | None:
    if case.key.has_finalizer:
        return None
    return Decision(AddFinalizer(), reasons.MINTING, "Preparing to mint a key.")


def _secret_unproven(case: Case, beginning: Beginning) -> Decision | None:
    match case.observed.memory.preflight:
        case PreflightRefused(at=at, reason=reason, message=message) if case.now < at + case.timings.recheck:
            return Decision(Stall(at + case.timings.recheck), reason, message)
        case PreflightPassed() if _has_turn(case, beginning):
            return None
        case _:
            step = Preflight(beginning.provider.ref, beginning.entry, beginning.operation)
            return Decision(step, reasons.MINTING, "Preparing to mint a key.")


def _store_intent(case: Case, beginning: Beginning) -> Decision:
    installation, owner = case.observed.myself.installation, Owner(case.key.namespace, case.key.name)
    serial, provider = next_serial(case), beginning.provider
    usable = case.observed.service_key(provider.ref, beginning.entry)
    started_at = case.now.replace(microsecond=0)
    attributes = wanted_attributes(case.key, provider.spec, installation, serial)
    intent = Intent(
        operation=beginning.operation,
        rotates=beginning.rotates,
        serial=serial,
        started_at=started_at,
        idempotency_key=idempotency_key(installation, owner, serial, started_at, beginning.rotates),
        request="" if beginning.rotates is not None else attributes.mint_body(provider.spec.environment),
        service_key=beginning.entry,
        provider=provider.ref,
        material=usable.material if isinstance(usable, ServiceKeyUsable) else "",
        holder=case.observed.myself.holder,
        trigger=beginning.trigger,
        rotate_request=case.key.rotate_request,
    )
    return Decision(StoreIntent(intent), reasons.MINTING, _announcement(intent))


def _announcement(intent: Intent) -> str:
    return "Minting a key at Saperly." if intent.rotates is None else "Replacing the key at Saperly in one step."


def next_serial(case: Case) -> int:
    """One more than any serial ever seen for this object: in status, in the Secret's record, at the vendor."""
    secret, memory = case.observed.secret, case.observed.memory
    recorded = secret.record.serial if isinstance(secret, SecretOwned) and secret.record else 0
    return 1 + max(case.status.serial or 0, recorded, memory.listed_serial, case.observed.swept_serial)
