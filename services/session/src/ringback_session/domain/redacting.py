"""Taking spans out of text and out of JSON, as policy asks for it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import msgspec

__all__ = ["REDACTED", "Span", "as_json", "is_json", "legible", "one_form", "redact", "redact_json"]

REDACTED: Final = "[redacted]"
Span = tuple[int, int]
_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[^\s"{}\[\],:]+')
_PIECE: Final = re.compile(r"\\u[0-9a-fA-F]{4}|\\.|[^\\]", re.DOTALL)
_BLANK: Final = re.compile(r"\\(?:[nrtbf]|u00[01][0-9a-f])")


def redact(text: str, spans: Iterable[Span], *, since: int = 0) -> str:
    """The text from `since` on with each span (half-open, in characters of the whole) replaced."""
    parts: list[str] = []
    at = since
    for start, end in sorted(spans):
        if end <= at or start >= len(text):
            continue
        parts += [text[at : max(at, start)], REDACTED]
        at = min(end, len(text))
    parts.append(text[at:])
    return "".join(parts)


def is_json(text: str) -> bool:
    """Whether it can be read as JSON, which what is nested too deep cannot."""
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def as_json(text: str) -> str:
    """The text as it is where it is JSON, else as a JSON string."""
    return text if is_json(text) else msgspec.json.encode(text).decode()


def one_form(text: str) -> str:
    """The same JSON as it is written here: no needless escapes, no blanks. Raises msgspec.DecodeError."""
    return msgspec.json.encode(msgspec.json.decode(text)).decode()


def legible(json: str) -> str:
    """JSON in its one form with escaped blanks as blanks, character for character: what a model reads in it."""
    # An escaped backslash would make the letter behind it look escaped.
    return _BLANK.sub(lambda found: " " * len(found.group()), json.replace("\\\\", "//"))


def redact_json(text: str, spans: Iterable[Span]) -> str:
    """JSON in which no value holds a character of a span; a number that is touched becomes a string."""
    wanted = sorted(spans)
    if not wanted:
        return text
    return _TOKEN.sub(lambda found: _token(found, wanted), text)


def _token(found: re.Match[str], spans: list[Span]) -> str:
    token, at = found.group(), found.start()
    touched = [(start - at, end - at) for start, end in spans if start < found.end() and end > at]
    if not touched:
        return token
    if not token.startswith('"'):
        return f'"{REDACTED}"'
    kept: list[str] = []
    for piece in _PIECE.finditer(token, 1, len(token) - 1):
        if any(start < piece.end() and end > piece.start() for start, end in touched):
            if not kept or kept[-1] != REDACTED:
                kept.append(REDACTED)
        else:
            kept.append(piece.group())
    return f'"{"".join(kept)}"'
