"""Owns that the MCP servers which packs declare are there before the first call, and again after they went away.

What keeps a server from starting may pass (a secret that comes later, a server of another team that is being
replaced), so it is tried again, ever more rarely; a call that comes in between does not wait for that.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Final

from ringback_tools.adapters.mcp_connection import McpConnection

__all__ = ["McpKeeping"]

_log = logging.getLogger(__name__)

SERVERS_MAX: Final = 64
# Each start may cost a second or two of a processor.
STARTING_MAX: Final = 4
AGAIN_S: Final = 1.0
AGAIN_S_MAX: Final = 60.0
# What stood for this long is no server that dies whenever it is started: the next start comes soon.
STEADY_S: Final = 60.0


class McpKeeping:
    """One task for each server."""

    def __init__(self) -> None:
        self._starting = asyncio.Semaphore(STARTING_MAX)
        self._tasks: dict[tuple[str, ...], asyncio.Task[None]] = {}

    def keep(self, key: tuple[str, ...], wanted: Callable[[], McpConnection | None]) -> None:
        """Keep the connection that `wanted` gives open from now on; None from it: not now."""
        if key in self._tasks:
            return
        if len(self._tasks) >= SERVERS_MAX:
            _log.warning(
                "more than %d MCP servers: %s is connected to by its first call", SERVERS_MAX, key[0]
            )
            return
        self._tasks[key] = asyncio.create_task(self._kept(wanted), name=f"keep MCP server {key[0]}")

    async def close(self) -> None:
        """Keep nothing open any more; what is open stays so."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._tasks.clear()

    async def _kept(self, wanted: Callable[[], McpConnection | None]) -> None:
        loop = asyncio.get_running_loop()
        pause_s = AGAIN_S
        while True:
            async with self._starting:
                began_s = loop.time()
                connection = wanted()
                if connection is not None:
                    connection.open()
                    await connection.settled()
            if connection is not None:
                await connection.gone()
                if loop.time() - began_s >= STEADY_S:
                    pause_s = AGAIN_S
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))
            pause_s = min(AGAIN_S_MAX, 2 * pause_s)
