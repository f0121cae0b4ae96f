"""How many Realtime sessions one core carries: session against a bare picows relay and a websockets relay."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench_callers import Load, load
from bench_figures import Table, percentile

if TYPE_CHECKING:
    from conftest import Bench

# Up to what the replica of the benchmark admits; between the last that is carried and the first that is not, halves.
GRID = (50, 100, 200, 400, 800)
HALVINGS = 2
PACED_S = 2.0
# A call lasts minutes: what its first seconds leave to be done (its record, its facts) is no part of its pace.
WARM_S = 6.0
ADDED_MS_MAX = 10.0
FRAMES_PER_S = 50
SEARCH_S_MAX = 240.0


@dataclass
class _Way:
    """One relay: what was seen of it at each number of sessions, and which of them it carried."""

    url: str
    key: str
    pid: int
    seen: dict[int, tuple[float, Load]] = field(default_factory=dict)
    carried: int = 0
    too_many: int = 0


async def test_sessions_per_core(bench: Bench) -> None:
    """The most sessions, 25 frames/s each way, whose frames come less than 10 ms later than without a relay."""
    table = Table(
        "sessions_per_core",
        f"Realtime sessions per core, p99 added < {ADDED_MS_MAX:.0f} ms",
        unit="sessions; µs",
        columns=["carried", "added p99", "cpu per message", "per core", "picows", "ratio"],
        section="sessions",
    )
    ways = _ways(bench)
    search = _Search(bench.model_url)
    await search.run(ways.values())
    for name, way in ways.items():
        added_us, looked = way.seen[way.carried or min(way.seen)]
        figures: dict[str, float | str] = {"carried": str(way.carried), "added p99": added_us}
        figures |= {"cpu per message": looked.cpu_us, "per core": _per_core(looked)}
        # The fewer the sessions, the dearer a message: fewer of them wait to be read together.
        both = way.seen.keys() & ways["picows"].seen.keys()
        at = max((number for number in both if number <= way.carried), default=min(both))
        ours, base = way.seen[at][1].cpu_us, ways["picows"].seen[at][1].cpu_us
        table.row(name, figures | {"picows": base, "ratio": base / ours})
    table.note(
        "carried: beside the callers and the model, which have the same cores; the callers alone were timed"
    )
    table.note(f"at up to {max(search.direct_us)} sessions, after each number was opened anew")
    table.note(
        "per core: by the relay's own processor time at the number carried; picows: its cost per message at that"
    )
    table.note(f"number, or the one before; {search.refused} times a caller was told to come back later")
    table.note("goal: ≥ 0.75 × picows")
    table.show()


class _Search:
    """Looks at every way at every number, then closer where it gave up."""

    def __init__(self, direct_url: str) -> None:
        self._direct_url = direct_url
        self._ends = time.monotonic() + SEARCH_S_MAX
        self.direct_us: dict[int, float] = {}
        self.refused = 0

    async def run(self, ways: Iterable[_Way]) -> None:
        for sessions in GRID:
            for way in ways:
                if not way.seen or not (way.too_many or self._over()):
                    await self._look(way, sessions)
        for _ in range(HALVINGS):
            for way in ways:
                if way.too_many and not self._over():
                    await self._look(way, (way.carried + way.too_many) // 2)

    def _over(self) -> bool:
        return time.monotonic() > self._ends

    async def _look(self, way: _Way, sessions: int) -> None:
        if sessions not in self.direct_us:
            self.direct_us[sessions] = _p99_us(
                await load(self._direct_url, sessions=sessions, seconds=PACED_S)
            )
        for _ in range(2):
            # What else the machine does spoils a look, and never makes one better.
            seen = await load(
                way.url, sessions=sessions, seconds=PACED_S, warm_s=WARM_S, key=way.key, pid=way.pid
            )
            self.refused += seen.refused
            way.seen[sessions] = _p99_us(seen) - self.direct_us[sessions], seen
            if way.seen[sessions][0] < ADDED_MS_MAX * 1000:
                way.carried = sessions
                return
        way.too_many = sessions


def _p99_us(seen: Load) -> float:
    return percentile(seen.up_us + seen.down_us, 0.99)


def _per_core(seen: Load) -> float:
    return 1e6 / (FRAMES_PER_S * seen.cpu_us)


def _ways(bench: Bench) -> dict[str, _Way]:
    picows = bench.helpers.program("bench_relays", "picows", bench.model_url)
    websockets = bench.helpers.program("bench_relays", "websockets", bench.model_url)
    session = bench.session()
    return {
        "picows": _Way(f"ws://{picows.address}/v1/realtime", "", picows.pid),
        "websockets": _Way(f"ws://{websockets.address}/v1/realtime", "", websockets.pid),
        "session": _Way(f"ws://{session.address}/p/passthrough/v1/realtime", bench.api_key, session.pid),
    }
