"""What bad input gets: a reason of its own, a message that says what to do, one event, no mint wasted, no hot loop,
and recovery by itself once the cause is gone. What the schema refuses is in ``schema/``.
"""

import pytest

from tests.cluster.bad_input.provider_rows import PROVIDER_ROWS
from tests.cluster.bad_input.scene import Scene
from tests.cluster.bad_input.secret_rows import SECRET_ROWS
from tests.cluster.bad_input.standing_rows import STANDING_ROWS
from tests.cluster.bad_input.vendor_rows import VENDOR_ROWS
from tests.cluster.bad_input.wave import Wave

ROWS = {**PROVIDER_ROWS, **VENDOR_ROWS, **SECRET_ROWS, **STANDING_ROWS}


@pytest.fixture(scope="module")
def wave(scene: Scene) -> Wave:
    """Every row has its verdict, and was watched for a while."""
    return Wave(scene, ROWS).run()


@pytest.fixture(scope="module")
def mended(wave: Wave) -> Wave:
    """Every cause is gone again."""
    wave.mend()
    return wave


@pytest.mark.parametrize("name", ROWS)
def test_the_user_is_told_once_what_is_wrong_and_what_to_do(wave: Wave, name: str) -> None:
    wave.assert_told(name)


@pytest.mark.parametrize("name", ROWS)
def test_nothing_is_minted_and_nothing_is_asked_for_again_and_again(wave: Wave, name: str) -> None:
    wave.assert_costs_little(name)


@pytest.mark.parametrize("name", ROWS)
def test_it_goes_on_by_itself_once_the_cause_is_gone(mended: Wave, name: str) -> None:
    mended.assert_recovers(name)
