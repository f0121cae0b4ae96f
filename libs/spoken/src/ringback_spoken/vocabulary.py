"""Owns the word tables of spoken English values and the forming of number words from them."""

DIGIT_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TEEN_WORDS = (
    "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen",
)  # fmt: skip
TENS_WORDS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
SCALES = (("trillion", 10**12), ("billion", 10**9), ("million", 10**6), ("thousand", 1000))

UNITS = {word: n for n, word in enumerate(DIGIT_WORDS)}
TEENS = {word: n + 10 for n, word in enumerate(TEEN_WORDS)}
TENS = {word: n * 10 for n, word in enumerate(TENS_WORDS) if word} | {"fourty": 40}
SCALE_WORDS = dict(SCALES)

_IRREGULAR_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}

MONTH_NAMES = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip
MONTHS = {name.lower(): n for n, name in enumerate(MONTH_NAMES, 1)}
MONTHS |= {name[:3].lower(): n for n, name in enumerate(MONTH_NAMES, 1)} | {"sept": 9}
# Month names that are also everyday verbs: "you may one day" is no date.
VERB_MONTHS = frozenset({"may", "mar", "march"})

_WEEK = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
WEEKDAYS = {name: n for n, name in enumerate(_WEEK)}

# ICAO spelling alphabet, with the spellings that recognisers write.
_ALPHABET = (
    "alpha", "alfa", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliet",
    "juliett", "kilo", "lima", "mike", "november", "oscar", "papa", "quebec", "romeo", "sierra", "tango",
    "uniform", "victor", "whiskey", "whisky", "xray", "yankee", "zulu",
)  # fmt: skip
NATO = {word: word[0] for word in _ALPHABET}

# How recognisers write the names of letters when they hear them as words.
LETTER_SOUNDS = {
    "ay": "a", "bee": "b", "be": "b", "cee": "c", "see": "c", "sea": "c", "dee": "d", "ee": "e", "eff": "f",
    "ef": "f", "gee": "g", "aitch": "h", "eye": "i", "jay": "j", "kay": "k", "el": "l", "ell": "l",
    "em": "m", "en": "n", "pee": "p", "pea": "p", "cue": "q", "queue": "q", "ar": "r", "are": "r",
    "ess": "s", "tee": "t", "tea": "t", "yu": "u", "you": "u", "vee": "v", "ex": "x", "wye": "y",
    "why": "y", "zee": "z", "zed": "z",
}  # fmt: skip

DIGIT_HOMOPHONES = {
    "oh": "0", "o": "0", "owe": "0", "nought": "0", "naught": "0", "nil": "0", "won": "1", "to": "2",
    "too": "2", "tree": "3", "for": "4", "fore": "4", "fife": "5", "sex": "6", "ate": "8", "niner": "9",
}  # fmt: skip

FILLERS = frozenset({"uh", "um", "er", "erm", "hmm", "ah", "dash", "hyphen", "space", "underscore"})

CURRENCY_SIGNS = {"$": "USD", "€": "EUR", "£": "GBP"}
CURRENCY_WORDS = {
    "dollar": "USD", "dollars": "USD", "buck": "USD", "bucks": "USD", "usd": "USD", "euro": "EUR",
    "euros": "EUR", "eur": "EUR", "pound": "GBP", "pounds": "GBP", "gbp": "GBP", "quid": "GBP",
}  # fmt: skip
CURRENCY_NAMES = {
    "USD": ("dollar", "dollars", "cent", "cents"),
    "EUR": ("euro", "euros", "cent", "cents"),
    "GBP": ("pound", "pounds", "penny", "pence"),
}
CENT_WORDS = {"cent": "USD", "cents": "USD", "penny": "GBP", "pence": "GBP"}

_LARGEST_SPOKEN = 10**15


def digits_apart(digits: str) -> str:
    """Each ASCII digit as a word, in order: "482" is "four eight two"."""
    return " ".join(DIGIT_WORDS[int(d)] for d in digits)


def cardinal(number: int) -> str:
    """The number in words; from 10^15 on it is read digit by digit."""
    if number < 0:
        return "minus " + cardinal(-number)
    if number >= _LARGEST_SPOKEN:
        return digits_apart(str(number))
    parts: list[str] = []
    for word, size in SCALES:
        if number >= size:
            parts += [_below_thousand(number // size), word]
            number %= size
    if number or not parts:
        parts.append(_below_thousand(number))
    return " ".join(parts)


def ordinal(number: int) -> str:
    """The ordinal in words: 21 is "twenty first"."""
    head, _, last = cardinal(number).rpartition(" ")
    if last in _IRREGULAR_ORDINALS:
        last = _IRREGULAR_ORDINALS[last]
    elif last.endswith("y"):
        last = last[:-1] + "ieth"
    else:
        last += "th"
    return f"{head} {last}".strip()


def year_words(year: int) -> str:
    """A year as people say it: 2024 is "twenty twenty four", 2005 is "two thousand five"."""
    century, rest = divmod(year, 100)
    if not 1000 <= year <= 9999 or (century % 10 == 0 and rest < 10):
        return cardinal(year)
    if rest == 0:
        return cardinal(century) + " hundred"
    return f"{cardinal(century)} {'oh ' if rest < 10 else ''}{cardinal(rest)}"


def _below_thousand(number: int) -> str:
    hundreds, rest = divmod(number, 100)
    parts = [DIGIT_WORDS[hundreds], "hundred"] if hundreds else []
    if rest >= 20:
        parts.append(TENS_WORDS[rest // 10])
        if rest % 10:
            parts.append(DIGIT_WORDS[rest % 10])
    elif rest >= 10:
        parts.append(TEEN_WORDS[rest - 10])
    elif rest or not parts:
        parts.append(DIGIT_WORDS[rest])
    return " ".join(parts)


ORDINAL_UNITS = {ordinal(n): n for n in range(1, 20)}
ORDINAL_TENS = {ordinal(n): n for n in range(20, 100, 10)}
