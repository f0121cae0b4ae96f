"""Prices of models from a YAML file; the one beside this package unless another is named."""

from __future__ import annotations

from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final

import yaml
from ringback_errors import ConfigError

from ringback_session.domain.prices import PriceTable
from ringback_session.domain.usage import PICO, Price, Tokens

__all__ = ["load_prices"]

SHIPPED: Final = Path(__file__).resolve().parents[1] / "prices.yaml"
FILE_BYTES_MAX: Final = 1024 * 1024
_KINDS: Final = frozenset(Tokens.__struct_fields__) - {"audio_ms", "other_in", "other_out"}
_FIELDS: Final = frozenset({"model", "source", "as_of", "per_million_tokens", "per_minute"})


def load_prices(path: Path | None = None) -> PriceTable:
    """Raises ConfigError, naming the entry and what was expected."""
    path = path or SHIPPED
    try:
        data = yaml.load(path.read_bytes()[:FILE_BYTES_MAX], _ExactLoader)
    except OSError as error:
        raise ConfigError(
            f"RINGBACK_PRICES_FILE: {path} can not be read ({error.strerror}); expected a table of prices"
        ) from None
    except yaml.YAMLError:
        raise ConfigError(f"{path}: expected YAML") from None
    entries = data.get("models") if isinstance(data, dict) and data.get("currency") == "USD" else None
    if not isinstance(entries, list):
        raise ConfigError(f"{path}: expected currency: USD and a list of models")
    models: dict[str, Price] = {}
    for number, entry in enumerate(entries):
        where = f"{path}: models[{number}]"
        name, price = _entry(entry, where)
        if name in models:
            raise ConfigError(f"{where}.model: {name} is there twice")
        models[name] = price
    return PriceTable(models)


class _ExactLoader(yaml.SafeLoader):
    """Reads numbers with a point as they are written, not as the nearest binary fraction."""


def _exact(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> Decimal | str:
    found = _decimal(node.value)
    return node.value if found is None else found


_ExactLoader.add_constructor("tag:yaml.org,2002:float", _exact)


def _entry(entry: Any, where: str) -> tuple[str, Price]:
    if not isinstance(entry, dict) or not isinstance(entry.get("model"), str):
        raise ConfigError(f"{where}.model: expected a name")
    unknown = sorted(set(entry) - _FIELDS)
    if unknown:
        raise ConfigError(f"{where}.{unknown[0]}: expected one of {', '.join(sorted(_FIELDS))}")
    if not isinstance(entry.get("source"), str) or not entry["source"].strip():
        raise ConfigError(f"{where}.source: expected where the prices come from")
    if not isinstance(entry.get("as_of"), date):
        raise ConfigError(f"{where}.as_of: expected the day on which they were read, YYYY-MM-DD")
    tokens = entry.get("per_million_tokens") or {}
    if not isinstance(tokens, dict) or not set(tokens) <= _KINDS:
        raise ConfigError(f"{where}.per_million_tokens: expected prices for {', '.join(sorted(_KINDS))}")
    rates = {
        kind: _pico(value, f"{where}.per_million_tokens.{kind}", of=1_000_000)
        for kind, value in tokens.items()
    }
    minute = entry.get("per_minute")
    audio_ms = None if minute is None else _pico(minute, f"{where}.per_minute", of=60_000)
    return entry["model"], Price(tokens=rates, audio_ms=audio_ms)


def _pico(value: Any, where: str, *, of: int) -> int:
    """Dollars for so many as pico-dollars for one; of a price by time the nearest."""
    number = (
        _decimal(str(value)) if isinstance(value, (int, Decimal)) and not isinstance(value, bool) else None
    )
    if number is None or not number.is_finite() or not 0 <= number <= 1_000_000:
        raise ConfigError(f"{where}: expected dollars, 0 or more")
    return int((number * PICO / of).to_integral_value())


def _decimal(text: str) -> Decimal | None:
    try:
        return Decimal(text.replace("_", ""))
    except InvalidOperation:
        return None
