"""Words as the dialogue compares them: lower case, without function words, cut to their stems."""

import re
from typing import Final

__all__ = ["content_stems", "humanise", "is_question", "question_part", "stem", "word_set", "words_of"]

_WORD: Final = re.compile(r"[a-z0-9]+(?:'[a-z]+)?")
_SENTENCES: Final = re.compile(r"[^.!?]+[.!?]*")
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SUFFIXES: Final = (
    "izations", "ization", "ations", "ation", "ments", "ment", "ables", "able", "ibles", "ible", "ings", "ing",
    "ions", "ion", "ied", "ies", "ed", "es", "ly", "s", "e", "y",
)  # fmt: skip
_STEM_CHARS_MIN: Final = 3


def word_set(text: str) -> frozenset[str]:
    """The words of a text between spaces, as a set."""
    return frozenset(text.split())


_FUNCTION_WORDS: Final = word_set(
    """
    a about after again all also am an and any are as at back be been being but by can could did do
    does doing done don't for from get give go going got had has have hello help hey hi how i i'd
    i'll i'm i've if in into is it it's its just know let let's like long lot make may me might mine
    more much my need needed no not now of off ok okay on one only or other our out over please put
    really right say see shall she he should so some something still such take tell than thank
    thanks that that's the their them then there there's these they thing this those to too try up
    us use very want wanted wants was way we well were what what's when where which while who why
    will with would yes yeah yet you you're your actually
    """
)
_QUESTION_STARTS: Final = word_set(
    """
    what what's when when's where where's which who who's whom whose why how is are am was were do
    does did can could will would should has have may
    """
)
# What people say before the question itself.
_LEAD_INS: Final = word_set(
    """
    and but so ok okay well hold on wait um uh hm hey please sorry just a second minute
    """
)
_ASKS_FOR_ACTION: Final = frozenset({"can", "could", "will", "would"})


def words_of(text: str) -> list[str]:
    """Lower-case words, also of names written in snake, kebab or camel case."""
    text = _CAMEL.sub(" ", text) if not text.isupper() else text
    return _WORD.findall(text.replace("’", "'").replace("_", " ").lower())


def stem(word: str) -> str:
    """A crude stem: enough to make "cancelled", "cancel" and "cancellation" one."""
    word = word.removesuffix("'s")
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= _STEM_CHARS_MIN:
            word = word[: -len(suffix)]
            break
    if len(word) > _STEM_CHARS_MIN and word[-1] == word[-2] and word[-1] not in "aeiou":
        word = word[:-1]
    return word


def content_stems(text: str) -> list[str]:
    """Stems of the words that carry meaning, in order."""
    return [stem(word) for word in words_of(text) if word not in _FUNCTION_WORDS]


def humanise(name: str) -> str:
    """A key or a tool's name as a person would say it."""
    spoken = " ".join("ID" if word == "id" else word for word in words_of(name))
    return spoken or name


def question_part(text: str) -> str:
    """The sentences of an utterance that ask, without what is said before them; all of it if none does."""
    return " ".join(filter(_asks, _SENTENCES.findall(text))) or text


def is_question(text: str) -> bool:
    """Whether the words ask for information; "can you cancel it?" asks for an action and is none."""
    return any(map(_asks, _SENTENCES.findall(text)))


def _asks(sentence: str) -> bool:
    words = words_of(sentence)
    while len(words) > 1 and words[0] in _LEAD_INS:
        words.pop(0)
    if not words:
        return False
    if words[0] in _ASKS_FOR_ACTION and len(words) > 1 and words[1] in ("you", "we", "i"):
        return words[2:3] == ["tell"]
    return words[0] in _QUESTION_STARTS or sentence.rstrip().endswith("?")
