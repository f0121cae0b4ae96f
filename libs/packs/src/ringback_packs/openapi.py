"""Owns how one operation of an OpenAPI 3 document becomes an entry of tools.yaml.

What the document does not say (whether a repetition is dropped, how to learn what happened, what is spoken) is
left to whoever reads the entry; the side effect is read off the method, to the safe side.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import yaml
from ringback_errors import InvalidInput, NotFound

__all__ = ["tool_of_operation", "tool_text"]

DOCUMENT_CHARS_MAX: Final = 4 * 1024 * 1024
DEPTH_MAX: Final = 24
_METHODS: Final = ("get", "post", "put", "patch", "delete", "head")
# RFC 9110 section 9.2.1: safe methods; everything else may change something.
_SAFE: Final = ("get", "head")
_CODES: Final = {"400": "invalid_arguments", "404": "not_found", "409": "rejected", "410": "not_found"}
_DROPPED: Final = (
    "example",
    "examples",
    "xml",
    "externalDocs",
    "discriminator",
    "nullable",
    "readOnly",
    "writeOnly",
)


def tool_text(document: str, *, operation: str, base_url_ref: str) -> str:
    """The entry as a list item of tools.yaml; InvalidInput or NotFound says what is wrong with the document."""
    if len(document) > DOCUMENT_CHARS_MAX:
        raise InvalidInput(f"at most {DOCUMENT_CHARS_MAX} characters expected", field="document")
    try:
        parsed = yaml.safe_load(document)
    except yaml.YAMLError as error:
        raise InvalidInput(f"YAML or JSON expected: {str(error).splitlines()[0]}", field="document") from None
    entry = tool_of_operation(parsed, operation=operation, base_url_ref=base_url_ref)
    return yaml.dump([entry], sort_keys=False, allow_unicode=True, width=110, Dumper=_Plain)


def tool_of_operation(document: Any, *, operation: str, base_url_ref: str) -> dict[str, Any]:
    """The entry as plain data."""
    if not isinstance(document, Mapping) or not str(document.get("openapi", "")).startswith("3."):
        raise InvalidInput("an OpenAPI 3 document expected", field="openapi")
    path, method, shared, found = _operation(document, operation)
    parameters = [_resolved(document, each) for each in [*shared, *found.get("parameters", [])]]
    body = _json_schema(document, _resolved(document, found.get("requestBody") or {}))
    properties, required = _arguments(document, parameters, body)
    connector: dict[str, Any] = {
        "kind": "http",
        "base_url_ref": base_url_ref,
        "method": method.upper(),
        "url": re.sub(r"\{([^}]+)\}", lambda name: f"{{arguments.{_name(name[1])}}}", path),
    }
    query = {
        one["name"]: f"{{arguments.{_name(one['name'])}}}" for one in parameters if one.get("in") == "query"
    }
    if query:
        connector["query"] = query
    if body:
        connector["body"] = {name: f"{{arguments.{_name(name)}}}" for name in body.get("properties", {})}
    errors = {status: {"code": _CODES[status]} for status in found.get("responses", {}) if status in _CODES}
    if errors:
        connector["errors"] = errors
    entry: dict[str, Any] = {
        "name": _snake(operation),
        "version": "1.0",
        "description": " ".join(str(found.get("summary") or found.get("description") or operation).split())[
            :1000
        ],
        "side_effect": "read" if method in _SAFE else "irreversible",
        "parameters": {
            "type": "object",
            "additionalProperties": False,
            "required": required,
            "properties": properties,
        },
        "connector": connector,
    }
    result = _good_answer(document, found)
    if result:
        entry["result"] = result
    return entry


def _operation(document: Mapping[str, Any], wanted: str) -> tuple[str, str, list[Any], Mapping[str, Any]]:
    known = []
    for path, item in (document.get("paths") or {}).items():
        for method in _METHODS:
            found = (item or {}).get(method)
            if isinstance(found, Mapping) and found.get("operationId"):
                if found["operationId"] == wanted:
                    return path, method, list(item.get("parameters", [])), found
                known.append(str(found["operationId"]))
    raise NotFound(f"one of {', '.join(known[:40]) or 'none'} expected, got {wanted}", field="operation")


def _arguments(
    document: Mapping[str, Any], parameters: list[Any], body: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    properties: dict[str, Any] = {}
    required: list[str] = []
    for one in parameters:
        if one.get("in") not in ("path", "query"):
            continue
        schema = _inlined(document, one.get("schema") or {"type": "string"})
        if one.get("description"):
            schema = {**schema, "description": " ".join(str(one["description"]).split())}
        properties[_name(one["name"])] = schema
        if one.get("required") or one.get("in") == "path":
            required.append(_name(one["name"]))
    for name, schema in body.get("properties", {}).items():
        properties[_name(name)] = schema
    required += [_name(name) for name in body.get("required", ()) if _name(name) not in required]
    return properties, required


def _good_answer(document: Mapping[str, Any], operation: Mapping[str, Any]) -> dict[str, Any]:
    for status, response in (operation.get("responses") or {}).items():
        if str(status).startswith("2"):
            return _json_schema(document, _resolved(document, response))
    return {}


def _json_schema(document: Mapping[str, Any], part: Mapping[str, Any]) -> dict[str, Any]:
    for kind, content in (part.get("content") or {}).items():
        if kind.split(";")[0].endswith("json"):
            schema: dict[str, Any] = _inlined(document, content.get("schema") or {})
            return schema
    return {}


def _resolved(document: Mapping[str, Any], part: Any) -> Mapping[str, Any]:
    for _ in range(DEPTH_MAX):
        if not isinstance(part, Mapping):
            raise InvalidInput("a mapping expected", field="document")
        reference = part.get("$ref")
        if reference is None:
            return part
        part = _referred(document, str(reference))
    raise InvalidInput("references without an end", field="$ref")


def _referred(document: Mapping[str, Any], reference: str) -> Any:
    if not reference.startswith("#/"):
        raise InvalidInput(f"a reference inside the document expected, got {reference[:80]}", field="$ref")
    found: Any = document
    for step in reference[2:].split("/"):
        name = step.replace("~1", "/").replace("~0", "~")
        if not isinstance(found, Mapping) or name not in found:
            raise InvalidInput(f"nothing is at {reference[:80]}", field="$ref")
        found = found[name]
    return found


def _inlined(document: Mapping[str, Any], schema: Any, depth: int = 0) -> Any:
    """The schema with its references filled in; packs hold schemas that are complete in themselves."""
    if depth > DEPTH_MAX:
        raise InvalidInput("a schema that contains itself cannot be taken over", field="schema")
    if isinstance(schema, list):
        return [_inlined(document, item, depth + 1) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    found = _resolved(document, schema) if "$ref" in schema else schema
    inlined = {str(key): _inlined(document, value, depth + 1) for key, value in _kept(found)}
    if found.get("nullable") is True and isinstance(inlined.get("type"), str):
        inlined["type"] = [inlined["type"], "null"]
    return inlined


def _kept(schema: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in schema.items():
        if key not in _DROPPED and not str(key).startswith("x-"):
            yield key, value


def _name(name: Any) -> str:
    """An argument's name that a template can hold."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", str(name))


def _snake(name: str) -> str:
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    return re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")[:64] or "tool"


class _Plain(yaml.SafeDumper):
    """Packs know no anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True
