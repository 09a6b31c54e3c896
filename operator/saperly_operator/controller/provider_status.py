"""What a provider's status says: whether keys can be minted with it, and what the last list of its keys showed. Pure.

Written by ``providers``; ``news`` is what of a change is worth an event.
"""

from datetime import datetime

from saperly_operator.budget.operation import Operation
from saperly_operator.controller.cache import ProviderKey
from saperly_operator.controller.service_keys import ServiceKeys, SweepFindings, breaker_text
from saperly_operator.kube.events import EventType, Occurrence
from saperly_operator.resources import annotations, reasons
from saperly_operator.resources.base import Condition, ConditionStatus
from saperly_operator.resources.findings import UnownedKey
from saperly_operator.resources.provider import Provider, ProviderStatus, ServiceKeyStatus

_ANNOUNCED = (reasons.STALLED, reasons.SWEEP_HELD, reasons.IN_USE_ORPHAN)


def provider_status(key: ProviderKey, provider: Provider, service_keys: ServiceKeys, now: datetime) -> ProviderStatus:
    """The status that ``provider`` is to have."""
    found = _findings(key, provider, service_keys)
    unowned = {each.id: each for findings in found for each in findings.unowned}
    before = {condition.type: condition for condition in provider.status.conditions}
    conditions = []
    for kind, holds, reason, message in _wanted(key, provider, service_keys, found):
        state, known = ConditionStatus.TRUE if holds else ConditionStatus.FALSE, before.get(kind)
        conditions.append(
            Condition(
                type=kind,
                status=state,
                observed_generation=provider.metadata.generation,
                last_transition_time=known.last_transition_time if known and known.status == state else now,
                reason=reason,
                message=message,
            )
        )
    return ProviderStatus(
        observed_generation=provider.metadata.generation,
        conditions=tuple(conditions),
        service_keys=tuple(
            ServiceKeyStatus(
                name=entry.name,
                prefix=handle.prefix,
                material=service_keys.proven((key, entry.name)) or noted_material(provider, entry.name),
            )
            for entry in provider.spec.service_keys
            if (handle := service_keys.handle((key, entry.name))) is not None
        ),
        unowned=tuple(unowned[key_id] for key_id in sorted(unowned)),
    )


def noted_material(provider: Provider, entry: str) -> str:
    """The service key that status says was trusted under that entry, as a short hash; empty for none."""
    return next((each.material for each in provider.status.service_keys if each.name == entry), "")


def news(before: ProviderStatus, after: ProviderStatus) -> list[Occurrence]:
    """What became true by a change of status, or is true for another reason."""
    known = {(each.type, each.reason) for each in before.conditions}
    return [
        Occurrence(EventType.WARNING, each.reason, "Refresh", each.message)
        for each in after.conditions
        if each.type in _ANNOUNCED and (each.type, each.reason) not in known
    ]


def _findings(key: ProviderKey, provider: Provider, service_keys: ServiceKeys) -> list[SweepFindings]:
    handles = (service_keys.handle((key, entry.name)) for entry in provider.spec.service_keys)
    return [service_keys.findings(handle.material) for handle in handles if handle is not None]


def _wanted(
    key: ProviderKey, provider: Provider, service_keys: ServiceKeys, found: list[SweepFindings]
) -> list[tuple[str, bool, str, str]]:
    reason, message = _verdict(key, provider, service_keys)
    ready = reason == reasons.AVAILABLE
    wanted = [(reasons.READY, ready, reason, message)]
    if not ready:
        wanted.append((reasons.STALLED, True, reason, message))
    held = next((findings.held for findings in found if findings.held is not None), None)
    if held is not None:
        text = (
            f"{held.absent} of {held.known} known keys are missing from Saperly's list: nothing is concluded from "
            "that. If they were revoked on purpose, set the annotation saperly.com/rotate-requested-at on their "
            "SaperlyKeys."
        )
        wanted.append((reasons.SWEEP_HELD, True, reasons.SWEEP_HELD, text))
    unowned = [each for findings in found for each in findings.unowned]
    if unowned:
        wanted.append((reasons.IN_USE_ORPHAN, True, reasons.IN_USE_ORPHAN, _in_use(unowned)))
    return wanted


def _in_use(unowned: list[UnownedKey]) -> str:
    shown = ", ".join(f"{each.prefix}… ({each.id})" for each in unowned[:5])
    more = f" and {len(unowned) - 5} more" if len(unowned) > 5 else ""
    return (
        f"In use, though their SaperlyKey is gone: {shown}{more}. They are revoked after 24 idle hours, or at the next "
        f"sweep when the annotation {annotations.REVOKE_ORPHANS} names them."
    )


def _verdict(key: ProviderKey, provider: Provider, service_keys: ServiceKeys) -> tuple[str, str]:
    if provider.metadata.deletion_timestamp is not None:
        message = (
            "It is being deleted, and held until no SaperlyKey has a key of it: delete those, or name another "
            "provider in their spec.providerRef."
        )
        return reasons.PROVIDER_IN_USE, message
    for entry in provider.spec.service_keys:
        problem = service_keys.problem((key, entry.name)) or service_keys.doubt((key, entry.name))
        if problem is not None:
            return problem.reason, problem.message
        handle = service_keys.handle((key, entry.name))
        codes = handle.gate.codes_against(Operation.MINT) if handle is not None else frozenset()
        if codes:
            return breaker_text(min(codes))
    return reasons.AVAILABLE, "Keys can be minted."
