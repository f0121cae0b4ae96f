"""Owns the cutting of an utterance into clauses of folded words, each knowing whether it was asked."""

import re

import msgspec

from ringback_policy.domain.consent.patterns import AFFIRM_PHRASES, IDIOMS, INFO_START
from ringback_policy.domain.consent.words import AFFIRM_WORDS, ASK_LEADS, MODAL_LEADS, SLIPS, WH_LEADS

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
    text = text.lower().translate(_APOSTROPHES)
    text = re.sub(r"[a-z']+", lambda match: SLIPS.get(match.group(), match.group()), text)
    for pattern, value in _CONTRACTIONS:
        text = pattern.sub(value, text)
    for pattern, value in IDIOMS:
        text = _BLANKS.sub(" ", pattern.sub(value, text))
    return text


def clauses_of(utterance: str) -> tuple[Clause, ...]:
    """The clauses, in order. A clause that affirms and then asks without a pause is cut before the question."""
    text = _INNER_DOT.sub("·", fold(utterance))
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
    for at in range(1, len(words) - 1):
        if _starts_question(words, at) and affirms(words[:at]):
            return [words[:at], words[at:]]
    return [words]


def _starts_question(words: tuple[str, ...], at: int) -> bool:
    word, following, before = words[at], words[at + 1], words[at - 1]
    if word in WH_LEADS and word != "any":
        if following in ASK_LEADS | MODAL_LEADS or (word == "how" and following in _MEASURES):
            return True
        return following not in _SUBJECTS and before not in _BEFORE_RELATIVE
    if word in MODAL_LEADS or word in ASK_LEADS:
        return following in _ASKED_ABOUT and before not in _BEFORE_VERB
    return word in _ASKING_VERBS and INFO_START.match(" ".join(words[at:])) is not None


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
    }
)
_ASKING_VERBS = frozenset(
    {"tell", "tel", "let", "find", "check", "give", "send", "get", "provide", "see", "please", "also"}
)
