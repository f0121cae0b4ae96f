"""Audio on the wire and audio as the models take it: PCM16 at 24 kHz, or G.711 at 8 kHz in both of its laws."""

from __future__ import annotations

from ringback_audio import Resampler, from_pcm16, g711, to_pcm16
from ringback_realtime import AudioFormat, Pcm, Pcmu, decode_audio

from ringback_localmodel.domain.audio import RATE

__all__ = ["AudioIn", "AudioOut", "encoded", "wide"]


class AudioIn:
    """One stream of the client's audio."""

    def __init__(self, format: AudioFormat) -> None:
        self.format = format
        self._resampler = Resampler(g711.RATE, target=RATE)

    def decode(self, text: str, *, param: str = "audio") -> bytes:
        """PCM16 at 24 kHz of base64; of G.711 the last two ms wait for what follows. Raises ProtocolError."""
        if isinstance(self.format, Pcm):
            return decode_audio(text, param=param)
        coded = decode_audio(text, param=param, sample_bytes=1)
        pcm = g711.decode(coded, law=_law(self.format))
        return to_pcm16(self._resampler.feed(from_pcm16(pcm)))

    def rest(self) -> bytes:
        """What still waits; the stream is then over."""
        return b"" if isinstance(self.format, Pcm) else to_pcm16(self._resampler.flush())


class AudioOut:
    """One stream of audio to the client."""

    def __init__(self, format: AudioFormat) -> None:
        self._format = format
        self._resampler = Resampler(RATE, target=g711.RATE)

    def encode(self, pcm: bytes) -> bytes:
        if isinstance(self._format, Pcm):
            return pcm
        return g711.encode(to_pcm16(self._resampler.feed(from_pcm16(pcm))), law=_law(self._format))

    def rest(self) -> bytes:
        """What still waits; then a new stream begins."""
        if isinstance(self._format, Pcm):
            return b""
        pcm = to_pcm16(self._resampler.flush())
        self._resampler.reset()
        return g711.encode(pcm, law=_law(self._format))


def wide(text: str, format: AudioFormat, *, param: str = "audio") -> bytes:
    """PCM16 at 24 kHz of audio that came as a whole. Raises ProtocolError."""
    stream = AudioIn(format)
    return stream.decode(text, param=param) + stream.rest()


def encoded(pcm: bytes, format: AudioFormat) -> bytes:
    """Audio that goes out as a whole."""
    stream = AudioOut(format)
    return stream.encode(pcm) + stream.rest()


def _law(format: AudioFormat) -> g711.Law:
    return "u" if isinstance(format, Pcmu) else "a"
