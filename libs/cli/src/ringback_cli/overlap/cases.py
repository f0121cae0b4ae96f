"""Owns what the callers say over the agent: lines by kind, and the synthetic voices that say them."""

from __future__ import annotations

import io
import shutil
import subprocess
import wave
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from ringback_audio import resample
from ringback_errors import ConfigError

from ringback_cli.caller.audio import SAMPLE_RATE
from ringback_cli.caller.voice import CallerVoice, trimmed

__all__ = ["BACKCHANNELS", "INTERRUPTIONS", "MIXED", "Case", "Kind", "all_cases", "voices"]

Kind = Literal["backchannel", "interruption", "mixed"]

BACKCHANNELS = (
    *("Mm-hmm.", "Mhm.", "Uh-huh.", "Yeah.", "Okay.", "Right."),
    *("I see.", "Sure.", "Yep.", "Yes.", "Got it.", "Mm."),
)
INTERRUPTIONS = (
    "Wait, not that one.",
    "Hold on a second.",
    "Stop.",
    "No.",
    "No, that is wrong.",
    "Actually, I have another question.",
    "Can you repeat that please?",
    "Sorry, I meant the other booking.",
    "I would like to speak to a person.",
    "What does that cost?",
    "Please cancel it.",
    "My number is four eight two nine one five.",
)
# They begin as a backchannel does, and go on.
MIXED = (
    "Right, but that is not what I asked.",
    "Okay, stop please.",
    "Yes, but what about the refund?",
    "Yeah, no, that is wrong.",
)
# hibari's one voice, made to sound like four: percent of pitch, speed, seed.
_HIBARI = {
    "low": (80, 0.9, 5),
    "deep": (88, 0.95, 3),
    "bright": (110, 1.0, 7),
    "high": (120, 1.0, 9),
}
_ESPEAK = {"espeak-m3": "en-us+m3", "espeak-f2": "en-gb+f2", "espeak-f4": "en-us+f4"}
_PEAK = 0.7
# The agent has been heard for so long before the caller makes a sound.
_LEADS_MS = (1_200, 1_600, 2_000, 2_400)
Speaks = Callable[[str], bytes]


@dataclass(frozen=True)
class Case:
    """One sound over the agent; `pcm` is 24 kHz PCM16."""

    kind: Kind
    line: str
    voice: str
    lead_ms: int
    pcm: bytes

    @property
    def interrupts(self) -> bool:
        return self.kind != "backchannel"


def voices(*, espeak: bool = False) -> Mapping[str, Speaks]:
    """The callers' voices by name. Raises ConfigError when espeak-ng is wanted and not there."""
    found: dict[str, Speaks] = {name: _hibari(*made) for name, made in _HIBARI.items()}
    if espeak:
        program = shutil.which("espeak-ng")
        if program is None:
            raise ConfigError("--espeak: the program espeak-ng is not on the PATH")
        found |= {name: _espeak(program, voice) for name, voice in _ESPEAK.items()}
    return found


def all_cases(speakers: Mapping[str, Speaks], *, lines_max: int = 0) -> list[Case]:
    """Every line in every voice; `lines_max` takes only the first lines of each kind, 0 all."""
    sets: tuple[tuple[Kind, tuple[str, ...]], ...] = (
        ("backchannel", BACKCHANNELS),
        ("interruption", INTERRUPTIONS),
        ("mixed", MIXED),
    )
    found: list[Case] = []
    for voice, speak in speakers.items():
        for kind, lines in sets:
            for line in lines[: lines_max or None]:
                lead_ms = _LEADS_MS[len(found) % len(_LEADS_MS)]
                found.append(Case(kind, line, voice, lead_ms, speak(line)))
    return found


def _hibari(pitch_percent: int, speed: float, seed: int) -> Speaks:
    # Imported here: commands that say nothing need no model.
    from ringback_speech.hibari_voice import HibariSynthesiser, Voice

    voice = Voice(speed=speed, pitch_percent=pitch_percent, seed=seed)
    return CallerVoice(synthesiser=HibariSynthesiser(voices={"caller": voice})).speak


def _espeak(program: str, voice: str) -> Speaks:
    def speak(line: str) -> bytes:
        made = subprocess.run(
            [program, "-v", voice, "-s", "165", "--stdout", line], capture_output=True, check=True, timeout=20
        )
        with wave.open(io.BytesIO(made.stdout)) as file:
            rate = file.getframerate()
            # A stream's header does not know its length: what is there is all.
            samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(np.float32)
        at_rate = resample(samples, source=rate, target=SAMPLE_RATE)
        loudest = float(np.abs(at_rate).max(initial=1.0))
        return trimmed((at_rate * (_PEAK * 32_767 / loudest)).astype("<i2").tobytes())

    return speak
