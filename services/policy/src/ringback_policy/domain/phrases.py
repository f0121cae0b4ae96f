"""Owns the matching of phrases: many at once, in time linear in the text, with spans in the text as it came."""

import re
from typing import Any

import re2 as _re2

__all__ = ["PATTERN_CHARS_MAX", "PhraseError", "PhraseSet", "level"]

# The binding has no types of its own.
re2: Any = _re2

PATTERN_CHARS_MAX = 400
_MEMORY_BYTES_MAX = 8 << 20
_APOSTROPHES = str.maketrans(dict.fromkeys("’‘ʼ`´", "'"))
_SIGNS = re.compile(r"[^\w']|_")


class PhraseError(ValueError):
    """A phrase that is not accepted."""


class PhraseSet:
    """Phrases under integer tags. A phrase is words; RE2's groups, `|` and `?` may be used; a blank matches any gap."""

    def __init__(
        self, phrases: list[tuple[int, str]], *, unless: list[tuple[int, str]] | None = None
    ) -> None:
        """Compiles; raises PhraseError."""
        self._tags = [tag for tag, _ in phrases]
        self._patterns = [_compile(phrase) for _, phrase in phrases]
        self._set = _set_of(self._patterns)
        self._unless_tags = [tag for tag, _ in unless or []]
        self._unless = [_compile(phrase) for _, phrase in unless or []]

    def match(self, text: str) -> set[int]:
        """Tags of the phrases found, without those whose `unless` phrases cover all that was found."""
        levelled = level(text)
        tags = {self._tags[index] for index in self._matching(levelled)}
        return {tag for tag in tags if not self._excused(tag, levelled)}

    def spans(self, text: str, *, tag: int) -> list[tuple[int, int]]:
        """Where the phrases of a tag stand in the text, half-open, in characters."""
        levelled = level(text)
        found = [
            match.span()
            for own, pattern in zip(self._tags, self._patterns, strict=True)
            if own == tag
            for match in pattern.finditer(levelled)
        ]
        return sorted(found)

    def _matching(self, levelled: str) -> list[int]:
        # RE2 answers None where nothing matches.
        return (self._set.Match(levelled) or []) if self._patterns else []

    def _excused(self, tag: int, levelled: str) -> bool:
        excuses = [p for own, p in zip(self._unless_tags, self._unless, strict=True) if own == tag]
        if not excuses:
            return False
        for pattern in excuses:
            levelled = pattern.sub(" ; ", levelled)
        return tag not in {self._tags[index] for index in self._matching(levelled)}


def level(text: str) -> str:
    """The text in lower case with signs as blanks, character for character, so that offsets stay."""
    lower = text.lower()
    if len(lower) != len(text):
        # A few letters (İ) grow in lower case; those stay as they are.
        lower = "".join(char.lower() if len(char.lower()) == 1 else char for char in text)
    return _SIGNS.sub(" ", lower.translate(_APOSTROPHES))


def _compile(phrase: str) -> Any:
    if not phrase.strip() or len(phrase) > PATTERN_CHARS_MAX:
        raise PhraseError(f"expected a phrase of 1 to {PATTERN_CHARS_MAX} characters")
    if " ?" in phrase or " *" in phrase:
        raise PhraseError("expected an optional word with its blank in one group: (real )?person")
    pattern = r"\b(?:" + " +".join(phrase.lower().replace("'", "'?").split()) + r")\b"
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY_BYTES_MAX
    try:
        return re2.compile(pattern, options=options)
    except re2.error as error:
        detail = error.args[0]
        text = detail.decode() if isinstance(detail, bytes) else str(detail)
        raise PhraseError(f"expected words or RE2 syntax: {text}") from None


def _set_of(patterns: list[Any]) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 4 * _MEMORY_BYTES_MAX
    found = re2.Set.SearchSet(options)
    for pattern in patterns:
        found.Add(pattern.pattern)
    if patterns:
        found.Compile()
    return found
