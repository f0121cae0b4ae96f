"""Owns how one word is written: contractions in full, and spellings of both sides of the Atlantic as one.

A model that says a sentence as it stands still writes it as it likes: "cannot be cancelled" comes as "can't be
canceled".
"""

import re
from functools import lru_cache

__all__ = ["written_out"]

_WHOLE = {
    "can't": ("can", "not"),
    "cannot": ("can", "not"),
    "won't": ("will", "not"),
    "shan't": ("shall", "not"),
    "let's": ("let", "us"),
    "okay": ("ok",),
    "email": ("e", "mail"),
    "cheque": ("check",),
    "cheques": ("checks",),
    "programme": ("program",),
    "centre": ("center",),
    "enquiry": ("inquiry",),
}
_ENDINGS = {"'ll": "will", "'re": "are", "'ve": "have", "'m": "am", "'d": "would", "'s": "is"}
# Spelling by British custom, and what is written for it in the United States.
_SPELLINGS = (
    (re.compile(r"^(cancel|travel|label|total|signal|model|dial|fuel)l(ed|ing|ers?)$"), r"\1\2"),
    (re.compile(r"^(author|organ|recogn|apolog|final|custom|real)is(e|ed|es|ing|ation)$"), r"\1iz\2"),
    (re.compile(r"^(col|fav|hon|behavi|neighb)our(s|ed|ing|ite|ites)?$"), r"\1or\2"),
)


@lru_cache(maxsize=4_096)
def written_out(word: str) -> tuple[str, ...]:
    """The words that one in lower case stands for: those of a contraction, else itself as it is written here."""
    if word in _WHOLE:
        return _WHOLE[word]
    if word.endswith("n't"):
        return (word[:-3], "not")
    head, mark, ending = word.rpartition("'")
    if head and mark + ending in _ENDINGS:
        return (*written_out(head), _ENDINGS[mark + ending])
    for pattern, spelling in _SPELLINGS:
        word = pattern.sub(spelling, word)
    return (word,)
