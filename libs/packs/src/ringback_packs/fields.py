"""Takes the fields of a mapping one by one, and notes what is missing, of the wrong kind, or unknown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from ringback_packs.findings import Report, near
from ringback_packs.yaml_tree import MappingNode, Node, Scalar, SequenceNode, plain

__all__ = ["REQUIRED", "Fields", "Place", "kind_of"]

REQUIRED: Final[Any] = object()


class Place:
    """A node, its path, and where findings about it go."""

    def __init__(self, node: Node, *, file: str, path: str, report: Report) -> None:
        self.node = node
        self.file = file
        self.path = path
        self.report = report

    @property
    def line(self) -> int:
        """The node's line."""
        return self.node.line

    def error(self, message: str) -> None:
        """Note an error here."""
        self.report.error(self.file, self.line, self.path, message)

    def warning(self, message: str) -> None:
        """Note a warning here."""
        self.report.warning(self.file, self.line, self.path, message)

    def below(self, node: Node, step: str) -> Place:
        """A node inside this one."""
        path = f"{self.path}{step}" if step.startswith("[") or not self.path else f"{self.path}.{step}"
        return Place(node, file=self.file, path=path, report=self.report)

    def fields(self) -> Fields | None:
        """The fields of this mapping, or None after noting that it is none."""
        if isinstance(self.node, MappingNode):
            return Fields(self, self.node)
        self.error(f"a mapping expected, got {kind_of(self.node)}")
        return None

    def items(self, *, count_max: int) -> Iterator[Place]:
        """The places of this list's items; nothing after noting that it is no list or too long."""
        if not isinstance(self.node, SequenceNode):
            self.error(f"a list expected, got {kind_of(self.node)}")
            return
        if len(self.node.items) > count_max:
            self.error(f"at most {count_max} items expected, got {len(self.node.items)}")
            return
        for index, item in enumerate(self.node.items):
            yield self.below(item, f"[{index}]")


class Fields:
    """The fields of one mapping. Each getter returns a usable value even after noting an error."""

    def __init__(self, place: Place, node: MappingNode) -> None:
        self.place = place
        self._node = node
        self._asked: list[str] = []

    def has(self, key: str) -> bool:
        """Whether the field is there."""
        return key in self._node.entries

    def at(self, key: str) -> Place:
        """The place of a field, or of the mapping if the field is not there."""
        if key not in self._node.entries:
            return self.place.below(self._node, key)
        return self.place.below(self._node.entries[key][1], key)

    def get(self, key: str, *, required: bool = False) -> Place | None:
        """The place of a field; None if it is not there (noted if required)."""
        self._asked.append(key)
        if key in self._node.entries:
            return self.at(key)
        if required:
            self.place.error(f"{key!r} expected, it is missing")
        return None

    def text(
        self,
        key: str,
        default: str = REQUIRED,
        *,
        chars_max: int = 200,
        pattern: re.Pattern[str] | None = None,
        form: str = "",
    ) -> str:
        """Text of bounded length, not blank when required, in the form of `pattern`."""
        place = self.get(key, required=default is REQUIRED)
        fallback = "" if default is REQUIRED else default
        if place is None:
            return fallback
        value = place.node.value if isinstance(place.node, Scalar) else None
        if not isinstance(value, str):
            place.error(f"{form or 'text'} expected, got {kind_of(place.node)}")
            return fallback
        if len(value) > chars_max:
            place.error(f"at most {chars_max} characters expected, got {len(value)}")
            return fallback
        if default is REQUIRED and not value.strip():
            place.error(f"{form or 'text'} expected, it is empty")
            return fallback
        if pattern is not None and value and not pattern.match(value):
            place.error(f"{form} expected, got {value[:60]!r}")
            return fallback
        return value

    def as_written(self, key: str, *, pattern: re.Pattern[str], form: str) -> str:
        """A required value as its text stands in the file, so that an unquoted 1.10 is not the number 1.1."""
        place = self.get(key, required=True)
        if place is None:
            return ""
        if not isinstance(place.node, Scalar) or not pattern.match(place.node.text):
            got = repr(place.node.text[:60]) if isinstance(place.node, Scalar) else kind_of(place.node)
            place.error(f"{form} expected, got {got}")
            return ""
        return place.node.text

    def integer(self, key: str, default: int = REQUIRED, *, low: int = 0, high: int) -> int:
        """A whole number in a range."""
        place = self.get(key, required=default is REQUIRED)
        fallback = low if default is REQUIRED else default
        if place is None:
            return fallback
        value = place.node.value if isinstance(place.node, Scalar) else None
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            got = repr(value) if isinstance(value, int) else kind_of(place.node)
            place.error(f"a whole number from {low} to {high} expected, got {got}")
            return fallback
        return value

    def share(self, key: str, default: float) -> float:
        """A number above 0, up to 1."""
        place = self.get(key)
        if place is None:
            return default
        value = place.node.value if isinstance(place.node, Scalar) else None
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
            place.error(f"a number above 0, up to 1 expected, got {kind_of(place.node)}")
            return default
        return float(value)

    def flag(self, key: str, default: bool) -> bool:
        """True or false."""
        place = self.get(key)
        if place is None:
            return default
        value = place.node.value if isinstance(place.node, Scalar) else None
        if not isinstance(value, bool):
            place.error(f"true or false expected, got {kind_of(place.node)}")
            return default
        return value

    def choice(self, key: str, options: Sequence[str], default: str = REQUIRED) -> str:
        """One of some words."""
        place = self.get(key, required=default is REQUIRED)
        fallback = options[0] if default is REQUIRED else default
        if place is None:
            return fallback
        value = place.node.value if isinstance(place.node, Scalar) else None
        if not isinstance(value, str) or value not in options:
            got = f"{value[:60]!r}{near(value, options)}" if isinstance(value, str) else kind_of(place.node)
            place.error(f"one of {', '.join(options)} expected, got {got}")
            return fallback
        return value

    def texts(
        self,
        key: str,
        *,
        count_max: int = 64,
        chars_max: int = 128,
        pattern: re.Pattern[str] | None = None,
        form: str,
    ) -> tuple[str, ...]:
        """A list of texts, each once; empty if it is not there."""
        place = self.get(key)
        found: list[str] = []
        for item in place.items(count_max=count_max) if place else ():
            value = item.node.value if isinstance(item.node, Scalar) else None
            if not isinstance(value, str) or not value or len(value) > chars_max:
                item.error(f"{form} expected, got {kind_of(item.node)}")
            elif pattern is not None and not pattern.match(value):
                item.error(f"{form} expected, got {value[:60]!r}")
            elif value in found:
                item.error(f"each one once expected, got {value[:60]!r} twice")
            else:
                found.append(value)
        return tuple(found)

    def data(self, key: str, *, required: bool = False) -> Any:
        """The field as plain data, None if it is not there."""
        place = self.get(key, required=required)
        return plain(place.node) if place else None

    def below(self, key: str, *, required: bool = False) -> Fields | None:
        """The fields of a mapping inside."""
        place = self.get(key, required=required)
        return place.fields() if place else None

    def entries(self) -> Iterator[tuple[str, Place]]:
        """All fields, for mappings whose keys are free."""
        for key, (_, node) in self._node.entries.items():
            self._asked.append(key)
            yield key, self.place.below(node, key)

    def done(self) -> None:
        """Note the fields that nobody asked for."""
        for key, (line, _) in self._node.entries.items():
            if key not in self._asked:
                path = f"{self.place.path}.{key}" if self.place.path else key
                known = sorted(set(self._asked))
                hint = near(key, known) or f" (known here: {', '.join(known)})"
                self.place.report.error(self.place.file, line, path[:200], f"unknown key{hint}")


def kind_of(node: Node) -> str:
    """What a node is, in words for an error."""
    match node:
        case MappingNode():
            return "a mapping"
        case SequenceNode():
            return "a list"
        case Scalar(value=None):
            return "nothing"
        case Scalar(value=bool() as value):
            return "true" if value else "false"
        case Scalar(value=str() as value):
            return f"text {value[:40]!r}"
        case Scalar(value=value):
            return f"the number {value}"
