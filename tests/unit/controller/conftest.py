"""A world whose operator has looked at everything, for the tests that need one."""

from collections.abc import AsyncIterator

import pytest

from tests.unit.controller.world import World


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = await World().install()
    yield world
    await world.close()
