"""Owns what the `mcp` package may log here: rarely, and never what a server said.

It logs each line of a server that is no message, with a traceback that quotes it. Such a line is a stray `print` of
the server's author, may hold anything, and comes as often as the server likes.
"""

from __future__ import annotations

import logging
import time
from typing import Final

__all__ = ["keep_quiet"]

# The loggers of the package's client.
_NAMES: Final = ("client", "mcp.client.stdio", "mcp.client.streamable_http")
EVERY_S: Final = 60.0


class _Rarely(logging.Filter):
    """Lets one record of each place in the code pass in a while, without its cause."""

    def __init__(self) -> None:
        super().__init__()
        self._again_at: dict[tuple[str, int], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        place, now = (record.pathname, record.lineno), time.monotonic()
        if now < self._again_at.get(place, 0.0):
            return False
        self._again_at[place] = now + EVERY_S
        record.exc_info = record.exc_text = None
        return True


_RARELY: Final = _Rarely()


def keep_quiet() -> None:
    """Hold the package's loggers to that; again is safe."""
    for name in _NAMES:
        logging.getLogger(name).addFilter(_RARELY)
