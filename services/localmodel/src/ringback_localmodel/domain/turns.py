"""What a caller's turn is: the rule that bounds it, and the moments when it begins and ends."""

from dataclasses import dataclass
from typing import Final

__all__ = ["SEMANTIC_SILENCE_MS", "SpeechBegan", "SpeechEnded", "TurnRule"]

# How long a pause ends a turn when the client leaves the judgement to us, by eagerness.
SEMANTIC_SILENCE_MS: Final = {"low": 1_200, "medium": 700, "auto": 700, "high": 400}


@dataclass(frozen=True, slots=True)
class TurnRule:
    """Speech is what is at least ``threshold`` probable; ``silence_ms`` without any ends a turn."""

    threshold: float = 0.5
    prefix_ms: int = 300
    silence_ms: int = 500


@dataclass(frozen=True, slots=True)
class SpeechBegan:
    """``sample`` is where the turn's audio starts, prefix padding included; ``onset`` where the voice does."""

    sample: int
    onset: int


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """``sample`` is where the turn's audio ends, trailing silence included; ``voiced`` samples were speech.

    ``last_voice`` is where the speech ended, if a pause and not a limit ended the turn.
    """

    sample: int
    voiced: int
    last_voice: int | None = None
