"""Owns the comparison of spoken and written values: one canonical form, and finding a value in a text."""

import re
from datetime import date, datetime, time
from decimal import Decimal
from typing import Literal

from ringback_spoken.identifiers import Span
from ringback_spoken.runs import WHOLE_CHARS_MIN, atom_at, past_fillers
from ringback_spoken.scanning import SIGNS, STRONG, Scan, scan
from ringback_spoken.units import Unit, structured_at, units_of
from ringback_spoken.vocabulary import (
    CENT_WORDS,
    CURRENCY_WORDS,
    DIGIT_HOMOPHONES,
    FILLERS,
    LETTER_SOUNDS,
    MONTHS,
    NATO,
    ORDINAL_TENS,
    ORDINAL_UNITS,
    SCALE_WORDS,
    TEENS,
    TENS,
    UNITS,
)
from ringback_spoken.wordings import written_out

Kind = Literal["id", "money", "date", "time", "phone", "number", "text"]

_KINDS: dict[str, Kind] = {"money": "money", "date": "date", "time": "time", "run": "id", "decimal": "number"}
_PASSES_MAX = 4  # one settles all but oddities such as "$1:00a"
_NUMBER_WORDS = frozenset({*UNITS, *TEENS, *TENS, *SCALE_WORDS, "hundred"})
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_MONEY_SIGN = re.compile(r"[$€£]")
# Words that read otherwise next to numbers; a break before or after them is kept in the canonical form.
_FRAGILE = frozenset(
    {*CENT_WORDS, *CURRENCY_WORDS, *DIGIT_HOMOPHONES, *LETTER_SOUNDS, *MONTHS, *NATO, *ORDINAL_TENS}
    | {*ORDINAL_UNITS, *SCALE_WORDS, *TEENS, *TENS, *UNITS, *FILLERS}
    | {
        "hundred",
        "double",
        "triple",
        "point",
        "and",
        "the",
        "of",
        "as",
        "in",
        "ray",
        "percent",
        "o'clock",
        "at",
    }
)


def normalise(text: str) -> str:
    """The canonical comparison form of a text: equal for "482915" and "four eight two, nine one five".

    Lower-case words and canonical values with single spaces, ";" where a break keeps two of them
    apart; dates as month and day without the year (`contains_value` does compare years). Idempotent.
    """
    for _ in range(_PASSES_MAX):
        before, text = text, _canonical(text)
        if text == before:
            break
    return text


def contains_value(transcript: str, value: object, kind: Kind | None = None) -> Span | None:
    """Where the transcript says the value, or None; of several places the last.

    Compares whole values: 48 is not in "482915", nor 15 in "150". Without a kind, it follows from the
    value: by type, or by form (up to four digits a number, longer ones and codes an id), all else is text.
    """
    kind = kind or kind_of(value)
    match kind:
        case "id" | "phone":
            return _last_id(transcript, plain_chars(value), kind)
        case "money" | "date" | "time" | "number":
            wanted = _wanted_unit(value, kind)
            if wanted is None:
                return _last_text(transcript, str(value))
            hits = [unit for unit in units_of(transcript) if _same(unit, wanted, kind)]
            return Span(hits[-1].start, hits[-1].end) if hits else None
        case "text":
            return _last_text(transcript, str(value))


def _canonical(text: str) -> str:
    parts: list[str] = []
    before: Unit | None = None
    for unit in units_of(text):
        if before is not None and _keeps_break(before, unit):
            parts[-1] += ";"
        parts.append(_rendered(unit))
        before = unit
    return " ".join(parts)


def kind_of(given: object) -> Kind:
    """The kind that a value's type or form tells."""
    if isinstance(given, (int, float, Decimal)) and not isinstance(given, bool):
        return "number"
    if isinstance(given, (date, datetime)):
        return "date"
    if isinstance(given, time):
        return "time"
    units = units_of(str(given))
    if len(units) != 1:
        return "text"
    value = units[0].value
    if value.isdecimal() and len(value) < WHOLE_CHARS_MIN and not value.startswith("0"):
        return "number"
    return _KINDS.get(units[0].kind, "text")


def plain_chars(value: object) -> str:
    """An identifier's letters and digits, in lower case, without separators."""
    return "".join(char for char in scan(str(value)).folded if char.isalnum())


def _keeps_break(before: Unit, unit: Unit) -> bool:
    values = (not _wordlike(before)) + (not _wordlike(unit))
    if values == 2:
        return True
    if unit.gap != STRONG:
        multiplier = unit.value in SCALE_WORDS or unit.value == "hundred"
        return values == 1 and (multiplier or (unit.after_comma and unit.value in _FRAGILE))
    return values == 1 or any(u.value in _FRAGILE or len(u.value) == 1 for u in (before, unit))


def _wordlike(unit: Unit) -> bool:
    return unit.kind == "word" or (unit.kind == "run" and unit.value.isalpha())


def _rendered(unit: Unit) -> str:
    letters_only = unit.kind == "run" and unit.value.isalpha()
    return " ".join(unit.value) if letters_only and unit.value in _FRAGILE else unit.value


def _wanted_unit(value: object, kind: Kind) -> Unit | None:
    """The one unit that a value of the kind is, however it was given."""
    if isinstance(value, datetime):
        value = value.time() if kind == "time" else value.date()
    text = value.isoformat() if isinstance(value, (date, time)) else str(value)
    units = units_of(text)
    if kind == "money" and not any(unit.kind == "money" for unit in units):
        units = units_of(f"${text.strip()}")
    for unit in units:
        if unit.kind == kind or (kind == "number" and _numeric(unit) is not None):
            return unit
    return None


def _same(unit: Unit, wanted: Unit, kind: Kind) -> bool:
    if kind == "number":
        number = _numeric(unit)
        return number is not None and number == _numeric(wanted)
    years = {unit.year, wanted.year} - {None}
    return unit.kind == wanted.kind and unit.value == wanted.value and len(years) <= 1


def _numeric(unit: Unit) -> Decimal | None:
    text = _MONEY_SIGN.sub("", unit.value).removesuffix("%")
    if unit.kind not in {"run", "decimal", "money", "percent"} or not _NUMBER.fullmatch(text):
        return None
    return Decimal(text)


def _last_text(transcript: str, value: str) -> Span | None:
    """The last place where the transcript's units contain the value's units in a row, however they are written."""
    wanted = [word for unit in units_of(value) for word in written_out(_rendered(unit))]
    units = units_of(transcript)
    heard = [(word, at) for at, unit in enumerate(units) for word in written_out(_rendered(unit))]
    words = [word for word, _ in heard]
    if not wanted:
        return None
    for at in range(len(words) - len(wanted), -1, -1):
        end = at + len(wanted)
        if words[at] != wanted[0] or words[at:end] != wanted:
            continue
        first, last = heard[at][1], heard[end - 1][1]
        # Half of a contraction is no word: nobody is called Will in "I'll".
        begins = at == 0 or heard[at - 1][1] != first
        if begins and (end == len(heard) or heard[end][1] != last):
            return Span(units[first].start, units[last].end)
    return None


def _last_id(transcript: str, wanted: str, kind: Kind) -> Span | None:
    scanned = scan(transcript)
    if not wanted:
        return None
    found: Span | None = None
    for index in range(len(scanned.tokens)):
        if _continues(scanned, index):
            continue
        end = _id_end(scanned, index, wanted)
        if end is None and kind == "phone" and len(wanted) > 10:
            end = _id_end(scanned, index, wanted[-10:])
        if end is not None:
            found = Span(scanned.tokens[index].start, scanned.tokens[end - 1].end)
    return found


def _continues(scanned: Scan, index: int) -> bool:
    """Whether the token stands inside a run that began before it."""
    at = index - 1
    if scanned.gap(index) == STRONG:
        return False
    for _ in range(4):
        if scanned.text(at) not in FILLERS:
            break
        if scanned.gap(at) == STRONG:
            return False
        at -= 1
    if at < 0:
        return False
    return scanned.text(at) in SIGNS or (_piece_at(scanned, at) and not _whole(scanned, index))


def _piece_at(scanned: Scan, at: int) -> bool:
    text = scanned.text(at)
    letter = len(text) == 1 and text.isalpha() and text not in "aio"
    return letter or text[:1].isdecimal() or text in _NUMBER_WORDS


def _whole(scanned: Scan, index: int) -> bool:
    atom = atom_at(scanned, index)
    return atom is not None and atom.whole


def _id_end(scanned: Scan, index: int, wanted: str) -> int | None:
    """The index after the tokens that say exactly the wanted characters, or None."""
    at, rest, whole = index, wanted, False
    while rest:
        step = _said(scanned, at, rest)
        if step is None:
            return None
        rest, at, whole = step
        if rest:
            at = past_fillers(scanned, at)
            if scanned.gap(at) == STRONG and not _one_by_one(scanned, at):
                return None
    after = past_fillers(scanned, at)
    following = atom_at(scanned, after) if scanned.gap(after) != STRONG else None
    apart = following is None or whole or following.whole or following.kind == "soft"
    return at if apart or structured_at(scanned, after) else None


def _said(scanned: Scan, at: int, rest: str) -> tuple[str, int, bool] | None:
    """What remains to be said after the atom or word at the token, if it says the next characters."""
    atom = atom_at(scanned, at)
    if atom is not None and rest.startswith(atom.chars):
        return rest[len(atom.chars) :], atom.next_index, atom.whole
    text = scanned.text(at)
    if len(text) > 1 and text.isalpha() and rest.startswith(text):
        return rest[len(text) :], at + 1, False
    return None


def _one_by_one(scanned: Scan, at: int) -> bool:
    """Whether the next piece is a single digit or letter, as ids are said over several short sentences."""
    atom = atom_at(scanned, at)
    return atom is not None and atom.single and atom.kind != "soft"
