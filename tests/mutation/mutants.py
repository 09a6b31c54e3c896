"""The list: each rule of the protocol that closes a history, taken out, and what turns red then (docs/simulation.md).

The texts are exact, so that whoever changes a rule meets its mutant: test_mutants.py, which is part of the tests, fails
when one of them no longer finds its text.
"""

from tests.mutation.clocks import CLOCKS
from tests.mutation.delivery import DELIVERY
from tests.mutation.ending import DELETION, RETIRING
from tests.mutation.minting import MINTING, OUTCOMES
from tests.mutation.mutant import Mutant
from tests.mutation.rotating import ROTATING
from tests.mutation.sweeping import SECRECY, SWEEPING

MUTANTS: tuple[Mutant, ...] = (
    *MINTING,
    *OUTCOMES,
    *DELIVERY,
    *ROTATING,
    *RETIRING,
    *SWEEPING,
    *DELETION,
    *SECRECY,
    *CLOCKS,
)


def table() -> str:
    """The list in Markdown, for docs/simulation.md."""
    rows = [f"| {mutant.name} | {mutant.rule} | {mutant.why} |" for mutant in MUTANTS]
    return "\n".join(["| mutant | takes out | what follows |", "| --- | --- | --- |", *rows])
