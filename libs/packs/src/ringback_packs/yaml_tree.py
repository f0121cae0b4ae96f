"""Reads YAML into a small tree that knows its lines, within bounds and without surprises.

The subset is what JSON can say, in YAML's clothes: mappings with text keys, sequences, text, numbers, true,
false, null. `yes` is text, a date is text, and there are no tags, anchors, aliases, merge keys or second
documents. The tree is built from the parser's events, without recursion, so depth and size are bounded
before anything is built.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from ringback_packs.findings import Report

__all__ = ["MappingNode", "Node", "Scalar", "SequenceNode", "parse_yaml", "plain"]

FILE_BYTES_MAX: Final = 256 * 1024
DEPTH_MAX: Final = 32
NODES_MAX: Final = 20_000

_INTEGER = re.compile(r"[-+]?[0-9]{1,15}\Z")
_NUMBER = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?\Z")
_WORDS: Final[dict[str, bool | None]] = {
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
    "null": None,
    "Null": None,
    "NULL": None,
    "~": None,
    "": None,
}
_TEXT_TAGS: Final = ("!", "tag:yaml.org,2002:str")
_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(slots=True)
class Scalar:
    """Text, a number, true, false or null."""

    value: str | int | float | bool | None
    line: int
    # As written, for keys.
    text: str = ""


@dataclass(slots=True)
class SequenceNode:
    """A list."""

    line: int
    items: list[Node] = field(default_factory=list)


@dataclass(slots=True)
class MappingNode:
    """A mapping; each key with its own line."""

    line: int
    entries: dict[str, tuple[int, Node]] = field(default_factory=dict)
    # A key that waits for its value.
    pending: Scalar | None = None


Node = Scalar | SequenceNode | MappingNode


class _Stop(Exception):  # noqa: N818 - leaves the loop, never the module
    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


def parse_yaml(data: bytes, *, file: str, report: Report) -> Node | None:
    """Return the tree, or None after noting in `report` why there is none."""
    if len(data) > FILE_BYTES_MAX:
        report.error(file, 0, "", f"at most {FILE_BYTES_MAX} bytes expected, got {len(data)}")
        return None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        report.error(file, data[: error.start].count(b"\n") + 1, "", "UTF-8 text expected")
        return None
    try:
        return _Builder(file, report).build(text)
    except _Stop as stop:
        report.error(file, stop.line, "", stop.message)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        report.error(
            file, mark.line + 1 if mark else 0, "", f"YAML: {error.problem or error.context or 'malformed'}"
        )
    except yaml.YAMLError as error:
        report.error(file, 0, "", f"YAML: {' '.join(str(error).split())[:200]}")
    except ValueError as error:
        report.error(file, 0, "", f"YAML: {str(error)[:200]}")
    return None


def plain(node: Node) -> Any:
    """Return the tree as dicts, lists and scalars."""
    match node:
        case Scalar():
            return node.value
        case SequenceNode():
            return [plain(item) for item in node.items]
        case MappingNode():
            return {key: plain(value) for key, (_, value) in node.entries.items()}


class _Builder:
    def __init__(self, file: str, report: Report) -> None:
        self._file = file
        self._report = report
        self._stack: list[SequenceNode | MappingNode] = []
        self._root: Node | None = None
        self._nodes = 0

    def build(self, text: str) -> Node | None:
        for event in yaml.parse(text, Loader=_LOADER):
            self._take(event, event.start_mark.line + 1 if event.start_mark else 0)
        if self._root is None:
            raise _Stop(0, "a mapping expected, the file is empty")
        return self._root

    def _take(self, event: yaml.Event, line: int) -> None:
        match event:
            case yaml.AliasEvent():
                raise _Stop(line, "aliases (*name) are not allowed: write the value out")
            case yaml.ScalarEvent():
                self._checked(event, line)
                self._place(_scalar(event, line))
            case yaml.SequenceStartEvent():
                self._checked(event, line)
                self._open(SequenceNode(line))
            case yaml.MappingStartEvent():
                self._checked(event, line)
                self._open(MappingNode(line))
            case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                self._stack.pop()
            case yaml.DocumentStartEvent() if self._root is not None:
                raise _Stop(line, "one YAML document expected, a second one begins here")
            case _:
                pass

    def _checked(self, event: Any, line: int) -> None:
        self._nodes += 1
        if self._nodes > NODES_MAX:
            raise _Stop(line, f"at most {NODES_MAX} values expected")
        if event.anchor is not None:
            raise _Stop(line, "anchors (&name) are not allowed")
        if event.tag is not None and event.tag not in _TEXT_TAGS:
            raise _Stop(line, f"tags are not allowed, got {event.tag[:60]!r}")

    def _open(self, node: SequenceNode | MappingNode) -> None:
        if len(self._stack) >= DEPTH_MAX:
            raise _Stop(node.line, f"at most {DEPTH_MAX} levels expected")
        self._place(node)
        self._stack.append(node)

    def _place(self, node: Node) -> None:
        if not self._stack:
            self._root = node
            return
        match self._stack[-1]:
            case SequenceNode(items=items):
                items.append(node)
            case MappingNode() as mapping:
                self._place_in_mapping(mapping, node)

    def _place_in_mapping(self, mapping: MappingNode, node: Node) -> None:
        if mapping.pending is None:
            if not isinstance(node, Scalar):
                raise _Stop(node.line, "a key must be text")
            mapping.pending = node
            return
        key, mapping.pending = mapping.pending, None
        if key.text in mapping.entries:
            first, _ = mapping.entries[key.text]
            self._report.error(
                self._file, key.line, key.text[:80], f"each key once expected, the first is on line {first}"
            )
            return
        mapping.entries[key.text] = (key.line, node)


def _scalar(event: yaml.ScalarEvent, line: int) -> Scalar:
    text: str = event.value
    if event.style or event.tag is not None:
        return Scalar(text, line, text)
    if text in _WORDS:
        return Scalar(_WORDS[text], line, text)
    if _INTEGER.match(text):
        return Scalar(int(text), line, text)
    if _NUMBER.match(text) and math.isfinite(number := float(text)):
        return Scalar(number, line, text)
    return Scalar(text, line, text)
