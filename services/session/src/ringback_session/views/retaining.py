"""The audio of the item that the caller hears now, kept so that it can go on after a false interruption."""

from __future__ import annotations

from base64 import b64decode
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from ringback_realtime import AudioHead, Pcm, ServerEvents, SessionConfig

from ringback_session.domain.effects import PlayAgain
from ringback_session.views.model import OWN_KEY

__all__ = ["Retained"]

# Some 30 s of PCM16 as base64; of a longer item the beginning is let go.
BYTES_MAX: Final = 2 * 1024 * 1024
_CHUNK_MS: Final = 200


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
        bytes_per_ms = 48 if isinstance(config.output_format, Pcm) else 8
        if wanted.item_id != self._item_id or self._let_go:
            return []
        audio = b"".join(b64decode(payload) for payload in self._payloads)
        rest = audio[wanted.from_ms * bytes_per_ms :]
        return self._frames(wanted, rest, _CHUNK_MS * bytes_per_ms) if rest else []

    def _frames(self, wanted: PlayAgain, audio: bytes, chunk: int) -> list[bytes]:
        events, response_id = self._events, self._events.ids.response()
        response = {"id": response_id, "metadata": {OWN_KEY: wanted.speech_id}, "status": "in_progress"}
        item: dict[str, Any] = {"id": events.ids.item(), "type": "message", "role": "assistant"}
        where: dict[str, Any] = {"item_id": item["id"], "output_index": 0}
        part = {"type": "audio", "transcript": wanted.text}
        whole = {"type": "output_audio", "transcript": wanted.text}
        return [
            events.response_created(response),
            events.output_item_added(response_id, output_index=0, item=item | {"content": []}),
            events.part_added(response_id, part={"type": "audio", "transcript": ""}, **where),
            events.transcript_delta(response_id, delta=wanted.text, **where),
            *(
                events.audio_delta(response_id, audio=audio[at : at + chunk], **where)
                for at in range(0, len(audio), chunk)
            ),
            events.audio_done(response_id, **where),
            events.transcript_done(response_id, transcript=wanted.text, **where),
            events.part_done(response_id, part=part, **where),
            events.output_item_done(
                response_id, output_index=0, item=item | {"status": "completed", "content": [whole]}
            ),
            events.response_done(response | {"status": "completed"}),
        ]
