"""Where the operator can be killed: each request of the protocol, recognised from outside by what it asks.

Used by ``crash_site``, which holds such a request, kills its sender, and decides what becomes of it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from saperly_operator.resources import annotations
from saperly_operator.simulator.state import Operation
from tests.support.kube_proxy import Body, Match


class Fate(Enum):
    """What becomes of the request in flight when its sender dies."""

    NEVER_ARRIVES = "it never arrives"
    ARRIVES_LATE = "it arrives after its sender's death"
    ANSWER_LOST = "it arrived, and the answer is lost"


KubeStep = Callable[[str], Match]
"""The request of one step, for the SaperlyKey (or the Secret) of that name."""


@dataclass(frozen=True, slots=True)
class AtKube:
    """Stop at this request to the kube-apiserver."""

    step: KubeStep


@dataclass(frozen=True, slots=True)
class AtVendor:
    """Stop at the next call of this operation; but for a mint, at one for the object's newest key, or for that id."""

    operation: Operation
    key_id: str | None = None


Place = AtKube | AtVendor


@dataclass(frozen=True, slots=True)
class Case:
    """A death: at which request, what becomes of that, and how many keys were minted when all is well again."""

    place: Place
    fate: Fate
    mints: int = 1


def at_kube(step: KubeStep, fate: Fate, mints: int = 1) -> Case:
    return Case(AtKube(step), fate, mints)


def at_vendor(operation: Operation, fate: Fate, mints: int = 1) -> Case:
    return Case(AtVendor(operation), fate, mints)


# --- the object -------------------------------------------------------------------------------------------------------


def _metadata_patch(holds: Callable[[list[str]], bool]) -> KubeStep:
    def of(name: str) -> Match:
        return Match("PATCH", rf"/saperlykeys/{name}\?", lambda body: holds(body["metadata"].get("finalizers", [])))

    return of


def _status_patch(holds: Callable[[dict[str, Any]], bool]) -> KubeStep:
    def of(name: str) -> Match:
        return Match("PATCH", rf"/saperlykeys/{name}/status\?", lambda body: holds(body["status"]))

    return of


finalizer_set = _metadata_patch(lambda finalizers: annotations.FINALIZER in finalizers)
finalizer_removal = _metadata_patch(lambda finalizers: annotations.FINALIZER not in finalizers)
intent_stored = _status_patch(lambda status: status["intent"] is not None)
"""After a restart: the takeover of the dead process's intent."""
intent_abandoned = _status_patch(lambda status: status["intent"] is None and bool(status["retiring"]))
recorded = _status_patch(lambda status: status["intent"] is None and status["current"] is not None)
"""Also: attributes were sent, the Secret was moved."""
key_forgotten = _status_patch(lambda status: status["intent"] is None and not status["retiring"])
"""An old key, or the current one of an object that is being deleted, is revoked or released."""


def _withdrawn(status: dict[str, Any]) -> bool:
    return any("withdrawnAt" in entry for entry in status["retiring"] or ())


restart_noted = _status_patch(
    lambda status: bool((status["restarted"] or {}).get("workloads")) and not status["restarted"]["finishedAt"]
)
rollout_noted = _status_patch(
    lambda status: bool((status["restarted"] or {}).get("finishedAt")) and not _withdrawn(status)
)
"""The workloads run with the new key, and the overlap begins."""
withdrawal_noted = _status_patch(_withdrawn)


def event(reason: str) -> KubeStep:
    return lambda name: Match(
        "POST", "/events", lambda body: (body["regarding"]["name"], body["reason"]) == (name, reason)
    )


# --- the Secret ---------------------------------------------------------------------------------------------------------


def _named(name: str) -> Callable[[Body], bool]:
    return lambda body: bool(body["metadata"]["name"] == name)


def dry_run(name: str) -> Match:
    """The preflight of a Secret that is not there yet."""
    return Match("POST", r"/secrets\?.*dryRun=All", _named(name))


def dry_run_over(name: str) -> Match:
    """The preflight of a Secret that exists."""
    return Match("PATCH", rf"/secrets/{name}\?.*dryRun=All")


def secret_create(name: str) -> Match:
    return Match("POST", r"/secrets\?(?!.*dryRun)", _named(name))


def secret_patch(name: str) -> Match:
    """A plaintext into a Secret that exists."""
    return Match("PATCH", rf"/secrets/{name}\?(?!.*dryRun)", lambda body: bool(body.get("data")))


def previous_withdrawn(name: str) -> Match:
    """An old plaintext out of the Secret."""
    return Match("PATCH", rf"/secrets/{name}\?(?!.*dryRun)", lambda body: None in body.get("data", {"": ""}).values())


def fence(name: str) -> Match:
    """The touch after which a write prepared before it must fail."""
    return Match(
        "PATCH",
        rf"/secrets/{name}\?(?!.*dryRun)",
        lambda body: body["metadata"].get("annotations", {}).get(annotations.FENCED_BY) is not None,
    )


def secret_release(name: str) -> Match:
    """Our record taken off the Secret (``Orphan``)."""

    def takes_record_off(body: Body) -> bool:
        marks = body["metadata"].get("annotations", {})
        return annotations.KEY_ID in marks and marks[annotations.KEY_ID] is None

    return Match("PATCH", rf"/secrets/{name}\?(?!.*dryRun)", takes_record_off)


def secret_delete(name: str) -> Match:
    return Match("DELETE", rf"/secrets/{name}(\?|$)")


# --- workloads ----------------------------------------------------------------------------------------------------------


def workload_restart(name: str) -> Match:
    """The mark of the SaperlyKey of that name on a Deployment's pod template."""
    mark = f"{annotations.RESTARTED_PREFIX}{name}"
    return Match("PATCH", "/deployments/", lambda body: mark in body["spec"]["template"]["metadata"]["annotations"])
