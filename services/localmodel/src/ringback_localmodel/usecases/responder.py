"""Drives one response: asks the brain, turns its words into audio, and keeps within the response's bounds."""

import logging
from collections.abc import Awaitable, Callable
from typing import Final

from ringback_localmodel.domain.audio import RATE, SAMPLE_BYTES
from ringback_localmodel.domain.context import Call, Context, Say
from ringback_localmodel.domain.speech_text import cut_to_tokens, sentences, word_groups
from ringback_localmodel.ports import Brain, Outbox, ReplyTrace, Synthesiser, Traces
from ringback_localmodel.usecases.response_run import ResponseRun

__all__ = ["Responder"]

# 100 ms a delta: half of what clients take, so that a barge-in has little in flight.
DELTA_BYTES: Final = RATE // 10 * SAMPLE_BYTES
log = logging.getLogger(__name__)


class _OutOfTokensError(Exception):
    """The response has used what ``max_output_tokens`` allows."""


class Responder:
    """Shared by a session's responses; holds no state of any of them."""

    def __init__(
        self,
        *,
        brain: Brain,
        synthesiser: Synthesiser,
        outbox: Outbox,
        traces: Traces,
        reply_chars_max: int,
    ) -> None:
        self._traces = traces
        self._brain = brain
        self._synthesiser = synthesiser
        self._outbox = outbox
        self._reply_chars_max = reply_chars_max

    async def drive(self, run: ResponseRun, context: Callable[[ReplyTrace], Awaitable[Context]]) -> None:
        """Carry a started response to its ``response.done``; its failure is its own."""
        with self._traces.reply(run.id, traceparent=run.traceparent) as trace:
            try:
                await self._drive(run, context, trace)
            finally:
                trace.ended(run.outcome)

    async def _drive(
        self, run: ResponseRun, context: Callable[[ReplyTrace], Awaitable[Context]], trace: ReplyTrace
    ) -> None:
        run.on_audio = trace.first_audio
        try:
            async for step in self._brain.reply(await context(trace)):
                if run.closed:
                    return
                match step:
                    case Say(text):
                        await self._say(run, text[: self._reply_chars_max])
                    case Call(name, arguments):
                        run.call(name, arguments)
            run.finish("completed")
        except _OutOfTokensError:
            run.finish("incomplete", reason="max_output_tokens")
        except Exception:
            log.exception("response failed", extra={"response_id": run.id})
            error = {"type": "server_error", "code": "model_error", "message": "The model failed to reply."}
            run.finish("failed", error=error)

    async def _say(self, run: ResponseRun, text: str) -> None:
        for sentence in sentences(f" {text}" if run.has_words else text):
            allowed = self._within_bounds(run, sentence)
            await self._utter(run, allowed)
            if run.closed:
                return
            if allowed != sentence:
                raise _OutOfTokensError

    async def _utter(self, run: ResponseRun, sentence: str) -> None:
        if not run.spoken:
            for group in word_groups(sentence):
                await self._outbox.room()
                run.text(group)
            return
        await self._outbox.room()
        run.text(sentence)
        if not sentence.strip():
            return
        pending = bytearray()
        async for pcm in self._synthesiser.speak(sentence, voice=run.params.voice):
            pending += pcm
            while len(pending) >= DELTA_BYTES:
                await self._outbox.room()
                run.audio(bytes(pending[:DELTA_BYTES]))
                del pending[:DELTA_BYTES]
            if run.closed:
                return
        run.audio(bytes(pending))

    @staticmethod
    def _within_bounds(run: ResponseRun, sentence: str) -> str:
        limit = run.params.max_output_tokens
        if limit == "inf":
            return sentence
        return cut_to_tokens(sentence, tokens_max=limit - run.output_tokens, spoken=run.spoken)
