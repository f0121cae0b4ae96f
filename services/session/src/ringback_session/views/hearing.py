"""What the client hears of its own caller: speech, items and transcripts, as it configured them.

A sound over the agent may be held back with all that comes of it, until the core has told what it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
from ringback_realtime import (
    ContentPart,
    Item,
    ItemList,
    ServerEvents,
    SessionConfig,
    server_events,
)

from ringback_session.domain.floor_inputs import CallerOverlaps, OverlapStopped, OverlapWords
from ringback_session.domain.inputs import (
    CallerStartedSpeaking,
    CallerStoppedSpeaking,
    UtteranceCommitted,
    UtteranceHeard,
)
from ringback_session.views.out import Out
from ringback_session.views.upstream import TOLD_CHARS_MAX, Milliseconds, read_item, sound_logprobs

__all__ = ["Hearing", "confidence_of"]

SPANS_KEPT = 16
EARLY_CHARS_MAX = 8_192
ITEMS_KEPT = 256
# Of one sound that is held back; beyond it partial words are left out.
EVENTS_HELD = 64
# Of one transcript, and of what is told of its tokens: far beyond what is said in one breath, within one frame.
WORDS_CHARS_MAX: Final = 64 * 1024
LOGPROBS_MAX: Final = 1_024
_TOO_LARGE: Final = f"The realtime model sent a transcript of more than {WORDS_CHARS_MAX} characters."


class Hearing:
    """Turns the model's events about the caller's audio into the client's, and into the core's inputs."""

    def __init__(
        self,
        *,
        events: ServerEvents,
        items: ItemList,
        config: Callable[[], SessionConfig],
        holds: Callable[[], bool] = lambda: False,
    ) -> None:
        self._events = events
        self._items = items
        self._config = config
        self._spans: dict[str, list[int]] = {}
        self._silence: tuple[int, int] | None = None
        # The client has asked for an item of the audio; the item whose speech the model saw end asked for itself.
        self._asked = False
        self._ended_id = ""
        self._told: dict[str, None] = {}
        self._early: dict[str, tuple[str, list[Any]]] = {}
        self._holds = holds
        self._held: dict[str, list[server_events.ServerEvent]] = {}
        self._dropped: dict[str, None] = {}

    def expect_silence(self, start_ms: int, end_ms: int) -> None:
        """The next audio that is committed is a silence that became too long."""
        self._silence = (start_ms, end_ms)

    def pass_on(self, item_id: str, out: Out) -> None:
        """The sound is a turn: the client, and the core, are told of all that was held back."""
        for event in self._held.pop(item_id, ()):
            self._tell(event, out)

    def drop(self, item_id: str) -> bool:
        """The sound never was. Returns whether the model has made an item of it."""
        held = self._held.pop(item_id, [])
        self._dropped[item_id] = None
        while len(self._dropped) > SPANS_KEPT:
            del self._dropped[next(iter(self._dropped))]
        return any(isinstance(event, _OF_ITEMS) for event in held)

    def commit(self, out: Out) -> None:
        """The client makes an item of the audio itself: what it contains is a turn, and the client awaits its item."""
        self._asked = True
        out.inputs.extend(OverlapStopped(item_id=held, committed=True) for held in self._held)

    def event(self, event: server_events.ServerEvent, out: Out) -> None:
        item_id = _item_id(event)
        if item_id in self._dropped:
            return
        if item_id in self._held:
            self._overhear(item_id, event, out)
        elif isinstance(event, server_events.SpeechStarted) and self._holds():
            self._held[item_id] = [event]
            out.inputs.append(CallerOverlaps(item_id=item_id))
        else:
            if isinstance(event, server_events.InputAudioCleared):
                out.inputs.extend(OverlapStopped(item_id=held, discarded=True) for held in self._held)
            self._tell(event, out)

    def _overhear(self, item_id: str, event: server_events.ServerEvent, out: Out) -> None:
        """The core judges what the client does not hear of yet."""
        held = self._held[item_id]
        if len(held) < EVENTS_HELD or not isinstance(event, server_events.TranscriptionDelta):
            held.append(event)
        match event:
            case server_events.SpeechStopped():
                out.inputs.append(OverlapStopped(item_id=item_id))
            case server_events.TranscriptionDelta():
                deltas = [
                    each.delta or "" for each in held if isinstance(each, server_events.TranscriptionDelta)
                ]
                out.inputs.append(OverlapWords(item_id=item_id, text="".join(deltas)))
            case server_events.TranscriptionCompleted():
                confidence = confidence_of(event.logprobs)
                words = OverlapWords(
                    item_id=item_id, text=event.transcript.strip(), final=True, confidence=confidence
                )
                out.inputs.append(words)
            case server_events.TranscriptionFailed():
                out.inputs.append(OverlapWords(item_id=item_id, text="", final=True))
            case _:
                pass

    def _tell(self, event: server_events.ServerEvent, out: Out) -> None:
        match event:
            case server_events.SpeechStarted():
                self._started(event.item_id, _ms(event.audio_start_ms), out)
            case server_events.SpeechStopped():
                self._stopped(event.item_id, _ms(event.audio_end_ms), out)
            case server_events.InputAudioCommitted():
                self._committed(event.item_id, out)
            case server_events.InputAudioCleared():
                self._asked = False
                out.client.append(self._events.cleared())
                out.inputs.append(CallerStoppedSpeaking(audio_end_ms=0, discarded=True))
            case server_events.ItemAdded() | server_events.ItemDone():
                self._item(event.item, out)
            case _:
                self._words(event, out)

    def _words(self, event: server_events.ServerEvent, out: Out) -> None:
        match event:
            case server_events.TranscriptionDelta():
                self._delta(event, out)
            case server_events.TranscriptionCompleted():
                self._committed(event.item_id, out)
                self._completed(event, out)
            case server_events.TranscriptionFailed():
                self._committed(event.item_id, out)
                self._failed(event, out)
            case _:
                pass

    def _started(self, item_id: str, start_ms: int, out: Out) -> None:
        self._spans[item_id] = [start_ms, start_ms]
        self._silence = None
        while len(self._spans) > SPANS_KEPT:
            del self._spans[next(iter(self._spans))]
        if self._config().turn_detection is not None:
            out.client.append(self._events.speech_started(item_id, audio_start_ms=start_ms))
        out.inputs.append(CallerStartedSpeaking(audio_start_ms=start_ms))

    def _stopped(self, item_id: str, end_ms: int, out: Out) -> None:
        self._spans.setdefault(item_id, [end_ms, end_ms])[1] = end_ms
        self._ended_id = item_id
        if self._config().turn_detection is not None:
            out.client.append(self._events.speech_stopped(item_id, audio_end_ms=end_ms))
        out.inputs.append(CallerStoppedSpeaking(audio_end_ms=end_ms))

    def _committed(self, item_id: str, out: Out) -> None:
        """The caller's audio became an item. The item is told of here: not every model does."""
        if item_id in self._told or item_id in self._items:
            return
        self._told[item_id] = None
        while len(self._told) > ITEMS_KEPT:
            del self._told[next(iter(self._told))]
        silence, self._silence = self._silence, None
        if silence is not None:
            start_ms, end_ms = self._spans[item_id] = [*silence]
            out.client.append(
                self._events.timeout_triggered(item_id, audio_start_ms=start_ms, audio_end_ms=end_ms)
            )
        out.client.append(self._events.committed(item_id, previous_item_id=self._items.last_id))
        item = Item(id=item_id, type="message", role="user", content=(ContentPart("input_audio"),))
        previous = self._items.insert(item)
        out.client.append(self._events.item_added(item.to_wire(), previous_item_id=previous))
        out.client.append(self._events.item_done(item.to_wire(), previous_item_id=previous))
        wants = silence is None and self._is_answered(item_id)
        out.inputs.append(UtteranceCommitted(item_id=item_id, wants_reply=wants))
        words, logprobs = self._early.pop(item_id, ("", []))
        self._show_delta(item_id, words, logprobs, out)

    def _is_answered(self, item_id: str) -> bool:
        """Whether the end of this turn asks for a reply. One that the client ended by a commit does not."""
        by_client = self._asked and item_id != self._ended_id
        self._asked = False
        detection = self._config().turn_detection
        return detection is not None and detection.create_response and not by_client

    def _item(self, raw: Mapping[str, Any], out: Out) -> None:
        """The caller's spoken item; every other item the client has been told of already, or must not see."""
        if raw.get("role") != "user" or raw.get("type") != "message" or raw.get("id") in self._items:
            return
        read = read_item(raw)
        if any(part.type == "input_audio" for part in read.content or ()):
            self._committed(read.id, out)

    def _delta(self, event: server_events.TranscriptionDelta, out: Out) -> None:
        """Some models send words while the caller still speaks; the client gets them with the item that they are of."""
        if event.item_id in self._told or event.item_id in self._items:
            self._show_delta(event.item_id, event.delta or "", event.logprobs, out)
            return
        words, logprobs = self._early.pop(event.item_id, ("", []))
        words = (words + (event.delta or ""))[:EARLY_CHARS_MAX]
        self._early[event.item_id] = words, [*logprobs, *(event.logprobs or ())][:EARLY_CHARS_MAX]
        while len(self._early) > SPANS_KEPT:
            del self._early[next(iter(self._early))]

    def _show_delta(self, item_id: str, words: str, logprobs: Sequence[Any] | None, out: Out) -> None:
        if self._config().transcription is None:
            return
        for at in range(0, len(words), WORDS_CHARS_MAX):
            piece = words[at : at + WORDS_CHARS_MAX]
            shown = self._shown(logprobs) if piece == words else None
            out.client.append(self._events.transcription_delta(item_id, delta=piece, logprobs=shown))

    def _completed(self, event: server_events.TranscriptionCompleted, out: Out) -> None:
        text = event.transcript.strip()
        if len(text) > WORDS_CHARS_MAX:
            self._tell_failed(event.item_id, "transcript_too_large", _TOO_LARGE, out)
            return
        start_ms, end_ms = self._spans.get(event.item_id, [0, 0])
        if self._config().transcription is not None:
            out.client.append(
                self._events.transcription_completed(
                    event.item_id,
                    transcript=text,
                    seconds=max(0, end_ms - start_ms) / 1000,
                    logprobs=self._shown(event.logprobs),
                )
            )
        self._heard(event.item_id, text, out, confidence=confidence_of(event.logprobs))

    def _failed(self, event: server_events.TranscriptionFailed, out: Out) -> None:
        error = event.error or {}
        code = str(error.get("code") or "transcription_failed")
        self._tell_failed(event.item_id, code, str(error.get("message") or ""), out)

    def _tell_failed(self, item_id: str, code: str, message: str, out: Out) -> None:
        if self._config().transcription is not None:
            said = {"code": code[:TOLD_CHARS_MAX], "message": message[:TOLD_CHARS_MAX]}
            out.client.append(self._events.transcription_failed(item_id, **said))
        self._heard(item_id, "", out, failed=True)

    def _heard(
        self, item_id: str, text: str, out: Out, *, confidence: float | None = None, failed: bool = False
    ) -> None:
        if item_id in self._items:
            part = ContentPart("input_audio", transcript=text)
            self._items.replace(Item(id=item_id, type="message", role="user", content=(part,)))
        start_ms, end_ms = self._spans.get(item_id, [0, 0])
        out.inputs.append(
            UtteranceHeard(
                item_id=item_id,
                text=text,
                confidence=confidence,
                failed=failed,
                audio_start_ms=start_ms,
                audio_end_ms=end_ms,
            )
        )

    def _shown(self, logprobs: Sequence[Any] | None) -> list[dict[str, Any]] | None:
        wanted = self._config().wants_logprobs and len(logprobs or ()) <= LOGPROBS_MAX
        return sound_logprobs(logprobs) if wanted else None


def confidence_of(logprobs: object) -> float | None:
    """Geometric mean of the tokens' probabilities, 0 to 1; None when the provider gives none."""
    if not isinstance(logprobs, list) or not logprobs:
        return None
    values = [entry.get("logprob") for entry in logprobs if isinstance(entry, dict)]
    numbers = [value for value in values if isinstance(value, (int, float)) and value <= 0]
    return math.exp(sum(numbers) / len(numbers)) if numbers else None


# What the model tells of an item that it has made of the caller's audio.
_OF_ITEMS = (
    server_events.InputAudioCommitted,
    server_events.ItemAdded,
    server_events.ItemDone,
    server_events.TranscriptionCompleted,
    server_events.TranscriptionFailed,
)


def _item_id(event: server_events.ServerEvent) -> str:
    if isinstance(event, server_events.ItemAdded | server_events.ItemDone):
        return str(event.item.get("id", ""))
    return str(getattr(event, "item_id", ""))


def _ms(value: int) -> int:
    return msgspec.convert(value, Milliseconds)
