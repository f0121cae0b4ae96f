"""Owns the choice of a whole voice: activity, recognition and synthesis that fit together."""

from collections.abc import Callable
from dataclasses import dataclass

from ringback_speech import models
from ringback_speech.ports import Recogniser, Synthesiser, VadParameters, VoiceActivity
from ringback_speech.twins import EnergyVoiceActivity, ToneRecogniser, ToneSynthesiser


@dataclass(frozen=True, slots=True)
class LocalVoice:
    """What a spoken session needs; recogniser and synthesiser are shared, voice activity is one per session."""

    recogniser: Recogniser
    synthesiser: Synthesiser
    new_voice_activity: Callable[[VadParameters], VoiceActivity]


def load_voice() -> LocalVoice:
    """Silero, Moonshine and hibari, loaded, checked and warm; blocks for a second or two.

    Raises ModelFileError where a model file is missing or another than the one that was tested.
    """
    # Imported here, so that the twins work where the models' packages are not installed.
    from ringback_speech.hibari_voice import HibariSynthesiser
    from ringback_speech.moonshine import MoonshineRecogniser
    from ringback_speech.silero import SileroVoiceActivity

    for model in models.MODEL_FILES:
        models.find(model)
    synthesiser = HibariSynthesiser()
    synthesiser.warm_up()
    recogniser = MoonshineRecogniser()
    recogniser.transcribe(bytes(48_000))
    SileroVoiceActivity().feed(bytes(48_000))
    return LocalVoice(recogniser, synthesiser, SileroVoiceActivity)


def tone_voice() -> LocalVoice:
    """The twins: text goes to tones and back letter for letter."""
    return LocalVoice(ToneRecogniser(), ToneSynthesiser(), EnergyVoiceActivity)
