"""Owns the reading of tokens as units: money, dates, times, percentages, ordinals, runs and words."""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Literal, NamedTuple

from ringback_spoken.numerals import INTEGER_DIGITS_MAX, cardinal_at, ordinal_at, ordinal_ending, plain_digits
from ringback_spoken.runs import hard_at, run_at
from ringback_spoken.scanning import GLUED, STRONG, WEAK, Scan, scan
from ringback_spoken.vocabulary import (
    CENT_WORDS,
    CURRENCY_SIGNS,
    CURRENCY_WORDS,
    DIGIT_HOMOPHONES,
    LETTER_SOUNDS,
    MONTH_NAMES,
    MONTHS,
    NATO,
    ORDINAL_TENS,
    ORDINAL_UNITS,
    SCALE_WORDS,
    TEENS,
    TENS,
    UNITS,
    VERB_MONTHS,
)

UnitKind = Literal["money", "date", "time", "percent", "ordinal", "run", "decimal", "word"]

_ISO_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})(?![0-9-])")
_US_DATE = re.compile(r"([0-9]{1,2})/([0-9]{1,2})(?:/([0-9]{4}))?(?![0-9/])")
_CLOCK = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::[0-9]{2})?(?![0-9:])")
_MERIDIEM = re.compile(r"[\s,]{0,3}(?:([ap])\.?\s?m\b\.?|in the (morning|afternoon|evening)\b|at (night)\b)")
_SIGNS = {currency: sign for sign, currency in CURRENCY_SIGNS.items()}
# Every word that can begin anything but a word; most tokens of a sentence are none of these.
_BEGINNINGS = frozenset(
    {*UNITS, *TEENS, *TENS, *ORDINAL_UNITS, *ORDINAL_TENS, *MONTHS, *CURRENCY_WORDS}
    | {*DIGIT_HOMOPHONES, *LETTER_SOUNDS, *NATO}
    | {"a", "an", "the", "double", "triple"}
)
# What can begin a unit of a form of its own, besides digits and numbers in words.
_STRUCTURED = frozenset({*MONTHS, *CURRENCY_WORDS, *CURRENCY_SIGNS, *ORDINAL_UNITS, *ORDINAL_TENS, "the"})


_HELD_MAX = 256
_HELD_CHARS_MAX = 1_024
"""One utterance is asked for many values in a row; longer texts are read anew each time."""


class Unit(NamedTuple):
    """One unit with its span; `value` is its canonical text, `year` a date's year if it was said."""

    kind: UnitKind
    value: str
    start: int
    end: int
    gap: int = STRONG
    year: int | None = None
    after_comma: bool = False


class _Found(NamedTuple):
    kind: UnitKind
    value: str
    next_index: int
    year: int | None = None


def units_of(text: str) -> tuple[Unit, ...]:
    """The text as units, in order; what is neither number, word nor sign is left out."""
    return _held_units(text) if len(text) <= _HELD_CHARS_MAX else tuple(_units(scan(text)))


@lru_cache(maxsize=_HELD_MAX)
def _held_units(text: str) -> tuple[Unit, ...]:
    return tuple(_units(scan(text)))


def _units(scanned: Scan) -> Iterator[Unit]:
    index = 0
    # What a run looked ahead at is not read again.
    seen: dict[int, _Found | None] = {}

    def structured(at: int) -> _Found | None:
        if at not in seen:
            seen[at] = structured_at(scanned, at)
        return seen[at]

    while index < len(scanned.tokens):
        if _is_plain(scanned, index):
            text, start, end, gap, _, comma = scanned.tokens[index]
            yield Unit("word", text, start, end, gap if index else STRONG, None, comma)
            index += 1
            continue
        found = structured(index) or _loose_at(scanned, index, structured)
        first, last = scanned.tokens[index], scanned.tokens[found.next_index - 1]
        yield Unit(
            found.kind, found.value, first.start, last.end, scanned.gap(index), found.year, first.comma
        )
        index = found.next_index


def _is_plain(scanned: Scan, index: int) -> bool:
    """Whether it is an everyday word, known as such without asking each grammar."""
    text = scanned.tokens[index].text
    if len(text) == 1 or text in _BEGINNINGS or not text[0].isalpha():
        return False
    return scanned.gap(index + 1) != GLUED


def structured_at(scanned: Scan, index: int) -> _Found | None:
    """A unit whose form says what it is: date, time, money, percentage or ordinal."""
    text = scanned.tokens[index].text
    if text not in _STRUCTURED and text[0] not in "0123456789" and cardinal_at(scanned, index) is None:
        return None
    for read in (_month_first, _day_first, _written_date, _time, _signed_money, _counted, _ordinal):
        found = read(scanned, index)
        if found is not None and scanned.gap(found.next_index) != GLUED:
            return found  # what is written on in one piece is a code
    return None


def _loose_at(scanned: Scan, index: int, structured: Callable[[int], _Found | None]) -> _Found:
    token = scanned.tokens[index]
    decimal = _decimal_at(scanned, index)
    if decimal is not None:
        return _Found("decimal", decimal[0], decimal[1])
    run = run_at(scanned, index, stop=lambda at: bool(structured(at) or _decimal_at(scanned, at)))
    if run is not None:
        return _Found("run", run.chars, run.next_index)
    return _Found("word", token.text, index + 1)


def _ordinal(scanned: Scan, index: int) -> _Found | None:
    found = ordinal_at(scanned, index)
    return _Found("ordinal", f"{found[0]}{ordinal_ending(found[0])}", found[1]) if found else None


def _decimal_at(scanned: Scan, index: int) -> tuple[str, int] | None:
    """A number with a fraction, "3.5" or "three point five", with one place at least."""
    text = scanned.text(index)
    if "." in text and text[0] in "0123456789":
        return _trim(plain_digits(text)), index + 1
    whole = _whole_at(scanned, index)
    if whole is None or scanned.follow(whole[1]) != "point":
        return None
    digits, at = "", whole[1] + 1
    while (digit := UNITS.get(scanned.follow(at))) is not None:
        digits, at = digits + str(digit), at + 1
    return (_trim(f"{whole[0]}.{digits}"), at) if digits else None


def _trim(decimal: str) -> str:
    whole, _, fraction = decimal.partition(".")
    return f"{whole.lstrip('0') or '0'}.{fraction.rstrip('0') or '0'}"


def _whole_at(scanned: Scan, index: int) -> tuple[str, int] | None:
    """A whole number in words or digits as canonical digits, with the next index."""
    text = plain_digits(scanned.text(index))
    words = cardinal_at(scanned, index)
    if words is not None:
        return str(words[0]), words[1]
    if text.isdecimal() and text.isascii():
        return text.lstrip("0") or "0", index + 1
    return None


def amount_at(scanned: Scan, index: int) -> tuple[str, int] | None:
    """An amount of money: a whole or decimal number, "1.2 million", or the colloquial "two forty"."""
    amount = _decimal_at(scanned, index) or _whole_at(scanned, index)
    if amount is None:
        return None
    digits, at = amount
    scale = SCALE_WORDS.get(scanned.follow(at))
    if scale is not None and len(digits) <= INTEGER_DIGITS_MAX:
        whole, _, fraction = digits.partition(".")
        places = len(str(scale)) - 1
        moved = whole + fraction.ljust(places, "0")
        return moved[: len(whole) + places].lstrip("0") or "0", at + 1
    rest = _two_digit_words_at(scanned, at) if scanned.tokens[index].word and len(digits) <= 2 else None
    return (digits + rest[0], rest[1]) if rest else amount


def _two_digit_words_at(scanned: Scan, index: int) -> tuple[str, int] | None:
    """The "forty" of "two forty": words right after, from ten to ninety nine."""
    if not scanned.follow(index) or scanned.tokens[index].comma or not scanned.tokens[index].word:
        return None
    atom = hard_at(scanned, index)
    return (atom.chars, atom.next_index) if atom and len(atom.chars) == 2 and atom.chars.isdecimal() else None


def _signed_money(scanned: Scan, index: int) -> _Found | None:
    text = scanned.text(index)
    currency = CURRENCY_SIGNS.get(text) or (CURRENCY_WORDS.get(text) if len(text) == 3 else None)
    if currency is None or scanned.gap(index + 1) == STRONG or index + 1 == len(scanned.tokens):
        return None
    others = (read(scanned, index + 1) for read in (_day_first, _written_date, _time, _ordinal))
    if any(other is not None and scanned.gap(other.next_index) != GLUED for other in others):
        return None
    amount = amount_at(scanned, index + 1)
    if amount is None or scanned.gap(amount[1]) == GLUED:
        return None
    return _with_cents(scanned, currency, amount[0], amount[1])


def _counted(scanned: Scan, index: int) -> _Found | None:
    """A number before the name of what it counts: dollars, cents or percent."""
    amount = amount_at(scanned, index)
    if amount is None:
        return None
    digits, at = amount
    name = scanned.follow(at)
    if scanned.gap(at) == GLUED and name != "%":
        return None
    if name in {"%", "percent"}:
        return _Found("percent", f"{digits}%", at + 1)
    if name in CENT_WORDS and len(digits) <= 2:
        return _Found("money", money_text(CENT_WORDS[name], f"0.{digits.zfill(2)}"), at + 1)
    if name in CURRENCY_WORDS:
        return _with_cents(scanned, CURRENCY_WORDS[name], digits, at + 1)
    return None


def _with_cents(scanned: Scan, currency: str, digits: str, at: int) -> _Found:
    """Add the cents that follow a whole amount, "… and fifty cents"."""
    while CURRENCY_WORDS.get(scanned.follow(at)) == currency:
        at += 1
    if "." not in digits and scanned.gap(at) != STRONG:
        cents = _whole_at(scanned, at + (scanned.text(at) == "and"))
        if cents is not None and len(cents[0]) <= 2 and scanned.follow(cents[1]) in CENT_WORDS:
            return _Found("money", money_text(currency, f"{digits}.{cents[0].zfill(2)}"), cents[1] + 1)
    return _Found("money", money_text(currency, digits), at)


def money_text(currency: str, digits: str) -> str:
    """The canonical amount: sign, whole units, point, at least two places."""
    whole, _, fraction = digits.partition(".")
    fraction = fraction.rstrip("0").ljust(2, "0")
    return f"{_SIGNS[currency]}{whole.lstrip('0') or '0'}.{fraction}"


def _month_first(scanned: Scan, index: int) -> _Found | None:
    month = MONTHS.get(scanned.text(index))
    at = index + 1
    if month is None or (scanned.gap(at) != WEAK and not _abbreviation_point(scanned, index)):
        return None
    at += scanned.text(at) == "the"
    day = ordinal_at(scanned, at) or _day_number(scanned, at)
    if day is None or not 1 <= day[0] <= 31:
        return None
    if scanned.text(index) in VERB_MONTHS and scanned.text(at) == "one":
        return None
    return _date(scanned, month, day[0], day[1])


def _abbreviation_point(scanned: Scan, index: int) -> bool:
    if index + 1 >= len(scanned.tokens) or len(scanned.text(index)) > 4:
        return False
    between = scanned.folded[scanned.tokens[index].end : scanned.tokens[index + 1].start]
    return between.strip() == "."


def _day_first(scanned: Scan, index: int) -> _Found | None:
    at = index + (scanned.text(index) == "the")
    day = ordinal_at(scanned, at)
    if day is None and at == index:
        day = _day_number(scanned, at)
    if day is None or not 1 <= day[0] <= 31:
        return None
    at = day[1] + (scanned.text(day[1]) == "of")
    month = MONTHS.get(scanned.text(at))
    verb = scanned.text(at) in VERB_MONTHS and at == day[1]
    if month is None or scanned.gap(at) != WEAK or (verb and not scanned.tokens[at].capital):
        return None
    return _date(scanned, month, day[0], at + 1)


def _day_number(scanned: Scan, index: int) -> tuple[int, int] | None:
    text = scanned.text(index)
    if text.isdecimal():
        return (int(text), index + 1) if len(text) <= 2 else None
    return cardinal_at(scanned, index) if text else None


def _date(scanned: Scan, month: int, day: int, at: int) -> _Found:
    year = _year_at(scanned, at)
    if year is None:
        return _Found("date", date_text(month, day), at)
    return _Found("date", date_text(month, day), year[1], year[0])


def date_text(month: int, day: int) -> str:
    """The canonical month and day, "may 15"."""
    return f"{MONTH_NAMES[month - 1].lower()} {day}"


def _year_at(scanned: Scan, index: int) -> tuple[int, int] | None:
    text = scanned.follow(index)
    if not text:
        return None
    if text.isdecimal():
        return (int(text), index + 1) if len(text) == 4 and text[:2] in {"19", "20"} else None
    first = cardinal_at(scanned, index)
    if first is None or (first[0] not in {19, 20} and not 1900 <= first[0] <= 2099):
        return None
    if first[0] >= 1900:
        return first
    oh = scanned.text(first[1]) == "oh"
    second = cardinal_at(scanned, first[1] + oh)
    if (
        second is None
        or scanned.gap(first[1]) == STRONG
        or not (1 if oh else 10) <= second[0] <= (9 if oh else 99)
    ):
        return None
    return first[0] * 100 + second[0], second[1]


def _written_date(scanned: Scan, index: int) -> _Found | None:
    if not scanned.text(index).isdecimal():
        return None
    start = scanned.tokens[index].start
    year: int | None = None
    if match := _ISO_DATE.match(scanned.folded, start):
        year, month, day = int(match[1]), int(match[2]), int(match[3])
    elif match := _US_DATE.match(scanned.folded, start):
        month, day = int(match[1]), int(match[2])
        year = int(match[3]) if match[3] else None
    if match is None or not (1 <= month <= 12 and 1 <= day <= 31):
        return None
    return _Found("date", date_text(month, day), scanned.after(match.end(), index), year)


def _time(scanned: Scan, index: int) -> _Found | None:
    clock = _clock_at(scanned, index)
    hour, minute, at, sure = clock or _spoken_time(scanned, index) or (-1, 0, index + 1, False)
    if minute > 59 or not 0 <= hour < 24:
        return None
    half = _meridiem_after(scanned, at)
    if half is None or not 1 <= hour <= 12:
        return _Found("time", f"{hour:02}:{minute:02}", at) if sure else None
    evening, at = half
    return _Found("time", f"{hour % 12 + 12 * evening:02}:{minute:02}", at)


def _meridiem_after(scanned: Scan, at: int) -> tuple[bool, int] | None:
    """Whether the words after a time say the second half of the day, and the next index past all of them."""
    evening: bool | None = None
    while half := _MERIDIEM.match(scanned.folded, scanned.tokens[at - 1].end):
        if evening is None:
            evening = (half[1] or half[2] or half[3]) not in {"a", "morning"}
        at = scanned.after(half.end(), at)
    return None if evening is None else (evening, at)


def _clock_at(scanned: Scan, index: int) -> tuple[int, int, int, bool] | None:
    match = _CLOCK.match(scanned.folded, scanned.tokens[index].start)
    if match is None:
        return None
    return int(match[1]), int(match[2]), scanned.after(match.end(), index), True


def _spoken_time(scanned: Scan, index: int) -> tuple[int, int, int, bool] | None:
    """Hour, minute, next index, and whether "o'clock" made it a time by itself."""
    hour = _whole_at(scanned, index)
    if hour is None or len(hour[0]) > 2:
        return None
    at = hour[1]
    if scanned.follow(at) == "o'clock":
        return int(hour[0]), 0, at + 1, True
    oh = scanned.text(at) in {"oh", "o"}
    minute = _whole_at(scanned, at + oh) if scanned.gap(at) not in {STRONG, GLUED} else None
    if minute is None or len(minute[0]) != (1 if oh else 2):
        return int(hour[0]), 0, at, False
    return int(hour[0]), int(minute[0]), minute[1], False
