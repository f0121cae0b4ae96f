"""Audio through session against a direct connection, a bare picows relay and a websockets relay."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from bench_callers import load
from bench_figures import Table, percentile

if TYPE_CHECKING:
    from conftest import Bench

SESSIONS = (1, 50, 100)
PACED_S = 2.5
SECONDS = 5.0
SATURATED = 64
WINDOW = 4
ROUNDS = 3


async def test_added_latency_per_audio_frame(bench: Bench) -> None:
    """One way of one frame, 25 frames a second and session in each direction."""
    table = Table(
        "relay",
        "Added latency per audio frame, one way",
        unit="µs; ratio to the picows relay",
        columns=["p50", "p99", "added p50", "added p99", "ratio p50", "ratio p99"],
    )
    ways = _ways(bench)
    for sessions in SESSIONS:
        seen: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        for _ in range(ROUNDS):
            for name, (url, key, _) in ways.items():
                found = await load(url, sessions=sessions, seconds=PACED_S, key=key)
                both = found.up_us + found.down_us
                seen[name].append((percentile(both, 0.5), percentile(both, 0.99)))
        for name, rounds in seen.items():
            pairs = list(zip(rounds, seen["direct"], seen["picows"], strict=True))
            figures = {"p50": median(p50 for p50, _ in rounds), "p99": median(p99 for _, p99 in rounds)}
            if name != "direct":
                figures |= {
                    "added p50": median(way[0] - direct[0] for way, direct, _ in pairs),
                    "added p99": median(way[1] - direct[1] for way, direct, _ in pairs),
                    "ratio p50": median(way[0] / picows[0] for way, _, picows in pairs),
                    "ratio p99": median(way[1] / picows[1] for way, _, picows in pairs),
                }
            table.row(f"{sessions:3} sessions  {name}", figures)
    table.note(f"median of {ROUNDS} rounds, ratios of paired rounds; the frame's way from sender to receiver")
    table.note("goal at 100 sessions: p50 ≤ 1.3 × picows, p99 ≤ 2.5 × picows")
    table.show()


async def test_relay_cpu_per_message(bench: Bench) -> None:
    """Processor time of the relay per message passed on, with as much to do as it can."""
    table = Table(
        "relay_cpu",
        f"Relay processor time per message, {SATURATED} sessions saturated, median of {ROUNDS}",
        unit="µs",
        columns=["cpu", "ratio", "least", "most", "messages"],
        section="relay",
    )
    ways = _ways(bench)
    costs: dict[str, list[float]] = {name: [] for name in ways if name != "direct"}
    answered = dict.fromkeys(costs, 0)
    for _ in range(ROUNDS):
        for name, cost in costs.items():
            url, key, pid = ways[name]
            seen = await load(url, sessions=SATURATED, seconds=SECONDS, window=WINDOW, key=key, pid=pid)
            cost.append(seen.cpu_us)
            answered[name] += 2 * seen.answered
    base = median(costs["picows"])
    for name, cost in costs.items():
        middle = median(cost)
        figures = {"cpu": middle, "ratio": middle / base, "least": min(cost), "most": max(cost)}
        table.row(name, figures | {"messages": answered[name]})
    table.note("goal: ≤ 1.5 × picows")
    table.show()


def _ways(bench: Bench) -> dict[str, tuple[str, str, int]]:
    """name → (URL, key, process) of everything that is compared."""
    picows = bench.helpers.program("bench_relays", "picows", bench.model_url)
    websockets = bench.helpers.program("bench_relays", "websockets", bench.model_url)
    session = bench.session()
    path = "/p/passthrough/v1/realtime"
    return {
        "direct": (bench.model_url, "", 0),
        "picows": (f"ws://{picows.address}/v1/realtime", "", picows.pid),
        "websockets": (f"ws://{websockets.address}/v1/realtime", "", websockets.pid),
        "session": (f"ws://{session.address}{path}", bench.api_key, session.pid),
    }
