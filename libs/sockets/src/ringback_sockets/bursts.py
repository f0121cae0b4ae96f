"""Messages that came at once leave at once: one segment for all of them instead of one for each.

A peer that sends in bursts, or a machine that is busy, lets several messages be read together. What they cause to be
sent is kept in the kernel (`TCP_CORK`) until the last of them has been handled: to send is most of what a relay does.
The kernel itself lets go after 200 ms (tcp(7)), whatever happens here.
"""

from __future__ import annotations

import contextlib
import socket
from typing import Any, Final

__all__ = ["Bursts"]

_CORK: Final[int | None] = getattr(socket, "TCP_CORK", None)


class Bursts:
    """Of one event loop: whether more messages of a burst are to be handled, and the sockets that wait for its end."""

    __slots__ = ("coming", "waiting")

    def __init__(self) -> None:
        self.coming = False
        self.waiting: dict[Any, None] = {}

    def hold(self, raw: Any) -> None:
        """This socket is about to be sent to, and not for the last time in the burst."""
        if raw is None or _CORK is None or raw in self.waiting:
            return
        self.waiting[raw] = None
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.IPPROTO_TCP, _CORK, 1)

    def end(self) -> None:
        """The burst is over: what waits goes out."""
        while self.waiting:
            raw, _ = self.waiting.popitem()
            with contextlib.suppress(OSError):
                raw.setsockopt(socket.IPPROTO_TCP, _CORK, 0)
