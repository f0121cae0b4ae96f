"""Owns a running execution: what was asked, what happened so far, and whoever watches.

The execution belongs to the service, not to the call that asked for it: observers come and go.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ringback_identity import Canonical

from ringback_tools.domain.catalogue import Tool
from ringback_tools.domain.outcomes import Permit
from ringback_tools.domain.requests import ActionRequest, Priority
from ringback_tools.domain.results import Result

__all__ = [
    "ActionRequest",
    "Attempting",
    "Checked",
    "Event",
    "Execution",
    "Finished",
    "Priority",
    "Progress",
    "Refused",
    "Slow",
    "Started",
]

# Attempts and progress are capped, so this is never met; it keeps a bug from filling the memory.
EVENTS_MAX: Final = 512


@dataclass(frozen=True, slots=True)
class Started:
    """The execution began, or this caller joined it."""

    attached: bool


@dataclass(frozen=True, slots=True)
class Attempting:
    """Attempt n is on its way."""

    attempt: int
    delay_ms: int
    after_error: str


@dataclass(frozen=True, slots=True)
class Slow:
    """It takes longer than the tool usually does."""

    elapsed_ms: int


@dataclass(frozen=True, slots=True)
class Progress:
    """It still runs."""

    # What the tool itself says, safe to speak; mostly nothing.
    message: str
    elapsed_ms: int


@dataclass(frozen=True, slots=True)
class Finished:
    """The end; exactly one, and last."""

    result: Result


Event = Started | Attempting | Slow | Progress | Finished


class Refused(Exception):  # noqa: N818 - reads as what happened
    """The pipeline ends here, with this result, and nothing was done."""

    def __init__(self, result: Result) -> None:
        super().__init__(result.message)
        self.result = result


@dataclass(frozen=True, slots=True)
class Checked:
    """A request that passed the checks which need no journal."""

    request: ActionRequest
    tool: Tool
    arguments: Mapping[str, Any]
    canonical: Canonical
    permit: Permit


@dataclass(slots=True)
class Execution:
    """One execution in this process. Times are of the monotonic clock, in ms."""

    checked: Checked
    started_ms: float
    deadline_ms: float
    # Attempts begun, whether one of them may have taken effect, and whether anything may have been sent.
    attempts: int = 0
    in_doubt: bool = False
    sent: bool = False
    last_error: str = ""
    next_delay_ms: int = 0
    events: list[Event] = field(default_factory=list)
    task: asyncio.Task[None] | None = None
    # Takes what the tool says of its progress, in all attempts; see `telling`.
    progress: Callable[[str], None] | None = None
    # Takes each word that was told here, for those who watch from another replica.
    pass_on: Callable[[str], None] | None = None
    # Another replica runs it, or may, as far as this one knows: it only follows the record.
    elsewhere: bool = False
    # Who waits for the next event, and who only for the end or a word; bounded by the calls that are being served.
    _observing: set[asyncio.Future[None]] = field(default_factory=set)
    _awaiting: set[asyncio.Future[None]] = field(default_factory=set)

    @property
    def tool(self) -> Tool:
        """The tool that runs."""
        return self.checked.tool

    @property
    def result(self) -> Result | None:
        """How it ended, if it has."""
        last = self.events[-1] if self.events else None
        return last.result if isinstance(last, Finished) else None

    def emit(self, event: Event) -> None:
        """Tell every observer; nothing follows the end."""
        if self.result is not None or (len(self.events) >= EVENTS_MAX and not isinstance(event, Finished)):
            return
        self.events.append(event)
        _wake(self._observing)
        if isinstance(event, Finished | Progress):
            _wake(self._awaiting)

    async def observe(self, *, attached: bool) -> AsyncIterator[Event]:
        """Every event from the first to the end; one who comes later hears of what was said only the last word."""
        seen, past = 0, self._last_word() if attached else 0
        while True:
            while seen < len(self.events):
                event = self.events[seen]
                seen += 1
                if seen <= past and isinstance(event, Progress):
                    continue
                yield Started(attached=True) if attached and isinstance(event, Started) else event
                if isinstance(event, Finished):
                    return
            await _place(self._observing)

    async def ended(self, *, within_ms: float) -> Result | None:
        """How it ended, waiting for that; None if it has not in this time, or has something to tell before."""
        if self.result is None:
            await _place(self._awaiting, within_ms=within_ms)
        return self.result

    def _last_word(self) -> int:
        """How many events there are before the newest word of progress."""
        told = range(len(self.events) - 1, -1, -1)
        return next((at for at in told if isinstance(self.events[at], Progress)), 0)


async def _place(waiting: set[asyncio.Future[None]], *, within_ms: float | None = None) -> None:
    """Wait until woken, or for so long."""
    loop = asyncio.get_running_loop()
    place: asyncio.Future[None] = loop.create_future()
    late = loop.call_later(within_ms / 1000, _let_go, place) if within_ms is not None else None
    waiting.add(place)
    try:
        await place
    finally:
        waiting.discard(place)
        if late is not None:
            late.cancel()


def _wake(waiting: set[asyncio.Future[None]]) -> None:
    for place in waiting:
        _let_go(place)
    waiting.clear()


def _let_go(place: asyncio.Future[None]) -> None:
    if not place.done():
        place.set_result(None)
