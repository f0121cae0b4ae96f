"""Where a sentence ends in words that are still coming."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["SENTENCE_CHARS_MAX", "sentence_end"]

# Words without an end are cut here, so that nothing waits for a full stop that never comes.
SENTENCE_CHARS_MAX: Final = 280
_END: Final = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s|$)|[。！？]+[」』”’）]*|\n")
# A full stop behind these, or behind a digit at the end of what is known, is most likely not the end.
_SHORT: Final = re.compile(
    r"(?:^|[\s(])(?:[A-Za-z]|mr|mrs|ms|dr|st|no|nr|vs|approx|e\.g|i\.e)\.$", re.IGNORECASE
)


def sentence_end(text: str, start: int) -> int:
    """The end of the first sentence from `start` on, blanks behind it included; 0: it has not ended yet."""
    for found in _END.finditer(text, start):
        end = found.end()
        if not text[start:end].strip():
            continue
        if found.group() == "." and _goes_on(text, start, end):
            continue
        if end - start > SENTENCE_CHARS_MAX:
            break
        return end + len(text[end:]) - len(text[end:].lstrip())
    if len(text) - start > SENTENCE_CHARS_MAX:
        blank = text.rfind(" ", start + 1, start + SENTENCE_CHARS_MAX)
        return blank + 1 if blank > 0 else start + SENTENCE_CHARS_MAX
    return 0


def _goes_on(text: str, start: int, end: int) -> bool:
    if _SHORT.search(text[start:end]):
        return True
    return end == len(text) and text[end - 2 : end - 1].isdigit()
