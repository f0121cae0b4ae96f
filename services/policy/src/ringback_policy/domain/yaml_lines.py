"""Owns the reading of a bundle's YAML: plain data that remembers on which line each key stands."""

import re
from typing import Any

import yaml

__all__ = ["FILE_BYTES_MAX", "YamlError", "line_at", "read_yaml"]

FILE_BYTES_MAX = 256 * 1024
_STEP = re.compile(r"\.([^.\[\]`]+)|\[(\d+)\]|\[\.\.\.\]")


class YamlError(ValueError):
    """A file that is not the YAML we accept."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


class LinedDict(dict[Any, Any]):
    """A mapping that knows the line of each key."""

    lines: dict[Any, int]
    line: int


class LinedList(list[Any]):
    """A sequence that knows the line of each element."""

    lines: list[int]
    line: int


class _Loader(yaml.SafeLoader):
    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise YamlError("expected no aliases: each value is written out", mark.line + 1)
        return super().compose_node(parent, index)


def _mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> LinedDict:
    found = LinedDict()
    found.line = node.start_mark.line + 1
    found.lines = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        line = key_node.start_mark.line + 1
        if not isinstance(key, str):
            raise YamlError(f"expected a text key, got {key!r}", line)
        if key in found:
            raise YamlError(f"key {key!r} stands twice", line)
        found[key] = loader.construct_object(value_node, deep=True)
        found.lines[key] = line
    return found


def _sequence(loader: yaml.SafeLoader, node: yaml.SequenceNode) -> LinedList:
    found = LinedList(loader.construct_object(item, deep=True) for item in node.value)
    found.lines = [item.start_mark.line + 1 for item in node.value]
    found.line = node.start_mark.line + 1
    return found


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)
_Loader.add_constructor("tag:yaml.org,2002:seq", _sequence)


def read_yaml(content: bytes) -> LinedDict:
    """The file's mapping; raises YamlError."""
    if len(content) > FILE_BYTES_MAX:
        raise YamlError(f"expected at most {FILE_BYTES_MAX} bytes, got {len(content)}", 0)
    try:
        found = yaml.load(content.decode(), Loader=_Loader)
    except UnicodeDecodeError:
        raise YamlError("expected UTF-8 text", 0) from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise YamlError(f"expected YAML: {error.problem}", line) from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        if isinstance(error, YamlError):
            raise
        raise YamlError(f"expected YAML: {str(error)[:120]}", 0) from None
    if not isinstance(found, LinedDict):
        raise YamlError("expected a mapping", 1)
    return found


def line_at(document: Any, path: str, *, key: str = "") -> int:
    """The line of a place such as `$.rules[2].when`, or of a key in the mapping there."""
    line = getattr(document, "line", 1)
    found = document
    for name, index in _STEP.findall(path):
        step: Any = int(index) if index else name
        lines = getattr(found, "lines", None)
        try:
            line = lines[step] if lines is not None else line
            found = found[step]
        except (KeyError, IndexError, TypeError):
            return line
    if key and isinstance(found, LinedDict) and key in found.lines:
        return found.lines[key]
    return line
