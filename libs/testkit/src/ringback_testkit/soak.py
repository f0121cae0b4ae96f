"""Hours of calls in a row on one stack, with nothing killed: does anything grow, slow down or get lost?

Callers of three kinds go side by side: short calls one after another, long calls, and visitors who vanish
or send garbage. What each program holds is looked at as they go: memory, files and threads.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final

from ringback_testkit.footprint import Footprint, footprint
from ringback_testkit.heap import Heaps
from ringback_testkit.running_stack import RunningStack
from ringback_testkit.stubborn_caller import Goal, StubbornCaller
from ringback_testkit.typed_caller import TypedCaller
from ringback_testkit.verdict import lost_facts, wrong_effects

__all__ = ["Look", "Soak", "grown"]

LOOK_S: Final = 5.0
DECLINING_SHARE: Final = 0.3
PAUSE_S: Final = 0.5
# Well below the bound on a conversation's items.
LONG_CALL_ROUNDS: Final = 300
# One after the other: each third of a run sees some from their first turn to their last, and so holds the same.
LONG_CALLS: Final = 9
# Between the second third and the last: of what a program holds, and of its memory as the kernel sees it. The latter
# also has what an allocator keeps for later, and finds its level late: there only what is gross is judged.
HELD_GROWTH_KB_MAX: Final = 640
# What a slow machine fills later: memory remembers how many tokens 16,384 texts have.
FILLING_KB_MAX: Final = {"memory": 4_096}
GROWTH_KB_MAX: Final = 16_384
GROWTH_SHARE_MAX: Final = 0.25
MORE_FILES_MAX: Final = 16
MORE_THREADS_MAX: Final = 4
SLOWER_MAX: Final = 1.5
# NATS keeps what is written to its streams on purpose, each with a limit of its own.
KEEPS_ON_PURPOSE: Final = ("nats",)
GARBAGE: Final[tuple[dict[str, Any], ...]] = (
    {"type": "no.such.event"},
    {"type": "session.update", "session": {"type": "realtime", "output_modalities": 7}},
    {"type": "input_audio_buffer.append", "audio": "not base64 !"},
    {"type": "conversation.item.truncate", "item_id": "item_none", "content_index": 0, "audio_end_ms": -1},
    {"type": "response.cancel", "response_id": "resp_none"},
)


@dataclass(frozen=True)
class Look:
    """One look at every program. `at_s` counts from the start; `turns_ms`: how long each answer since the last took."""

    at_s: float
    calls: int
    holds: dict[str, Footprint]
    turns_ms: tuple[float, ...]
    # What programs of ours hold of their heap, kB.
    held_kb: Mapping[str, int] = field(default_factory=dict)


@dataclass
class Soak:
    """`fresh`: ids of reservations that can be cancelled, one for each short call."""

    running: RunningStack
    fresh: Iterator[str]
    seed: int
    heaps: Heaps
    looks: list[Look] = field(default_factory=list)
    calls: int = 0
    refunds: int = 0
    visits: int = 0
    # Rounds of the long calls: a wish and a no.
    rounds: int = 0
    found: list[str] = field(default_factory=list)
    _short: list[StubbornCaller] = field(default_factory=list)
    _turns_ms: list[float] = field(default_factory=list)
    _ends_at_s: float = 0.0
    _long_call_s: float = 0.0

    async def run(self, *, minutes: float, side_by_side: int = 3) -> None:
        """Raises CallStuckError for a call without an end; faults of calls that did end are in `found`."""
        began_s = time.monotonic()
        self._ends_at_s = began_s + minutes * 60
        self._long_call_s = minutes * 60 / LONG_CALLS
        dice = random.Random(self.seed)
        async with asyncio.TaskGroup() as group:
            for _ in range(side_by_side):
                group.create_task(self._short_calls(dice))
            group.create_task(self._long_calls())
            group.create_task(self._visitors(dice))
            while not self._over:
                await self._look(time.monotonic() - began_s)
                await asyncio.sleep(LOOK_S)
        self.found += await wrong_effects(self.running, self._short)

    def verdict(self) -> list[str]:
        """What grew, slowed down or went wrong, a line each. Growth is judged from the second third on."""
        return self.found + grown(self.looks)

    def report(self) -> str:
        """The run and each program at its begin, after a third, and at the end."""
        first, last = self.looks[0], self.looks[-1]
        third = self.looks[len(self.looks) // 3]
        lines = [
            f"seed {self.seed}: {last.at_s:.0f} s, {self.calls} calls, {self.refunds} refunds, {self.visits} rude "
            f"visits, {self.rounds * 2} turns in long calls",
            f"{'program':<12}{'MB held':>26}{'MB private':>26}{'files':>12}{'threads':>12}",
        ]
        for name in sorted(last.holds):
            a, b, c = (look.holds[name] for look in (first, third, last))
            held = [look.held_kb.get(name) for look in (first, third, last)]
            mb = _mb(held) + _mb([a.private_kb, b.private_kb, c.private_kb])
            lines.append(f"{name:<12}{mb}{f'{a.files} → {c.files}':>12}{f'{a.threads} → {c.threads}':>12}")
        early, late = (_turns(part) for part in _thirds(self.looks)[1:])
        if early and late:
            lines.append(
                f"answer after a line typed, p50: {median(early):.0f} ms, then {median(late):.0f} ms"
            )
        return "\n".join(lines)

    @property
    def _over(self) -> bool:
        return time.monotonic() >= self._ends_at_s

    async def _look(self, at_s: float) -> None:
        pids = {name: program.pid for name, program in self.running.stack.supervisor.programs.items()}
        held_kb = await self.heaps.held_kb(pids.values())
        holds = {name: footprint(pid) for name, pid in pids.items()}
        held = {name: held_kb[pid] for name, pid in pids.items() if pid in held_kb}
        self.looks.append(Look(at_s, self.calls, holds, tuple(self._turns_ms), held))
        self._turns_ms.clear()

    async def _short_calls(self, dice: random.Random) -> None:
        while not self._over:
            goal: Goal = "decline" if dice.random() < DECLINING_SHARE else "cancel"
            caller = TypedCaller(self.running.ws_url, self.running.stack.api_key)
            call = StubbornCaller(caller, next(self.fresh), goal, lambda _: None)
            await call.run()
            self.found += await lost_facts(self.running, [caller.session_id])
            self.running.watcher.forget(caller.session_id)
            # What is judged at the end are its lines; the caller's own list of all events would be what grows.
            caller.events.clear()
            self._short.append(call)
            self.calls += 1
            self.refunds += call.told_done

    async def _long_calls(self) -> None:
        while not self._over:
            async with TypedCaller(self.running.ws_url, self.running.stack.api_key) as caller:
                await self._long_call(caller)
            self.found += await lost_facts(self.running, [caller.session_id])
            self.running.watcher.forget(caller.session_id)

    async def _long_call(self, caller: TypedCaller) -> None:
        ends_at_s = time.monotonic() + self._long_call_s
        for _ in range(LONG_CALL_ROUNDS):
            if self._over or time.monotonic() >= ends_at_s:
                return
            heard = len(caller.said)
            wish = f"Please cancel reservation {next(self.fresh)}"
            for line, answer in ((wish, "shall i go ahead"), ("no", "nothing|not changed|won't")):
                heard = await self._turn(caller, line, answer, heard)
            self.rounds += 1
            # The caller's own list of all events would be what grows.
            caller.events.clear()

    async def _turn(self, caller: TypedCaller, line: str, answer: str, heard: int) -> int:
        asked_s = time.monotonic()
        caller.type(line)
        await caller.hears(answer, after=heard)
        self._turns_ms.append((time.monotonic() - asked_s) * 1000)
        return len(caller.said)

    async def _visitors(self, dice: random.Random) -> None:
        while not self._over:
            await self._visit(dice)
            self.visits += 1
            await asyncio.sleep(PAUSE_S)

    async def _visit(self, dice: random.Random) -> None:
        caller = TypedCaller(self.running.ws_url, self.running.stack.api_key)
        await caller.connect()
        if dice.random() < 0.5:
            caller.type("I want to cancel my reservation")
        for event in dice.sample(GARBAGE, k=3):
            caller.send(event)
        await caller.until(lambda: len(caller.errors) >= 3 or caller.closed is not None)
        caller.vanish()


def grown(looks: Sequence[Look]) -> list[str]:
    """Programs that hold more in the last third than in the second, and answers that got slower."""
    _, middle, last = _thirds(looks)
    if not middle or not last:
        return []
    found = []
    for name in sorted(last[-1].holds):
        if name not in KEEPS_ON_PURPOSE:
            found += _program_grown(name, [of.holds[name] for of in middle], [of.holds[name] for of in last])
            found += _heap_grown(name, *([of.held_kb.get(name) for of in part] for part in (middle, last)))
    before, after = _turns(middle), _turns(last)
    if before and after and median(after) > median(before) * SLOWER_MAX:
        found.append(f"an answer took {median(before):.0f} ms, then {median(after):.0f} ms")
    return found


def _program_grown(name: str, middle: Sequence[Footprint], last: Sequence[Footprint]) -> list[str]:
    found = []
    before_kb, after_kb = (median(of.private_kb for of in part) for part in (middle, last))
    if after_kb - before_kb > max(GROWTH_KB_MAX, before_kb * GROWTH_SHARE_MAX):
        found.append(f"{name}: memory went from {before_kb / 1024:.1f} to {after_kb / 1024:.1f} MB")
    before, after = (max(of.files for of in part) for part in (middle, last))
    if after > before + MORE_FILES_MAX:
        found.append(f"{name}: open files went from {before} to {after}")
    before, after = (max(of.threads for of in part) for part in (middle, last))
    if after > before + MORE_THREADS_MAX:
        found.append(f"{name}: threads went from {before} to {after}")
    return found


def _heap_grown(name: str, middle: Sequence[int | None], last: Sequence[int | None]) -> list[str]:
    before, after = ([held_kb for held_kb in part if held_kb is not None] for part in (middle, last))
    if not before or not after:
        return []
    grown_kb = median(after) - median(before)
    if grown_kb <= HELD_GROWTH_KB_MAX + FILLING_KB_MAX.get(name, 0):
        return []
    return [f"{name}: what it holds went from {median(before) / 1024:.2f} to {median(after) / 1024:.2f} MB"]


def _mb(sizes_kb: Sequence[int | None]) -> str:
    said = " → ".join("?" if size_kb is None else f"{size_kb / 1024:.1f}" for size_kb in sizes_kb)
    return f"{said:>26}"


def _thirds(looks: Sequence[Look]) -> tuple[Sequence[Look], Sequence[Look], Sequence[Look]]:
    third = len(looks) // 3
    return looks[:third], looks[third : 2 * third], looks[2 * third :]


def _turns(looks: Sequence[Look]) -> list[float]:
    return [turn_ms for look in looks for turn_ms in look.turns_ms]
