"""The clock of the event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from time import monotonic

from ringback_session.ports import TimerHandle

__all__ = ["LoopClock"]


class LoopClock:
    """Implements `ports.Clock`: unix time that never runs backwards within a process."""

    def __init__(self) -> None:
        self._base_ms = time.time() * 1000 - monotonic() * 1000

    def now_ms(self) -> int:
        return int(self._base_ms + monotonic() * 1000)

    def call_later(self, delay_ms: int, callback: Callable[[], None]) -> TimerHandle:
        return asyncio.get_running_loop().call_later(max(0, delay_ms) / 1000, callback)
