"""Audio as it travels: telephone codecs, sampling rates, PCM16 bytes and samples. No model and no speech in it."""

from ringback_audio import g711
from ringback_audio.resampling import Resampler, Samples, from_pcm16, resample, to_pcm16

__all__ = ["Resampler", "Samples", "from_pcm16", "g711", "resample", "to_pcm16"]
