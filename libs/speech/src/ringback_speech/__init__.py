"""Local speech: voice activity, recognition, synthesis.

Importing this package loads no model. Where a model file is missing, the first use raises ModelFileError,
a ConfigError that says which file, where it was looked for and what to run.
"""

from ringback_speech.models import ModelFileError, missing
from ringback_speech.pool import AsyncRecogniser, AsyncSynthesiser, InferencePool, Urgency
from ringback_speech.ports import (
    SAMPLES_PER_SECOND,
    Recogniser,
    SpeechChunk,
    SpeechStarted,
    SpeechStopped,
    Synthesiser,
    Token,
    Transcript,
    VadEvent,
    VadParameters,
    VoiceActivity,
    milliseconds,
)
from ringback_speech.recording import Track, mix, read_wav, stereo, write_wav
from ringback_speech.sentences import sentences
from ringback_speech.twins import (
    EnergyVoiceActivity,
    ScriptedRecogniser,
    ToneRecogniser,
    ToneSynthesiser,
    transcript_of,
)
from ringback_speech.voice import LocalVoice, load_voice, tone_voice

__all__ = [
    "SAMPLES_PER_SECOND",
    "AsyncRecogniser",
    "AsyncSynthesiser",
    "EnergyVoiceActivity",
    "InferencePool",
    "LocalVoice",
    "ModelFileError",
    "Recogniser",
    "ScriptedRecogniser",
    "SpeechChunk",
    "SpeechStarted",
    "SpeechStopped",
    "Synthesiser",
    "Token",
    "ToneRecogniser",
    "ToneSynthesiser",
    "Track",
    "Transcript",
    "Urgency",
    "VadEvent",
    "VadParameters",
    "VoiceActivity",
    "load_voice",
    "milliseconds",
    "missing",
    "mix",
    "read_wav",
    "sentences",
    "stereo",
    "tone_voice",
    "transcript_of",
    "write_wav",
]
