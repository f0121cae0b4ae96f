"""Owns which elements of a list a condition can be true of: where it asks for one text first, the others are not made.

`session.actions.exists(a, a.tool == "pay" && …)` says the same over the payments alone: for every other element the
conjunction is false by its first part, and what is false adds nothing to `exists`, `exists_one` or `filter`.
"""

import re
from collections.abc import Sequence

from ringback_policy.domain.shapes import Path

__all__ = ["narrowed", "narrowed_name"]

# Lists whose elements can be chosen, and by which of their members; it is always there, and a text.
_CHOSEN_BY: dict[Path, str] = {("session", "actions"): "tool"}
_MACROS = frozenset({"exists", "exists_one", "filter"})
_TEXT = re.compile(r"""(["'])([\w.-]*)\1\Z""", re.ASCII)


def narrowed(path: Path, words: Sequence[str], *, at: int) -> str | None:
    """The text that the elements must have, where the path is followed by such a comprehension; None: it needs all.

    `words` are the source's tokens, `at` is the first one behind the path.
    """
    member = _CHOSEN_BY.get(path)
    if member is None or len(words) < at + 12:
        return None
    dot, macro, paren, variable, comma, *asked = words[at : at + 10]
    if (dot, paren, comma) != (".", "(", ",") or macro not in _MACROS:
        return None
    literal = _TEXT.match(words[at + 10])
    if asked != [variable, ".", member, "=", "="] or literal is None:
        return None
    return literal[2] if _only_conjoined(words, at=at + 11) else None


def narrowed_name(path: Path, text: str) -> str:
    """The variable for these elements; the names of paths never hold three underscores in a row."""
    return f"{'__'.join(path)}___{text.encode().hex()}"


def _only_conjoined(words: Sequence[str], *, at: int) -> bool:
    """Whether nothing up to the comprehension's end could make a false first part true again."""
    if words[at] not in (")", "&"):
        return False
    depth = 0
    for word in words[at:]:
        if word in ("(", "[", "{"):
            depth += 1
        elif word in (")", "]", "}"):
            depth -= 1
            if depth < 0:
                return True
        elif depth == 0 and word in ("|", "?", ","):
            return False
    return False
