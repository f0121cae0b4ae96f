"""Owns the spoken form of text and of single values: what text-to-speech is given to say."""

import re
from collections.abc import Callable
from datetime import date, datetime, time

from ringback_spoken.matching import Kind
from ringback_spoken.numerals import plain_digits
from ringback_spoken.spelling import address, phone, spelled
from ringback_spoken.vocabulary import (
    CURRENCY_NAMES,
    CURRENCY_SIGNS,
    MONTH_NAMES,
    MONTHS,
    cardinal,
    digits_apart,
    ordinal,
    year_words,
)

SPELLED_DIGITS_MIN = 5
_CARDINAL_DIGITS_MAX = 15

_NUM = r"(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?"
_SCALE = r"(thousand|million|billion|trillion)"
_MONTH = "(" + "|".join(f"{name}|{name[:3]}(?:t(?=\\.))?\\.?" for name in MONTH_NAMES) + r"|Sept\.?)"
_HALF = r"([AaPp])\.?\s?[Mm]\b\.?"

_ABBREVIATIONS = {
    "Mr.": "Mister", "Mrs.": "Missus", "Dr.": "Doctor", "approx.": "approximately", "e.g.": "for example",
    "i.e.": "that is", "etc.": "and so on", "vs.": "versus", "dept.": "department", "Dept.": "Department",
    "hrs.": "hours", "mins.": "minutes", "ASAP": "as soon as possible", "w/o": "without", "w/": "with",
    "&": "and",
}  # fmt: skip
_CHUNK = re.compile(r"\S+")
_EDGES = re.compile(r"^([(\"'“‘\[<]*)(.*?)([)\"'”’\]>.,;:!?]*)$", re.DOTALL)
_MAIL = re.compile(r"\w@\w")
_DOMAIN = re.compile(
    r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.(?:com|org|net|edu|gov|info|io|ai|dev|app)(?:/\S*)?"
)


def for_ear(value: object, kind: Kind, *, with_year: bool = False) -> str:
    """One value as it is said in a read-back.

    Values may be text or typed (`Decimal`, `date`, `time`); money without a currency sign is in dollars,
    and text that does not read as its kind is said as text.
    """
    if isinstance(value, datetime):
        value = value.time() if kind == "time" else value.date()
    text = value.isoformat() if isinstance(value, (date, time)) else str(value).strip()
    match kind:
        case "id":
            text = spelled(text)
        case "phone":
            text = phone(text) if any(map(str.isdecimal, text)) else text
        case "money":
            text = f"${text}" if re.fullmatch(_NUM, text) else text
        case "number":
            text = _number(text) if re.fullmatch(rf"-?{_NUM}", text) else text
        case "date" | "time" | "text":
            pass
    return speakable(text, with_year=with_year)


def speakable(text: str, *, with_year: bool = False) -> str:
    """The text as text-to-speech shall read it: every number, code, address and abbreviation in words.

    Dates written as 2024-05-15 are said without the year unless `with_year`. Idempotent; linear in the
    length of the text; no text is refused.
    """
    text = _CHUNK.sub(_chunk, text)
    for pattern, say in _RULES:
        text = pattern.sub(lambda match, say=say: _apart(match, say(match, with_year)), text)  # type: ignore[misc]
    return _CHUNK.sub(_chunk, text)


Say = Callable[["re.Match[str]", bool], str | None]


def _apart(match: "re.Match[str]", said: str | None) -> str:
    """The words in the match's place, apart from letters and digits that touch it; None leaves it be."""
    if said is None:
        return match[0]
    before, after = match.string[: match.start()][-1:], match.string[match.end() :][:1]
    return f"{' ' if before.isalnum() else ''}{said}{' ' if after.isalnum() else ''}"


def _chunk(match: "re.Match[str]") -> str:
    """E-mail addresses, URLs and abbreviations: what is decided by a piece between spaces."""
    chunk = match[0]
    if chunk in _ABBREVIATIONS:
        return _ABBREVIATIONS[chunk]
    edges = _EDGES.match(chunk)
    assert edges is not None, "the pattern matches every text"
    before, core, after = edges.groups()
    if _MAIL.search(core) or "://" in core or core.startswith("www.") or _DOMAIN.fullmatch(core):
        return f"{before}{address(core)}{after}"
    if core in _ABBREVIATIONS:
        return f"{before}{_ABBREVIATIONS[core]}{after}"
    if after and core + after[0] in _ABBREVIATIONS:
        return f"{before}{_ABBREVIATIONS[core + after[0]]}{after[1:]}"
    return chunk


def _day(year: str | None, month: int, day: int) -> str | None:
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return None
    said = f"{MONTH_NAMES[month - 1]} {ordinal(day)}"
    return f"{said}, {year_words(int(year))}" if year else said


def _iso(match: "re.Match[str]", with_year: bool) -> str | None:
    day = _day(match[1] if with_year else None, int(match[2]), int(match[3]))
    if day is None or match[4] is None:
        return day
    clock = _clock_words(int(match[4]), int(match[5]), None)
    return f"{day} at {clock}" if clock else None


def _us_date(match: "re.Match[str]", with_year: bool) -> str | None:
    month, day = int(match[1]), int(match[2])
    if match[3] is None and day < 13:
        return None  # as likely a fraction
    return _day(match[3] if with_year else None, month, day)


def _month_day(match: "re.Match[str]", with_year: bool) -> str | None:
    return _day(match[3], _month_number(match[1]), int(match[2]))


def _day_month(match: "re.Match[str]", with_year: bool) -> str | None:
    day, month = int(match[1]), MONTH_NAMES[_month_number(match[2]) - 1]
    return f"{ordinal(day)} of {month}" if 1 <= day <= 31 else None


def _month_number(name: str) -> int:
    return MONTHS[name.rstrip(".").lower()]


def _clock(match: "re.Match[str]", with_year: bool) -> str | None:
    said = _clock_words(int(match[1]), int(match[2] or 0), match[3])
    return None if said is None else said + _sentence_end(match)


def _clock_words(hour: int, minute: int, half: str | None) -> str | None:
    """A time of day; without a half it is on the 24-hour clock."""
    if hour > 23 or minute > 59 or (half and not 1 <= hour <= 12):
        return None
    half = half.lower() if half else ("p" if hour >= 12 else "a")
    minutes = "" if minute == 0 else f" oh {cardinal(minute)}" if minute < 10 else f" {cardinal(minute)}"
    return f"{cardinal((hour - 1) % 12 + 1)}{minutes} {half} m"


def _sentence_end(match: "re.Match[str]") -> str:
    """The full stop that "p.m." shared with its sentence."""
    following = match.string[match.end() : match.end() + 2].strip()
    return "." if match[0].endswith(".") and (not following or following.isupper()) else ""


def _signed_money(match: "re.Match[str]", with_year: bool) -> str | None:
    return _money(CURRENCY_SIGNS[match[1]], match[2], match[3])


def _coded_money(match: "re.Match[str]", with_year: bool) -> str | None:
    return _money(match[1] or match[4], match[2] or match[3], None)


def _money(currency: str, amount: str, scale: str | None) -> str:
    one, many, cent, cents = CURRENCY_NAMES[currency]
    whole, _, fraction = plain_digits(amount).partition(".")
    if scale or len(fraction) > 2:
        return f"{_number(amount)}{' ' + scale if scale else ''} {many}"
    small = int(fraction.ljust(2, "0") or 0)
    said = (
        [f"{_whole(whole)} {one if whole.lstrip('0') == '1' else many}"]
        if whole.strip("0") or not small
        else []
    )
    if small:
        said.append(f"{cardinal(small)} {cent if small == 1 else cents}")
    return " and ".join(said)


def _percent(match: "re.Match[str]", with_year: bool) -> str:
    return f"{_number(match[1])} percent"


def _ordinal(match: "re.Match[str]", with_year: bool) -> str | None:
    digits = plain_digits(match[1])
    return ordinal(int(digits)) if len(digits) < _CARDINAL_DIGITS_MAX else None


def _phone(match: "re.Match[str]", with_year: bool) -> str:
    return phone(match[0])


def _range(match: "re.Match[str]", with_year: bool) -> str:
    return f"{_whole(match[1])} to {_whole(match[2])}"


def _code(match: "re.Match[str]", with_year: bool) -> str | None:
    code = match[0]
    digits = sum(char in "0123456789" for char in code)
    mixed = digits and digits < len(code)
    return spelled(code) if mixed or digits >= SPELLED_DIGITS_MIN else None


def _named_code(match: "re.Match[str]", with_year: bool) -> str:
    return match[1] + spelled(match[2])


def _plain(match: "re.Match[str]", with_year: bool) -> str:
    return f"{'minus ' if match[1] else ''}{_number(match[2])}"


def _number(numeral: str) -> str:
    """A written number in words: years as years, a leading zero or an endless number digit by digit."""
    if numeral.startswith("-"):
        return "minus " + _number(numeral[1:])
    whole, _, fraction = plain_digits(numeral).partition(".")
    if fraction:
        return f"{_whole(whole)} point {digits_apart(fraction)}"
    if len(numeral) == 4 and "1900" <= numeral <= "2099":
        return year_words(int(numeral))
    return _whole(whole)


def _whole(digits: str) -> str:
    spoken_apart = len(digits) > _CARDINAL_DIGITS_MAX or (digits.startswith("0") and len(digits) > 1)
    return spelled(digits) if spoken_apart else cardinal(int(digits))


def _rest(match: "re.Match[str]", with_year: bool) -> str:
    return spelled(match[0])


_ISO = r"(?<![\w-])([0-9]{4})-([0-9]{2})-([0-9]{2})(?:T([0-9]{2}):([0-9]{2})(?::[0-9]{2})?Z?)?(?![\w-])"
_RULES: tuple[tuple["re.Pattern[str]", Say], ...] = (
    (re.compile(r"#(?=[0-9])"), lambda match, with_year: "number"),
    (re.compile(_ISO), _iso),
    (re.compile(r"(?<![\w/])([0-9]{1,2})/([0-9]{1,2})(?:/([0-9]{4}))?(?![\w/])"), _us_date),
    (
        re.compile(rf"\b{_MONTH}\s([0-9]{{1,2}})(?:st|nd|rd|th)?(?![\w:%])(?:,?\s([12][0-9]{{3}})(?!\w))?"),
        _month_day,
    ),
    (re.compile(rf"(?<![\w.,$€£-])([0-9]{{1,2}})(?:st|nd|rd|th)?\s(?:of\s)?{_MONTH}(?!\w)"), _day_month),
    (re.compile(rf"(?<![\w:.])([0-9]{{1,2}}):([0-9]{{2}})(?::[0-9]{{2}})?(?:\s?{_HALF})?(?![\w:])"), _clock),
    (re.compile(rf"(?<![\w:.,$€£-])([0-9]{{1,2}})()\s?{_HALF}(?!\w)"), _clock),
    (re.compile(rf"([$€£])\s?({_NUM})(?:\s{_SCALE}\b)?(?!\w)"), _signed_money),
    (re.compile(rf"(?<![\w.,])(?:(USD|EUR|GBP)\s?({_NUM})|({_NUM})\s?(USD|EUR|GBP))(?!\w)"), _coded_money),
    (re.compile(rf"(?<![\w.,])({_NUM})\s?%"), _percent),
    (
        re.compile(r"(?<![\w-])\+?(?:[0-9]{1,3}[\s.-])?\(?[0-9]{3}\)?[\s.-][0-9]{3}[\s.-]?[0-9]{4}(?![\w-])"),
        _phone,
    ),
    (re.compile(r"(?<![\w.])([0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:st|nd|rd|th)(?!\w)"), _ordinal),
    (re.compile(r"(?<![\w.,-])([0-9]{1,3})(?:[-–]|\s[-–]\s)([0-9]{1,3})(?![\w-]|[.,][0-9])"), _range),
    (
        re.compile(
            r"\b((?:ending (?:in|with)|code|PIN|digits|flight|Flight) )([0-9]{2,4})(?![\w%-]|[.,:/][0-9])"
        ),
        _named_code,
    ),
    (re.compile(r"(?<![\w.,])[A-Za-z0-9]+(?:[-_][A-Za-z0-9]+)*(?![\w]|[.,][0-9])"), _code),
    (re.compile(rf"(?<![\w])(-?)({_NUM})(?![0-9])"), _plain),
    (re.compile(r"[0-9]+"), _rest),
)
