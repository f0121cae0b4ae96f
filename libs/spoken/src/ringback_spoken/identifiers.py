"""Owns the reading of identifiers out of recognised speech; nothing is known of which identifiers exist."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ringback_spoken.runs import Atom, atom_at, is_plain, past_fillers
from ringback_spoken.scanning import STRONG, Scan, scan
from ringback_spoken.vocabulary import FILLERS

CANDIDATES_MAX = 32
_CHARS_MIN = 3
_SEGMENT_ATOMS_MAX = 64
_HEARD_FOR_DIGITS = str.maketrans({"A": "8", "O": "0"})
_BRIDGES = frozenset({"and", "then", "next", *FILLERS})
_BRIDGED_TOKENS_MAX = 4


@dataclass(frozen=True, slots=True)
class Span:
    """Characters `start` up to `end` of the text that was searched."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class SpokenId:
    """An identifier as it may have been said, in capitals, and where it was heard."""

    value: str
    span: Span


@dataclass(frozen=True, slots=True)
class _Segment:
    """Atoms between two breaks; `bridged` says that the next segment may continue the identifier."""

    atoms: tuple[Atom, ...]
    bridged: bool


def spoken_ids(text: str, *, pattern: str | None = None) -> tuple[SpokenId, ...]:
    """Candidates for identifiers in the text, likeliest first, at most 32.

    With a pattern only candidates that match it whole are given. Without one, a candidate has three
    characters or more; readings that take in doubtful words at the ends come after those that do not.
    """
    if pattern is not None:
        return tuple(dict.fromkeys(_matching(text, pattern)))[:CANDIDATES_MAX]
    found = dict.fromkeys(one for one in _candidates(text) if len(one.value) >= _CHARS_MIN)
    ranked = sorted(found, key=lambda heard: not any(map(str.isdigit, heard.value)))
    return tuple(ranked)[:CANDIDATES_MAX]


def read_id(text: str, *, pattern: str | None = None) -> str | None:
    """The likeliest identifier in the text, in capitals, or None."""
    heard = _matching(text, pattern) if pattern is not None else iter(spoken_ids(text))
    likeliest = next(heard, None)
    return likeliest.value if likeliest is not None else None


def _matching(text: str, pattern: str) -> Iterator[SpokenId]:
    """The candidates that match the pattern whole, likeliest first."""
    wanted = re.compile(pattern, re.IGNORECASE)
    for candidate in _candidates(text):
        fitted = _fitted(candidate, wanted)
        if wanted.fullmatch(fitted.value) is not None:
            yield fitted


def _candidates(text: str) -> Iterator[SpokenId]:
    scanned = scan(text)
    for group in _groups(scanned):
        for atoms in _readings(scanned, group):
            yield _candidate(scanned, atoms)


def _candidate(scanned: Scan, atoms: tuple[Atom, ...]) -> SpokenId:
    start = scanned.tokens[atoms[0].index].start
    end = scanned.tokens[atoms[-1].next_index - 1].end
    return SpokenId("".join(atom.chars for atom in atoms).upper(), Span(start, end))


def _fitted(candidate: SpokenId, wanted: re.Pattern[str]) -> SpokenId:
    """The candidate, its letters taken for the digits that sound like them if only so it fits."""
    if wanted.fullmatch(candidate.value) is not None:
        return candidate
    respelled = candidate.value.translate(_HEARD_FOR_DIGITS)
    return SpokenId(respelled, candidate.span) if wanted.fullmatch(respelled) else candidate


def _groups(scanned: Scan) -> Iterator[list[_Segment]]:
    """Segments that breaks, "and" or the end of a sentence divide but one identifier may span."""
    group: list[_Segment] = []
    index = 0
    while index < len(scanned.tokens):
        atoms = [] if is_plain(scanned, index) else _segment(scanned, index)
        if not atoms:
            index += 1
            continue
        index, bridged = _bridge(scanned, atoms[-1].next_index)
        group.append(_Segment(tuple(atoms), bridged))
        if not bridged:
            yield group
            group = []
    if group:
        yield group


def _segment(scanned: Scan, index: int) -> list[Atom]:
    atoms: list[Atom] = []
    at = index
    while len(atoms) < _SEGMENT_ATOMS_MAX and (atom := atom_at(scanned, at)) is not None:
        atoms.append(atom)
        at = past_fillers(scanned, atom.next_index)
        if scanned.gap(at) == STRONG:
            break
    return atoms


def _bridge(scanned: Scan, index: int) -> tuple[int, bool]:
    """Past "and", fillers and full stops to the next atom, if one follows."""
    at = index
    while at < index + _BRIDGED_TOKENS_MAX and scanned.text(at) in _BRIDGES:
        at += 1
    following = atom_at(scanned, at)
    return (at, True) if following is not None and following.kind != "soft" else (index, False)


def _readings(scanned: Scan, group: list[_Segment]) -> Iterator[tuple[Atom, ...]]:
    """The ways to read a group: joined, by segment, as codes written in one piece; then with soft ends."""
    joined = tuple(atom for segment in group for atom in segment.atoms)
    wholes = tuple((atom,) for atom in joined if atom.whole)
    parts = [segment.atoms for segment in group] if len(group) > 1 else []
    variants = [joined, *wholes, *parts] if not wholes else [*wholes, joined, *parts]
    for atoms in variants:
        core = _without_soft_ends(atoms)
        if core:
            yield core
    for atoms in variants:
        core = _without_soft_ends(atoms)
        if not core or len(atoms) == len(core):
            continue
        start = next(n for n, atom in enumerate(atoms) if atom is core[0])
        for before in range(start, -1, -1):
            for after in range(start + len(core), len(atoms) + 1):
                if after - before <= len(core) + 2:
                    yield atoms[before:after]


def _without_soft_ends(atoms: tuple[Atom, ...]) -> tuple[Atom, ...]:
    start, end = 0, len(atoms)
    while start < end and atoms[start].kind == "soft":
        start += 1
    while end > start and atoms[end - 1].kind == "soft":
        end -= 1
    return atoms[start:end]
