"""Owns GetContext: the state that fits a token budget, and the compaction that is due."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field

from ringback_errors import InvalidInput

from ringback_memory.domain.compaction import Cut, Rules, choose_cut
from ringback_memory.domain.context import Context, build_context
from ringback_memory.domain.events import Position
from ringback_memory.domain.state import State
from ringback_memory.domain.summary import fold_turns
from ringback_memory.ports import Clock, Gauges, SessionKey, Summariser, Tokens
from ringback_memory.usecases.reading import read_view
from ringback_memory.usecases.sessions import Sessions, View

BUDGET_TOKENS_MAX = 32_000
PLANS_HELD_MAX = 512


@dataclass(frozen=True, slots=True)
class Plan:
    """A cut with the text that takes its place."""

    cut: Cut
    compact_context: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What GetContext answers."""

    view: View
    context: Context
    plan: Plan | None
    now_ms: int


@dataclass(slots=True)
class GetContext:
    """Reads a session, fills the budget and offers a plan.

    A plan's summary comes from `summariser`; when that fails or takes longer than `summary_wait_ms`, from
    the embedded one.
    """

    sessions: Sessions
    tokens: Tokens
    clock: Clock
    summariser: Summariser
    gauges: Gauges
    rules: Rules = field(default_factory=Rules)
    compact_tokens: int = 400
    summary_wait_ms: int = 200
    _plans: OrderedDict[tuple[SessionKey, int | None], Plan | None] = field(default_factory=OrderedDict)

    async def __call__(
        self, key: SessionKey, *, budget_tokens: int, at_least: Position, deadline_ms: int
    ) -> Answer:
        """The answer as of `at_least` or later. Raises NotFound, Behind, InvalidInput, Unavailable."""
        if not 0 < budget_tokens <= BUDGET_TOKENS_MAX:
            raise InvalidInput(
                f"budget_tokens: 1 to {BUDGET_TOKENS_MAX} expected, got {budget_tokens}",
                field="budget_tokens",
            )
        view = await read_view(
            self.sessions, key, at_least=at_least, deadline_ms=deadline_ms, clock=self.clock
        )
        now_ms = self.clock.now_ms()
        context = build_context(
            view.state, budget_tokens=budget_tokens, count=self.tokens.count, now_ms=now_ms
        )
        return Answer(view, context, await self._plan(key, view, now_ms), now_ms)

    async def _plan(self, key: SessionKey, view: View, now_ms: int) -> Plan | None:
        place = (key, view.revision)
        if place not in self._plans:
            self._plans[place] = await self._make_plan(view.state, now_ms)
            while len(self._plans) > PLANS_HELD_MAX:
                self._plans.popitem(last=False)
        return self._plans[place]

    async def _make_plan(self, state: State, now_ms: int) -> Plan | None:
        if state.ended:
            return None
        cut = choose_cut(state, rules=self.rules, count=self.tokens.count)
        if cut is None:
            return None
        summary = await self._summary(state, cut)
        # The must-keeps are all in it, however small `compact_tokens` is: a compaction loses none of them.
        page = build_context(
            state, budget_tokens=1, count=self.tokens.count, now_ms=now_ms, summary="", turns=False
        )
        page = build_context(
            state,
            budget_tokens=max(self.compact_tokens, page.needed_tokens),
            count=self.tokens.count,
            now_ms=now_ms,
            summary=summary,
            turns=False,
        )
        return Plan(cut, page.text)

    async def _summary(self, state: State, cut: Cut) -> str:
        try:
            async with asyncio.timeout(self.summary_wait_ms / 1000):
                return await self.summariser.summarise(
                    state.summary, turns=cut.turns, deadline_ms=self.summary_wait_ms
                )
        except Exception:
            self.gauges.fell_back("summariser")
            return fold_turns(state.summary, cut.turns).text
