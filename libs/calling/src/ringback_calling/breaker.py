"""Owns the circuit breaker: after enough failures in a row, calls are refused at once until a probe succeeds.

    closed ── failures_max in a row ──▶ open ── open_ms ──▶ half open ── half_open_probes succeed ──▶ closed
                                         ▲                     │
                                         └────── one fails ────┘

Ours and small, for one event loop: an admitted call costs two attribute checks, and a fake clock drives it.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from ringback_errors import InvalidInput, Unavailable

from ringback_calling.budget import monotonic_ms


class BreakerState(StrEnum):
    """Where a breaker stands."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Breaker:
    """A breaker for one dependency; not thread-safe.

    Every `allow` that did not raise is answered by exactly one of `record_success`, `record_failure` or
    `record_abandoned`.
    """

    __slots__ = (
        "_clock",
        "_failures",
        "_failures_max",
        "_half_open_probes",
        "_open_ms",
        "_opened_at_ms",
        "_probes_passed",
        "_probes_running",
        "_state",
        "name",
        "on_change",
    )

    def __init__(
        self,
        failures_max: int = 5,
        open_ms: int = 5_000,
        half_open_probes: int = 1,
        clock: Callable[[], int] = monotonic_ms,
        *,
        name: str = "dependency",
        on_change: Callable[[BreakerState], None] | None = None,
    ) -> None:
        for field, value in (
            ("failures_max", failures_max),
            ("open_ms", open_ms),
            ("half_open_probes", half_open_probes),
        ):
            if value < 1:
                raise InvalidInput("expected at least 1", field=field)
        self._failures_max = failures_max
        self._open_ms = open_ms
        self._half_open_probes = half_open_probes
        self._clock = clock
        self._state = BreakerState.CLOSED
        self._failures = 0
        self._opened_at_ms = 0
        self._probes_running = 0
        self._probes_passed = 0
        self.name = name
        self.on_change = on_change

    @property
    def state(self) -> BreakerState:
        """The state now; an open breaker whose time is over counts as half open."""
        if self._state is BreakerState.OPEN and self._rest_ms() <= 0:
            return BreakerState.HALF_OPEN
        return self._state

    def allow(self) -> None:
        """Let one call through, or raise Unavailable with the time until it is worth asking again."""
        if self._state is not BreakerState.CLOSED:
            self._allow_probe()

    def record_success(self) -> None:
        """The dependency answered (a refusal for reasons of the request is an answer too)."""
        if self._state is BreakerState.CLOSED:
            self._failures = 0
        elif self._state is BreakerState.HALF_OPEN:
            self._probes_running = max(0, self._probes_running - 1)
            self._probes_passed += 1
            if self._probes_passed >= self._half_open_probes:
                self._failures = 0
                self._become(BreakerState.CLOSED)

    def record_failure(self) -> None:
        """The dependency did not answer, or not in time."""
        if self._state is BreakerState.HALF_OPEN:
            self._open()
        elif self._state is BreakerState.CLOSED:
            self._failures += 1
            if self._failures >= self._failures_max:
                self._open()

    def record_abandoned(self) -> None:
        """The call was cancelled by its caller: nothing was learnt, but a probe's place is free again."""
        if self._state is BreakerState.HALF_OPEN:
            self._probes_running = max(0, self._probes_running - 1)

    def _allow_probe(self) -> None:
        if self._state is BreakerState.OPEN:
            rest_ms = self._rest_ms()
            if rest_ms > 0:
                raise Unavailable(
                    f"{self.name} failed too often; its breaker is open", retry_after_ms=rest_ms
                )
            self._probes_running = self._probes_passed = 0
            self._become(BreakerState.HALF_OPEN)
        if self._probes_running + self._probes_passed >= self._half_open_probes:
            raise Unavailable(f"{self.name} is being tried again; its breaker is half open")
        self._probes_running += 1

    def _open(self) -> None:
        self._opened_at_ms = self._clock()
        self._failures = 0
        self._become(BreakerState.OPEN)

    def _rest_ms(self) -> int:
        return self._opened_at_ms + self._open_ms - self._clock()

    def _become(self, state: BreakerState) -> None:
        self._state = state
        if self.on_change:
            self.on_change(state)
