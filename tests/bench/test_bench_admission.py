"""Ten times the calls that a replica admits: who is refused, how, and what those who were admitted notice."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from statistics import median
from typing import TYPE_CHECKING

from bench_callers import Load, load
from bench_figures import Table, percentile
from picows import WSInvalidStatusError, WSListener, ws_connect

if TYPE_CHECKING:
    from conftest import Bench

ADMITTED = 20
OVER = 10
# Everyone who is refused comes back once a second, as a client does that minds Retry-After.
EVERY_S = 1.0
SECONDS = 6.0
ROUNDS = 3


class Flood:
    """So many clients that dial again and again, spread over the time, until told to stop."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {key}"}
        self._over = asyncio.Event()
        self.answers: Counter[str] = Counter()
        self.took_ms: list[float] = []

    async def run(self) -> None:
        clients = ADMITTED * (OVER - 1)
        async with asyncio.TaskGroup() as group:
            for number in range(clients):
                group.create_task(self._client(EVERY_S * number / clients))

    def stop(self) -> None:
        self._over.set()

    async def _client(self, first_s: float) -> None:
        pause_s = first_s
        while not await self._stopped(pause_s):
            began_s = time.perf_counter()
            self.answers[await self._dial()] += 1
            self.took_ms.append((time.perf_counter() - began_s) * 1000)
            pause_s = EVERY_S

    async def _dial(self) -> str:
        try:
            transport, _ = await ws_connect(WSListener, self._url, extra_headers=self._headers)
        except WSInvalidStatusError as refused:
            waits = "Retry-After" in refused.response.headers
            return f"HTTP {int(refused.response.status)}{' with Retry-After' if waits else ''}"
        transport.disconnect()
        return "admitted"

    async def _stopped(self, within_s: float) -> bool:
        try:
            await asyncio.wait_for(self._over.wait(), within_s)
        except TimeoutError:
            return False
        return True


async def test_ten_times_the_admitted_load(bench: Bench) -> None:
    """The refused are told at once and when to come back; the admitted keep what they have."""
    alone: list[list[int]] = []
    flooded: list[list[int]] = []
    answers: Counter[str] = Counter()
    took_ms: list[float] = []
    for _ in range(ROUNDS):
        url = _replica(bench)
        before = await load(url, sessions=ADMITTED, seconds=SECONDS, key=bench.api_key)
        url = _replica(bench)
        flood = Flood(url, bench.api_key)
        during = await _meanwhile(flood, url, bench.api_key)
        alone.append(before.up_us + before.down_us)
        flooded.append(during.up_us + during.down_us)
        answers.update(flood.answers)
        took_ms += flood.took_ms
    table = Table(
        "admission",
        f"{ADMITTED} calls on a replica of {ADMITTED}, and {OVER} times as many that want to be",
        unit="one way of an audio frame, µs; ratio: median of paired rounds",
        columns=["p50", "p99", "ratio p50", "ratio p99"],
    )
    for name, rounds in (("alone", alone), ("under the flood", flooded)):
        figures = {
            f"p{share:.0%}"[:-1]: median(percentile(one, share) for one in rounds) for share in (0.5, 0.99)
        }
        if rounds is flooded:
            for share, column in ((0.5, "ratio p50"), (0.99, "ratio p99")):
                pairs = zip(flooded, alone, strict=True)
                figures[column] = median(
                    percentile(one, share) / percentile(other, share) for one, other in pairs
                )
        table.row(name, figures)
    told = ", ".join(f"{count} × {answer}" for answer, count in answers.most_common())
    table.note(
        f"{told}; told within {percentile(took_ms, 0.5):.1f} ms (p50), {percentile(took_ms, 0.99):.1f} (p99)"
    )
    table.note("goal: refused with a reason; admitted calls keep their latency")
    table.show()
    assert set(answers) == {"HTTP 503 with Retry-After"}


def _replica(bench: Bench) -> str:
    """A fresh one: callers who vanished keep their places for a while, since they may come back."""
    return f"ws://{bench.new_session(calls_max=ADMITTED).address}/p/passthrough/v1/realtime"


async def _meanwhile(flood: Flood, url: str, key: str) -> Load:
    begun: list[asyncio.Task[None]] = []
    found = await load(
        url,
        sessions=ADMITTED,
        seconds=SECONDS,
        key=key,
        on_measuring=lambda: begun.append(asyncio.create_task(flood.run())),
    )
    flood.stop()
    await asyncio.gather(*begun)
    return found
