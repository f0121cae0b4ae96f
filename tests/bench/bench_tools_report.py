"""The figures and the picture of a brown-out."""

from __future__ import annotations

import sys

from bench_drawing import Series, draw
from bench_figures import KEPT, Table, percentile

__all__ = ["report"]


def report(
    well: list[tuple[float, float]],
    ill: list[tuple[float, float, int]],
    state: list[tuple[float, bool]],
    marks: dict[str, float],
    arrivals: list[float],
    began: float,
) -> None:
    table = Table(
        "tools_brownout",
        "One dependency at 30 % errors and ten times its latency: it, and a tool of another dependency",
        section="tools",
        unit="ms",
        columns=["calls", "attempts", "per call", "p50", "p99", "well p50", "well p99", "p99 ratio"],
    )
    spans = {
        "before": (0.0, marks["ill"]),
        "ill": (marks["ill"], marks["healed"]),
        "after": (marks["healed"], marks["end"]),
    }
    base_p99 = 0.0
    arrived = [when - began for when in arrivals]
    for name, (start, end) in spans.items():
        asked = [took for sent, took, _ in ill if start <= sent < end]
        others = [took for sent, took in well if start <= sent < end]
        attempts = sum(start <= when < end for when in arrived)
        p99 = percentile(others, 0.99)
        base_p99 = base_p99 or p99
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
            },
        )
    opened = next((when for when, is_open in state if is_open and when >= marks["ill"]), float("nan"))
    healed = marks["healed"]
    last_open = max((when for when, is_open in state if is_open and when >= healed), default=healed)
    peak = max(_per_second(arrived, marks["end"])[int(healed) :], default=0)
    spells = _open_spells(state)
    table.note(
        f"breaker opened {opened - marks['ill']:.1f} s after the fault began, {len(spells)} times in all, for"
        f" {percentile(spells, 0.5):.1f} s (median) and {max(spells, default=0.0):.1f} s (most);"
        f" closed {last_open - healed:.1f} s after recovery (0: it was closed then)"
    )
    table.note(f"most attempts in one second after recovery: {peak} (offered: 40 calls a second)")
    table.note("goals: per call <= 1.25, p99 ratio of the healthy tool <= 1.5, no storm after recovery")
    table.show()
    _plot(well, ill, arrived, marks)


def _open_spells(state: list[tuple[float, bool]]) -> list[float]:
    """How long the breaker was seen open each time, s."""
    spells: list[float] = []
    since: float | None = None
    for when, is_open in state:
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
