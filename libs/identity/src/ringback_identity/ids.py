"""Owns the form of every id: a prefix that says what it names, ``_``, and 26 base32 characters (128 bits)."""

from __future__ import annotations

import hashlib
import secrets
from typing import Final

_CHARS: Final = 26  # 26 × 5 = 130 bits: the least that holds 128
_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz234567"
_PAIRS: Final = [first + second for first in _ALPHABET for second in _ALPHABET]
_SHIFTS: Final = range(5 * (_CHARS - 2), -1, -10)


def new_id(prefix: str) -> str:
    """A fresh random id, ``sess_`` + 26 characters; the prefix may be given with or without its ``_``."""
    return _head(prefix) + _base32(secrets.token_bytes(16))


def derive_id(prefix: str, *parts: str | int) -> str:
    """The same id for the same parts, always: SHA-256 over length-prefixed, typed parts."""
    return _head(prefix) + _base32(hashlib.sha256(framed(*parts)).digest())


def action_id(*, session_id: str, tool: str, major_version: int, arguments_digest: str, ordinal: int) -> str:
    """The id of one intended effect on the world; a repeat of the same call gets the same id."""
    return derive_id("act", session_id, tool, major_version, arguments_digest, ordinal)


def framed(*parts: str | int | bytes) -> bytes:
    """Parts joined so that no two different lists give the same bytes."""
    out = bytearray()
    for part in parts:
        match part:
            case str():
                kind, data = b"s", part.encode()
            case bytes():
                kind, data = b"b", part
            case int():
                kind, data = b"i", str(int(part)).encode()
        out += kind + len(data).to_bytes(4, "big") + data
    return bytes(out)


def _head(prefix: str) -> str:
    return prefix if prefix.endswith("_") else prefix + "_"


def _base32(data: bytes) -> str:
    """The first characters of RFC 4648's base32 of it, in lower case: two by each ten bits of 130."""
    bits = int.from_bytes(data[:17].ljust(17, b"\0"), "big") >> 6
    return "".join([_PAIRS[bits >> shift & 1023] for shift in _SHIFTS])
