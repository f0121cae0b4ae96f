"""Owns the masking of personal data in what is kept: another value of the same kind and length stands in its place.

A masked card is still a card and a masked address an address, so what a rule says of the text stays what it was; JSON
stays JSON of the same form.
"""

from ringback_policy.domain.redaction import KINDS, luhn

__all__ = ["masked"]


def masked(text: str) -> str:
    """The text with every personal value replaced."""
    chars = list(text)
    for kind, find in KINDS.items():
        for start, end in find(text):
            value = text[start:end]
            chars[start:end] = _card(value) if kind == "card" and _written(value) else _blurred(value)
    return "".join(chars)


def _written(value: str) -> bool:
    return not any(char.isalpha() for char in value)


def _card(value: str) -> str:
    """Digits that pass the check again; signs stay where they are."""
    places = [at for at, char in enumerate(value) if char.isdigit()]
    body = "4" + "0" * (len(places) - 2)
    digits = next(body + check for check in "0123456789" if luhn(body + check))
    chars = list(value)
    for at, digit in zip(places, digits, strict=True):
        chars[at] = digit
    return "".join(chars)


def _blurred(value: str) -> str:
    """Letters as x, digits as 9, but for a country's sign and a leading zero, which tell what it is."""
    return "".join(
        "9" if char.isdigit() and char != "0" else "x" if char.isalpha() else char for char in value
    )
