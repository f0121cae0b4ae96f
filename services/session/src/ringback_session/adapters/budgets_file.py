"""The budgets of a tenant as `tenants.yaml` states them."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any, Final

from ringback_errors import ConfigError

from ringback_session.domain.usage import PICO, Budget, Budgets

__all__ = ["read_budgets"]

_LIMITS: Final = ("soft_usd", "hard_usd", "soft_tokens", "hard_tokens")
_FIELDS: Final = ("session", "day", "on_hard", "say", "instruction")
_ON_HARD: Final = ("end", "refuse")
TEXT_CHARS_MAX: Final = 2_000


def read_budgets(data: Any, where: str) -> Budgets:
    """Raises ConfigError, naming the field and what was expected."""
    _check(data, where, _FIELDS)
    plain = Budgets()
    on_hard = data.get("on_hard", plain.on_hard)
    if on_hard not in _ON_HARD:
        raise ConfigError(f"{where}.on_hard: expected {' or '.join(_ON_HARD)}")
    texts = {}
    for name in ("say", "instruction"):
        texts[name] = data.get(name, getattr(plain, name))
        if not isinstance(texts[name], str) or len(texts[name]) > TEXT_CHARS_MAX:
            raise ConfigError(f"{where}.{name}: expected a text of at most {TEXT_CHARS_MAX} characters")
    return Budgets(
        session=_budget(data.get("session") or {}, f"{where}.session"),
        day=_budget(data.get("day") or {}, f"{where}.day"),
        on_hard=on_hard,
        **texts,
    )


def _budget(data: Any, where: str) -> Budget:
    _check(data, where, _LIMITS)
    found = Budget(
        soft_pico=_usd(data.get("soft_usd", 0), f"{where}.soft_usd"),
        hard_pico=_usd(data.get("hard_usd", 0), f"{where}.hard_usd"),
        soft_tokens=_tokens(data.get("soft_tokens", 0), f"{where}.soft_tokens"),
        hard_tokens=_tokens(data.get("hard_tokens", 0), f"{where}.hard_tokens"),
    )
    if 0 < found.hard_pico < found.soft_pico or 0 < found.hard_tokens < found.soft_tokens:
        raise ConfigError(f"{where}: expected soft limits below the hard ones")
    return found


def _check(data: Any, where: str, fields: tuple[str, ...]) -> None:
    if not isinstance(data, dict):
        raise ConfigError(f"{where}: expected a mapping")
    unknown = sorted(str(name) for name in data if name not in fields)
    if unknown:
        raise ConfigError(f"{where}.{unknown[0]}: expected one of {', '.join(fields)}")


def _usd(value: Any, where: str) -> int:
    try:
        amount = Decimal(str(value)) if not isinstance(value, bool) else Decimal(-1)
    except InvalidOperation:
        amount = Decimal(-1)
    if not amount.is_finite() or not 0 <= amount <= 1_000_000:
        raise ConfigError(f"{where}: expected dollars, 0 for no bound")
    return int(amount * PICO)


def _tokens(value: Any, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ConfigError(f"{where}: expected a number of tokens, 0 for no bound")
    return value
