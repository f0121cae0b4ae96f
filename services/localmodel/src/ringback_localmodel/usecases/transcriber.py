"""Words for the caller's audio: while it is still being spoken, and for good once it is committed."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final

from ringback_realtime import ServerEvents, SessionConfig

from ringback_localmodel.domain.audio import RATE, SAMPLE_BYTES
from ringback_localmodel.ports import Heard, HeardToken, Outbox, Recogniser
from ringback_localmodel.usecases.listening import Utterance

__all__ = ["Transcriber"]

# A recogniser makes words of noise; less speech than this has none to offer.
VOICED_MS_MIN: Final = 200
PARTIAL_BYTES: Final = RATE * 6 // 10 * SAMPLE_BYTES
Spawn = Callable[[Coroutine[Any, Any, Any]], "asyncio.Task[Any]"]
log = logging.getLogger(__name__)


class Transcriber:
    """One session's transcription. Deltas only ever extend what was sent; ``completed`` has the last word."""

    def __init__(
        self,
        *,
        recogniser: Recogniser,
        events: ServerEvents,
        outbox: Outbox,
        spawn: Spawn,
        timeout_ms: int,
    ) -> None:
        self._recogniser = recogniser
        self._events = events
        self._outbox = outbox
        self._spawn = spawn
        self._timeout_s = timeout_ms / 1000
        self._turn: str | None = None
        self._sent = ""
        self._guess = ""
        self._decoded_bytes = 0
        self._partial: asyncio.Task[Any] | None = None

    def begin(self, item_id: str) -> None:
        """A turn began; its partial transcripts will carry this id."""
        self._turn, self._sent, self._guess, self._decoded_bytes = item_id, "", "", 0

    def wants_partial(self, *, turn_bytes: int) -> bool:
        """Whether enough new audio came in, and the last partial is done, to decode the turn again."""
        idle = self._partial is None or self._partial.done()
        due = self._turn is not None and idle and turn_bytes - self._decoded_bytes >= PARTIAL_BYTES
        # Partial words are a courtesy; they never make somebody wait for an answer.
        return due and not self._recogniser.busy

    def decode_partial(self, pcm: bytes) -> None:
        self._decoded_bytes = len(pcm)
        assert self._turn is not None
        self._partial = self._spawn(self._decode_partial(self._turn, pcm))

    def drop(self) -> None:
        """The turn is no more; what is still being decoded of it is of no interest."""
        self._turn = None
        if self._partial is not None:
            self._partial.cancel()

    async def transcribe(
        self, item_id: str, utterance: Utterance, *, config: SessionConfig, tell: bool = True
    ) -> str:
        """Decode audio and return the words, "" if there are none or it failed.

        The client hears of it if it asked for transcription; ``tell`` is off for audio that it sent as an item.
        """
        wanted = tell and config.transcription is not None
        sent = self._sent if item_id == self._turn else ""
        if item_id == self._turn:
            self.drop()
        try:
            heard = await self.decode(utterance)
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

    async def decode(self, utterance: Utterance) -> Heard:
        """The words of an utterance; none for one that is hardly speech."""
        if utterance.voiced_ms < VOICED_MS_MIN:
            return Heard("")
        async with asyncio.timeout(self._timeout_s):
            heard = await self._recogniser.recognise(utterance.pcm)
        return heard if any(ch.isalnum() for ch in heard.text) else Heard("")

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

    async def _decode_partial(self, item_id: str, pcm: bytes) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                guess = (await self._recogniser.recognise(pcm)).text
        except Exception:
            log.warning("a partial transcript failed", exc_info=True, extra={"item_id": item_id})
            return
        if self._turn != item_id:
            return
        stable = _common_words(self._guess, guess)
        self._guess = guess
        if stable.startswith(self._sent) and len(stable) > len(self._sent):
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
