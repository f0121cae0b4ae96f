"""The audio of the item that the caller hears now, kept so that it can go on after a false interruption."""

from __future__ import annotations

from base64 import b64decode
from collections import deque
from collections.abc import Callable
from typing import Final

from ringback_realtime import AudioHead, ServerEvents, SessionConfig

from ringback_session.domain.effects import PlayAgain
from ringback_session.views.ours import as_spoken, bytes_per_ms

__all__ = ["Retained"]

# Some 30 s of PCM16 as base64; of a longer item the beginning is let go.
BYTES_MAX: Final = 2 * 1024 * 1024


class Retained:
    """One item at a time: what came before it has been heard."""

    def __init__(self, events: ServerEvents, *, wanted: Callable[[], bool]) -> None:
        self._events = events
        self._wanted = wanted
        self._item_id = ""
        self._payloads: deque[str] = deque()
        self._bytes = 0
        self._let_go = False

    def keep(self, head: AudioHead) -> None:
        """An audio delta on its way to the client."""
        if not self._wanted() or not head.item_id:
            return
        if head.item_id != self._item_id:
            self._item_id, self._bytes, self._let_go = head.item_id, 0, False
            self._payloads.clear()
        payload = head.delta
        self._payloads.append(payload)
        self._bytes += len(payload)
        while self._bytes > BYTES_MAX:
            self._bytes -= len(self._payloads.popleft())
            self._let_go = True

    def again(self, wanted: PlayAgain, config: SessionConfig) -> list[bytes]:
        """The rest of the item as a response of its own, as a model would send it; nothing if it is not kept."""
        if wanted.item_id != self._item_id or self._let_go:
            return []
        audio = b"".join(b64decode(payload) for payload in self._payloads)
        rest = audio[wanted.from_ms * bytes_per_ms(config) :]
        return as_spoken(self._events, wanted.speech_id, wanted.text, rest, config) if rest else []
