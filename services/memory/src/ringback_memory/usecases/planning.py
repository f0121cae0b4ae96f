"""Owns compaction plans: chosen when due, summed up in the background, offered only if they can be carried out exactly.

A plan is bound to what it was chosen from. If the conversation was rebuilt, the epoch moved, or something in it is
needed again meanwhile, it is dropped and made anew; nothing waits for it.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field

from ringback_memory.domain.callers import Recall
from ringback_memory.domain.compaction import Cut, Rules, choose_cut, measure, still_exact
from ringback_memory.domain.context import build_context
from ringback_memory.domain.state import State
from ringback_memory.ports import Clock, SessionKey, Tokens
from ringback_memory.usecases.summarising import Summarising, Written

PLANS_HELD_MAX = 512
WINDOW_SHARE = 1.5
"""A conversation this many times above its threshold waits for no text model."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A cut, the summary that it leaves, and the text that takes its place."""

    cut: Cut
    written: Written
    compact_context: str


@dataclass(slots=True)
class _Making:
    cut: Cut
    generation: int
    began_ms: int
    task: asyncio.Task[Written] | None
    written: Written | None = None


@dataclass(slots=True)
class Planner:
    """Plans by session; at most `PLANS_HELD_MAX` at hand."""

    tokens: Tokens
    clock: Clock
    summarising: Summarising
    rules: Rules = field(default_factory=Rules)
    compact_tokens: int = 400
    _making: OrderedDict[SessionKey, _Making] = field(default_factory=OrderedDict)

    def plan(self, key: SessionKey, state: State, *, now_ms: int, recall: Recall | None) -> Plan | None:
        """The plan that can be carried out now, if one is due and written; begins to write one if need be."""
        if state.ended:
            self._drop(key)
            return None
        making = self._making.get(key)
        if making is not None and not still_exact(making.cut, state, generation=making.generation):
            self._drop(key)
            making = None
        if making is None:
            cut = choose_cut(state, rules=self.rules, count=self.tokens.count)
            if cut is None:
                return None
            making = self._begin(key, state, cut)
        written = self._written(making, state)
        return Plan(making.cut, written, self._page(state, written, now_ms, recall)) if written else None

    async def settled(self) -> None:
        """Return when every summary that is being written is there."""
        await asyncio.gather(*(one.task for one in self._making.values() if one.task), return_exceptions=True)

    async def close(self) -> None:
        """Stop writing."""
        for key in tuple(self._making):
            self._drop(key)

    def _begin(self, key: SessionKey, state: State, cut: Cut) -> _Making:
        task, written = None, None
        if self.summarising.waits_for_model:
            task = asyncio.ensure_future(self.summarising.write(state, cut.turns))
        else:
            written = self.summarising.embedded(state, cut.turns)
        making = _Making(cut, state.generation, self.clock.monotonic_ms(), task, written)
        self._making[key] = making
        while len(self._making) > PLANS_HELD_MAX:
            self._drop(next(iter(self._making)))
        return making

    def _written(self, making: _Making, state: State) -> Written | None:
        if making.written is None and making.task is not None and making.task.done():
            making.written = making.task.result()
        if making.written is None and self._cannot_wait(making, state):
            self.summarising.overdue()
            if making.task is not None:
                making.task.cancel()
            making.written = self.summarising.embedded(state, making.cut.turns)
        return making.written

    def _cannot_wait(self, making: _Making, state: State) -> bool:
        waited_ms = self.clock.monotonic_ms() - making.began_ms
        held = measure(state, count=self.tokens.count)
        return waited_ms > 2 * self.summarising.deadline_ms or held > WINDOW_SHARE * self.rules.above_tokens

    def _page(self, state: State, written: Written, now_ms: int, recall: Recall | None) -> str:
        count = self.tokens.count
        # The must-keeps are all in it, however small `compact_tokens` is: a compaction loses none of them.
        least = build_context(state, budget_tokens=1, count=count, now_ms=now_ms, summary="", turns=False)
        return build_context(
            state,
            budget_tokens=max(self.compact_tokens, least.needed_tokens),
            count=count,
            now_ms=now_ms,
            summary=written.text,
            turns=False,
            recall=recall,
        ).text

    def _drop(self, key: SessionKey) -> None:
        making = self._making.pop(key, None)
        if making is not None and making.task is not None:
            making.task.cancel()
