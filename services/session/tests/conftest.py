"""Puts the kits of this folder on the path: `session_core_kit` drives the core, `session_call_kit` whole calls."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def call():
    """A started call of the airline's agent, driven through the core alone."""
    from session_core_kit import CoreCall

    return CoreCall()


@pytest.fixture
async def world():
    """What is around whole calls, in virtual time. No trace may have broken when they are over."""
    from session_call_kit import World

    world = World()
    yield world
    assert not world.tracing.errors
    await world.close()
