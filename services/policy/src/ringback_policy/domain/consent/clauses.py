"""Owns the cutting of an utterance into clauses of folded words, each knowing whether it was asked."""

import re

import msgspec

from ringback_policy.domain.consent.idioms import IDIOMS
from ringback_policy.domain.consent.patterns import (
    AFFIRM_PHRASES,
    CHANGE_PATTERN,
    INFO_LEAD,
    INFO_PATTERN,
    INFO_START,
)
from ringback_policy.domain.consent.spelling import respelt
from ringback_policy.domain.consent.words import (
    AFFIRM_WORDS,
    ASK_LEADS,
    INFO_NOUNS,
    MODAL_LEADS,
    NEGATIVE_WORDS,
    NEUTRAL_WORDS,
    TOLD_FRAME,
    TOLD_NOUNS,
    WH_LEADS,
)

__all__ = ["Clause", "affirms", "clauses_of", "fold"]

_APOSTROPHES = str.maketrans(dict.fromkeys("’‘ʼ`´", "'"))
_WORD = re.compile(r"[a-z0-9][a-z0-9'\-]*|[$€£%#]")
_CUT = re.compile(r"([.?!;:,\n]+|\s[-–—]+\s|[–—])")
_JOIN = re.compile(r"\b(?:but|however|although|though|and|oh)\b")
# A dot inside a number or an initial is no end of a sentence.
_INNER_DOT = re.compile(r"(?<=[0-9])[.,:](?=[0-9])")
_CONTRACTIONS = tuple(
    (re.compile(pattern), value)
    for pattern, value in (
        (r"\bwon't\b", "will not"),
        (r"\bcan't\b", "can not"),
        (r"\bain't\b", "is not"),
        (r"n't\b", " not"),
        (r"\blet's\b", "let us"),
        (r"\b(it|that|this|there|here|what|who|how|where|when|he|she|everything|all)'s\b", r"\1 is"),
        (r"'re\b", " are"),
        (r"'m\b", " am"),
        (r"'ll\b", " will"),
        (r"'ve\b", " have"),
        (r"\b(i|you|we|they|that|it)'d\b", r"\1 would"),
    )
)
_BLANKS = re.compile(r" {2,}")
_SHORT_YEAR = re.compile(r"(?<![\w'])'([0-9]{2})(?![\w:'])")


class Clause(msgspec.Struct, frozen=True):
    """Folded words; `asked` by a question mark, `contrast` after but and the like."""

    words: tuple[str, ...]
    asked: bool = False
    contrast: bool = False

    @property
    def text(self) -> str:
        """The words with single blanks."""
        return " ".join(self.words)


def fold(text: str) -> str:
    """Lower case, straight apostrophes, contractions and recognition slips resolved, idioms reduced."""
    text = respelt(text.translate(_APOSTROPHES))
    text = _SHORT_YEAR.sub(_whole_year, text)
    if "'" in text:
        for pattern, value in _CONTRACTIONS:
            text = pattern.sub(value, text)
    text = _BLANKS.sub(" ", text)
    for clues, pattern, value in IDIOMS:
        # A loop and no any(): it runs for every idiom of every answer.
        for clue in clues:
            if clue in text:
                break
        else:
            continue
        text, found = pattern.subn(value, text)
        if found:
            text = _BLANKS.sub(" ", text)
    return text


def _whole_year(match: re.Match[str]) -> str:
    """ "'13" is 2013."""
    return f"{19 if match.group(1) > '40' else 20}{match.group(1)}"


def clauses_of(folded: str) -> tuple[Clause, ...]:
    """The clauses of folded text. One that affirms and then asks without a pause is cut before the question."""
    text = _INNER_DOT.sub("·", folded)
    pieces = _CUT.split(text)
    found: list[Clause] = []
    for at in range(0, len(pieces), 2):
        mark = pieces[at + 1] if at + 1 < len(pieces) else ""
        found += _split_joins(pieces[at], asked="?" in mark)
    return tuple(found)


def _split_joins(piece: str, *, asked: bool) -> list[Clause]:
    parts: list[tuple[str, bool]] = []
    start, contrast = 0, False
    for match in _JOIN.finditer(piece):
        parts.append((piece[start : match.start()], contrast))
        start, contrast = match.end(), match.group() in {"but", "however", "although", "though"}
    parts.append((piece[start:], contrast))
    cut = [(run, contrast) for part, contrast in parts for run in _before_question(_tokens(part))]
    cut = [(words, contrast) for words, contrast in cut if words]
    last = len(cut) - 1
    # "address and phone number?" asks for both; "yes what is the price?" affirms before it asks.
    return [
        Clause(words, asked and (at == last or not affirms(words)), contrast)
        for at, (words, contrast) in enumerate(cut)
    ]


def _tokens(text: str) -> tuple[str, ...]:
    return tuple(word.strip("-'") for word in _WORD.findall(text.replace("·", "-")) if word.strip("-'"))


def affirms(words: tuple[str, ...]) -> bool:
    """Whether there is a word or phrase of yes in it."""
    return (
        bool(set(words) & (AFFIRM_WORDS | {"thanks"})) or AFFIRM_PHRASES.search(" ".join(words)) is not None
    )


def _before_question(words: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Cuts "yes that is right what is the address" in two: speech comes without signs."""
    for at in range(1, len(words)):
        if _starts_question(words, at) and affirms(words[:at]):
            return [words[:at], words[at:]]
    return [words]


def _starts_question(words: tuple[str, ...], at: int) -> bool:
    word, following, before = words[at], " ".join(words[at + 1 : at + 2]), words[at - 1]
    if word in WH_LEADS and word != "any":
        if following in ASK_LEADS | MODAL_LEADS or (word == "how" and following in _MEASURES):
            return True
        return bool(following) and following not in _SUBJECTS and (before not in _BEFORE_RELATIVE or at == 1)
    if word in MODAL_LEADS or word in ASK_LEADS:
        if following in _ASKED_ABOUT and before not in _BEFORE_VERB:
            return True
        return _asks_of_a_thing(words, at)
    if word in _ASKING_VERBS and INFO_START.match(" ".join(words[at:])) is not None:
        return True
    return _wants_to_know(words, at) or _names_what_to_tell(words, at)


def _asks_of_a_thing(words: tuple[str, ...], at: int) -> bool:
    """ "Yes that is right | are pets allowed": a verb of asking after a yes that is complete, before a noun."""
    following = words[at + 1 : at + 2]
    if not following or following[0] in _NO_THINGS:
        return False
    return _complete(words[:at])


def _wants_to_know(words: tuple[str, ...], at: int) -> bool:
    """ "Perfect | i also need to know if …", "yes | i want their phone number"."""
    if words[at] not in {"i", "we"} or not _complete(words[:at]):
        return False
    rest = " ".join(words[at:])
    if CHANGE_PATTERN.search(rest) or " to be " in rest:
        return False
    return INFO_LEAD.match(rest) is not None or bool(
        INFO_PATTERN.match(rest) and INFO_NOUNS & set(words[at:])
    )


def _names_what_to_tell(words: tuple[str, ...], at: int) -> bool:
    """ "Yes | phone number", "nice | the cost": after a complete yes nothing but what shall be told."""
    rest = set(words[at:])
    return bool(rest & TOLD_NOUNS) and rest <= TOLD_NOUNS | TOLD_FRAME and _complete(words[:at])


def _complete(words: tuple[str, ...]) -> bool:
    """Whether the words affirm, say nothing else, and end where a sentence may: "I would like it to" wants more."""
    text = " ".join(words)
    phrase = any(match.end() == len(text) for match in AFFIRM_PHRASES.finditer(text))
    if words[-1] in {"to", "confirm"} or not (phrase or words[-1] in AFFIRM_WORDS | _CLOSERS):
        return False
    rest = AFFIRM_PHRASES.sub(" ", text).split()
    return affirms(words) and all(word in AFFIRM_WORDS | NEUTRAL_WORDS for word in rest)


_CLOSERS = frozenset({"please", "thanks", "there", "now", "sir", "dear"})
_MEASURES = frozenset({"much", "many", "long", "far", "soon", "often"})
_SUBJECTS = frozenset({"i", "we", "you"})
_BEFORE_RELATIVE = frozenset({"that", "is", "exactly", "it", "know", "just", "to"})
_ASKED_ABOUT = frozenset(
    {"i", "you", "they", "it", "we", "there", "the", "this", "that", "my", "your", "their", "its", "any"}
)
_BEFORE_VERB = frozenset(
    {
        "that",
        "it",
        "this",
        "they",
        "i",
        "you",
        "we",
        "what",
        "which",
        "who",
        "where",
        "when",
        "how",
        "all",
        "everything",
        "choice",
        "plan",
        "request",
        "wish",
        # "I would like to have it outside".
        "to",
    }
)
_NO_THINGS = AFFIRM_WORDS | NEGATIVE_WORDS | NEUTRAL_WORDS | _BEFORE_VERB
_ASKING_VERBS = frozenset(
    {"tell", "tel", "let", "find", "check", "give", "send", "get", "provide", "see", "please", "also"}
)
