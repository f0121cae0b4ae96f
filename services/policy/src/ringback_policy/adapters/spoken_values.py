"""How values sound, from the library of spoken forms."""

from functools import lru_cache

from ringback_spoken import contains_value, for_ear
from ringback_spoken.matching import Kind

__all__ = ["says_value", "speak_value"]

_SIGNS = {"USD": "$", "EUR": "€", "GBP": "£", "": "$"}
_KINDS: dict[str, Kind] = {
    "id": "id",
    "money": "money",
    "date": "date",
    "time": "time",
    "phone": "phone",
    "number": "number",
    "text": "text",
}


@lru_cache(maxsize=4096)
def speak_value(value: str, kind: str, currency: str) -> str:
    """The spoken form; an amount in a currency without a sign of its own names its code.

    Kept, since a read-back is often repeated and the forms are dear to make.
    """
    if kind == "money":
        sign = _SIGNS.get(currency.upper())
        if sign is None:
            return f"{for_ear(value, 'number')} {currency.upper()}"
        return for_ear(f"{sign}{value}", "money")
    return for_ear(value, _KINDS.get(kind, "text"))


def says_value(transcript: str, value: str, kind: str) -> bool:
    """Whether the transcript says the value, in whatever spoken form."""
    return contains_value(transcript, value, _KINDS.get(kind)) is not None
