"""Every line of the vendor's contract has a test of the *client* that is marked with it, or is not the client's.

``tests/contract/simulator`` holds the simulator to the same lines, by the same marks.
"""

from pathlib import Path

from tests.contract.simulator.contract_lines import LINES
from tests.contract.simulator.marked import covering

NOTHING_TO_DO_FOR_A_CLIENT: dict[str, str] = {
    "list-limit": "the gate in budget/ holds it",
    "list-event": "written by the vendor",
    "update-environment": "UpdateRequest has no such field",
    "audit-limit": "the operator does not read the audit log",
    "audit-event": "written by the vendor",
    "idempotency-scope": "kept by the vendor; the controller makes the keys",
    "sticky-402": "the controller takes a new key",
    "unsticky-404-line": "the controller takes a new key all the same",
    "open-limits": "any call's 429 is Throttled; the gate pauses its operation",
    "open-5xx-cached": "the controller gives up a key after some unknown outcomes",
    "open-late": "the controller waits before it judges",
    "open-list-order": "the controller pages until total and keeps no order",
    "open-label-length": "the resource's schema allows 64",
    "open-window": "the controller never replays after 11 h",
}


def test_every_line_has_a_marked_test_or_is_not_the_clients() -> None:
    covered = set(covering(Path(__file__).parent))
    assert covered | set(NOTHING_TO_DO_FOR_A_CLIENT) == set(LINES)
    assert covered & set(NOTHING_TO_DO_FOR_A_CLIENT) == set()
