"""Values in spoken words: what an utterance gives for a parameter, by its schema and nothing else."""

import re
from datetime import date
from typing import Any, Final

from ringback_spoken import read_date, read_number, read_time, spoken_ids

from ringback_localmodel.domain.dialogue.schema import Parameter, Tool
from ringback_localmodel.domain.dialogue.words import stem, word_set, words_of

__all__ = ["answer_value", "offered_values", "yes_or_no"]

_YES: Final = word_set(
    """
    yes yeah yep yup sure correct right certainly absolutely definitely ok okay please do
    """
)
_NO: Final = word_set("no nope not never don't negative")
_LEAD_IN: Final = re.compile(
    r"^(?:(?:um+|uh+|well|so|ok(?:ay)?|yes|yeah|sure|oh|please|hi|hello)[,.\s]+)*"
    r"(?:(?:it(?:'s| is| would be)|that(?:'s| is| would be)|this is|i(?:'m| am)|my name(?:'s| is)|"
    r"the (?:\w+ ){1,3}is|my (?:\w+ ){1,3}is|make (?:it|that)|i(?:'d| would) like|i want|call me|to|for)\s+)?",
    re.I,
)
_EMAIL: Final = re.compile(r"[a-z0-9._+-]+@[a-z0-9-]+(?:\.[a-z0-9-]+)+")
TEXT_CHARS_MAX: Final = 500


def answer_value(parameter: Parameter, text: str, *, today: date) -> Any:
    """The value in an utterance that answers a question for this parameter; None if there is none."""
    value = _typed(parameter, text, today=today, asked=True)
    return None if value is None else _shaped(parameter, value)


def offered_values(tool: Tool, text: str, *, today: date) -> dict[str, Any]:
    """Values that an utterance gives unasked: only where the schema makes them unmistakable."""
    values: dict[str, Any] = {}
    used: set[str] = set()
    numbers = sum(parameter.kind in ("number", "id") for parameter in tool.parameters)
    for parameter in sorted(tool.parameters, key=lambda one: (one.pattern is None, not one.required)):
        part = text
        if parameter.kind == "yes_no" or parameter.kind == "narrative":
            continue
        if (parameter.kind == "number" and numbers > 1) or parameter.kind == "text":
            part = _beside(parameter, text)
        value = _typed(parameter, part, today=today, asked=False) if part else None
        if value is None or (parameter.kind == "id" and str(value) in used):
            continue
        used.add(str(value))
        values[parameter.name] = _shaped(parameter, value)
    return values


def yes_or_no(text: str) -> bool | None:
    """A plain yes or no at the start of an answer."""
    for word in words_of(text)[:4]:
        if word in _NO:
            return False
        if word in _YES:
            return True
    return None


def _typed(parameter: Parameter, text: str, *, today: date, asked: bool) -> Any:
    match parameter.kind:
        case "choice":
            return _choice(parameter, text)
        case "id":
            return _identifier(parameter, text, asked=asked)
        case "number":
            return _number(parameter, text)
        case "date":
            found = read_date(text, today=today)
            return None if found is None else found.isoformat()
        case "time":
            moment = read_time(text)
            return None if moment is None else moment.strftime("%H:%M")
        case "email":
            match = _EMAIL.search(re.sub(r"\s+at\s+", "@", re.sub(r"\s+dot\s+", ".", text.lower())))
            return match[0].rstrip(".") if match else None
        case "yes_no":
            return yes_or_no(text)
        case "narrative" | "text":
            return _free(text)


def _choice(parameter: Parameter, text: str) -> Any:
    """The option whose every word was said; the longest one if several, all of them if many may be given."""
    heard = [stem(word) for word in words_of(text)]
    said = []
    for option in parameter.options:
        wanted = [stem(word) for word in words_of(str(option))]
        if wanted and _contains(heard, wanted):
            said.append((len(wanted), option))
    if not said:
        return None
    if parameter.many:
        return [option for _, option in said]
    return max(said, key=lambda found: found[0])[1]


def _contains(heard: list[str], wanted: list[str]) -> bool:
    return any(heard[start : start + len(wanted)] == wanted for start in range(len(heard)))


def _identifier(parameter: Parameter, text: str, *, asked: bool) -> str | None:
    try:
        candidates = spoken_ids(text, pattern=parameter.pattern)
    except re.error:
        candidates = spoken_ids(text)
    for candidate in candidates:
        value = candidate.value
        if parameter.pattern is None:
            if any(ch.isdigit() for ch in value) or (asked and len(text.split()) <= len(value) + 3):
                return value
            continue
        for form in (value, value.lower()):
            if _matches(parameter.pattern, form):
                return form
    return None


def _matches(pattern: str, value: str) -> bool:
    try:
        return re.search(pattern, value) is not None
    except re.error:
        return True


def _number(parameter: Parameter, text: str) -> int | float | None:
    found = read_number(text)
    if found is None or (parameter.whole and found != int(found)):
        return None
    value = int(found) if found == int(found) else float(found)
    if parameter.minimum is not None and value < parameter.minimum:
        return None
    if parameter.maximum is not None and value > parameter.maximum:
        return None
    return value


def _free(text: str) -> str | None:
    value = _LEAD_IN.sub("", text.strip()).strip(" .,!?;:\"'")
    return value[:TEXT_CHARS_MAX] or None


def _beside(parameter: Parameter, text: str) -> str:
    """The words next to where the parameter's own name was said; "" if it was not said."""
    label = words_of(parameter.label)[-1:]
    if not label:
        return ""
    word = re.escape(label[0])
    if parameter.kind == "text":
        after = re.search(rf"\b{word}(?:'s)?\s+(?:is|will be|should be|:)\s+([^.,;!?]+)", text, re.I)
        return after[1] if after else ""
    near = re.search(rf"((?:\S+\s+){{0,2}}){word}\w*\b((?:\s+\S+){{0,4}})", text, re.I)
    return f"{near[1]} {near[2]}" if near else ""


def _shaped(parameter: Parameter, value: Any) -> Any:
    return [value] if parameter.many and not isinstance(value, list) else value
