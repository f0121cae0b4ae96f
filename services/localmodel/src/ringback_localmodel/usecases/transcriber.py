"""Words for the caller's audio: while it is still being spoken, and for good once it is committed."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final

from ringback_realtime import ServerEvents, SessionConfig

from ringback_localmodel.domain.audio import RATE, SAMPLE_BYTES
from ringback_localmodel.ports import Heard, HeardToken, Outbox, Recogniser
from ringback_localmodel.usecases.listening import Listening, Utterance

__all__ = ["Transcriber"]

# A recogniser makes words of noise; less speech than this has none to offer.
VOICED_MS_MIN: Final = 200
PARTIAL_BYTES: Final = RATE * 6 // 10 * SAMPLE_BYTES
Spawn = Callable[[Coroutine[Any, Any, Any]], "asyncio.Task[Any]"]
log = logging.getLogger(__name__)


class Transcriber:
    """One session's transcription. Deltas only ever extend what was sent; ``completed`` has the last word.

    At every pause the turn so far is decoded ahead, once: if the turn ends there, its words are known by then. Nothing
    but silence came after, so they are all of its words. If the caller goes on, they are no more than partial words.
    """

    def __init__(
        self,
        *,
        recogniser: Recogniser,
        events: ServerEvents,
        outbox: Outbox,
        spawn: Spawn,
        timeout_ms: int,
        failing_words: str = "",
    ) -> None:
        self._recogniser = recogniser
        self._events = events
        self._outbox = outbox
        self._spawn = spawn
        self._timeout_s = timeout_ms / 1000
        self._failing_words = failing_words
        self._turn: str | None = None
        self._sent = ""
        self._guess = Heard("")
        self._decoded_bytes = 0
        self._partial: asyncio.Task[Heard | None] | None = None
        self._ahead: asyncio.Task[Heard | None] | None = None
        self._ahead_of: int | None = None

    def begin(self, item_id: str) -> None:
        """A turn began; its partial transcripts will carry this id."""
        self.drop()
        self._turn, self._sent, self._guess, self._decoded_bytes = item_id, "", Heard(""), 0

    def progress(self, listening: Listening, *, partials: bool) -> None:
        """More of the turn came in: decode it if it may be over, or if partial words are wanted and due."""
        if self._turn is None:
            return
        pause = listening.pause()
        if pause is not None and pause != self._ahead_of:
            self._drop_decodes()
            self._ahead_of = pause
            self._ahead = self._decode(listening.so_far(as_if_over=True), self._turn, told=partials)
        elif pause is None:
            if self._ahead is not None and not self._ahead.done():
                # The caller goes on: these would be the words of half a turn.
                self._ahead.cancel()
            if partials and self._partial_due(listening.turn_bytes):
                self._partial = self._decode(listening.so_far(), self._turn, told=True, courtesy=True)

    def is_ahead(self, utterance: Utterance) -> bool:
        """Whether these words were decoded, or are being, before the turn ended."""
        return (
            self._ahead is not None
            and utterance.last_voice is not None
            and utterance.last_voice == self._ahead_of
        )

    def drop(self) -> None:
        """The turn is no more; what is still being decoded of it is of no interest."""
        self._turn = None
        self._drop_decodes()

    async def transcribe(
        self, item_id: str, utterance: Utterance, *, config: SessionConfig, tell: bool = True
    ) -> str:
        """Decode audio and return the words, "" if there are none or it failed.

        The client hears of it if it asked for transcription; ``tell`` is off for audio that it sent as an item.
        """
        wanted = tell and config.transcription is not None
        sent, ahead = "", None
        if item_id == self._turn:
            sent, ahead = self._sent, self._take_ahead(utterance)
            self.drop()
        try:
            self._fail_if_told(config)
            heard = await self.decode(utterance, ahead=ahead)
        except Exception as error:
            log.exception("transcription failed", extra={"item_id": item_id})
            if wanted:
                late = isinstance(error, TimeoutError)
                code = "transcription_timeout" if late else "transcription_failed"
                message = "The audio could not be transcribed" + (" in time." if late else ".")
                self._outbox.send(self._events.transcription_failed(item_id, code=code, message=message))
            return ""
        if wanted:
            self._tell(item_id, heard, sent, utterance.seconds, logprobs=config.wants_logprobs)
        return heard.text

    def _fail_if_told(self, config: SessionConfig) -> None:
        prompt = (config.transcription.prompt if config.transcription is not None else None) or ""
        if self._failing_words and self._failing_words in prompt:
            raise RuntimeError("told to fail")

    async def decode(
        self, utterance: Utterance, *, ahead: "asyncio.Task[Heard | None] | None" = None
    ) -> Heard:
        """The words of an utterance; none for one that is hardly speech."""
        if utterance.voiced_ms < VOICED_MS_MIN:
            if ahead is not None:
                ahead.cancel()
            return Heard("")
        heard = await ahead if ahead is not None else None
        if heard is None:
            async with asyncio.timeout(self._timeout_s):
                heard = await self._recogniser.recognise(utterance.pcm)
        return heard if any(ch.isalnum() for ch in heard.text) else Heard("")

    def _partial_due(self, turn_bytes: int) -> bool:
        idle = all(task is None or task.done() for task in (self._partial, self._ahead))
        due = idle and turn_bytes - self._decoded_bytes >= PARTIAL_BYTES
        # Partial words are a courtesy; they never make somebody wait for an answer.
        return due and not self._recogniser.busy

    def _take_ahead(self, utterance: Utterance) -> "asyncio.Task[Heard | None] | None":
        """What was decoded ahead, if nothing was said since."""
        ahead, self._ahead = self._ahead, None
        if ahead is None or ahead.cancelled():
            return None
        if utterance.last_voice is None or utterance.last_voice != self._ahead_of:
            ahead.cancel()
            return None
        return ahead

    def _drop_decodes(self) -> None:
        for task in (self._partial, self._ahead):
            if task is not None:
                task.cancel()
        self._partial = self._ahead = self._ahead_of = None

    def _tell(self, item_id: str, heard: Heard, sent: str, seconds: float, *, logprobs: bool) -> None:
        tokens = [_token(token) for token in heard.tokens] if logprobs else None
        if heard.text.startswith(sent) and len(heard.text) > len(sent):
            delta = heard.text[len(sent) :]
            self._outbox.send(
                self._events.transcription_delta(item_id, delta=delta, logprobs=None if sent else tokens)
            )
        self._outbox.send(
            self._events.transcription_completed(
                item_id, transcript=heard.text, seconds=seconds, logprobs=tokens
            )
        )

    def _decode(
        self, pcm: bytes, item_id: str, *, told: bool, courtesy: bool = False
    ) -> "asyncio.Task[Heard | None]":
        self._decoded_bytes = len(pcm)
        return self._spawn(self._decode_so_far(item_id, pcm, told=told, courtesy=courtesy))

    async def _decode_so_far(self, item_id: str, pcm: bytes, *, told: bool, courtesy: bool) -> Heard | None:
        """The words up to now; None if that failed, for then they are decoded again when the turn is over."""
        # A draft may tip the scales where the recogniser is in two minds: not for words that an answer rests on.
        draft = self._guess if courtesy else None
        try:
            async with asyncio.timeout(self._timeout_s):
                heard = await self._recogniser.recognise(pcm, draft=draft, courtesy=courtesy)
        except Exception:
            log.warning("a partial transcript failed", exc_info=True, extra={"item_id": item_id})
            return None
        if self._turn == item_id:
            self._guessed(item_id, heard, told=told)
        return heard

    def _guessed(self, item_id: str, guess: Heard, *, told: bool) -> None:
        stable = _common_words(self._guess.text, guess.text)
        self._guess = guess
        if told and stable.startswith(self._sent) and len(stable) > len(self._sent):
            delta = stable[len(self._sent) :]
            self._sent = stable
            self._outbox.send(self._events.transcription_delta(item_id, delta=delta))


def _common_words(one: str, other: str) -> str:
    """The words that both guesses start with: what two decodings agree on rarely changes again."""
    shared = []
    for left, right in zip(one.split(), other.split(), strict=False):
        if left != right:
            break
        shared.append(left)
    return " ".join(shared)


def _token(token: HeardToken) -> dict[str, Any]:
    return {"token": token.text, "logprob": token.logprob, "bytes": list(token.text.encode())}
