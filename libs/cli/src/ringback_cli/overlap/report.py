"""Owns the figures: rates with intervals, how long interruptions were held back, and what went wrong."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ringback_cli.overlap.playing import BACKCHANNEL_WINDOW_MS, YIELD_WINDOW_MS, Heard

__all__ = ["IGNORES_GOAL", "YIELDS_GOAL", "Rate", "lines_of", "rates", "table"]

YIELDS_GOAL = 0.95
IGNORES_GOAL = 0.90
# Of the standard normal distribution, for 95 %.
_Z = 1.959964
_MISSES_SHOWN = 20


@dataclass(frozen=True)
class Rate:
    """How many of how many, with the Wilson score interval at 95 % (Wilson 1927)."""

    right: int
    of: int

    @property
    def value(self) -> float:
        return self.right / self.of if self.of else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        if not self.of:
            return 0.0, 1.0
        share, n, z2 = self.value, self.of, _Z * _Z
        middle = (share + z2 / (2 * n)) / (1 + z2 / n)
        half = _Z * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
        return max(0.0, middle - half), min(1.0, middle + half)


def rates(heard: Sequence[Heard]) -> dict[str, Rate]:
    """`yields` over all interruptions, `ignores` over backchannels, and each kind of interruption apart."""
    groups = {
        "yields": [each for each in heard if each.case.interrupts],
        "ignores": [each for each in heard if each.case.kind == "backchannel"],
        "yields, plain": [each for each in heard if each.case.kind == "interruption"],
        "yields, begun like a backchannel": [each for each in heard if each.case.kind == "mixed"],
    }
    return {name: Rate(sum(each.right for each in group), len(group)) for name, group in groups.items()}


def table(heard: Sequence[Heard]) -> str:
    """The report for people; every figure is of synthetic voices."""
    found = rates(heard)
    lines = ["Synthetic voices: evidence about the rules, not about real callers.", ""]
    for name, rate in found.items():
        low, high = rate.interval
        lines.append(
            f"{name:34} {rate.right:4} of {rate.of:<4} {rate.value:6.3f}   95 % {low:.3f} to {high:.3f}"
        )
    lines += ["", *_times(heard), ""]
    for name, goal in (("yields", YIELDS_GOAL), ("ignores", IGNORES_GOAL)):
        verdict = "reached" if found[name].value >= goal else "MISSED"
        lines.append(f"goal: {name} ≥ {goal:.2f}: {verdict}")
    return "\n".join(lines + _misses(heard))


def lines_of(heard: Sequence[Heard]) -> list[dict[str, Any]]:
    """One line of data per case."""
    return [
        {
            "kind": each.case.kind,
            "line": each.case.line,
            "voice": each.case.voice,
            "right": each.right,
            "told_ms": each.told_ms,
            "stopped_ms": each.stopped_ms,
            "outcome": each.outcome,
            "reason": each.reason,
            "held_ms": each.held_ms,
            "resumed": each.resumed,
            "failure": each.failure,
        }
        for each in heard
    ]


def _times(heard: Sequence[Heard]) -> list[str]:
    real = [each for each in heard if each.case.interrupts and not each.failure]
    held = [each.held_ms for each in real]
    told = [each.told_ms for each in real if each.told_ms >= 0]
    stopped = [each.stopped_ms for each in real if each.stopped_ms >= 0]
    in_time = Rate(sum(ms <= 300 for ms in held), len(held))
    backchannels = [each for each in heard if each.case.kind == "backchannel"]
    why = Counter(f"{each.outcome} ({each.reason})" if each.outcome else "not held" for each in real)
    return [
        f"windows from the onset: yield {YIELD_WINDOW_MS} ms, backchannel {BACKCHANNEL_WINDOW_MS} ms",
        f"interruptions held back by the filter: {_spread(held)}; ≤ 300 ms: {in_time.right} of {in_time.of}",
        f"onset → client told: {_spread(told)}; onset → agent silent: {_spread(stopped)}",
        "interruptions by reason: " + ", ".join(f"{name} {count}" for name, count in why.most_common()),
        f"backchannels that cut the agent and were gone on from: {sum(each.resumed for each in backchannels)}",
    ]


def _spread(values: Sequence[int]) -> str:
    if not values:
        return "none"
    ordered = sorted(values)
    p50, p95 = (ordered[min(len(ordered) - 1, int(len(ordered) * share))] for share in (0.5, 0.95))
    return f"p50 {p50} ms, p95 {p95} ms"


def _misses(heard: Sequence[Heard]) -> list[str]:
    wrong = [each for each in heard if not each.right]
    lines = ["", f"wrong: {len(wrong)}"] if wrong else []
    for each in wrong[:_MISSES_SHOWN]:
        what = (
            each.failure
            or f"told {each.told_ms}, stopped {each.stopped_ms}, {each.outcome} {each.reason}".strip()
        )
        lines.append(f"  {each.case.kind:12} {each.case.voice:10} {each.case.line:40} {what}")
    return lines
