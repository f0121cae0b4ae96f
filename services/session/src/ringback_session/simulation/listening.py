"""What a caller hears, and the words they have for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ringback_session.simulation.model_words import MS_PER_CHAR

__all__ = ["QUESTION", "WORDS", "Playing", "Said", "value_in"]

QUESTION: Final = "Shall I do that?"
WORDS: Final = {
    "yes": "Yes.",
    "early_yes": "Yes.",
    "no": "No, thanks.",
    "correction": "Wait, I meant another one.",
    "question": "Which card is that?",
    "mumble": "",
    "yes_no": "Yes.",
}


@dataclass
class Said:
    """A yes of the caller's: when, to which value, and to which words in which item, if they had heard it."""

    at_ms: int
    value: str = ""
    item_id: str = ""
    words: str = ""


@dataclass
class Playing:
    """An item that is being played to the caller."""

    item_id: str
    starts_ms: int
    ms: int = 0
    text: str = ""
    response_id: str = ""
    asked: bool = False


def value_in(item: Playing, *, by_ms: int) -> str:
    """The value of a read-back, if it has been heard by then; what is read is known at its end."""
    value = next(word.strip(".") for word in item.text.split() if word.startswith("48291"))
    if not item.ms:
        return value if item.asked else ""
    ends_ms = (item.text.index(value) + len(value)) * MS_PER_CHAR
    return value if by_ms >= item.starts_ms + ends_ms else ""
