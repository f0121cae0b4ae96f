"""Speaking what a tool returned: its own words where it has some, else its data in sentences."""

from collections.abc import Mapping
from typing import Any, Final

from ringback_localmodel.domain.dialogue.data import Leaf, as_json, in_words, stated
from ringback_localmodel.domain.dialogue.facts import Source, answer_question
from ringback_localmodel.domain.dialogue.words import humanise, is_question, word_set

__all__ = ["spoken_result", "succeeded"]

_WORDS_FOR_EAR: Final = ("say", "speech", "message", "spoken", "text", "answer", "summary")
_REASONS: Final = ("message", "reason", "detail", "description", "explanation", "code", "type")
_BAD: Final = word_set(
    """
    error errors failed failure denied refused rejected unavailable timeout unknown blocked
    not_found forbidden invalid expired cancelled_by_policy tool_unavailable
    """
)
_VALUES_MAX: Final = 6


def spoken_result(output: str, *, asked: str = "") -> str:
    """One or two sentences for the caller; ``asked`` is what the caller last said."""
    value = as_json(output)
    if isinstance(value, str):
        return value.strip() or "That is done."
    if isinstance(value, Mapping):
        words = _own_words(value)
        if words:
            return words
        if not succeeded(output):
            return _failure(value)
    if asked and is_question(asked):
        answer = answer_question(asked, [Source(value)])
        if answer is not None:
            return answer.text
    return _described(value)


def succeeded(output: str) -> bool:
    """Whether a result reads as success; text that is no JSON does."""
    value = as_json(output)
    if not isinstance(value, Mapping):
        return True
    if value.get("error") or value.get("errors"):
        return False
    if any(value.get(flag) is False for flag in ("ok", "success", "succeeded")):
        return False
    return str(value.get("status", "")).lower() not in _BAD


def _own_words(value: Mapping[str, Any]) -> str:
    """What the result itself says in words, also inside ``error`` or ``result``."""
    for key in _WORDS_FOR_EAR:
        words = value.get(key)
        if isinstance(words, str) and words.strip():
            return words.strip()
    for key in ("error", "result", "data"):
        inner = value.get(key)
        if isinstance(inner, Mapping):
            words = _own_words(inner)
            if words:
                return words
    error = value.get("error")
    return error.strip() if isinstance(error, str) and " " in error.strip() else ""


def _failure(value: Mapping[str, Any]) -> str:
    error = value.get("error")
    for place in (error, value):
        if isinstance(place, Mapping):
            for key in _REASONS:
                reason = place.get(key)
                if isinstance(reason, str) and reason.strip():
                    return f"I am sorry, that did not work: {humanise(reason) if '_' in reason else reason.strip()}."
    name = error if isinstance(error, str) else str(value.get("status", "an error"))
    return f"I am sorry, that did not work: {humanise(name)}."


def _described(value: Any) -> str:
    if isinstance(value, list):
        return _described_list("results", value)
    if not isinstance(value, Mapping):
        return f"The answer is {in_words(Leaf((), value, {}))}."
    inner = value.get("result", value.get("data"))
    if isinstance(inner, Mapping | list) and len(value) <= 3:
        return _described(inner)
    sentences: list[str] = []
    for key, part in value.items():
        if part is None or part == "" or len(sentences) >= _VALUES_MAX:
            continue
        if isinstance(part, list) and part and isinstance(part[0], Mapping):
            sentences.append(_described_list(humanise(str(key)), part))
        elif str(key) != "currency":
            sentences.append(stated(Leaf((str(key),), part, value)))
    return " ".join(sentences) or "That is done."


def _described_list(name: str, values: list[Any]) -> str:
    if not values:
        return f"There are no {name}."
    if not isinstance(values[0], Mapping):
        return f"The {name}: {in_words(Leaf((name,), values, {}))}."
    shown = "; ".join(in_words(Leaf((), value, {})) for value in values[:3])
    count = f"There are {len(values)} {name}" if len(values) > 1 else f"The {name}"
    return f"{count}: {shown}."
