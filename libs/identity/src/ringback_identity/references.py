"""Owns what counts as a secret by reference, and how a file of one is read. No error shows what was found."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from ringback_errors import ConfigError

__all__ = ["SECRET_BYTES_MAX", "read_secret", "sound_secret"]

SECRET_BYTES_MAX: Final = 16 * 1024
# It becomes part of a header; some are of several words.
_WORD: Final = re.compile(r"[!-~]+")
_LINE: Final = re.compile(r"[ -~]+")


def sound_secret(text: str, *, where: str, holder: str = "", spaces: bool = False) -> str:
    """The secret in a text, without the blanks around it; raises ConfigError, which `where` begins.

    `holder` is what should have held it.
    """
    secret = text.strip()
    if len(secret) > SECRET_BYTES_MAX or not (_LINE if spaces else _WORD).fullmatch(secret):
        without = "" if spaces else " without spaces"
        held = f"{holder} to hold " if holder else ""
        raise ConfigError(f"{where}: expected {held}one line of printable ASCII characters{without}")
    return secret


def read_secret(path: Path, *, where: str, spaces: bool = False) -> str:
    """The secret in a file; raises ConfigError, which `where` begins."""
    try:
        with path.open("rb") as opened:
            # What is no ASCII becomes something that no secret may hold.
            text = opened.read(SECRET_BYTES_MAX + 1).decode("ascii", "replace")
    except OSError as error:
        raise ConfigError(f"{where}: {path} cannot be read ({error.strerror})") from None
    return sound_secret(text, where=where, holder=str(path), spaces=spaces)
