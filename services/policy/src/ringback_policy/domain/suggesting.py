"""Owns what an author is told of a name that nobody knows: the known ones, and the one that was probably meant."""

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["expected_one_of", "perhaps"]

SHOWN_MAX = 40


def perhaps(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` where one of the known names is close, else nothing."""
    near = get_close_matches(name, sorted(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def expected_one_of(name: str, known: Iterable[str], *, none: str = "none") -> str:
    """`expected one of a, b; did you mean 'b'?`"""
    names = sorted(known)
    shown = ", ".join(names[:SHOWN_MAX]) or none
    more = f" and {len(names) - SHOWN_MAX} more" if len(names) > SHOWN_MAX else ""
    return f"expected one of {shown}{more}{perhaps(name, names)}"
