"""Owns the finding of personal data in text: card numbers, e-mail addresses, phone numbers."""

from collections.abc import Callable, Iterable
from typing import Any

import re2 as _re2

__all__ = ["KINDS", "Redactor", "luhn"]

# The binding has no types of its own.
re2: Any = _re2

_CARD = re2.compile(r"\d(?:[ -]?\d){12,18}")
_EMAIL = re2.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+")
_PHONE = re2.compile(
    r"(?:\+\d{1,3}[ .-]?)?(?:\(\d{2,4}\)[ .-]?)?\d{2,4}[ .-]\d{3,4}(?:[ .-]\d{2,4}){0,2}|\+\d{8,14}"
)


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
    return [
        m.span() for m in _CARD.finditer(text) if luhn("".join(c for c in m.group() if c in "0123456789"))
    ]


def _emails(text: str) -> list[tuple[int, int]]:
    return [match.span() for match in _EMAIL.finditer(text)]


def _phones(text: str) -> list[tuple[int, int]]:
    found = (match for match in _PHONE.finditer(text))
    return [match.span() for match in found if 9 <= sum(char.isdigit() for char in match.group()) <= 15]


KINDS: dict[str, Callable[[str], list[tuple[int, int]]]] = {
    "card": _cards,
    "email": _emails,
    "phone": _phones,
}
