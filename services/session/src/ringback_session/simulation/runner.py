"""Runs many simulated calls, says how it goes, and makes the first failure small."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from ringback_session.simulation.plan import draw
from ringback_session.simulation.shrinking import kind_of, shortest
from ringback_session.simulation.world import simulate

__all__ = ["Summary", "explain", "run_calls"]

# What session logs of simulated faults is no news to whoever runs the simulation.
logging.getLogger("ringback_session").addHandler(logging.NullHandler())

PROGRESS_S = 5.0
FAILURES_MAX = 20
_SETTINGS = (
    "typed",
    "gate",
    "output",
    "client_tools",
    "jitter",
    "model_lasts_ms",
    "slow_after_ms",
    "window_ms",
    "budget_tokens",
    "manual",
    "text",
)


@dataclass
class Summary:
    """What came of a run. `failures` maps a seed to what went wrong first; it stops at a bound."""

    calls: int = 0
    seconds: float = 0.0
    virtual_s: float = 0.0
    failures: dict[int, str] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        a_minute = self.calls / max(self.seconds, 1e-9) * 60
        counts = self.counts
        return (
            f"{self.calls} calls, {self.virtual_s / 3600:.1f} hours of calls in {self.seconds:.1f} s of processor "
            f"time ({a_minute:.0f} a minute): {counts['user_turn_ended']} turns, {counts['consent_asked']} "
            f"read-backs, {counts['effects']} effects, {counts['session_resumed']} resumes, "
            f"{counts['model_rotated']} model connections lost, {len(self.failures)} failures"
        )


def run_calls(
    *, seed: int, calls: int, minutes: float = 0.0, progress: Callable[[str], None] = lambda line: None
) -> Summary:
    """Run the calls of `seed`, `seed` + 1, … until there were `calls`, or `minutes` have passed (0: no limit)."""
    summary = Summary()
    began, told = time.monotonic(), time.monotonic()
    used = time.process_time()
    for number in range(seed, seed + calls):
        outcome = simulate(draw(number))
        summary.calls += 1
        summary.virtual_s += outcome.virtual_ms / 1000
        summary.counts.update(outcome.counts)
        if outcome.violations:
            summary.failures[number] = outcome.violations[0]
        now = time.monotonic()
        summary.seconds = time.process_time() - used
        if now - told > PROGRESS_S:
            told = now
            progress(str(summary))
        if len(summary.failures) >= FAILURES_MAX or (minutes and now - began > minutes * 60):
            break
    return summary


def explain(seed: int) -> str:
    """The shortest trace that still fails as this seed does: its moves, then what happened."""
    plan = shortest(draw(seed))
    outcome = simulate(plan, keeps_log=True)
    if not outcome.violations:
        return f"seed {seed}: all is well"
    settings = ", ".join(f"{name}={getattr(plan, name)}" for name in _SETTINGS)
    lines = [
        f"seed {seed}: {kind_of(outcome.violations[0])}",
        f"  shortest plan ({len(plan.moves)} of {len(draw(seed).moves)} moves; {settings};"
        f" answers {', '.join(plan.answers) or 'yes'}):",
        *(f"    {move}" for move in plan.moves),
        "  what happened:",
        *(f"    {line}" for line in outcome.log),
        "  violations:",
        *(f"    {violation}" for violation in outcome.violations),
    ]
    return "\n".join(lines)
