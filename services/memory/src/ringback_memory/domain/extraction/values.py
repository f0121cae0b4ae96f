"""Owns the finding of typed values in an utterance: dates, times, numbers, money, names, phones, e-mails.

A value is kept in the speaker's words; what it means as a date is for whoever uses it. Patterns are bounded, so that
time stays linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

import msgspec

from ringback_memory.domain.cues import Cue
from ringback_memory.domain.schema import Kind

_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen "
    "eighteen nineteen twenty"
)
NUMBER_WORDS = {word: str(number) for number, word in enumerate(_SMALL.split())}
NUMBER_WORDS |= {
    "single": "1",
    "a couple of": "2",
    "couple": "2",
    "dozen": "12",
    "myself": "1",
    "just me": "1",
}

_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sep(?:t(?:ember)?)?|"
    r"oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
_WEEKDAY = r"(?:mon|tues?|wednes|thurs?|fri|satur|sun)day"
_ORDINAL = (
    r"(?:\d{1,2}(?:st|nd|rd|th)|first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|"
    r"eleventh|twelfth|"
    r"thirteenth|fourteenth|fifteenth|sixteenth|seventeenth|eighteenth|nineteenth|twentieth|twenty[- "
    r"](?:first|"
    r"second|third|fourth|fifth|sixth|seventh|eighth|ninth)|thirtieth|thirty[- ]first)"
)
_WEEK = r"(?:(?:this|next|coming|following)(?: week)?|later this week)"
_HOUR = r"(?:\d{1,2}|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)"
_AM = r"(?: ?[ap]\.?m\b\.?)"
_PART = r"(?: in the (?:morning|afternoon|evening)| at night)"
_CLOCK = r"(?: ?o['\"’ ]?clock)"
_SPELLED = rf"(?:{_SMALL.replace(' ', '|')}|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|thousand)"
_PATTERNS: tuple[tuple[Kind, str], ...] = (
    ("email", r"[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{2,20}){1,3}"),
    (
        "address",
        r"\d{1,5}(?:-\d{1,5})? (?:\w+\.? ){1,4}(?:street|st|avenue|ave|road|rd|boulevard|blvd|drive|lane|"
        r"way|court|square|highway|parkway|terrace)\b\.?(?: # ?\d{1,4})?",
    ),
    ("date", r"\d{4}-\d{2}-\d{2}|\d{1,2}/\d{1,2}(?:/\d{2,4})?"),
    ("phone", r"\+?\d[\d() -]{6,16}\d"),
    (
        "money",
        r"[$€£] ?\d[\d,]*(?:\.\d+)?|\d[\d,]*(?:\.\d+)? ?(?:dollars|euros|pounds|bucks)"
        rf"|{_SPELLED}(?:(?: and |[ -]){_SPELLED}){{0,8}} (?:dollars|euros|pounds|bucks)",
    ),
    (
        "date",
        rf"{_MONTH} (?:the )?(?:{_ORDINAL}|\d{{1,2}})(?!\d|:)(?:,? \d{{4}})?"
        rf"|(?:the )?(?:{_ORDINAL}|\d{{1,2}})(?: of)? {_MONTH}\b|(?:the )?{_ORDINAL} of (?:this|next) month"
        rf"|(?:the )?day after tomorrow|tomorrow|(?:later )?today|tonight|{_WEEK} {_WEEKDAY}|{_WEEKDAY}(?: {_WEEK})?"
        rf"|(?:this|next) (?:week|weekend|month)|the {_ORDINAL}\b(?! (?:one|time|option|of))",
    ),
    (
        "time",
        rf"\d{{1,2}}[:.]\d{{2}}{_AM}?{_PART}?|{_HOUR}(?: thirty| fifteen| forty[- "
        rf"]five)?{_CLOCK}?{_PART}|{_HOUR}{_CLOCK}"
        rf"|{_HOUR}(?: thirty)?{_AM}|(?:a )?(?:quarter|half|{_HOUR}|twenty) (?:to|past|after) "
        rf"{_HOUR}{_PART}?{_AM}?"
        rf"|(?:afternoon|morning|evening|night) {_HOUR}(?:[:.]\d{{2}})?|noon|midday|midnight|(?:morning|"
        rf"afternoon|evening)",
    ),
    ("number", r"\d[\d,]*(?:\.\d+)?|(?:" + "|".join(sorted(NUMBER_WORDS, key=len, reverse=True)) + ")"),
)
_COMPILED = tuple((kind, re.compile(rf"(?<![\w$])(?:{pattern})(?!\w)", re.I)) for kind, pattern in _PATTERNS)
# What every match of the pattern at the same place of _PATTERNS holds: a text without it need not be searched. For
# lower-case ASCII alone, since elsewhere several letters match one.
_HINTS = tuple(
    re.compile(hint)
    for hint in (
        r"@",
        r"st\b|street|ave|highw|parkw|square|rd\b|road|blvd|boul|drive|lane|way|court|terrace",
        r"[-/]",
        r"\d",
        r"[$€£]|dollar|euro|pound|buck",
        r"jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|day|tomorrow|tonight|week|month"
        r"|the (?:\d|twenty|thirty|[a-z]*(?:first|second|third|th)\b)",
        r"[:.]\d|[ap]\.?m\b|morning|noon|evening|night|clock|midday"
        r"| (?:to|past|after) (?:\d|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)",
        r"\d|" + "|".join(sorted({word[:3] for word in NUMBER_WORDS})),
    )
)
_COUNTS_ONE = re.compile(
    r" (?!(?:way|of|that|which|is|more|with|in|from|for|at|by|else|please)\b)[a-z]|[.!]?$", re.I
)

_KIND_OF = Cue(
    r"\b(?:a|an|some|any|for|good|great|the|of|play|nice|like|want) ([a-z]+(?:[- ][a-z]+)?) "
    r"(?:songs?|movies?|films?|"
    r"restaurants?|music|food|cuisine|events?|games?|concerts?|shows?|flick|dishes|(?:type|kind)s? of)\b",
    holds="song|movie|film|restaurant|music|food|cuisine|event|game|concert|show|flick|dishes|type|kind",
)
_WORD = r"(?:[A-Z]\.|(?:St|Mt|Dr|Mr|Mrs|Ms)\.|[A-Z0-9](?:[\w'’&/-]|\.(?=[A-Z](?![a-z])|\d|[a-z]))*)"
_NAME = re.compile(rf"{_WORD}(?:,? (?:(?:of|the|de|la|le|du|&|-) ){{0,2}}{_WORD})*")
_CAPITALS = re.compile(r"[A-Z]")
_NO_NAME = (
    r"(?!(?:a|an|the|my|your|our|his|her|their|its|me|you|it|us|them|him|this|that|these|those|i|we|they|he|she|some|any|"
    r"something|anything|someone|one|two|three|four|five|six|seven|eight|nine|ten|more|other|another|be|do|go|see|get|"
    r"find|book|reserve|buy|play|listen|hear|watch|know|make|have|take|rent|look|search|check|stay|leave|travel|visit|eat|"
    r"send|transfer|pay|pick|drop|use|try|ask|order|schedule|call|come|attend|return|drive|ride|fly|confirm|set|add|help|"
    r"for|from|to|in|on|at|by|with|of|and|or|but|so|if|when|where|which|who|what|how|then|there|here|now|please|thanks|"
    r"is|are|was|will|would|can|could|should|not|no|yes|ok|okay|next|last|morning|afternoon|evening|night|today|"
    r"tomorrow|tonight|week|weekend|month|day|days|area|city|town|place|till|until|around|about|near|works|also|too|"
    r"least|most|all|just|tickets?|people|person|rooms?|seats?)\b)"
)
_SMALL_WORD = rf"{_NO_NAME}[a-z][\w'’&-]*"
_SMALL_NAME = re.compile(
    rf"\b(?:in|from|near|around|at|by|"
    r"(?:go|going|get|travel|traveling|fly|flying|head|heading|trip|way|drive) to|"
    rf"starring|called|named|how about|what about|recommend|directed by) "
    rf"({_SMALL_WORD}(?:(?:,? | (?:by|of|the|and|at) ){_SMALL_WORD}){{0,5}})"
)
_COMMA = re.compile(",")
_BEFORE_STATE = re.compile(r", [A-Z]{2}\b")
_RUN = re.compile(r"[^\s,]+")
_GOES_ON = re.compile(r",? [a-z]")
_QUOTED = re.compile(r"[\"“]([^\"”]{1,80})[\"”]")
_PLAIN_WORDS = (
    "i i'd i'll i'm i've yes yeah yep yup no nope nah ok okay sure great thanks thank please hi "
    "hello hey what when where "
    "which who how is are do does can could would will may let it it's its that that's this the a an "
    "and but or so also "
    "actually well alright right cool perfect awesome fine good sounds not my me we you your any "
    "some there find search "
    "look looking book reserve make show give get tell help want need try play check schedule buy "
    "cancel change from to in "
    "on at for by of with monday tuesday wednesday thursday friday saturday sunday january february "
    "march april may june "
    "july august september october november december today tomorrow one two three four five six "
    "seven eight nine ten am pm "
    "if as just nothing then next leaving going starring directed could've they them he she nice "
    "excellent wonderful "
    "anything something maybe confirm confirming wow oh ah has have hmm hm add set first up cd dvd "
    "tv i'd isn't doesn't "
    "don't did was be been here's there's what's how's let's wait yikes sorry hold goodbye bye "
    "aren't should shall now"
)
_NOT_NAMES = frozenset(_PLAIN_WORDS.split())

_NOT_LAST = frozenset(
    {"i", "and", "or", "but", "the", "a", "in", "on", "at", "for", "to", "of", "is", "please", "thanks"}
)


_JUDGING_WORDS = (
    "interesting fun cool nice good great best better nicer lovely exciting popular new old older recent "
    "upcoming other different more same similar such certain few many several all which that favorite "
    "favourite particular specific local nearby cheap free find search book get see watch hear listen"
)
_JUDGING = frozenset(_JUDGING_WORDS.split())
"""Words before a thing that judge or choose, and do not say of which kind it is."""
_TEXTS_HELD_MAX = 64
"""An utterance is read several times in a row: for each group of slots, for names, for offers."""


class Value(msgspec.Struct, frozen=True, gc=False):
    """A value in the text, characters `start` up to `end`."""

    kind: Kind
    text: str
    start: int
    end: int


@lru_cache(maxsize=_TEXTS_HELD_MAX)
def find_values(text: str) -> tuple[Value, ...]:
    """The typed values in `text` in order; of two that overlap, the one whose kind comes first."""
    found: list[Value] = []
    lower = text.lower() if text.isascii() else None
    for (kind, pattern), hint in zip(_COMPILED, _HINTS, strict=True):
        if lower is not None and hint.search(lower) is None:
            continue
        for match in pattern.finditer(text):
            value = _cleaned(kind, match)
            if value is not None and not any(
                value.start < one.end and one.start < value.end for one in found
            ):
                found.append(value)
    return tuple(sorted(found, key=lambda one: one.start))


def find_names(text: str, *, taken: Sequence[Value]) -> list[Value]:
    """Runs of capitalised words, and what is in quotation marks, that are not typed values."""
    names = [Value("name", m[1].strip(), m.start(1), m.end(1)) for m in _QUOTED.finditer(text)]
    timed = [one for one in taken if one.kind in ("date", "time", "money", "phone", "email", "address")]
    if not _CAPITALS.search(text):
        names += _small_names(text, timed)
    for match in _NAME.finditer(text):
        if match[0].isdecimal() or _stripped(match[0]) in _NOT_NAMES:
            continue
        for start, end in _parts(text, match.start(), match.end()):
            inside = [one for one in (*timed, *names) if start < one.end and one.start < end]
            if not inside and _is_name(text[start:end]) and not _begins_sentence(text, start, end):
                names.append(Value("name", text[start:end], start, end))
    return sorted(names, key=lambda one: one.start)


def _small_names(text: str, timed: Sequence[Value]) -> list[Value]:
    """Names where nobody writes capitals: what stands after a word that calls for a name or a place."""
    found = []
    for match in _SMALL_NAME.finditer(text):
        value = Value("name", match[1], match.start(1), match.end(1))
        if not any(value.start < one.end and one.start < value.end for one in timed):
            found.append(value)
    return found


def find_kinds(text: str) -> list[Value]:
    """What stands before a thing to say of which kind it is: "a *country* song"."""
    return [
        Value("text", match[1], match.start(1), match.end(1))
        for match in _KIND_OF.finditer(text)
        if not {word.casefold() for word in match[1].split()} & (_NOT_NAMES | _JUDGING)
    ]


def number_of(text: str) -> str:
    """The digits of a number word; other texts as they are, without thousands separators."""
    folded = text.casefold()
    return NUMBER_WORDS.get(folded, folded.replace(",", ""))


def _cleaned(kind: Kind, match: re.Match[str]) -> Value | None:
    text, start = match[0].strip(), match.start()
    if kind == "number":
        if text.casefold() == "one" and not _COUNTS_ONE.match(match.string, match.end()):
            return None
        return Value(kind, number_of(text), start, match.end())
    if kind == "date" and text.casefold().startswith("the "):
        text, start = text[4:], start + 4
    return Value(kind, text, start, match.end())


def _parts(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The pieces of a run between commas, without the words at their edges that only begin "
    "sentences or join."""
    cuts = [start]
    for comma in _COMMA.finditer(text, start, end):
        if not _BEFORE_STATE.match(text, comma.start()):
            cuts += [comma.start(), comma.end()]
    cuts.append(end)
    for low_at, high_at in zip(cuts[::2], cuts[1::2], strict=True):
        yield from _trimmed(text, low_at, high_at)


def _trimmed(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    words = [m.span() for m in _RUN.finditer(text, start, end)]
    low, high = 0, len(words)
    while low < high and _plain(text, words[low]) in _NOT_NAMES:
        low += 1
    while high > low and _plain(text, words[high - 1]) in _NOT_LAST:
        high -= 1
    if low < high:
        last = words[high - 1][1]
        while last > words[low][0] and text[last - 1] in ".,!?'’":
            last -= 1
        yield words[low][0], last


def _begins_sentence(text: str, start: int, end: int) -> bool:
    """A single capitalised word that a longer sentence begins with is no evidence of a name."""
    first = start == 0 or text[:start].rstrip()[-1:] in (".", "!", "?")
    return first and " " not in text[start:end] and bool(_GOES_ON.match(text[end : end + 3]))


def _plain(text: str, span: tuple[int, int]) -> str:
    return _stripped(text[span[0] : span[1]])


def _stripped(word: str) -> str:
    return word.strip(".,!?").replace("’", "'").casefold()


def _is_name(text: str) -> bool:
    return len(text) > 1 and any(char.isalpha() for char in text) and text.casefold() not in _NOT_NAMES
