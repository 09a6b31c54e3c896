"""What the keys look like at the vendor: the spec, the provider's policy, and nobody else decides.

The current key and those on their way out alike: an old key is still in use until it goes, and a policy that narrows
is meant for it too. Only what is managed is ever sent (``attributes``).
"""

from collections.abc import Iterator

from saperly_operator.lifecycle.attributes import Attributes, needs_update, wanted_attributes
from saperly_operator.lifecycle.case import Case
from saperly_operator.lifecycle.checks_retire import UNUSED_REASONS
from saperly_operator.lifecycle.checks_sweep import contested_until, drifted
from saperly_operator.lifecycle.steps import Decision, Stall, UpdateKey, WaitUntil
from saperly_operator.resources import reasons
from saperly_operator.resources.saperly_key_status import KeyRef


def update_work(ref: KeyRef) -> str:
    """The name under which this key's update is put off after it failed."""
    return f"update:{ref.id}"


def attributes_changed(case: Case) -> Decision | None:
    """The spec, or the provider's policy, asks for other attributes than were last sent for the current key; or
    somebody else changed them at the vendor."""
    current = case.status.current
    if current is None or case.observed.current_is_revoked or current.provider != str(case.key.spec.provider_ref):
        return None
    wanted = _wanted(case, current)
    if wanted is None:
        return None
    step = _update(case, current, wanted)
    if step is None:
        return None
    failure = case.status.failure
    until = case.put_off_until(failure) if failure is not None else None
    if failure is not None and until is not None and failure.applies_to(case.observed.bound):
        return Decision(Stall(until), failure.code, failure.message or "It is tried again by itself.")
    access = case.manage_access(current.provider, current.service_key, "The key's attributes cannot be changed")
    if access is not None:
        return access
    until = case.not_before(update_work(current))
    if until is not None:
        return Decision(
            WaitUntil(until), reasons.BACKING_OFF, "The key's attributes are changed as soon as Saperly answers."
        )
    return _decision(step)


def old_attributes_changed(case: Case) -> Decision | None:
    """The same of a key on its way out. Nothing ever waits for it: what stands in its way puts off only this."""
    for ref in _old_keys_in_use(case):
        wanted = _wanted(case, ref)
        step = _update(case, ref, wanted) if wanted is not None else None
        blocked = case.manage_access(ref.provider, ref.service_key, "") or case.not_before(update_work(ref))
        if step is not None and blocked is None:
            return _decision(step)
    return None


def _old_keys_in_use(case: Case) -> Iterator[KeyRef]:
    for entry in case.status.retiring:
        if entry.attributes_hash and entry.reason not in UNUSED_REASONS and entry.revoke_after > case.now:
            yield entry


def _wanted(case: Case, ref: KeyRef) -> Attributes | None:
    spec = case.observed.provider_spec(ref.provider)
    if spec is None or ref.hidden_since is not None:
        return None
    return wanted_attributes(case.key, spec, case.observed.myself.installation, ref.serial)


def _update(case: Case, ref: KeyRef, wanted: Attributes) -> UpdateKey | None:
    update = wanted.update_from(ref.managed_attributes)
    if needs_update(ref, wanted):
        return UpdateKey(ref, update, wanted.hash, wanted.managed)
    drift = drifted(case, ref, wanted)
    if drift is None or contested_until(case, ref) is not None:
        return None
    return UpdateKey(ref, update, wanted.hash, wanted.managed, drift)


def _decision(step: UpdateKey) -> Decision:
    if step.drift is None:
        return Decision(step, reasons.UPDATING, "Changing the key's attributes at Saperly.")
    fields = ", ".join(step.drift.fields) or "attributes"
    message = f"Somebody changed {fields} of the key {step.ref.prefix}… at Saperly; putting that right."
    return Decision(step, reasons.ATTRIBUTES_DRIFTED, message)
