"""Owns a read: attempts, and the result or its substitute. Nothing is stored."""

from __future__ import annotations

from msgspec.structs import replace

from ringback_tools.ports import Clock
from ringback_tools.usecases.attempts import Attempts
from ringback_tools.usecases.execution import Execution, Finished, Started
from ringback_tools.usecases.finishing import Finisher

__all__ = ["Reading"]


class Reading:
    """Runs reads."""

    def __init__(self, *, attempts: Attempts, finisher: Finisher, clock: Clock) -> None:
        self._attempts = attempts
        self._finisher = finisher
        self._clock = clock

    async def run(self, execution: Execution) -> None:
        """Bring the read to its result; ends with Finished."""
        execution.emit(Started(attached=False))
        answer = await self._attempts.run(execution)
        result = self._finisher.of(execution, answer)
        duration_ms = self._clock.elapsed_ms() - execution.started_ms
        execution.emit(Finished(replace(result, duration_ms=duration_ms)))
