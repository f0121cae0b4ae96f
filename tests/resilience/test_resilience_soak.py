"""Calls in a row for as long as asked, nothing killed: nothing grows, slows down or gets lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from ringback_testkit.soak import Soak

if TYPE_CHECKING:
    from ringback_testkit.heap import Heaps

    from conftest import Airline


@pytest.mark.timeout(36_000)
async def test_nothing_grows_slows_down_or_gets_lost_over_many_calls(
    in_soak: Airline, heaps: Heaps, request: pytest.FixtureRequest
) -> None:
    soak = Soak(in_soak.running, in_soak.fresh, request.config.getoption("--seed"), heaps)
    await soak.run(minutes=request.config.getoption("--minutes"))
    print("\n" + soak.report())
    assert soak.calls
    assert soak.rounds
    assert soak.visits
    assert not soak.found, "\n".join(soak.found)
    assert not in_soak.running.crashes
    # Programs are still warming up in a shorter run: memory's caches take ten minutes of calls to fill.
    if request.config.getoption("--minutes") >= 30:
        assert not soak.verdict(), "\n".join(soak.verdict())
