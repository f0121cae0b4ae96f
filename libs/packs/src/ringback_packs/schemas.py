"""The JSON Schemas of a pack: valid by draft 2020-12, complete in themselves, and of bounded size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import jsonschema_rs

from ringback_packs.fields import Place
from ringback_packs.yaml_tree import MappingNode, Node, Scalar, SequenceNode, plain

__all__ = ["read_schema"]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_REFERENCES = ("$ref", "$dynamicRef")
_IDENTITIES = ("$id", "$anchor", "$dynamicAnchor")


def read_schema(place: Place, *, must_be_object: bool) -> dict[str, Any]:
    """Return the schema at `place`; what is wrong with it is noted, with the line inside it."""
    if not isinstance(place.node, MappingNode):
        place.error("a JSON Schema (a mapping) expected")
        return {}
    schema: dict[str, Any] = plain(place.node)
    if not _self_contained(place) or not _valid(place, schema):
        return schema
    if must_be_object and schema.get("type") != "object":
        place.error("a schema with 'type: object' expected: arguments always have names")
    for name in schema.get("required", ()) if isinstance(schema.get("properties"), dict) else ():
        if name not in schema["properties"]:
            place.warning(f"'required' names {name!r}, which is not among the properties")
    return schema


def _self_contained(place: Place) -> bool:
    """References out of the file would be fetched from the network, by whoever validates."""
    good = True
    for key, line, node in _keys(place.node):
        text = node.value if isinstance(node, Scalar) else None
        wrong = ""
        if key in _REFERENCES and not (isinstance(text, str) and text.startswith("#")):
            wrong = f"{key}: a reference inside this schema ('#/…') expected"
        elif key in _IDENTITIES and isinstance(text, str):
            wrong = f"{key}: not allowed in a pack, use '#/$defs/…'"
        elif key == "$schema" and text != DIALECT:
            wrong = f"$schema: {DIALECT} expected (or leave it out)"
        if wrong:
            place.report.error(place.file, line, place.path, wrong)
            good = False
    return good


def _valid(place: Place, schema: dict[str, Any]) -> bool:
    try:
        jsonschema_rs.Draft202012Validator(schema)
    except jsonschema_rs.ValidationError as error:
        where = _inside(place.node, error.instance_path)
        path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.instance_path)
        message = " ".join(error.message.split())[:200]
        place.report.error(
            place.file, where.line, f"{place.path}{path}"[:200], f"valid JSON Schema expected: {message}"
        )
        return False
    except (jsonschema_rs.ReferencingError, ValueError) as error:
        place.error(f"valid JSON Schema expected: {' '.join(str(error).split())[:200]}")
        return False
    return True


def _keys(root: Node) -> Iterator[tuple[str, int, Node]]:
    stack = [root]
    while stack:
        match stack.pop():
            case MappingNode(entries=entries):
                for key, (line, node) in entries.items():
                    yield key, line, node
                    stack.append(node)
            case SequenceNode(items=items):
                stack.extend(items)


def _inside(node: Node, path: Sequence[str | int]) -> Node:
    for step in path:
        match node:
            case MappingNode(entries=entries) if str(step) in entries:
                node = entries[str(step)][1]
            case SequenceNode(items=items) if isinstance(step, int) and step < len(items):
                node = items[step]
            case _:
                return node
    return node
