"""Owns the form in which a result's data leaves: secrets out, size within the tool's limit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

__all__ = ["Shaped", "TooLarge", "shape"]

_SECRET: Final = re.compile(
    r"(?i)^(.*(password|passwd|secret|api_?key|access_?token|refresh_?token|authorization|private_?key)|cvv|cvc|pin)$"
)
_DEPTH_MAX: Final = 32
# Tried in this order until it fits: how many items of a list and characters of a text stay.
_CUTS: Final = ((200, 4_000), (50, 1_000), (20, 400), (10, 200), (5, 100), (2, 40))


@dataclass(frozen=True, slots=True)
class Shaped:
    """Data as it leaves: JSON text, and whether something was left out to fit."""

    data_json: str
    truncated: bool


class TooLarge(ValueError):  # noqa: N818 - reads as what is wrong
    """The data does not fit, however much is cut."""


def shape(data: Any, *, bytes_max: int) -> Shaped:
    """Redacted JSON of at most `bytes_max` bytes; lists and texts are cut, fields stay. Raises TooLarge."""
    kept = _redacted(data, depth=0)
    raw = orjson.dumps(kept)
    if len(raw) <= bytes_max:
        return Shaped(raw.decode(), truncated=False)
    for items_max, chars_max in _CUTS:
        raw = orjson.dumps(_cut(kept, items_max, chars_max))
        if len(raw) <= bytes_max:
            return Shaped(raw.decode(), truncated=True)
    raise TooLarge(f"expected at most {bytes_max} bytes")


def _redacted(value: Any, *, depth: int) -> Any:
    if depth > _DEPTH_MAX:
        return None
    if isinstance(value, Mapping):
        return {
            str(name): "[redacted]" if _SECRET.match(str(name)) else _redacted(item, depth=depth + 1)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [_redacted(item, depth=depth + 1) for item in value]
    return value


def _cut(value: Any, items_max: int, chars_max: int) -> Any:
    if isinstance(value, Mapping):
        return {name: _cut(item, items_max, chars_max) for name, item in value.items()}
    if isinstance(value, list):
        return [_cut(item, items_max, chars_max) for item in value[:items_max]]
    if isinstance(value, str) and len(value) > chars_max:
        return value[: chars_max - 1] + "…"
    return value
