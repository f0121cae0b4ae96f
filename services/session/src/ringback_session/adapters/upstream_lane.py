"""One upstream as calls meet it: its breaker, its rest after a rate limit, its warm connections, its metrics."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Final, Literal

from ringback_calling import Breaker, BreakerState, show_breaker
from ringback_errors import Unavailable
from ringback_sockets import Closed, RealtimeLink
from ringback_telemetry import counter, histogram, names, span

from ringback_session.adapters.upstream_dialing import Greeted, dial_upstream, problem_of
from ringback_session.adapters.upstream_endpoints import Endpoints
from ringback_session.adapters.upstream_pool import Pool
from ringback_session.adapters.upstream_secrets import Secret
from ringback_session.adapters.upstream_spec import Upstream
from ringback_session.domain.model_problem import ModelProblem
from ringback_session.ports import Clock, Term

__all__ = ["Connected", "Lane", "Purpose"]

log: Final = logging.getLogger(__name__)
# A connection that is lost sooner than this was none: as good as a failed dial.
LASTING_MS: Final = 10_000
REST_MS_MAX: Final = 60_000
Purpose = Literal["start", "reconnect", "rotation", "warm"]


class Connected:
    """A connection that serves a call. Implements `ports.ModelSocket`."""

    def __init__(self, link: RealtimeLink, *, ends_at_ms: int, upstream: Upstream, clock: Clock) -> None:
        self._link = link
        self._ends_at_ms = ends_at_ms
        self._upstream = upstream
        self._clock = clock
        self.hung_up = False
        # The hot path: no call of ours in between.
        self.send = link.send

    @property
    def term(self) -> Term:
        left_ms = self._ends_at_ms - self._clock.now_ms()
        upstream = self._upstream
        return Term(
            rotate_in_ms=max(1, left_ms - upstream.rotate_before_ms),
            last_in_ms=max(1, left_ms - upstream.rotate_at_last_ms),
        )

    def close(self) -> None:
        self.hung_up = True
        self._link.close()


class Lane:
    """Connects to one upstream, or says at once why not."""

    def __init__(
        self,
        upstream: Upstream,
        *,
        variable: Callable[[str], str],
        clock: Clock,
        on_breaker: Callable[[Upstream, BreakerState], None] = lambda upstream, state: None,
    ) -> None:
        self.upstream = upstream
        self._on_breaker = on_breaker
        self._clock = clock
        secret = Secret(upstream.key, variable) if upstream.key is not None else None
        self._endpoints = Endpoints(upstream, secret)
        self._breaker = Breaker(
            upstream.failures_max,
            upstream.open_ms,
            clock=clock.now_ms,
            name=f"upstream '{upstream.name}'",
            on_change=self._breaker_changed,
        )
        self._rests_until_ms = 0
        self._early_losses = 0
        self.pool = Pool(
            name=upstream.name,
            size=upstream.pool_size,
            age_ms_max=min(upstream.pool_age_ms_max, upstream.session_ms_max // 2),
            dial=lambda: self._dial(upstream.model, "warm"),
            now_ms=clock.now_ms,
        )

    @property
    def state(self) -> BreakerState:
        return self._breaker.state

    async def connect(
        self,
        asked: str,
        purpose: Purpose,
        *,
        on_frame: Callable[[bytes], None],
        on_lost: Callable[[str], None],
    ) -> Connected:
        """Raises ModelProblem."""
        model = self.upstream.model_for(asked)
        greeted = await self.pool.take(model)
        if greeted is None:
            greeted = await self._dial(model, purpose)
        else:
            self._count(purpose, "warm")
        began_ms = self._clock.now_ms()
        connected = Connected(
            greeted.link, ends_at_ms=self._ends_at_ms(greeted), upstream=self.upstream, clock=self._clock
        )

        def lost(closed: Closed) -> None:
            # A short call that was hung up here says nothing of the upstream.
            if not connected.hung_up and self._clock.now_ms() - began_ms < LASTING_MS:
                self._lost_early()
            on_lost(_reason(closed))

        for frame in greeted.early:
            on_frame(frame)
        greeted.link.take(on_frame, lost)
        return connected

    async def _dial(self, model: str, purpose: Purpose) -> Greeted:
        self._check_rest()
        try:
            self._breaker.allow()
        except Unavailable as error:
            said = "it failed too often and rests"
            raise problem_of(
                self.upstream, "upstream_unreachable", said=said, retry_after_ms=error.retry_after_ms
            ) from None
        began_ms = self._clock.now_ms()
        answered = False
        attributes = {names.Attr.DEPENDENCY: self.upstream.name, names.Attr.REASON: purpose}
        try:
            with span(names.Span.MODEL_CONNECT, attributes=attributes):
                greeted = await dial_upstream(self.upstream, self._endpoints.of(model), model=model)
        except ModelProblem as problem:
            answered = True
            self._failed(problem, purpose)
            raise
        else:
            answered = True
            self._breaker.record_success()
            self._count(purpose, "ok")
            now_ms = self._clock.now_ms()
            took_ms = now_ms - began_ms
            histogram(names.Metric.MODEL_CONNECT_MS).record(
                took_ms, {names.Attr.DEPENDENCY: self.upstream.name}
            )
            return replace(greeted, at_ms=now_ms)
        finally:
            if not answered:
                self._breaker.record_abandoned()

    def _failed(self, problem: ModelProblem, purpose: Purpose) -> None:
        log.warning("an upstream did not take a connection: %s", problem)
        self._count(purpose, problem.problem)
        if problem.problem == "upstream_model_unknown":
            # It is there; what it was asked for is not.
            self._breaker.record_success()
            return
        if problem.retry_after_ms:
            self._rests_until_ms = self._clock.now_ms() + min(REST_MS_MAX, problem.retry_after_ms)
        self._breaker.record_failure()

    def _check_rest(self) -> None:
        left_ms = self._rests_until_ms - self._clock.now_ms()
        if left_ms > 0:
            raise problem_of(self.upstream, "upstream_rate_limited", retry_after_ms=left_ms)

    def _lost_early(self) -> None:
        """One that takes connections and drops them at once looks healthy to whoever only dials."""
        self._early_losses += 1
        if self._early_losses >= self.upstream.failures_max:
            self._early_losses = 0
            for _ in range(self.upstream.failures_max):
                self._breaker.record_failure()

    def _ends_at_ms(self, greeted: Greeted) -> int:
        """What the model said of its end, if that is sound, within what is configured."""
        longest_ms = greeted.at_ms + self.upstream.session_ms_max
        said_ms = greeted.expires_at * 1000
        return min(longest_ms, said_ms) if said_ms > greeted.at_ms else longest_ms

    def _breaker_changed(self, state: BreakerState) -> None:
        log.warning("upstream '%s': its breaker is %s", self.upstream.name, state.value)
        show_breaker(self.upstream.name, state)
        self._on_breaker(self.upstream, state)

    def _count(self, purpose: Purpose, outcome: str) -> None:
        attributes = {
            names.Attr.DEPENDENCY: self.upstream.name,
            names.Attr.REASON: purpose,
            names.Attr.OUTCOME: outcome,
        }
        counter(names.Metric.MODEL_CONNECTS).add(1, attributes)


def _reason(closed: Closed) -> str:
    """How a connection ended, as a short code for the call's facts."""
    expired = closed.code == 1001 and "maximum duration" in closed.reason
    return "session_expired" if expired else f"closed_{closed.code}"
