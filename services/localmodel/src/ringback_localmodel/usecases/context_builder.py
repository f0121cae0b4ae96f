"""Gathers what a brain may know for one response, once the caller's words are known."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec.structs import replace
from ringback_realtime import (
    AudioFormat,
    EventIds,
    FunctionChoice,
    Item,
    ResponseParams,
    invalid_value,
    parse_item,
)

from ringback_localmodel.domain.audio import SAMPLE_BYTES, ms_of, samples_of
from ringback_localmodel.domain.context import Context
from ringback_localmodel.domain.speech_text import AUDIO_TOKENS_PER_S, text_tokens
from ringback_localmodel.domain.turns import SpeechEnded
from ringback_localmodel.ports import ReplyTrace, Traces, TranscriptionTrace, VoiceDetector
from ringback_localmodel.usecases.codecs import wide
from ringback_localmodel.usecases.conversation import Conversation, entries_of
from ringback_localmodel.usecases.listening import Utterance
from ringback_localmodel.usecases.response_run import ResponseRun
from ringback_localmodel.usecases.transcriber import Transcriber

__all__ = ["ContextBuilder"]

# More than the pause that ends a stretch of speech.
SILENCE_MS: Final = 1_000


class ContextBuilder:
    """``pending`` holds the transcriptions under way, by item id; done ones are let go when a context is built.

    ``traces`` holds theirs, until a reply answers the words.
    """

    def __init__(
        self,
        *,
        conversation: Conversation,
        transcriber: Transcriber,
        detectors: Callable[[], VoiceDetector],
    ) -> None:
        self.pending: dict[str, asyncio.Task[Any]] = {}
        self.traces: dict[str, TranscriptionTrace] = {}
        self._conversation = conversation
        self._transcriber = transcriber
        self._detectors = detectors

    def items(self, params: ResponseParams, *, ids: EventIds) -> list[Item] | None:
        """The items of a response that brings its own ``input``; None when the conversation is its context.

        Raises ProtocolError for an item that is malformed or refers to none.
        """
        if params.input is None:
            return None
        return [
            self._input_item(data, ids=ids, param=f"response.input[{n}]")
            for n, data in enumerate(params.input)
        ]

    async def build(self, run: ResponseRun, items: list[Item] | None, *, trace: ReplyTrace) -> Context:
        """Wait for the words of the audio in the context, then describe it."""
        params = run.params
        if items is None:
            ids = [item.id for item in self._conversation.items]
            waiting = [task for item_id in ids if (task := self.pending.pop(item_id, None)) is not None]
            if waiting:
                await asyncio.wait(waiting)
            found = [item for item_id in ids if (item := self._conversation.items.get(item_id)) is not None]
        else:
            found = [await self._with_words(item, run.input_format) for item in items]
        for item in found:
            if (transcription := self.traces.pop(item.id, None)) is not None:
                trace.transcribed(transcription)
        entries = entries_of(item for item in found if item.status != "in_progress")
        words = sum(text_tokens(item.text or item.arguments or item.output or "") for item in found)
        run.input_tokens["text"] = words + text_tokens(params.instructions)
        run.input_tokens["audio"] = (
            self._conversation.input_audio_ms(found) * AUDIO_TOKENS_PER_S["in"] // 1000
        )
        tools, must_call = _tools(params)
        return Context(
            entries=entries,
            session_instructions=run.session_instructions,
            own_instructions=_own_part(params.own_instructions, of=run.session_instructions),
            tools=tools,
            must_call=must_call,
        )

    def utterance(self, pcm: bytes) -> Utterance:
        """Audio that came as a whole, with the speech in it measured."""
        found = self._detectors().feed(pcm + bytes(samples_of(SILENCE_MS) * SAMPLE_BYTES))
        voiced = sum(boundary.voiced for boundary in found if isinstance(boundary, SpeechEnded))
        return Utterance(pcm, ms_of(voiced))

    def let_go(self, traces: Traces, *, at_most: int) -> None:
        """Keep the traces of so many of the latest words; the rest has waited for a reply in vain."""
        while len(self.traces) > at_most:
            traces.unanswered(self.traces.pop(next(iter(self.traces))))

    def _input_item(self, data: Mapping[str, Any], *, ids: EventIds, param: str) -> Item:
        if data.get("type") == "item_reference":
            item = self._conversation.items.get(str(data.get("id")))
            if item is None:
                raise invalid_value(f"{param}.id", "no item has this id")
            return item
        return parse_item(data, fresh_id=ids.item(), fresh_call_id=ids.call(), param=param)

    async def _with_words(self, item: Item, format: AudioFormat) -> Item:
        """Audio in an item that is in no conversation is decoded here; a reference may still be in the making."""
        task = self.pending.get(item.id)
        if task is not None:
            await asyncio.wait([task])
            return self._conversation.items.get(item.id) or item
        parts = []
        for part in item.content:
            if part.type == "input_audio" and part.audio is not None and part.transcript is None:
                heard = await self._transcriber.decode(self.utterance(wide(part.audio, format)))
                part = replace(part, transcript=heard.text)
            parts.append(part)
        return replace(item, content=tuple(parts))


def _own_part(instructions: str | None, *, of: str) -> str | None:
    """What a response's instructions say beyond the session's, when they repeat those first."""
    if instructions is None or not of.strip():
        return instructions
    return instructions.removeprefix(of).strip() or None


def _tools(params: ResponseParams) -> tuple[tuple[Mapping[str, Any], ...], str | None]:
    """The tools that may be called now, and the one that must be."""
    match params.tool_choice:
        case "none":
            return (), None
        case "required":
            return params.tools, "*" if params.tools else None
        case FunctionChoice(name=name):
            return params.tools, name
        case _:
            return params.tools, None
