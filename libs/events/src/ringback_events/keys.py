"""The keys of buckets and the summaries of their values, checked before they reach the bus."""

from __future__ import annotations

import re

from ringback_errors import InvalidInput

__all__ = ["check_key", "check_key_prefix", "check_summary"]

KEY_CHARS_MAX = 256
_KEY = re.compile(r"[-/_=A-Za-z0-9]+(?:\.[-/_=A-Za-z0-9]+)*\Z")
SUMMARY_CHARS_MAX = 1_024
_SUMMARY = re.compile(r"[!-~]*\Z")
_PREFIX = re.compile(r"[-/_=.A-Za-z0-9]*\Z")


def check_key(key: str) -> str:
    """Return `key` if it is one, else raise InvalidInput."""
    if len(key) > KEY_CHARS_MAX or not _KEY.match(key):
        raise InvalidInput(
            f"key: up to {KEY_CHARS_MAX} letters, digits, '_', '-', '=', '/' in dotted tokens expected,"
            f" got {key[:60]!r}",
            field="key",
        )
    return key


def check_key_prefix(prefix: str) -> str:
    """Return `prefix` if keys can begin with it, else raise InvalidInput."""
    if len(prefix) > KEY_CHARS_MAX or not _PREFIX.match(prefix):
        raise InvalidInput(f"prefix: the beginning of a key expected, got {prefix[:60]!r}", field="prefix")
    return prefix


def check_summary(summary: str) -> str:
    """Return `summary` if a header can carry it as it is, else raise InvalidInput."""
    if len(summary) > SUMMARY_CHARS_MAX or not _SUMMARY.match(summary):
        raise InvalidInput(
            f"summary: up to {SUMMARY_CHARS_MAX} visible ASCII characters expected, got {summary[:60]!r}",
            field="summary",
        )
    return summary
