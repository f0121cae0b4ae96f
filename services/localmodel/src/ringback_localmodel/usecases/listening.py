"""The caller's side of a session: the input buffer, voice activity, and turning committed audio into words."""

from collections import deque
from collections.abc import Iterator
from typing import Final

from ringback_realtime import ProtocolError, SemanticVad, ServerVad, TurnDetection, commit_empty

from ringback_localmodel.domain.audio import (
    RATE,
    SAMPLE_BYTES,
    BufferFullError,
    InputBuffer,
    ms_of,
    samples_of,
)
from ringback_localmodel.domain.turns import (
    SEMANTIC_SILENCE_MS,
    SpeechBegan,
    SpeechEnded,
    TurnRule,
)
from ringback_localmodel.ports import VoiceDetector
from ringback_localmodel.usecases.limits import SessionLimits

__all__ = ["Listening", "Utterance"]

COMMIT_MS_MIN: Final = 100
# How long after a voice's onset it may take to be sure of it.
ONSET_MS_MAX: Final = 500
# Half of the pause that ends a turn, at most: what is left of it is for recognising the words.
PAUSE_MS: Final = 200
PAUSE_PADDED_MS_MAX: Final = 1_000
VOICED_STRETCHES_MAX: Final = 2_000


class Utterance:
    """Committed audio, how much of it the voice detector took for speech, and where the last of that ended."""

    __slots__ = ("last_voice", "pcm", "voiced_ms")

    def __init__(self, pcm: bytes, voiced_ms: int, *, last_voice: int | None = None) -> None:
        self.pcm = pcm
        self.voiced_ms = voiced_ms
        self.last_voice = last_voice

    @property
    def seconds(self) -> float:
        return round(len(self.pcm) / SAMPLE_BYTES / RATE, 3)


class Listening:
    """Takes audio in and says what happens in it. Offsets count samples written since the session began."""

    def __init__(self, *, detector: VoiceDetector, limits: SessionLimits) -> None:
        self._detector = detector
        self._limits = limits
        self._buffer = InputBuffer(ms_max=limits.audio_buffer_ms_max)
        self._rule: TurnRule | None = None
        self._began: int | None = None
        self._onset: int | None = None
        self._voiced: deque[tuple[int, int]] = deque(maxlen=VOICED_STRETCHES_MAX)

    @property
    def end(self) -> int:
        """Samples written so far."""
        return self._buffer.end

    @property
    def speaking(self) -> bool:
        """Whether a turn is going on."""
        return self._began is not None

    def feed(self, pcm: bytes, detection: TurnDetection | None) -> Iterator[SpeechBegan | SpeechEnded]:
        """Take audio in; yields turn boundaries as they are found, none while detection is off.

        Raises ProtocolError when the buffer is full; the audio is then dropped.
        """
        try:
            self._buffer.append(pcm)
        except BufferFullError as full:
            raise ProtocolError("input_audio_buffer_full", str(full), "audio") from None
        rule = _rule(detection) or TurnRule()
        if rule != self._rule:
            self._rule = rule
            self._detector.tune(rule)
        for boundary in self._detector.feed(pcm):
            yield from self._boundary(boundary, turns=detection is not None)
        if self._began is not None and self.end - self._began >= samples_of(self._limits.turn_ms_max):
            self._detector.reset()
            yield from self._boundary(SpeechEnded(self.end, self.end - self._began), turns=True)
        if detection is not None and self._onset is None:
            self._forget(before=self.end - samples_of(rule.prefix_ms + ONSET_MS_MAX))

    def take(
        self, *, start: int | None = None, end: int | None = None, last_voice: int | None = None
    ) -> Utterance:
        """Remove the audio between two offsets (default: all) from the buffer, and what lies before it."""
        first = self._buffer.start if start is None else max(start, self._buffer.start)
        last = self.end if end is None else end
        voiced = sum(samples for at, samples in self._voiced if first < at <= last)
        utterance = Utterance(self._buffer.peek(first, last), ms_of(voiced), last_voice=last_voice)
        self._forget(before=last)
        return utterance

    def commit(self) -> Utterance:
        """The client's own commit; speech that goes on at its end is not measured.

        Raises ProtocolError when there is less than 100 ms.
        """
        start = self._began if self._began is not None else self._buffer.start
        have = self.end - start
        if have < samples_of(COMMIT_MS_MIN):
            raise commit_empty(have * 1000 / RATE)
        utterance = self.take(start=start)
        self.stop_turn()
        return utterance

    def clear(self) -> None:
        self._forget(before=self.end)
        self.stop_turn()

    @property
    def turn_bytes(self) -> int:
        """How much audio the turn that is going on has."""
        return 0 if self._began is None else (self.end - self._began) * SAMPLE_BYTES

    def so_far(self, *, as_if_over: bool = False) -> bytes:
        """The audio of the turn that is going on; ``as_if_over``: with the rest of the pause that would end it.

        How long the silence at its end is decides, for a recogniser, between a comma and a full stop.
        """
        if self._began is None:
            return b""
        last, rule = self._detector.last_voice, self._rule or TurnRule()
        over = self.end if last is None else last + samples_of(min(rule.silence_ms, PAUSE_PADDED_MS_MAX))
        padding = bytes(max(0, over - self.end) * SAMPLE_BYTES) if as_if_over else b""
        return self._buffer.peek(self._began, self.end) + padding

    def pause(self) -> int | None:
        """Where speech last was, if the turn that is going on has paused so long that it may be over."""
        last = self._detector.last_voice if self._began is not None else None
        if last is None or self._rule is None:
            return None
        return last if self.end - last >= samples_of(min(PAUSE_MS, self._rule.silence_ms // 2)) else None

    def stop_turn(self) -> None:
        """The turn is no more; audio that is still in the buffer stays."""
        self._began = self._onset = None
        self._detector.reset()

    def _boundary(
        self, boundary: SpeechBegan | SpeechEnded, *, turns: bool
    ) -> Iterator[SpeechBegan | SpeechEnded]:
        match boundary:
            case SpeechBegan(sample, onset):
                self._onset = onset
                if turns:
                    # Two turns never share audio: the prefix stops where the last turn ended.
                    self._began = max(sample, self._buffer.start)
                    yield SpeechBegan(self._began, onset)
            case SpeechEnded(sample, voiced):
                self._onset = None
                self._voiced.append((sample, voiced))
                if turns and self._began is not None:
                    self._began = None
                    yield boundary

    def _forget(self, *, before: int) -> None:
        self._buffer.drop_before(before)
        while self._voiced and self._voiced[0][0] <= self._buffer.start:
            self._voiced.popleft()


def _rule(detection: TurnDetection | None) -> TurnRule | None:
    match detection:
        case None:
            return None
        case ServerVad():
            return TurnRule(
                threshold=detection.threshold,
                prefix_ms=detection.prefix_padding_ms,
                silence_ms=detection.silence_duration_ms,
            )
        case SemanticVad():
            return TurnRule(silence_ms=SEMANTIC_SILENCE_MS[detection.eagerness])
