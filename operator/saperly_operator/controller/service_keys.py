"""The service keys at hand: for each entry of each provider the client that speaks with it and the gate before it.

One gate per *material*: two providers that hold the same service key share its limits, as they do at the vendor. The
last good service key of an entry is kept after its Secret, its provider or its namespace is gone, so that the keys it
minted can still be revoked, in whatever order things are deleted.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from saperly_operator.budget.gate import Gate, Limits, Wait, WaitReason, strictest
from saperly_operator.budget.operation import Operation
from saperly_operator.clock import Clock
from saperly_operator.controller.cache import ProviderKey
from saperly_operator.lifecycle.observed import GateClosed, ServiceKeyState, ServiceKeyUnusable, ServiceKeyUsable
from saperly_operator.resources import reasons
from saperly_operator.resources.findings import UnownedKey
from saperly_operator.saperly.api import VendorApi
from saperly_operator.saperly.concealed import Credential

EntryKey = tuple[ProviderKey, str]

_SHORTEST_WAIT = 0.001
"""Seconds."""

_BREAKER_TEXTS = {
    "invalid_api_key": (
        reasons.SERVICE_KEY_REJECTED,
        "Saperly rejects the service key: it is wrong, or was revoked. Put a valid one into the provider's Secret.",
    ),
    "unauthorized": (
        reasons.SERVICE_KEY_REJECTED,
        "Saperly rejects the service key: it is wrong, or was revoked. Put a valid one into the provider's Secret.",
    ),
    "insufficient_credits": (
        reasons.INSUFFICIENT_CREDITS,
        "The Saperly account has no credits left: top it up in the Saperly portal.",
    ),
    "payment_method_required": (
        reasons.PAYMENT_METHOD_REQUIRED,
        "The Saperly account has no payment method: add one in the Saperly portal.",
    ),
    "m3_fraud_block": (
        reasons.ACCOUNT_BLOCKED,
        "Saperly's abuse protection blocks the account: contact Saperly's support. It is tried again rarely.",
    ),
    "forbidden": (
        reasons.SERVICE_KEY_FORBIDDEN,
        "Saperly forbids the request to this account: check its state and rights in the Saperly portal.",
    ),
}


@dataclass(frozen=True, slots=True)
class Handle:
    """A service key in use."""

    api: VendorApi
    gate: Gate
    prefix: str
    material: str


@dataclass(frozen=True, slots=True)
class Held:
    """Too many of the known keys are missing from a list at once: no verdict is drawn from their absence."""

    absent: int
    known: int


@dataclass(frozen=True, slots=True)
class SweepFindings:
    """What the last list of a service key showed that is the provider's to tell."""

    held: Held | None = None
    unowned: tuple[UnownedKey, ...] = ()


class ServiceKeys:
    """All entries of all providers. ``connect`` makes the client for a credential."""

    def __init__(
        self, clock: Clock, connect: Callable[[Credential], VendorApi], make_gate: Callable[[], Gate]
    ) -> None:
        self._clock = clock
        self._connect = connect
        self._make_gate = make_gate
        self._handles: dict[EntryKey, Handle] = {}
        self._limits: dict[EntryKey, Limits] = {}
        self._problems: dict[EntryKey, ServiceKeyUnusable] = {}
        self._by_material: dict[str, Handle] = {}
        self._doubts: dict[EntryKey, ServiceKeyUnusable] = {}
        self._proven: dict[EntryKey, str] = {}
        self._findings: dict[str, SweepFindings] = {}

    def accept(self, entry: EntryKey, credential: Credential, limits: Limits) -> bool:
        """``credential`` is what the entry's Secret holds now; True when it is another than before."""
        self._problems.pop(entry, None)
        material = credential.material_hash
        before = self._handles.get(entry)
        handle = self._by_material.get(material)
        if handle is None:
            gate = self._make_gate()
            handle = Handle(self._connect(credential), gate, credential.prefix, material)
            self._by_material[material] = handle
        self._handles[entry], self._limits[entry] = handle, limits
        for each in {handle.material: handle, **({before.material: before} if before is not None else {})}.values():
            self._relimit(each)
        return before is None or before.material != material

    def keep_limits(self, provider: ProviderKey, entries: Collection[str]) -> None:
        """The limits that a provider sets are those of its present ``entries``; none when it is gone."""
        for entry in [each for each in self._limits if each[0] == provider and each[1] not in entries]:
            del self._limits[entry]
            self._relimit(self._handles[entry])

    def _relimit(self, handle: Handle) -> None:
        """Of several entries with one service key the strictest limits hold: the vendor counts them as one."""
        shared = [limits for entry, limits in self._limits.items() if self._handles[entry] is handle]
        if shared:
            handle.gate.relimit(strictest(shared))

    def refuse(self, entry: EntryKey, reason: str, message: str) -> None:
        """The entry's Secret holds no usable service key: nothing new is begun with it."""
        self._problems[entry] = ServiceKeyUnusable(reason, message)

    def doubt_it(self, entry: EntryKey, reason: str, message: str) -> None:
        """The entry's service key is another than before, and has not shown a key that the one before it minted."""
        self._doubts[entry] = ServiceKeyUnusable(reason, message)

    def trust(self, entry: EntryKey, material: str) -> None:
        """The entry's service key may be used: it sees what was minted so far, or nothing was."""
        self._doubts.pop(entry, None)
        self._proven[entry] = material

    def doubt(self, entry: EntryKey) -> ServiceKeyUnusable | None:
        return self._doubts.get(entry)

    def proven(self, entry: EntryKey) -> str | None:
        """The material of this entry that was last trusted by this process."""
        return self._proven.get(entry)

    def note_findings(self, material: str, findings: SweepFindings) -> bool:
        """What a list showed; True when it is another than before."""
        before = self.findings(material)
        self._findings[material] = findings
        return before != findings

    def findings(self, material: str) -> SweepFindings:
        return self._findings.get(material, SweepFindings())

    def handle(self, entry: EntryKey) -> Handle | None:
        """The last good service key of an entry."""
        return self._handles.get(entry)

    def problem(self, entry: EntryKey) -> ServiceKeyUnusable | None:
        return self._problems.get(entry)

    def entries(self) -> dict[EntryKey, Handle]:
        return dict(self._handles)

    def state(self, entry: EntryKey) -> ServiceKeyState | None:
        """What a decision may know of the entry; None when it was never heard of.

        Where the Secret is gone or broken the last good key still manages what it minted, but it mints nothing more.
        """
        handle, problem = self._handles.get(entry), self._problems.get(entry)
        if handle is None:
            return problem
        manage = self._closed(handle, Operation.REVOKE)
        mint, rotate = self._closed(handle, Operation.MINT), self._closed(handle, Operation.ROTATE)
        soon, doubt = self._clock.now() + timedelta(minutes=1), self._doubts.get(entry)
        if doubt is not None:
            # Whatever it answers would be said of other keys than those that status knows.
            mint = rotate = manage = GateClosed(soon, doubt.reason, doubt.message, needs_person=True)
        if problem is not None:
            mint = rotate = GateClosed(soon, problem.reason, problem.message, needs_person=True)
        return ServiceKeyUsable(handle.prefix, handle.material, mint=mint, manage=manage, rotate=rotate)

    def _closed(self, handle: Handle, operation: Operation) -> GateClosed | None:
        now = self._clock.monotonic()
        wait = handle.gate.peek(operation, now)
        if wait is None:
            return None
        # A gate that is shut is shut for a moment at least: wall time is coarser than the gate's own, and cut to
        # microseconds the moment would seem to have come, for a decision that the gate then turns down, again and again.
        seconds = min(max(wait.until - now, _SHORTEST_WAIT), 86400.0)
        return gate_closed(wait, self._clock.now() + timedelta(seconds=seconds))


def breaker_text(code: str) -> tuple[str, str]:
    """Reason and message for a vendor's code that shuts the service key, or an operation of it, for everybody."""
    unlisted = (reasons.SERVICE_KEY_FORBIDDEN, "Saperly turns this service key down: see the Saperly portal.")
    return _BREAKER_TEXTS.get(code, unlisted)


def gate_closed(wait: Wait, until: datetime) -> GateClosed:
    """A wait of the gate, in words for people."""
    match wait.reason:
        case WaitReason.BLOCKED:
            reason, message = breaker_text(min(wait.codes, default=""))
            return GateClosed(until, reason, message, needs_person=True)
        case WaitReason.THROTTLED:
            return GateClosed(until, reasons.WAITING_FOR_BUDGET, "Saperly asks to wait (429). It goes on by itself.")
        case WaitReason.BUDGET:
            message = "Saperly's hourly limit for this service key is used up. It goes on by itself."
            return GateClosed(until, reasons.WAITING_FOR_BUDGET, message)
