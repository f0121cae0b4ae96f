"""Owns the deadline of the call that is being served."""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

_T = TypeVar("_T")

_ends_at: Final[contextvars.ContextVar[float | None]] = contextvars.ContextVar(
    "ringback_deadline", default=None
)


def deadline_ms() -> int | None:
    """What is left of the current call's time, the floor already taken off; None where there is no limit."""
    ends_at = _ends_at.get()
    return None if ends_at is None else max(0, int((ends_at - time.monotonic()) * 1000))


def set_deadline(left_ms: float | None) -> None:
    """Give the current task, and those it starts, this much time."""
    _ends_at.set(None if left_ms is None else time.monotonic() + left_ms / 1000)


def detach(work: Coroutine[Any, Any, _T], *, name: str | None = None) -> asyncio.Task[_T]:
    """Start work that outlives the current call: same trace, no deadline. Keep a reference to the task."""
    context = contextvars.copy_context()
    context.run(_ends_at.set, None)
    return asyncio.create_task(work, name=name, context=context)
