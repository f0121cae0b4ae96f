"""What every helper process of the benchmark does the same: serve until told to stop, and say on which port."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop

__all__ = ["serve"]


def serve(opened: Callable[[], Awaitable[int]]) -> None:
    """Open, write the port to the ready file of `ServiceProcess`, and run until SIGTERM."""
    uvloop.run(_serve(opened))


async def _serve(opened: Callable[[], Awaitable[int]]) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    port = await opened()
    gc.freeze()
    ready = Path(os.environ["RINGBACK_READY_FILE"])
    partial = ready.with_suffix(".partial")
    partial.write_text(f"{port}\n")
    partial.replace(ready)
    await stop.wait()
