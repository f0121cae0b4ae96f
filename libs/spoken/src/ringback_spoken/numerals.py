"""Owns the grammar of single numbers: written digits, cardinal words and ordinal words."""

from ringback_spoken.scanning import GLUED, STRONG, Scan
from ringback_spoken.vocabulary import ORDINAL_TENS, ORDINAL_UNITS, SCALE_WORDS, TEENS, TENS, UNITS

_MULTIPLIERS = frozenset({"hundred", *SCALE_WORDS})
INTEGER_DIGITS_MAX = 18  # longer digit strings are ids, and int() of unbounded text is refused by Python


def cardinal_at(scan: Scan, index: int) -> tuple[int, int] | None:
    """Read one number of words or of digits with a scale word; gives the value and the next index."""
    if index not in scan.cardinals:
        scan.cardinals[index] = _read_cardinal(scan, index)
    return scan.cardinals[index]


def ordinal_at(scan: Scan, index: int) -> tuple[int, int] | None:
    """Read one ordinal up to 99, "15th" or "fifteenth"; gives the value and the next index."""
    text = scan.text(index)
    if text.isdecimal() and len(text) <= 4 and scan.gap(index + 1) == GLUED:
        number = int(text)
        ends = scan.text(index + 1) == ordinal_ending(number) and scan.gap(index + 2) != GLUED
        return (number, index + 2) if ends else None
    if scan.gap(index + 1) == GLUED:
        return None
    if text in ORDINAL_UNITS:
        return ORDINAL_UNITS[text], index + 1
    if text in ORDINAL_TENS:
        return ORDINAL_TENS[text], index + 1
    last = ORDINAL_UNITS.get(_follow(scan, index + 1), 0)
    if text in TENS and 0 < last < 10:
        return TENS[text] + last, index + 2
    return None


def ordinal_ending(number: int) -> str:
    """The letters after a written ordinal: "st" after 21."""
    if number % 100 in {11, 12, 13}:
        return "th"
    return {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")


def plain_digits(text: str) -> str:
    """A written number without its thousands commas."""
    return text.replace(",", "")


def _read_cardinal(scan: Scan, index: int) -> tuple[int, int] | None:
    total, group, next_index = 0, _group_at(scan, index), index
    if group is None:
        return None
    ceiling = 10**15
    while group is not None:
        value, next_index = group
        size = SCALE_WORDS.get(_follow(scan, next_index))
        if size is None or size >= ceiling:
            return total + value, next_index
        total, ceiling, next_index = total + value * size, size, next_index + 1
        group = _group_at(scan, _past_and(scan, next_index)) if _joins(scan, next_index) else None
        if group is not None and group[0] >= ceiling:
            group = None
    return total, next_index


def _group_at(scan: Scan, index: int) -> tuple[int, int] | None:
    """A number below ten thousand in words, or the written number before a scale word."""
    small = _small_at(scan, index)
    if small is None:
        return None
    value, next_index = small
    if _follow(scan, next_index) != "hundred" or not 0 < value < 100:
        return small
    value, next_index = value * 100, next_index + 1
    # Recognisers put commas into long numbers: "six hundred, twenty, four dollars".
    rest = _small_at(scan, _past_and(scan, next_index), comma=True) if _joins(scan, next_index) else None
    if rest is None or not 0 < rest[0] < 100 or scan.tokens[rest[1] - 1].numeric:
        return value, next_index
    return value + rest[0], rest[1]


def _small_at(scan: Scan, index: int, *, comma: bool = False) -> tuple[int, int] | None:
    text = scan.text(index)
    if scan.gap(index + 1) == GLUED:
        return None  # a part of a code
    if text in {"a", "an"}:
        return (1, index + 1) if _follow(scan, index + 1) in _MULTIPLIERS else None
    if text in TENS:
        unit = UNITS.get(_follow(scan, index + 1, comma=comma), 0)
        return (TENS[text] + unit, index + 2) if unit else (TENS[text], index + 1)
    for table in (UNITS, TEENS):
        if text in table:
            return table[text], index + 1
    if text.isdecimal() and len(text) <= 4 and _follow(scan, index + 1) in _MULTIPLIERS:
        return int(text), index + 1
    return None


def _past_and(scan: Scan, index: int) -> int:
    return index + 1 if scan.text(index) == "and" and scan.gap(index + 1) != STRONG else index


def _joins(scan: Scan, index: int) -> bool:
    """Whether what follows may still belong to the number."""
    return scan.gap(index) != STRONG


def _follow(scan: Scan, index: int, *, comma: bool = False) -> str:
    """The next word if it is no part of a code and only a space, a hyphen or an allowed comma comes before it."""
    if scan.gap(index) in {STRONG, GLUED} or scan.gap(index + 1) == GLUED:
        return ""
    return "" if scan.tokens[index].comma and not comma else scan.text(index)
