"""Memory of a process per idle session that it holds."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bench_callers import close_all
from bench_figures import Table
from ringback_sockets import RealtimeLink, dial
from ringback_testkit.footprint import private_kb

if TYPE_CHECKING:
    from conftest import Bench

STEPS = (0, 100, 200)


async def test_memory_per_idle_session(bench: Bench) -> None:
    """Private memory over the number of open connections; the slope leaves out what is there without any."""
    table = Table(
        "memory",
        "Private memory of the process",
        unit="MB; per session in kB, from 100 to 200",
        columns=["0", "100", "200", "per session"],
    )
    relay = bench.helpers.program("bench_relays", "picows", bench.model_url)
    ways = {"picows relay": (f"ws://{relay.address}/v1/realtime", "", relay.pid)}
    for pack in ("passthrough", "airline"):
        # A process of its own each: what the one before let go would hide what the next one takes.
        session = bench.new_session()
        url = f"ws://{session.address}/p/{pack}/v1/realtime"
        ways[f"session, {pack}"] = (url, bench.api_key, session.pid)
    for name, (url, key, pid) in ways.items():
        found = await _grown(url, key, pid)
        figures = {str(step): kb / 1024 for step, kb in found.items()}
        table.row(name, figures | {"per session": (found[200] - found[100]) / 100})
    table.note("goal: ≤ 150 kB per idle session in session")
    table.show()


async def _grown(url: str, key: str, pid: int) -> dict[int, float]:
    links: list[RealtimeLink] = []
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    found: dict[int, float] = {}
    # The first connection of all loads what every later one shares.
    await close_all([await _open(url, headers)])
    for step in STEPS:
        while len(links) < step:
            links.append(await _open(url, headers))
        found[step] = private_kb(pid)
    await close_all(links)
    return found


async def _open(url: str, headers: dict[str, str]) -> RealtimeLink:
    created = asyncio.get_running_loop().create_future()

    def take(frame: bytes) -> None:
        if b'"session.created"' in frame[:200] and not created.done():
            created.set_result(None)

    link = await dial(url, link=RealtimeLink(), headers=headers)
    link.take(take, lambda _: None)
    await asyncio.wait_for(created, 15)
    return link
