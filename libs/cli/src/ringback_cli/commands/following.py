"""A watch over one call, whichever replica has it: when the call moves it is looked for, and watched on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from ringback.session.v1 import session_pb2 as pb
from ringback_errors import NotFound, Unavailable

__all__ = ["Following"]

# With the pauses below about a minute: as long as a call may wait for its caller to come back.
TRIES_MAX: Final = 15
PAUSE_FIRST_S: Final = 0.5
PAUSE_MAX_S: Final = 5.0


class Following:
    """`show` gets each update, and whether the call is one that was lost sight of; `tell` says what goes on."""

    def __init__(
        self,
        session_id: str,
        *,
        show: Callable[[pb.WatchSessionResponse, bool], None],
        tell: Callable[[str], None],
        pause_s: float = PAUSE_FIRST_S,
    ) -> None:
        self._session_id = session_id
        self._show = show
        self._tell = tell
        self._pause_s = pause_s
        self._seen = self._ended = False
        self._tries = 0

    async def to_its_end(self, ask: Callable[[Callable[[Any], Awaitable[None]]], Awaitable[None]]) -> None:
        """`ask` has a replica asked, any that answers for all. Raises what it raises once the tries are over."""
        while True:
            try:
                await ask(self._watch)
                return
            except (NotFound, Unavailable) as error:
                if self._ended:
                    return
                if not self._seen or self._tries >= TRIES_MAX:
                    raise
                if not self._tries:
                    self._tell(f"the call went out of sight ({error}); looking for who has it now")
            pause_s = min(PAUSE_MAX_S, self._pause_s * 2**self._tries)
            self._tries += 1
            await asyncio.sleep(pause_s)

    async def _watch(self, stub: Any) -> None:
        again = self._seen
        async for update in stub.WatchSession(pb.WatchSessionRequest(session_id=self._session_id)):
            self._seen = True
            if update.WhichOneof("update") == "fact":
                # A replica that shows the call and loses it at once has not been found.
                self._tries = 0
                self._ended = self._ended or update.fact.WhichOneof("body") == "session_ended"
            elif again:
                held = update.session
                self._tell(
                    f"{held.owner or 'another replica'} has the call now, epoch {held.epoch}: watching on"
                )
            self._show(update, again)
