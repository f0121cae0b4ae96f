"""The figures and the picture of a brown-out."""

from __future__ import annotations

import itertools
import sys
from dataclasses import dataclass, field
from typing import Any

from bench_drawing import Series, draw
from bench_figures import KEPT, Table, percentile
from ringback.tools.v1 import tools_pb2

__all__ = ["Calls", "Look", "Write", "report", "report_writes"]


_COLUMNS = (
    "calls",
    "attempts",
    "per call",
    "p50",
    "p99",
    "well p50",
    "well p99",
    "p99 ratio",
    "bare p99",
    "bare ratio",
    "cpu %",
)


@dataclass(slots=True)
class Write:
    """A write as its caller knows it: what it was told, and what is stored in the end (tools.v1 Status)."""

    tool: str
    session_id: str
    action_id: str
    sent_s: float
    told: int
    settled: int = 0


@dataclass(frozen=True, slots=True)
class Calls:
    """When each call was sent (s) and how long it took (ms); of the ill dependency its attempts, too.

    `bare`: of the healthy dependency without tools between, which tells what the machine does to a call.
    """

    well: list[tuple[float, float]] = field(default_factory=list)
    bare: list[tuple[float, float]] = field(default_factory=list)
    ill: list[tuple[float, float, int]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Look:
    """How things stood: whether the ill dependency's breaker was open, and the processor time of tools until then."""

    at_s: float
    is_open: bool
    cpu_s: float


def report(
    calls: Calls,
    state: list[Look],
    marks: dict[str, float],
    arrivals: list[float],
    began: float,
) -> None:
    table = Table(
        "tools_brownout",
        "One dependency at 30 % errors and ten times its latency: it, and a tool of another dependency",
        section="tools",
        unit="ms",
        columns=list(_COLUMNS),
    )
    spans = {
        "before": (0.0, marks["ill"]),
        "ill": (marks["ill"], marks["healed"]),
        "after": (marks["healed"], marks["end"]),
    }
    base_p99 = base_bare = 0.0
    arrived = [when - began for when in arrivals]
    for name, (start, end) in spans.items():
        asked = [took for sent, took, _ in calls.ill if start <= sent < end]
        others = [took for sent, took in calls.well if start <= sent < end]
        bare_p99 = percentile([took for sent, took in calls.bare if start <= sent < end], 0.99)
        attempts = sum(start <= when < end for when in arrived)
        p99 = percentile(others, 0.99)
        base_p99, base_bare = base_p99 or p99, base_bare or bare_p99
        table.row(
            name,
            {
                "calls": len(asked),
                "attempts": attempts,
                "per call": attempts / max(1, len(asked)),
                "p50": percentile(asked, 0.5),
                "p99": percentile(asked, 0.99),
                "well p50": percentile(others, 0.5),
                "well p99": p99,
                "p99 ratio": p99 / base_p99,
                "bare p99": bare_p99,
                "bare ratio": bare_p99 / base_bare,
                "cpu %": _cpu_share([look for look in state if start <= look.at_s < end]),
            },
        )
    opened = next((look.at_s for look in state if look.is_open and look.at_s >= marks["ill"]), float("nan"))
    healed = marks["healed"]
    last_open = max((look.at_s for look in state if look.is_open and look.at_s >= healed), default=healed)
    peak = max(_per_second(arrived, marks["end"])[int(healed) :], default=0)
    spells = _open_spells(state)
    table.note(
        f"breaker opened {opened - marks['ill']:.1f} s after the fault began, {len(spells)} times in all, for"
        f" {percentile(spells, 0.5):.1f} s (median) and {max(spells, default=0.0):.1f} s (most);"
        f" closed {last_open - healed:.1f} s after recovery (0: it was closed then)"
    )
    table.note(f"most attempts in one second after recovery: {peak} (offered: 40 calls a second)")
    table.note(
        "goals: per call <= 1.25, p99 ratio <= 1.5 (bare ratio: the machine's part in it), no storm after recovery"
    )
    table.show()
    _plot(calls.well, calls.ill, arrived, marks)


def report_writes(writes: list[Write], counts: dict[str, Any], marks: dict[str, float]) -> None:
    """What became of each write, by its outcome and by the backend's own ledger."""
    attempts, effects = counts["attempts"], counts["effects"]
    table = Table(
        "tools_brownout_writes",
        "Writes of the ill dependency (a ledger behind them): pay has a key and a check, book only a check",
        section="tools",
        unit="actions",
        columns=["asked", "done", "not done", "told unknown", "open", "per tried", "effects max", "untrue"],
    )
    spans = {
        "before": (0.0, marks["ill"]),
        "ill": (marks["ill"], marks["healed"]),
        "after": (marks["healed"], marks["end"]),
    }
    for tool, name in itertools.product(("pay", "book"), spans):
        start, end = spans[name]
        asked = [write for write in writes if write.tool == tool and start <= write.sent_s < end]
        tried = [attempts[write.action_id] for write in asked if write.action_id in attempts]
        done = [write for write in asked if write.settled == tools_pb2.STATUS_OK]
        failed = [write for write in asked if write.settled == tools_pb2.STATUS_ERROR]
        untrue = sum(effects.get(write.action_id, 0) != 1 for write in done)
        untrue += sum(effects.get(write.action_id, 0) != 0 for write in failed)
        table.row(
            f"{tool}, {name}",
            {
                "asked": len(asked),
                "done": len(done),
                "not done": len(failed),
                "told unknown": sum(write.told == tools_pb2.STATUS_UNKNOWN_OUTCOME for write in asked),
                "open": len(asked) - len(done) - len(failed),
                "per tried": sum(tried) / max(1, len(tried)),
                "effects max": max((effects.get(write.action_id, 0) for write in asked), default=0),
                "untrue": untrue,
            },
        )
    most = max(attempts.values(), default=0)
    table.note(f"most attempts of one action: {most} (3 allowed); checks: {counts['checks']}")
    table.note(
        "per tried: attempts of an action that was sent at all; an open breaker keeps others from that"
    )
    table.note("open: unknown 20 s after the end; untrue: an outcome that the ledger contradicts")
    table.note("goals: untrue 0, open 0, effects max 1, attempts per action <= 1.25 (book: 1)")
    table.show()


def _cpu_share(looks: list[Look]) -> float:
    """Percent of a core that the service took in a span."""
    if len(looks) < 2:
        return float("nan")
    return 100 * (looks[-1].cpu_s - looks[0].cpu_s) / (looks[-1].at_s - looks[0].at_s)


def _open_spells(state: list[Look]) -> list[float]:
    """How long the breaker was seen open each time, s."""
    spells: list[float] = []
    since: float | None = None
    for when, is_open in ((look.at_s, look.is_open) for look in state):
        if is_open and since is None:
            since = when
        elif not is_open and since is not None:
            spells.append(when - since)
            since = None
    return spells


def _plot(
    well: list[tuple[float, float]],
    ill: list[tuple[float, float, int]],
    arrived: list[float],
    marks: dict[str, float],
) -> None:
    end = marks["end"]
    series = [
        Series("calls of the ill tool per second", "#7f7f7f", _per_second([sent for sent, _, _ in ill], end)),
        Series("attempts at its dependency per second", "#d62728", _per_second(arrived, end)),
        Series("p99 of the healthy tool, ms", "#1f77b4", _p99_per_second(well, end)),
    ]
    for path in draw(
        KEPT / "tools_brownout", series, marks=[marks["ill"], marks["healed"]], title="Brown-out"
    ):
        sys.stdout.write(f"   {path}\n")


def _per_second(times: list[float], end: float) -> list[float]:
    counts = [0.0] * int(end)
    for when in times:
        if 0 <= when < len(counts):
            counts[int(when)] += 1
    return counts


def _p99_per_second(points: list[tuple[float, float]], end: float) -> list[float]:
    seconds: list[list[float]] = [[] for _ in range(int(end))]
    for when, took in points:
        if when < len(seconds):
            seconds[int(when)].append(took)
    return [percentile(each, 0.99) if each else 0.0 for each in seconds]
