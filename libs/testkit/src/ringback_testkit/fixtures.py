"""Fixtures; a conftest.py imports the ones it wants: `from ringback_testkit.fixtures import nats_server`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ringback_testkit.clock import FakeClock
from ringback_testkit.nats_server import NatsServer

__all__ = ["fake_clock", "nats_server"]


@pytest.fixture
def nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    """A NATS server of this test's own."""
    with NatsServer.start(tmp_path) as server:
        yield server


@pytest.fixture
def fake_clock() -> FakeClock:
    """A clock that moves only when told to."""
    return FakeClock()
