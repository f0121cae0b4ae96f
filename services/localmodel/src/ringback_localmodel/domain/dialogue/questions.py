"""Asking for one missing value, each time in other words, and knowing one's own question again."""

from typing import Final

from ringback_localmodel.domain.dialogue.schema import Parameter
from ringback_localmodel.domain.dialogue.words import humanise, words_of

__all__ = ["ATTEMPTS_MAX", "asked_attempt", "give_up", "listed", "question"]

ATTEMPTS_MAX: Final = 3
# A question that was cut off by the caller still counts when this many of its words were heard.
_HEARD_WORDS_MIN: Final = 3


def question(parameter: Parameter, *, attempt: int) -> str:
    """The question for a value; ``attempt`` counts from 0."""
    label = parameter.label
    if parameter.kind == "choice":
        options = listed([humanise(str(option)) for option in parameter.options], last="or")
        return (
            f"Which {label} would you like: {options}?",
            f"Sorry, I did not get the {label}. Is it {options}?",
            f"I still did not catch the {label}. Please say one of these: {options}.",
        )[attempt]
    if parameter.kind == "yes_no":
        return (
            f"About the {label}: yes or no?",
            f"Sorry, I need a yes or a no for the {label}. Which is it?",
            f"I still did not catch it. For the {label}, please say just yes or no.",
        )[attempt]
    how = ", one character at a time" if parameter.kind == "id" else ""
    return (
        f"What is the {label}?",
        f"Sorry, I did not get the {label}. Could you say it again{how}?",
        f"I still did not catch the {label}. Please say it slowly{how}.",
    )[attempt]


def give_up(parameter: Parameter) -> str:
    return (
        f"I am sorry, I could not understand the {parameter.label}, so I can not do that for you now. "
        "Is there anything else I can help with?"
    )


def asked_attempt(parameter: Parameter, text: str) -> int | None:
    """Which attempt at this question the assistant's words were; None if they were none of them."""
    heard = words_of(text)
    for attempt in reversed(range(ATTEMPTS_MAX)):
        asked = words_of(question(parameter, attempt=attempt))
        if _ends_with(heard, asked):
            return attempt
    return None


def listed(parts: list[str], *, last: str = "and") -> str:
    """``a, b and c``."""
    return f"{', '.join(parts[:-1])} {last} {parts[-1]}" if len(parts) > 1 else "".join(parts)


def _ends_with(heard: list[str], asked: list[str]) -> bool:
    """Whether the words end with the question, or with its start when they were cut off."""
    if heard[-len(asked) :] == asked:
        return True
    return any(
        heard[-size:] == asked[:size] for size in range(_HEARD_WORDS_MIN, min(len(asked), len(heard) + 1))
    )
