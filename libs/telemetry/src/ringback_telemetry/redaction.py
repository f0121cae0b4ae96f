"""Owns the rules by which secrets and card numbers are taken out of text before it is logged or exported."""

from __future__ import annotations

import re
from typing import Final

MARK: Final = "[redacted]"

_AUTHORIZATION: Final = re.compile(
    r"""(?ix) (\b (?:proxy-)?authorization ["']? \s* [:=] \s* ["']?) (?:[a-z]+ \s+)? [^\s"',;}]+"""
)
_SCHEME: Final = re.compile(r"(?i)\b(bearer|basic)\s+[a-z0-9._~+/=-]{8,}")
# API keys, client secrets, resume tokens (also as a path segment), keys of model providers.
_CREDENTIAL: Final = re.compile(r"\b(rb|ek|rt|sk)[_-][A-Za-z0-9][A-Za-z0-9._-]{7,}")
_RESUME_PATH: Final = re.compile(r"(/r/)[^/\s\"']+")
_NAMED: Final = re.compile(
    r"""(?ix) (\b (?:api[_-]?key|resume[_-]?token|client[_-]?secret|password|secret) ["']? \s* [:=] \s* ["']?)
    [^\s"',;}]+"""
)
_DIGITS: Final = re.compile(r"(?<![\w.-])\d(?:[ -]?\d){12,18}(?![\w-]|\.\d)")
_CARD_HEADS: Final = frozenset("23456")  # ISO/IEC 7812-1: the major industries of payment cards
# Airlines' cards begin with 1, as do times since 1970 in any unit: those must pass the checksum.
_UATP_DIGITS: Final = 15


def redact(text: str) -> str:
    """The text without credentials and without digit runs that look like a payment card."""
    if len(text) < 8:
        return text
    text = _AUTHORIZATION.sub(rf"\g<1>{MARK}", text)
    text = _SCHEME.sub(rf"\g<1> {MARK}", text)
    text = _NAMED.sub(rf"\g<1>{MARK}", text)
    text = _CREDENTIAL.sub(rf"\g<1>_{MARK}", text)
    text = _RESUME_PATH.sub(rf"\g<1>{MARK}", text)
    return _DIGITS.sub(_card, text)


def looks_like_card(digits: str) -> bool:
    """Whether 13 to 19 digits are to be treated as a card number; a misheard one counts, so no checksum."""
    if not 13 <= len(digits) <= 19:
        return False
    if digits[0] in _CARD_HEADS:
        return True
    return digits[0] == "1" and len(digits) == _UATP_DIGITS and _luhn(digits)


def _card(found: re.Match[str]) -> str:
    digits = found[0].replace(" ", "").replace("-", "")
    return MARK if looks_like_card(digits) else found[0]


def _luhn(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    total = 0
    for index, char in enumerate(reversed(digits)):
        value = int(char) * (2 if index % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0
