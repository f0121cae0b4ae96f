"""Kills programs of a running stack at seeded moments of calls, and judges what became of the calls.

A kill is one program, one stage of whichever call passes it next, and a delay. The seed decides all three; what the
machine does in between it does not, so a seed repeats the schedule and not the run.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from ringback_testkit.running_stack import RunningStack
from ringback_testkit.stubborn_caller import STAGES, Goal, StubbornCaller
from ringback_testkit.typed_caller import TypedCaller

__all__ = ["Chaos", "Kill", "schedule"]

# How often each program dies; the one that holds the calls most often.
WEIGHTS: Final = {"session": 6, "tools": 4, "policy": 3, "memory": 2, "nats": 3, "localmodel": 2}
DELAY_MS_MAX: Final = 400
# Two faults at once are another promise: callers get a moment to go on in.
CALM_S: Final = 2.0
DECLINING_SHARE: Final = 0.15
BACK_S: Final = 60.0


@dataclass(frozen=True)
class Kill:
    """One kill -9: of `program`, `delay_ms` after the next time that a call passes `stage`."""

    program: str
    stage: str
    delay_ms: int


def schedule(seed: int, *, kills: int) -> list[Kill]:
    """The kills of a seed, in order."""
    dice = random.Random(seed)
    programs, weights = list(WEIGHTS), list(WEIGHTS.values())
    return [
        Kill(dice.choices(programs, weights)[0], dice.choice(STAGES), dice.randrange(DELAY_MS_MAX))
        for _ in range(kills)
    ]


@dataclass
class Chaos:
    """Calls side by side, and a hand that kills, until the schedule is through.

    `fresh`: ids of reservations that can be cancelled, one for each call.
    """

    running: RunningStack
    fresh: Iterator[str]
    seed: int
    calls: list[StubbornCaller] = field(default_factory=list)
    killed_at_s: list[tuple[Kill, float]] = field(default_factory=list)
    _stages: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    _over: bool = False

    async def run(self, kills: Sequence[Kill], *, side_by_side: int = 3) -> None:
        """Raises CallStuckError for a call without an end, TimeoutError for a program that does not come back."""
        dice = random.Random(self.seed)
        async with asyncio.TaskGroup() as group:
            for _ in range(side_by_side):
                group.create_task(self._one_call_after_another(dice))
            await self._kill(kills)
            self._over = True

    def report(self) -> str:
        """What died, and how long the callers waited to hear the agent again."""
        waits: dict[str, list[float]] = {}
        for kill, at_s in self.killed_at_s:
            for call in self.calls:
                if call.heard_at_s and call.heard_at_s[0] < at_s < call.heard_at_s[-1]:
                    heard_s = next(when for when in call.heard_at_s if when > at_s)
                    waits.setdefault(kill.program, []).append(heard_s - at_s)
        lines = [
            f"seed {self.seed}: {len(self.killed_at_s)} kills in {len(self.calls)} calls, "
            f"{sum(call.comebacks for call in self.calls)} resumed",
            f"{'killed':<12}{'times':>6}{'calls met':>11}{'heard again p50':>17}{'p95':>8}",
        ]
        died = Counter(kill.program for kill, _ in self.killed_at_s)
        for program, count in sorted(died.items()):
            met = sorted(waits.get(program, []))
            p50 = f"{statistics.median(met):.1f} s" if met else "–"
            p95 = f"{met[int(len(met) * 0.95)]:.1f} s" if met else "–"
            lines.append(f"{program:<12}{count:>6}{len(met):>11}{p50:>17}{p95:>8}")
        return "\n".join(lines)

    async def _one_call_after_another(self, dice: random.Random) -> None:
        while not self._over:
            goal: Goal = "decline" if dice.random() < DECLINING_SHARE else "cancel"
            caller = TypedCaller(self.running.ws_url, self.running.stack.api_key)
            call = StubbornCaller(caller, next(self.fresh), goal, self._stages.put_nowait)
            self.calls.append(call)
            await call.run()

    async def _kill(self, kills: Sequence[Kill]) -> None:
        for kill in kills:
            while not self._stages.empty():
                self._stages.get_nowait()
            async with asyncio.timeout(BACK_S):
                while await self._stages.get() != kill.stage:
                    pass
            await asyncio.sleep(kill.delay_ms / 1000)
            seen = len(self.running.notes)
            self.killed_at_s.append((kill, time.monotonic()))
            self.running.kill9(kill.program)
            await self._back(kill.program, seen)
            await asyncio.sleep(CALM_S)

    async def _back(self, program: str, seen: int) -> None:
        async with asyncio.timeout(BACK_S):
            while not any(  # noqa: ASYNC110 - the notes are a list
                note.name == program and note.kind == "restarted" for note in self.running.notes[seen:]
            ):
                await asyncio.sleep(0.02)
