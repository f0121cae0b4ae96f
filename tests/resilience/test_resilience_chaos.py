"""Programs die at seeded moments of calls that run side by side; the ledger and the stream of facts are the judges."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from ringback_testkit.chaos import Chaos, schedule
from ringback_testkit.verdict import faults

if TYPE_CHECKING:
    from conftest import Airline


@pytest.mark.timeout(7_200)
async def test_every_call_ends_right_whatever_is_killed(
    in_chaos: Airline, request: pytest.FixtureRequest
) -> None:
    seed: int = request.config.getoption("--seed")
    kills = schedule(seed, kills=request.config.getoption("--kills"))
    chaos = Chaos(in_chaos.running, in_chaos.fresh, seed)
    await chaos.run(kills)
    found = await faults(in_chaos.running, chaos.calls)
    print("\n" + chaos.report())
    assert not found, f"seed {seed}: " + "\n".join(found)
