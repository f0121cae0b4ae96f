"""Owns the reading of numbers, money, dates and times out of recognised speech."""

import re
from dataclasses import dataclass
from datetime import date, time, timedelta
from decimal import Decimal

from ringback_spoken.scanning import scan
from ringback_spoken.units import Unit, amount_at, units_of
from ringback_spoken.vocabulary import CURRENCY_SIGNS, MONTHS, WEEKDAYS

_DAYS_PER = {"day": 1, "days": 1, "week": 7, "weeks": 7}
_NEAR_DAYS = {"today": 0, "tonight": 0, "tomorrow": 1, "yesterday": -1}
_NAMED_TIMES = {"noon": time(12), "midday": time(12), "midnight": time(0)}


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in a currency, named by its ISO 4217 code."""

    amount: Decimal
    currency: str


def read_number(text: str) -> Decimal | None:
    """The first number in the text; "3.5 million" and "a hundred and five" count, dates and times do not."""
    scanned = scan(text)
    for unit in units_of(text):
        if unit.kind in {"run", "decimal"} and re.fullmatch(r"[0-9]+(?:\.[0-9]+)?", unit.value):
            amount = amount_at(scanned, scanned.after(unit.start, 0))
            scaled = unit.kind == "decimal" and amount is not None
            return Decimal(amount[0] if scaled and amount else unit.value)
        if unit.kind in {"money", "percent"}:
            return Decimal(unit.value.strip("$€£%"))
    return None


def read_money(text: str) -> Money | None:
    """The first amount of money in the text."""
    for unit in units_of(text):
        if unit.kind == "money":
            return Money(Decimal(unit.value[1:]), CURRENCY_SIGNS[unit.value[0]])
    return None


def read_time(text: str) -> time | None:
    """The first time of day in the text; without "a m" or "p m" a spoken hour is not enough."""
    for unit in units_of(text):
        if unit.kind == "time":
            return time(int(unit.value[:2]), int(unit.value[3:]))
        if unit.value in _NAMED_TIMES:
            return _NAMED_TIMES[unit.value]
    return None


def read_date(text: str, *, today: date) -> date | None:
    """The first date in the text; one said without a year is the next to come, today included.

    Reads months with days, written dates, "tomorrow", weekdays, "in three days" and "the fifteenth".
    """
    units = units_of(text)
    for at, unit in enumerate(units):
        found = _date_unit(unit, today) if unit.kind == "date" else _relative(units, at, today)
        if found is not None:
            return found
    return None


def _date_unit(unit: Unit, today: date) -> date | None:
    month, _, day = unit.value.partition(" ")
    years = (unit.year,) if unit.year else range(today.year, today.year + 9)
    for year in years:
        try:
            found = date(year, MONTHS[month], int(day))
        except ValueError:
            continue
        if unit.year or found >= today:
            return found
    return None


def _relative(units: tuple[Unit, ...], at: int, today: date) -> date | None:
    unit = units[at]
    if unit.value in _NEAR_DAYS:
        after = [u.value for u in units[max(0, at - 2) : at]] == ["day", "after"]
        return _shifted(today, 2 if after and unit.value == "tomorrow" else _NEAR_DAYS[unit.value])
    if unit.value in WEEKDAYS:
        return _shifted(today, _days_to(units, at, today))
    if unit.kind == "ordinal":
        return _day_of_month(int(unit.value[:-2]), today)
    if unit.kind == "run" and unit.value.isdecimal() and len(unit.value) <= 3:
        return _in_days(units, at, today)
    return None


def _in_days(units: tuple[Unit, ...], at: int, today: date) -> date | None:
    following = [u.value for u in units[at + 1 : at + 3]]
    step = _DAYS_PER.get(following[0]) if following else None
    before = units[at - 1].value if at else ""
    if step is None or (before != "in" and following[1:] != ["from"]):
        return None
    return _shifted(today, int(units[at].value) * step)


def _days_to(units: tuple[Unit, ...], at: int, today: date) -> int:
    """Days to the weekday: the next to come; "next" skips to the week after when it is this week's."""
    ahead = (WEEKDAYS[units[at].value] - today.weekday()) % 7 or 7
    this_week = today.weekday() + ahead < 7
    return ahead + 7 if at and units[at - 1].value == "next" and this_week else ahead


def _day_of_month(day: int, today: date) -> date | None:
    for ahead in range(13):
        year, month = divmod(today.month - 1 + ahead, 12)
        try:
            found = date(today.year + year, month + 1, day)
        except ValueError:
            continue
        if found >= today:
            return found
    return None


def _shifted(today: date, days: int) -> date | None:
    try:
        return today + timedelta(days=days)
    except OverflowError:
        return None
