"""Owns GetContext: the state that fits a token budget, what earlier calls left, and the compaction that is due."""

from __future__ import annotations

from dataclasses import dataclass

from ringback_errors import InvalidInput

from ringback_memory.domain.callers import Recall
from ringback_memory.domain.context import Context, build_context
from ringback_memory.domain.events import Position
from ringback_memory.domain.freshness import Stale, stale_slots
from ringback_memory.ports import Clock, SessionKey, Tokens
from ringback_memory.usecases.callers import Callers
from ringback_memory.usecases.planning import Plan, Planner
from ringback_memory.usecases.reading import read_view
from ringback_memory.usecases.sessions import Sessions, View

BUDGET_TOKENS_MAX = 32_000


@dataclass(frozen=True, slots=True)
class Answer:
    """What GetContext answers."""

    view: View
    context: Context
    plan: Plan | None
    stale: tuple[Stale, ...]
    recall: Recall | None
    now_ms: int


@dataclass(slots=True)
class GetContext:
    """Reads a session, fills the budget and offers a plan."""

    sessions: Sessions
    tokens: Tokens
    clock: Clock
    planner: Planner
    callers: Callers | None = None

    async def __call__(
        self, key: SessionKey, *, budget_tokens: int, at_least: Position, deadline_ms: int
    ) -> Answer:
        """The answer as of `at_least` or later. Raises NotFound, Behind, InvalidInput, Unavailable."""
        if not 0 < budget_tokens <= BUDGET_TOKENS_MAX:
            raise InvalidInput(
                f"budget_tokens: 1 to {BUDGET_TOKENS_MAX} expected, got {budget_tokens}",
                field="budget_tokens",
            )
        until_ms = self.clock.monotonic_ms() + deadline_ms
        view = await read_view(
            self.sessions, key, at_least=at_least, deadline_ms=deadline_ms, clock=self.clock
        )
        recall = None
        if self.callers is not None and not view.state.ended:
            left_ms = until_ms - self.clock.monotonic_ms()
            recall = await self.callers.recall(key, view.state, deadline_ms=left_ms)
        now_ms = self.clock.now_ms()
        context = build_context(
            view.state, budget_tokens=budget_tokens, count=self.tokens.count, now_ms=now_ms, recall=recall
        )
        plan = self.planner.plan(key, view.state, now_ms=now_ms, recall=recall)
        return Answer(view, context, plan, stale_slots(view.state, now_ms=now_ms), recall, now_ms)
