"""Owns the finding of personal data in text: card numbers, e-mail addresses, phone numbers.

All patterns are RE2's, so that no text costs more than its length. A card passes its check digit, written or spoken
("four one one one …"); a phone number has one of the forms in which people write one.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any

import re2 as _re2
from ringback_spoken.units import units_of

__all__ = ["KINDS", "Redactor", "luhn"]

# The binding has no types of its own.
re2: Any = _re2

CARD_DIGITS_MIN, CARD_DIGITS_MAX = 13, 19
# What is spoken fits in here; results of tools, which are longer, are written.
SPOKEN_CHARS_MAX = 4_000
# Thirteen digits in words are never shorter.
SPOKEN_CHARS_MIN = 40

_DIGIT = re.compile(r"[0-9]")
_CARD = re2.compile(r"\d(?:[ .-]?\d){12,18}")
_EMAIL = re2.compile(r"[A-Za-z0-9._%+'-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*\.[A-Za-z]{2,24}")
_SPOKEN_EMAIL = re2.compile(
    r"(?i)\b[a-z0-9]+(?:(?: dot | underscore | dash )[a-z0-9]+){0,4} at [a-z0-9-]+(?: dot [a-z0-9-]+){0,2} dot "
    r"(?:com|org|net|edu|gov|io|co|info|biz|us|uk|de|fr)\b"
)
_NUMBER = (
    r"(?:zero|oh|o|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen"
    r"|seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|double|triple|\d+)"
)
_SPOKEN_DIGITS = re2.compile(rf"(?i)\b{_NUMBER}(?:[ ,.-]+{_NUMBER}){{6,40}}\b")
# E.164 with its plus sign; the American form; a leading zero as in most of Europe; ten digits after a word for phoning.
_PHONES = tuple(
    re2.compile(pattern)
    for pattern in (
        r"\+\d{1,3}(?:[ .-]?\(\d{1,4}\))?(?:[ .-]?\d{1,4}){2,6}",
        r"(?:1[ .-])?(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}",
        r"(?:\(0\d{1,4}\) ?|0\d{1,4}[ /-])\d{3,4}(?:[ -]?\d{2,5}){1,3}",
        r"(?i)\b(?:call|phone|telephone|tel|mobile|cell|whatsapp|fax|reach|text)\b[^\d\n]{0,24}(\+?1?\d{10})",
    )
)
PHONE_DIGITS_MIN, PHONE_DIGITS_MAX = 8, 15


class Redactor:
    """Finds the declared kinds of personal data."""

    def __init__(self, kinds: Iterable[str]) -> None:
        self._finders = [KINDS[kind] for kind in kinds]

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where they stand, half-open, in characters, without overlaps."""
        found = sorted({span for find in self._finders for span in find(text)})
        merged: list[tuple[int, int]] = []
        for start, end in found:
            if merged and start < merged[-1][1]:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((start, end))
        return merged


def luhn(digits: str) -> bool:
    """Whether the check digit is right (ISO/IEC 7812-1, annex B)."""
    doubled = (int(d) if i % 2 == 0 else sum(divmod(2 * int(d), 10)) for i, d in enumerate(reversed(digits)))
    return sum(doubled) % 10 == 0


def _cards(text: str) -> list[tuple[int, int]]:
    if not _DIGIT.search(text):
        return _spoken_cards(text)
    written = [match.span() for match in _CARD.finditer(text) if _is_card(_digits(match.group()))]
    return written + _spoken_cards(text)


def _spoken_cards(text: str) -> list[tuple[int, int]]:
    if not SPOKEN_CHARS_MIN <= len(text) <= SPOKEN_CHARS_MAX:
        return []
    found = []
    for match in _SPOKEN_DIGITS.finditer(text):
        for unit in units_of(match.group()):
            if unit.kind == "run" and _is_card(unit.value):
                found.append((match.start() + unit.start, match.start() + unit.end))
    return found


def _is_card(digits: str) -> bool:
    return (
        CARD_DIGITS_MIN <= len(digits) <= CARD_DIGITS_MAX
        and digits.isdecimal()
        and digits.strip("0") != ""
        and luhn(digits)
    )


def _emails(text: str) -> list[tuple[int, int]]:
    patterns = [_EMAIL] if "@" in text else []
    if " dot " in text.lower():
        patterns.append(_SPOKEN_EMAIL)
    return [match.span() for pattern in patterns for match in pattern.finditer(text)]


def _phones(text: str) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    if not _DIGIT.search(text):
        return found
    for pattern in _PHONES:
        for match in pattern.finditer(text):
            start, end = match.span(1) if pattern.groups else match.span()
            digits = sum(char.isdigit() for char in text[start:end])
            if PHONE_DIGITS_MIN <= digits <= PHONE_DIGITS_MAX and not _goes_on(text, start, end):
                found.append((start, end))
    return found


def _goes_on(text: str, start: int, end: int) -> bool:
    """Whether the digits are a part of longer ones: of an order's number, of a card."""
    before = text[max(0, start - 2) : start]
    after = text[end : end + 2]
    return bool(
        (before and (before[-1].isalnum() or (before[-1] in "-./" and before[:1].isalnum())))
        or (after and (after[0].isalnum() or (after[0] in "-./" and after[1:].isalnum())))
        or (len(before) == 2 and before[1] == " " and before[0].isdigit() and text[start].isdigit())
        or (len(after) == 2 and after[0] == " " and after[1].isdigit())
    )


def _digits(text: str) -> str:
    return "".join(char for char in text if char in "0123456789")


KINDS: dict[str, Callable[[str], list[tuple[int, int]]]] = {
    "card": _cards,
    "email": _emails,
    "phone": _phones,
}
