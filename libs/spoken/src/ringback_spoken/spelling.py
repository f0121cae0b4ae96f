"""Owns how codes and addresses are said: character by character, in small groups."""

import re

from ringback_spoken.vocabulary import digits_apart

_PIECES = re.compile(r"[0-9]+|[A-Za-z]+|[^\W\d_]+|.", re.DOTALL)
_SYMBOLS = {
    "@": "at", ".": "dot", "_": "underscore", "-": "dash", "/": "slash", ":": "colon", "?": "question mark",
    "=": "equals", "&": "and", "+": "plus", "#": "hash", "%": "percent", "~": "tilde",
}  # fmt: skip
_CODE_SYMBOLS = {"_": " underscore", "/": " slash", "+": "plus"}
# Letters whose names are also everyday words or digits are said with a word that begins with them.
_EXPLAINED = {"I": "I as in India", "O": "O as in Oscar"}
_WORD_CHARS_MIN = 3
_VOWELS = frozenset("aeiouy")


def spelled(code: str) -> str:
    """A code for the ear: digits and letters one by one, a comma's pause between groups of three or four.

    Lower-case words between separators ("sara_doe_496") are said as words.
    """
    said: list[str] = []
    for piece in _PIECES.findall(code):
        if piece in _CODE_SYMBOLS and said:
            said[-1] += _CODE_SYMBOLS[piece]
        elif piece[0] in "0123456789":
            said += [digits_apart(group) for group in grouped(piece)]
        elif piece.isalpha() and piece.isascii() and not _is_word(piece):
            said += [" ".join(_EXPLAINED.get(c, c) for c in group) for group in grouped(piece.upper())]
        elif piece.isalpha():
            said.append(piece)
    return ", ".join(said)


def grouped(chars: str) -> list[str]:
    """Cut into groups as people say them: by three with at most four at the end, card numbers by four."""
    size = 4 if len(chars) in {8, 12, 16} else 3
    groups = [chars[at : at + size] for at in range(0, len(chars), size)]
    if len(groups) > 1 and len(groups[-1]) == 1:
        groups[-2:] = ["".join(groups[-2:])]
    return groups


def phone(number: str) -> str:
    """A telephone number for the ear: country code, then three, three and four digits."""
    digits = "".join(char for char in number if char in "0123456789")
    if len(digits) < 10:
        return spelled(digits)
    country, area, local = digits[:-10], digits[-10:-7], digits[-7:]
    groups = [digits_apart(group) for group in (country, area, local[:3], local[3:]) if group]
    return ("plus " if number.startswith("+") else "") + ", ".join(groups)


def address(text: str) -> str:
    """An e-mail address or URL for the ear, its signs named; the scheme is left out."""
    text = re.sub(r"^[A-Za-z]+://", "", text)
    return " ".join(filter(None, map(_address_piece, _PIECES.findall(text))))


def _address_piece(piece: str) -> str:
    if piece[0] in "0123456789":
        return digits_apart(piece)
    if piece.isalpha():
        return piece if not piece.isascii() or _is_word(piece.lower()) else " ".join(piece)
    return _SYMBOLS.get(piece, "")


def _is_word(piece: str) -> bool:
    return len(piece) >= _WORD_CHARS_MIN and piece.islower() and not _VOWELS.isdisjoint(piece)
