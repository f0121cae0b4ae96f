"""Owns the joining of digits, number words and spelled letters into one run, as identifiers are said."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ringback_spoken.numerals import cardinal_at, plain_digits
from ringback_spoken.scanning import GLUED, STRONG, Scan
from ringback_spoken.vocabulary import DIGIT_HOMOPHONES, FILLERS, LETTER_SOUNDS, NATO, TEENS, TENS, UNITS

AtomKind = Literal["code", "number", "letter", "soft"]

WHOLE_CHARS_MIN = 5  # a code written in one piece this long is an identifier by itself
_SOFT_IN_A_ROW_MAX = 2
# Recognisers write "482.915" for six digits said in two groups.
_GROUPED = re.compile(r"[0-9]{3}\.[0-9]{3}")
_REPEATS = {"double": 2, "triple": 3}
_ARTICLES = frozenset({"a", "i", "o"})
# Every word that can begin a piece; most words of a sentence are none of these.
_BEGINNINGS = frozenset({*UNITS, *TEENS, *TENS, *DIGIT_HOMOPHONES, *LETTER_SOUNDS, *NATO, *_REPEATS, "an"})


@dataclass(frozen=True, slots=True)
class Atom:
    """One piece of an identifier; a soft one is a word that is a piece only among other pieces."""

    chars: str
    index: int
    next_index: int
    kind: AtomKind

    @property
    def single(self) -> bool:
        """Whether it is one digit or letter said by itself."""
        return len(self.chars) == 1

    @property
    def whole(self) -> bool:
        """Whether it was written in one piece that is long enough to stand alone."""
        return self.kind == "code" and len(self.chars) >= WHOLE_CHARS_MIN


@dataclass(frozen=True, slots=True)
class Run:
    """Atoms joined, from token `index` up to `next_index`."""

    chars: str
    index: int
    next_index: int


def atom_at(scan: Scan, index: int) -> Atom | None:
    """The piece of an identifier that starts at the token, if one does."""
    if index >= len(scan.tokens) or scan.tokens[index].text in "$€£%" or is_plain(scan, index):
        return None
    for read in (_repeat, _number, _code, _letter, _soft):
        atom = read(scan, index)
        if atom is not None:
            return atom
    return None


def is_plain(scan: Scan, index: int) -> bool:
    """Whether it is an everyday word that begins no piece, known as such without asking each grammar."""
    text = scan.tokens[index].text
    if len(text) == 1 or text in _BEGINNINGS or not text[0].isalpha():
        return False
    return scan.gap(index + 1) != GLUED


def hard_at(scan: Scan, index: int) -> Atom | None:
    """The piece that starts at the token, unless it is a soft one."""
    atom = atom_at(scan, index)
    return None if atom is None or atom.kind == "soft" else atom


def run_at(scan: Scan, index: int, *, stop: Callable[[int], bool] = lambda index: False) -> Run | None:
    """Join the atoms from the token on, over commas and fillers, up to a break or to where `stop` says.

    Soft atoms count between two others; at the ends only where the clause ends too and the two atoms
    next to them are said singly ("for eight two" is 482, "for 82 people" is not).
    """
    atoms = _atoms(scan, index, stop)
    while atoms and atoms[-1].kind == "soft" and not _ends_clause(scan, atoms):
        atoms.pop()
    if not atoms or all(atom.kind == "soft" for atom in atoms):
        return None
    if atoms[0].kind == "soft" and not _starts_clause(scan, atoms):
        return None
    chars = "".join(atom.chars for atom in atoms)
    if len(chars) == 1 and not chars.isdecimal():
        return None
    return Run(chars, index, atoms[-1].next_index)


def past_fillers(scan: Scan, index: int) -> int:
    """The first token from `index` on that is no filler; bounded, so that reading stays linear."""
    for _ in range(4):
        if scan.text(index) not in FILLERS or scan.gap(index) == STRONG:
            break
        index += 1
    return index


def _atoms(scan: Scan, index: int, stop: Callable[[int], bool]) -> list[Atom]:
    atoms: list[Atom] = []
    soft_in_a_row = 0
    at = index
    while (atom := atom_at(scan, at)) is not None and not (atoms and atom.whole):
        soft_in_a_row = soft_in_a_row + 1 if atom.kind == "soft" else 0
        if soft_in_a_row > _SOFT_IN_A_ROW_MAX:
            break
        atoms.append(atom)
        if atom.whole:
            break
        at = past_fillers(scan, atom.next_index)
        if scan.gap(at) == STRONG or stop(at):
            break
    return atoms


def _ends_clause(scan: Scan, atoms: list[Atom]) -> bool:
    at = atoms[-1].next_index
    ends = scan.gap(at) == STRONG or scan.tokens[at].comma
    return ends and len(atoms) >= 3 and all(atom.single and atom.kind != "soft" for atom in atoms[-3:-1])


def _starts_clause(scan: Scan, atoms: list[Atom]) -> bool:
    first = atoms[0].index
    starts = scan.gap(first) == STRONG or scan.tokens[first].comma
    return starts and len(atoms) >= 3 and all(atom.single and atom.kind != "soft" for atom in atoms[1:3])


def _repeat(scan: Scan, index: int) -> Atom | None:
    times = _REPEATS.get(scan.text(index))
    if times is None or scan.gap(index + 1) == STRONG:
        return None
    if times == 2 and scan.text(index + 1) in {"u", "you"}:
        return Atom("w", index, index + 2, "letter")
    text = scan.text(index + 1)
    if DIGIT_HOMOPHONES.get(text) == "0":
        return Atom("0" * times, index, index + 2, "number")
    following = hard_at(scan, index + 1) if text not in _REPEATS else None
    if following is None or not following.single:
        return None
    return Atom(following.chars * times, index, following.next_index, following.kind)


def _number(scan: Scan, index: int) -> Atom | None:
    found = cardinal_at(scan, index)
    return Atom(str(found[0]), index, found[1], "number") if found else None


def _code(scan: Scan, index: int) -> Atom | None:
    """What was written in one piece: digits, or digits and letters."""
    if scan.gap(index) == GLUED:
        return None
    if scan.gap(index + 1) != GLUED and not scan.tokens[index].numeric:
        return None
    end = index + 1
    while scan.gap(end) == GLUED and scan.text(end) not in {"$", "€", "£", "%"}:
        end += 1
    tokens = scan.tokens[index:end]
    if _GROUPED.fullmatch(tokens[0].text) and len(tokens) == 1:
        return Atom(tokens[0].text.replace(".", ""), index, end, "code")
    if not any(token.numeric for token in tokens) or any("." in token.text for token in tokens):
        return None
    return Atom("".join(plain_digits(token.text) for token in tokens), index, end, "code")


def _letter(scan: Scan, index: int) -> Atom | None:
    token = scan.tokens[index]
    letter = NATO[token.text] if token.text in NATO and _among_letters(scan, index) else None
    if len(token.text) == 1 and token.text.isascii() and token.text.isalpha():
        article = token.text == "i" or not token.capital or not _said_as_letter(scan, index)
        sure = token.text not in _ARTICLES or not article
        explained = _past_explanation(scan, index, token.text) > index + 1
        letter = token.text if sure or explained else None
    if scan.text(index) == "x" and scan.text(index + 1) == "ray":
        return Atom("x", index, index + 2, "letter")
    if letter is None:
        return None
    return Atom(letter, index, _past_explanation(scan, index, letter), "letter")


def _said_as_letter(scan: Scan, index: int) -> bool:
    """Whether a capital "A" is no article: inside a sentence, or at its start before a letter or a comma."""
    if scan.gap(index) != STRONG:
        return True
    if scan.gap(index + 1) == STRONG:
        return False
    following = scan.tokens[index + 1]
    return following.comma or (len(following.text) == 1 and following.capital)


def _among_letters(scan: Scan, index: int) -> bool:
    """Whether a word of the spelling alphabet stands next to another, or to a single letter."""
    before = scan.text(index - 1) if scan.gap(index) != STRONG else ""
    after = scan.text(index + 1) if scan.gap(index + 1) != STRONG else ""
    letters = {word for word in (before, after) if len(word) == 1 and word.isalpha()} - _ARTICLES
    return bool(letters) or before in NATO or after in NATO


def _past_explanation(scan: Scan, index: int, letter: str) -> int:
    """Past "as in boy", "for boy" or "like boy" after a letter, where the word begins with the letter."""
    at = index + 1
    if scan.text(at) == "as" and scan.text(at + 1) == "in":
        at += 2
    elif scan.text(at) in {"for", "like"}:
        at += 1
    else:
        return index + 1
    word = scan.text(at)
    explains = len(word) > 1 and word.startswith(letter) and scan.gap(index + 1) != STRONG != scan.gap(at)
    return at + 1 if explains else index + 1


def _soft(scan: Scan, index: int) -> Atom | None:
    text = scan.text(index)
    chars = DIGIT_HOMOPHONES.get(text) or LETTER_SOUNDS.get(text) or NATO.get(text)
    if text in _ARTICLES and text != "o":
        chars = text
    return Atom(chars, index, index + 1, "soft") if chars else None
