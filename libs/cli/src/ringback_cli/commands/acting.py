"""Owns who a command acts for and why, as the audit tells it."""

from __future__ import annotations

import getpass

from ringback_errors import InvalidInput

__all__ = ["REASON_CHARS_MAX", "one_line", "operator"]

REASON_CHARS_MAX = 200


def operator() -> str:
    """The account that runs the command."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "operator"


def one_line(text: str, *, field: str, chars_max: int = REASON_CHARS_MAX) -> str:
    """The text with single spaces; raises InvalidInput where it has no character or more than so many."""
    said = " ".join(text.split())
    if not said or len(said) > chars_max:
        raise InvalidInput(f"1 to {chars_max} characters expected", field=field)
    return said
