"""Owns what the engine is given of the variables: each member that is read as a variable of its own, the rest whole."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec

__all__ = ["Choices", "Members", "Path", "Shape", "flat_name"]

Path = tuple[str, ...]


class Members(msgspec.Struct, frozen=True):
    """Named members that are made when they are read; KeyError for one that there is not."""

    def __getitem__(self, name: str) -> Any:
        raise KeyError(name)

    def plain(self) -> Any:
        """All of them."""
        raise NotImplementedError


class Choices(Members, frozen=True):
    """A list whose elements are made when they are wanted."""

    def chosen(self, text: str) -> list[Any]:
        """The elements that have this text, in their order."""
        raise NotImplementedError


class Shape(msgspec.Struct, frozen=True):
    """Members by the names of their variables, paths that stay as they are, and the expressions that read them.

    `chosen` are lists of which only the elements with a text are read; `groups` are `flats` by their owners.
    """

    flats: tuple[tuple[str, Path], ...] = ()
    chosen: tuple[tuple[str, Path, str], ...] = ()
    whole: tuple[Path, ...] = ()
    sources: frozenset[str] = frozenset()
    groups: tuple[tuple[Path, tuple[tuple[str, str], ...]], ...] = ()

    @staticmethod
    def made(
        flats: Mapping[str, Path],
        chosen: Collection[tuple[str, Path, str]],
        whole: Collection[Path],
        sources: frozenset[str],
    ) -> "Shape":
        """A shape of these; each thing is found once for all of its members."""
        owners: dict[Path, list[tuple[str, str]]] = {}
        for name, path in sorted(flats.items()):
            owners.setdefault(path[:-1], []).append((name, path[-1]))
        return Shape(
            tuple(sorted(flats.items())),
            tuple(sorted(chosen)),
            tuple(sorted(whole)),
            sources,
            tuple((owner, tuple(members)) for owner, members in owners.items()),
        )

    @staticmethod
    def of(shapes: Iterable["Shape"]) -> "Shape":
        """All of them together."""
        flats: dict[str, Path] = {}
        chosen: set[tuple[str, Path, str]] = set()
        whole: set[Path] = set()
        sources: set[str] = set()
        for shape in shapes:
            flats.update(shape.flats)
            chosen.update(shape.chosen)
            whole.update(shape.whole)
            sources |= shape.sources
        return Shape.made(flats, chosen, whole, frozenset(sources))

    def read(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The engine's variables. A member that is missing gets none: reading it is then an error, as it should be."""
        found: dict[str, Any] = {}
        for owner, members in self.groups:
            of: Any = values
            try:
                for part in owner:
                    of = of[part]
            except (LookupError, TypeError):
                continue
            for name, part in members:
                try:
                    value = of[part]
                except (LookupError, TypeError):
                    continue
                found[name] = value.plain() if isinstance(value, Members) else value
        for name, path, text in self.chosen:
            _choose(values, found, name, path, text=text)
        if self.whole:
            found.update(_reduced(values, self.whole))
        return found


def flat_name(path: Path) -> str | None:
    """The variable for a path of members; None where it is a variable already, or its name would not be its own."""
    if len(path) < 2 or not all(part.isidentifier() and part.isascii() for part in path):
        return None
    if any("__" in part or part.startswith("_") or part.endswith("_") for part in path):
        return None
    return "__".join(path)


def _choose(values: Any, into: dict[str, Any], name: str, path: Path, *, text: str) -> None:
    for part in path:
        try:
            values = values[part]
        except (LookupError, TypeError):
            return
    # A list that is there already is read whole: the condition asks for the text itself.
    into[name] = values.chosen(text) if isinstance(values, Choices) else values


def _reduced(values: Mapping[str, Any], paths: tuple[Path, ...]) -> dict[str, Any]:
    """The values with no more members than these paths read; sorted paths have the shorter one first."""
    found: dict[str, Any] = {}
    taken: set[Path] = set()
    for path in paths:
        if not any(path[: len(other)] == other for other in taken):
            _copy(values, found, path)
            taken.add(path)
    return found


def _copy(values: Any, into: dict[str, Any], path: Path) -> None:
    for at, part in enumerate(path):
        try:
            value = values[part]
        except (LookupError, TypeError):
            return
        if isinstance(value, Members):
            value = value.plain()
        if at + 1 == len(path) or not isinstance(value, Mapping):
            into[part] = value
            return
        into, values = into.setdefault(part, {}), value
