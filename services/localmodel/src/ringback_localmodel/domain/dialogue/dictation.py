"""Instructions of one response that tell the assistant what to say."""

import re
from typing import Final

__all__ = ["dictated", "wants_greeting"]

_QUOTES: Final = {'"': '"', "“": "”", "«": "»", "„": "“", "'": "'"}
_COMMAND: Final = re.compile(
    r"(?:^|(?<=[.!?:;]\s)|(?<=\n))\s*(?:please\s+|now\s+|then\s+)*"
    r"(?P<verb>say|speak|repeat|read|respond|reply|answer|greet|tell|ask)\b"
    r"(?P<rest>[^\n:\"“«„]{0,120}?)(?P<mark>:\s*|\s+(?=[\"“«„])|(?=[\"“«„]))",
    re.I,
)
# A verb alone may be followed by a topic ("say hello"); these words make it a dictation.
_VERBATIM: Final = re.compile(
    r"\b(?:exactly|verbatim|following|word for word|literally|only|this|these|aloud|out loud|just|with|back)\b",
    re.I,
)
_REPORT: Final = re.compile(
    r"^\s*(?:please\s+)?(?:tell|inform|let|remind)\s+(?:the\s+)?(?:caller|user|customer|them|him|her)\s+"
    r"(?:know\s+)?that\s+(?P<what>.+)$",
    re.I | re.S,
)
_GREETING: Final = re.compile(
    r"^\s*(?:please\s+|start by\s+|briefly\s+|warmly\s+)*(?:greet|welcome|say (?:hello|hi)|introduce)", re.I
)
_REPORT_CHARS_MAX: Final = 600


def dictated(instructions: str) -> str | None:
    """The words to say, or None when the instructions do not spell them out.

    Understood: a command such as ``Say exactly:``, ``Say the following to the caller:``, ``Repeat verbatim`` before
    quoted text, or before the rest of its paragraph; and ``Tell the caller that …``. Text in quotation marks may have
    several sentences and lines.
    """
    for command in _COMMAND.finditer(instructions):
        after = instructions[command.end() :]
        quoted = _quoted(after)
        if quoted is not None:
            return quoted.strip() or None
        plain = command["verb"].lower() in ("say", "speak", "repeat", "read") and (
            _VERBATIM.search(command["rest"]) or not command["rest"].strip()
        )
        if plain and ":" in command["mark"]:
            return re.split(r"\n\s*\n", after.strip(), maxsplit=1)[0].strip() or None
    report = _REPORT.match(instructions)
    if report and len(report["what"]) <= _REPORT_CHARS_MAX:
        what = re.split(r"\n", report["what"].strip(), maxsplit=1)[0].strip()
        return what[:1].upper() + what[1:] + ("" if what[-1:] in ".!?" else ".") if what else None
    return None


def wants_greeting(instructions: str) -> bool:
    """Whether the instructions ask for a greeting in the assistant's own words."""
    return _GREETING.match(instructions) is not None


def _quoted(text: str) -> str | None:
    """The quotation that the text starts with.

    A text that also ends with the quotation mark is one quotation, whatever marks are inside it.
    """
    start = text.lstrip()
    close = _QUOTES.get(start[:1])
    if close is None:
        return None
    body = start[1:]
    if body.rstrip().endswith(close):
        return _unescaped(body.rstrip()[:-1])
    end = re.search(rf"(?<!\\){re.escape(close)}(?=\s|[.,;)]|$)", body)
    return _unescaped(body[: end.start()] if end else body)


def _unescaped(text: str) -> str:
    return text.replace('\\"', '"').replace("\\'", "'")
