"""Runs many simulated calls, says how it goes, and makes the first failure small."""

from __future__ import annotations

import hashlib
import math
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

from ringback_session.simulation.jobs import TAKES, Play, Played, Stop, in_turn, never, play, share_out
from ringback_session.simulation.plan import draw
from ringback_session.simulation.shrinking import kind_of, shortest
from ringback_session.simulation.world import simulate

__all__ = ["Summary", "explain", "report", "run_calls"]

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
    "sound",
    "recorded",
    "slots",
    "stale",
    "results",
    "idle_ms",
    "resume_ms",
    "person_ms",
    "garbles",
    "voice",
    "questions",
)


@dataclass
class Summary:
    """What came of a run. `failures` maps a seed to what went wrong first; it stops at a bound.

    `seconds` are of processor time, of all jobs together. `fingerprint` is of all that happened in all calls: the same
    seeds give the same one, in however many jobs. Of the seeds in `lost` nobody knows how the call went.
    """

    jobs: int = 1
    calls: int = 0
    seconds: float = 0.0
    wall_s: float = 0.0
    virtual_s: float = 0.0
    failures: dict[int, str] = field(default_factory=dict)
    lost: list[int] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    fingerprint: str = ""
    interrupted: bool = False

    def add(self, played: Played) -> None:
        self.calls += 1
        self.seconds += played.used_s
        self.virtual_s += played.virtual_ms / 1000
        self.counts.update(played.counts)
        if played.violation:
            self.failures[played.seed] = played.violation
        if played.lost:
            self.lost.append(played.seed)
        so_far = f"{self.fingerprint} {played.seed} {played.digest} {played.violation}"
        self.fingerprint = hashlib.sha256(so_far.encode()).hexdigest()[:16]

    def __str__(self) -> str:
        counts = self.counts
        return (
            f"{self.calls} calls, {self.virtual_s / 3600:.1f} hours of calls in {self.wall_s:.1f} s "
            f"({self._a_minute(self.wall_s)} a minute) and {self.seconds:.1f} s of processor time "
            f"({self._a_minute(self.seconds)} a minute), jobs: {self.jobs}; {counts['user_turn_ended']} turns, "
            f"{counts['consent_asked']} read-backs, {counts['effects']} effects, {counts['session_resumed']} resumes, "
            f"{counts['model_rotated']} model connections lost, {len(self.failures)} failures"
        )

    def _a_minute(self, seconds: float) -> str:
        return f"{self.calls / max(seconds, 1e-9) * 60:.0f}" if self.calls else "0"


def run_calls(
    *,
    seed: int,
    calls: int,
    minutes: float = 0.0,
    jobs: int = 1,
    progress: Callable[[str], None] = lambda line: None,
    play: Play = play,
) -> Summary:
    """Run the calls of `seed`, `seed` + 1, … until there were `calls`, or `minutes` have passed (0: no limit).

    In so many processes; 1: in this one. After a Ctrl-C the summary is of what there was so far.
    """
    seeds, began = range(seed, seed + calls), time.monotonic()
    summary = Summary(jobs=max(1, min(jobs, math.ceil(calls / TAKES))))
    ends_at = began + minutes * 60 if minutes else math.inf
    with _ctrl_c() as stop, closing(_results(summary.jobs, seeds, ends_at, stop, play)) as results:
        told = began
        for played in results:
            summary.add(played)
            now = time.monotonic()
            summary.wall_s = now - began
            if now - told > PROGRESS_S:
                told = now
                progress(f"of {calls}: {summary}")
            if len(summary.failures) >= FAILURES_MAX:
                break
        summary.interrupted = stop()
    summary.wall_s = time.monotonic() - began
    return summary


def _results(jobs: int, seeds: range, ends_at: float, stop: Stop, play: Play) -> Generator[Played]:
    if jobs > 1:
        return share_out(seeds, jobs=jobs, ends_at=ends_at, stop=stop, play=play)
    return in_turn(seeds, ends_at=ends_at, stop=stop, play=play)


@contextmanager
def _ctrl_c() -> Iterator[Stop]:
    """Whether it was pressed; what was under way is then told. Pressed again it ends everything, as ever."""
    if threading.current_thread() is not threading.main_thread():
        yield never
        return
    pressed: list[int] = []
    before = signal.getsignal(signal.SIGINT)

    def press(number: int, frame: object) -> None:
        pressed.append(number)
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, press)
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, before)


def report(summary: Summary) -> Iterator[str]:
    """What is to be said at the end: the failures by their seeds, and the shortest trace of the first."""
    if summary.interrupted:
        yield "interrupted; so far:"
    yield str(summary)
    yield f"fingerprint {summary.fingerprint or 'of nothing'}"
    yield from (f"seed {seed}: {what}" for seed, what in sorted(summary.failures.items()))
    known = [seed for seed in sorted(summary.failures) if seed not in summary.lost]
    if known and summary.interrupted:
        yield f"--explain --seed {known[0]} shows how it came to the first of them"
    elif known:
        yield explain(known[0])


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
