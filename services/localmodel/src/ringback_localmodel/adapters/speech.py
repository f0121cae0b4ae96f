"""The local speech models behind the ports: recognition and synthesis off the event loop, voice activity on it."""

from collections.abc import AsyncIterator, Callable

from ringback_speech import (
    AsyncRecogniser,
    AsyncSynthesiser,
    InferencePool,
    LocalVoice,
    SpeechStarted,
    Urgency,
    VadParameters,
    VoiceActivity,
)
from ringback_telemetry import mark_error, names, set_attributes, start_span

from ringback_localmodel.domain.turns import SpeechBegan, SpeechEnded, TurnRule
from ringback_localmodel.ports import Heard, HeardToken

__all__ = ["Detector", "Ears", "Mouth", "detectors"]

_THRESHOLD_MIN, _THRESHOLD_MAX = 0.01, 0.99
_MS_MAX = 10_000


class Ears:
    """A recogniser for all sessions."""

    def __init__(self, voice: LocalVoice, *, pool: InferencePool) -> None:
        self._recogniser = AsyncRecogniser(voice.recogniser, pool=pool)
        self._pool = pool

    @property
    def busy(self) -> bool:
        return self._pool.waiting > 0

    async def recognise(self, pcm: bytes, *, draft: Heard | None = None, courtesy: bool = False) -> Heard:
        transcript = await self._recogniser.transcribe(
            pcm,
            draft=[token.text for token in draft.tokens] if draft else (),
            urgency=Urgency.COURTESY if courtesy else Urgency.WORDS,
        )
        tokens = tuple(HeardToken(token.text, token.logprob) for token in transcript.tokens)
        return Heard(transcript.text.strip(), tokens)


class Mouth:
    """A synthesiser for all sessions; clients name the voices of other models, which sound like our own."""

    def __init__(self, voice: LocalVoice, *, pool: InferencePool, default: str | None = None) -> None:
        self._synthesiser = AsyncSynthesiser(voice.synthesiser, pool=pool)
        self._default = default or self._synthesiser.voices[0]

    @property
    def voices(self) -> tuple[str, ...]:
        return self._synthesiser.voices

    async def speak(self, text: str, *, voice: str) -> AsyncIterator[bytes]:
        known = voice if voice in self._synthesiser.voices else self._default
        chunks = self._synthesiser.stream(text, voice=known)
        while True:
            # The making alone, without the wait for the reader; a span that is not ended, at the end, is none.
            made = start_span(names.Span.SPEECH_SYNTHESIZE)
            try:
                chunk = await anext(chunks, None)
            except BaseException as error:
                mark_error(made, error)
                made.end()
                raise
            if chunk is None:
                return
            set_attributes(made, {names.Attr.BYTES: len(chunk.pcm)})
            made.end()
            yield chunk.pcm


class Detector:
    """Voice activity of one stream of audio."""

    def __init__(self, new_voice_activity: Callable[[VadParameters], VoiceActivity]) -> None:
        self._activity = new_voice_activity(VadParameters())

    def tune(self, rule: TurnRule) -> None:
        self._activity.update(
            VadParameters(
                threshold=min(max(rule.threshold, _THRESHOLD_MIN), _THRESHOLD_MAX),
                prefix_padding_ms=min(rule.prefix_ms, _MS_MAX),
                silence_duration_ms=min(rule.silence_ms, _MS_MAX),
            )
        )

    def feed(self, pcm: bytes) -> list[SpeechBegan | SpeechEnded]:
        return [
            SpeechBegan(event.audio_start_samples, event.onset_samples)
            if isinstance(event, SpeechStarted)
            else SpeechEnded(
                event.audio_end_samples, event.speech_samples, last_voice=event.last_speech_samples
            )
            for event in self._activity.feed(pcm)
        ]

    @property
    def last_voice(self) -> int | None:
        return self._activity.last_speech_samples

    def reset(self) -> None:
        self._activity.reset()


def detectors(voice: LocalVoice) -> Callable[[], Detector]:
    """A maker of detectors, one for each stream."""
    return lambda: Detector(voice.new_voice_activity)
