"""Owns the cutting of text into sentences, the unit of synthesis."""

import re
from collections.abc import Iterator

_SENTENCE = re.compile(r"\S.*?(?:[.!?…]+[\"')\]]*(?=\s)|\n|$)\s*", re.DOTALL)
_ABBREVIATED = re.compile(r"(?:\b(?:Mr|Mrs|Ms|Dr|St|vs|e\.g|i\.e|[A-Z]|[ap]\.m)\.)\s*$")
_SENTENCE_CHARS_MAX = 240
_CLAUSE = re.compile(r"(?<=[,;:])\s+|\s+")


def sentences(text: str) -> list[str]:
    """The text in pieces to be spoken one by one; joined, the pieces are the text."""
    pieces: list[str] = []
    at = len(text) - len(text.lstrip())
    head = text[:at]
    for match in _SENTENCE.finditer(text, at):
        if pieces and _ABBREVIATED.search(pieces[-1]):
            pieces[-1] += match[0]
        else:
            pieces.append(match[0])
    if not pieces:
        return [text] if text else []
    pieces[0] = head + pieces[0]
    return [part for piece in pieces for part in _shortened(piece)]


def _shortened(piece: str) -> Iterator[str]:
    """A sentence cut after clauses, or else words, where it is too long to wait for."""
    while len(piece) > _SENTENCE_CHARS_MAX:
        cuts = [m.end() for m in _CLAUSE.finditer(piece, 0, _SENTENCE_CHARS_MAX)]
        clauses = [cut for cut in cuts if piece[:cut].rstrip()[-1:] in {",", ";", ":"}]
        at = max(clauses or cuts or [_SENTENCE_CHARS_MAX])
        yield piece[:at]
        piece = piece[at:]
    yield piece
