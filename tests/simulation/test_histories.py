"""Histories that nobody wrote: each seed draws users, edits, accidents, crashes and lost answers of its own.

When the trouble is over and some hours have passed, every object that is left has a live key in its Secret, and the
vendor's live keys are exactly those that the cluster accounts for. ``make test-simulation SEEDS=20000`` runs more;
``SEEDS=17..17`` runs one again. A failing seed prints what everybody did and what happened to it.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.seeds import chosen, failures_in_parallel, lived

_BATCH = 500
_SHOWN = 3


@pytest.mark.parametrize("first", range(chosen().start, chosen().stop, _BATCH))
def test_every_history_ends_with_every_key_accounted_for(first: int) -> None:
    broken = failures_in_parallel(range(first, min(first + _BATCH, chosen().stop)))
    shown = "\n\n".join(broken[:_SHOWN])
    assert not broken, f"{len(broken)} histories broke something; the first {min(len(broken), _SHOWN)}:\n\n{shown}"


def test_another_seed_tells_another_story() -> None:
    assert lived(3).world.story() != lived(4).world.story()


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_a_seed_tells_the_same_story_in_every_process(hash_seed: str) -> None:
    """Whatever order the interpreter's sets have there."""
    program = "import sys; from tests.simulation.seeds import lived; sys.stdout.write(lived(3).world.story())"
    again = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[2],
        env={"PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert again.stdout == lived(3).world.story()
