"""Owns what the engine is given of the variables: each member that is read as a variable of its own, the rest whole."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

__all__ = ["Members", "Path", "Shape", "flat_name"]

Path = tuple[str, ...]


class Members:
    """Named members that are made when they are read; KeyError for one that there is not."""

    __slots__ = ()

    def __getitem__(self, name: str) -> Any:
        raise KeyError(name)

    def plain(self) -> dict[str, Any]:
        """All of them."""
        raise NotImplementedError


class Shape(msgspec.Struct, frozen=True):
    """Members by the names of their variables, paths that stay as they are, and the expressions that read them."""

    flats: tuple[tuple[str, Path], ...] = ()
    whole: tuple[Path, ...] = ()
    sources: frozenset[str] = frozenset()

    @staticmethod
    def of(shapes: Iterable["Shape"]) -> "Shape":
        """All of them together."""
        flats: dict[str, Path] = {}
        whole: set[Path] = set()
        sources: set[str] = set()
        for shape in shapes:
            flats.update(shape.flats)
            whole.update(shape.whole)
            sources |= shape.sources
        return Shape(tuple(sorted(flats.items())), tuple(sorted(whole)), frozenset(sources))

    def read(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The engine's variables. A member that is missing gets none: reading it is then an error, as it should be."""
        found: dict[str, Any] = {}
        for name, path in self.flats:
            value: Any = values
            try:
                for part in path:
                    value = value[part]
            except (LookupError, TypeError):
                continue
            found[name] = value.plain() if isinstance(value, Members) else value
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
