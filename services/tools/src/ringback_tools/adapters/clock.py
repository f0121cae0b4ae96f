"""The machine's clocks."""

from __future__ import annotations

import asyncio
import time

__all__ = ["LoopClock"]


class LoopClock:
    """Unix time, and the running loop's own monotonic time, so that a loop in virtual time moves all of it."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def elapsed_ms(self) -> float:
        return asyncio.get_running_loop().time() * 1000

    async def sleep(self, wait_ms: float) -> None:
        await asyncio.sleep(wait_ms / 1000)
