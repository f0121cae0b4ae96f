"""Owns who writes a summary: the text model where there is one and it is well, else the embedded summariser."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec
from ringback_errors import DeadlineExceeded

from ringback_memory.domain import degradation
from ringback_memory.domain.degradation import Mode
from ringback_memory.domain.drafts import accepted, source_of
from ringback_memory.domain.state import State, Turn
from ringback_memory.domain.summary import fold_turns
from ringback_memory.ports import Alarms, Clock, Gauges, TextModel, UnusableSummaryError

TEXT, EMBEDDED = "text", "embedded"


class Written(NamedTuple):
    """A summary, a line each, and who wrote it."""

    text: str
    by: str


@dataclass(slots=True)
class Summarising:
    """Asks the text model within bounds; every fallback is counted, every change of mode told."""

    clock: Clock
    gauges: Gauges
    alarms: Alarms
    model: TextModel | None = None
    deadline_ms: int = 8_000
    running_max: int = 8
    hourly_tokens: int = 200_000
    _mode: Mode = field(default_factory=Mode)
    _running: int = 0

    @property
    def waits_for_model(self) -> bool:
        """Whether a summary may take its time, because the text model would be asked for it."""
        if self.model is None:
            return False
        return not degradation.begun(
            self._mode, now_ms=self.clock.monotonic_ms(), hourly_tokens=self.hourly_tokens
        )[1]

    @property
    def degraded(self) -> bool:
        """Whether the embedded summariser has taken over from the text model."""
        return self._mode.degraded

    def embedded(self, state: State, turns: Sequence[Turn]) -> Written:
        """The summary of the embedded summariser; at once, and always."""
        return Written(fold_turns(state.summary, turns).text, EMBEDDED)

    def overdue(self) -> None:
        """A summary is needed now and is not there: the backlog has passed the window."""
        self._fell_back("backlog")

    async def write(self, state: State, turns: Sequence[Turn]) -> Written:
        """The summary of what `turns` add to the state's own. Never raises."""
        if self.model is None:
            return self.embedded(state, turns)
        self._mode, refusal = degradation.begun(
            self._mode, now_ms=self.clock.monotonic_ms(), hourly_tokens=self.hourly_tokens
        )
        if not refusal and self._running >= self.running_max:
            refusal = "backlog"
        if refusal:
            self._fell_back(refusal)
            return self.embedded(state, turns)
        self._running += 1
        try:
            text = await self._drafted(self.model, state, turns)
        except TimeoutError:
            reason = "slow"
        except DeadlineExceeded:
            reason = "slow"
        except UnusableSummaryError:
            reason = "unusable"
        except asyncio.CancelledError:
            self._mode = msgspec.structs.replace(self._mode, trying=False)
            raise
        except Exception:
            reason = "failing"
        else:
            return Written(text, TEXT)
        finally:
            self._running -= 1
        self._fell_back(reason)
        return self.embedded(state, turns)

    async def _drafted(self, model: TextModel, state: State, turns: Sequence[Turn]) -> str:
        source = source_of(state, turns)
        async with asyncio.timeout(self.deadline_ms / 1000):
            draft = await model.draft(source, deadline_ms=self.deadline_ms)
        text = accepted(draft, source=source, state=state, turns=turns)
        if text is None:
            raise UnusableSummaryError("ungrounded")
        was, now_ms = self._mode, self.clock.monotonic_ms()
        self._mode = degradation.succeeded(was, tokens=draft.tokens)
        if was.degraded:
            self.alarms.recovered(degraded_ms=now_ms - was.since_ms)
        return text

    def _fell_back(self, reason: str) -> None:
        self.gauges.fell_back(f"summariser_{reason}")
        if reason in ("degraded", "backlog"):
            # A backlog passes by itself: nothing speaks against the model. `degraded` was told when it began.
            if reason == "backlog" and not self._mode.degraded:
                self.alarms.degraded(reason, retry_in_ms=0)
            return
        now_ms, was = self.clock.monotonic_ms(), self._mode
        self._mode = (
            degradation.spent(was, now_ms=now_ms)
            if reason == "over_budget"
            else degradation.failed(was, now_ms=now_ms)
        )
        if not was.degraded:
            self.alarms.degraded(reason, retry_in_ms=max(0, self._mode.retry_at_ms - now_ms))
