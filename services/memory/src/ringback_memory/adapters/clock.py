"""Owns real time."""

from __future__ import annotations

import asyncio
import time


class SystemClock:
    """The machine's clock and the event loop's timers."""

    def now_ms(self) -> int:
        """Unix time."""
        return time.time_ns() // 1_000_000

    def monotonic_ms(self) -> int:
        """Time that never goes back."""
        return time.monotonic_ns() // 1_000_000

    async def wait(self, timeout_ms: int) -> None:
        """Return after that long."""
        await asyncio.sleep(timeout_ms / 1000)
