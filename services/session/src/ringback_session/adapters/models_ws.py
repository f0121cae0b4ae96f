"""The realtime models upstream, over WebSocket: the first of the list that answers takes the call."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final, Literal

from ringback_calling import BreakerState
from ringback_errors import ConfigError

from ringback_session.adapters.upstream_lane import Lane
from ringback_session.adapters.upstream_source import UpstreamSource
from ringback_session.adapters.upstream_spec import Upstream
from ringback_session.domain.model_problem import ModelProblem
from ringback_session.ports import Clock, ModelSocket

__all__ = ["ModelsOverWebSocket"]

log: Final = logging.getLogger(__name__)


class ModelsOverWebSocket:
    """Implements `ports.Models`. `variable` gives the value of an environment variable that a credential names.

    Raises ConfigError for a credential that is not there.
    """

    def __init__(self, source: UpstreamSource, *, variable: Callable[[str], str], clock: Clock) -> None:
        self._source = source
        self._variable = variable
        self._clock = clock
        # Told when the breaker of an upstream opens or closes.
        self.on_breaker: Callable[[Upstream, BreakerState], None] = lambda upstream, state: None
        self._specs = source.current()
        self.lanes = self._made(self._specs, ())
        self._changing = asyncio.Lock()
        self._opened = False

    def open(self) -> None:
        """Begin to keep connections warm, where that is configured; needs a running loop."""
        self._opened = True
        for lane in self.lanes:
            lane.pool.open()

    async def close(self) -> None:
        self._opened = False
        for lane in self.lanes:
            await lane.pool.close()

    async def connect(
        self,
        *,
        model: str,
        purpose: Literal["start", "reconnect", "rotation"],
        on_frame: Callable[[bytes], None],
        on_lost: Callable[[str], None],
    ) -> ModelSocket:
        await self._follow_the_source()
        problems: list[ModelProblem] = []
        for lane in self.lanes:
            try:
                return await lane.connect(model, purpose, on_frame=on_frame, on_lost=on_lost)
            except ModelProblem as problem:
                problems.append(problem)
        raise _all_of(problems)

    async def _follow_the_source(self) -> None:
        specs = self._source.current()
        if specs is self._specs:
            return
        async with self._changing:
            if specs is self._specs:
                return
            self._specs = specs
            former = self.lanes
            try:
                # Apart from the loop: to prepare an endpoint may take a moment.
                self.lanes = await asyncio.to_thread(self._made, specs, former)
            except ConfigError as error:
                log.error("the upstreams that there were are kept: %s", error)
                return
            log.info("the upstreams are now: %s", ", ".join(lane.upstream.name for lane in self.lanes))
            for lane in former:
                if lane not in self.lanes:
                    await lane.pool.close()
            if self._opened:
                self.open()

    def _made(self, specs: Sequence[Upstream], former: Sequence[Lane]) -> tuple[Lane, ...]:
        """Lanes for these; one whose upstream is as it was goes on with all that it knows."""
        kept = {lane.upstream.name: lane for lane in former if lane.upstream in specs}
        return tuple(
            kept.get(spec.name)
            or Lane(
                spec,
                variable=self._variable,
                clock=self._clock,
                on_breaker=lambda upstream, state: self.on_breaker(upstream, state),
            )
            for spec in specs
        )


def _all_of(problems: Sequence[ModelProblem]) -> ModelProblem:
    """What is wrong with all of them; the first of the list gives the code."""
    first = problems[0]
    if len(problems) == 1:
        return first
    waits = [problem.retry_after_ms for problem in problems if problem.retry_after_ms]
    return ModelProblem(
        "; ".join(problem.message for problem in problems),
        problem=first.problem,
        retry_after_ms=min(waits, default=None),
    )
