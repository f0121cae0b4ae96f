"""Owns the canonical form of a tool's arguments: validated, defaults filled, keys sorted, numbers normalised.

Everything downstream (read-back, decision, proof, execution) uses this one text, so what the caller agreed
to is what runs. Messages name the path and what was expected, never the value: arguments hold personal
data.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import jsonschema_rs
import orjson
from ringback_errors import InvalidInput

TEXT_BYTES_MAX: Final = 64 * 1024
DEPTH_MAX: Final = 32
_INTEGER_MAX: Final = 2**53 - 1  # beyond this a JSON number is not the same in every reader (RFC 8259 §6)
_MISSING: Final = object()
_DEFAULT: Final = b'"default"'
_PLAIN: Final = (str, bool, type(None))
# Copied for each digest: to begin one anew has OpenSSL look the algorithm up, a third of the cost of a short one.
_SHA256: Final = hashlib.sha256()


@dataclass(frozen=True, slots=True)
class Canonical:
    """Arguments in canonical JSON and their digest, ``sha256:<hex>``."""

    json: str
    digest: str


def canonical_arguments(arguments: Mapping[str, Any] | str, schema: Mapping[str, Any]) -> Canonical:
    """Validate against a JSON Schema and bring into canonical form.

    Raises InvalidInput with the path of the first field that is wrong and what was expected there.
    """
    value = _parsed(arguments) if isinstance(arguments, str) else dict(arguments)
    value = _normal(value, path="arguments", depth=0)
    if not isinstance(value, dict):
        raise InvalidInput("expected a JSON object", field="arguments")
    key = orjson.dumps(schema, option=orjson.OPT_SORT_KEYS)
    if _DEFAULT in key:
        # A default may be written 1.0 in the schema: normalise after filling as well.
        value = _normal(_filled(value, schema, root=schema, depth=0), path="arguments", depth=0)
    for error in _validator(key).iter_errors(value):
        raise _invalid(error)
    text = _dumped(value, field="arguments")
    return Canonical(json=text, digest=digest(text))


def canonical_json(value: Any) -> str:
    """JSON with sorted keys, no spaces, ``1.0`` as ``1``; raises InvalidInput for what JSON cannot hold."""
    return _dumped(_normal(value, path="value", depth=0))


def digest(data: str | bytes) -> str:
    """``sha256:`` and the hex digest of the bytes, or of the text in UTF-8."""
    raw = data.encode() if isinstance(data, str) else data
    hashed = _SHA256.copy()
    hashed.update(raw)
    return "sha256:" + hashed.hexdigest()


def _parsed(text: str) -> Any:
    if len(text) > TEXT_BYTES_MAX:
        raise InvalidInput(f"expected at most {TEXT_BYTES_MAX} bytes of JSON", field="arguments")
    try:
        return _DECODER.decode(text or "{}")
    except (ValueError, RecursionError):
        raise InvalidInput("expected a JSON object", field="arguments") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise InvalidInput("expected every key once", field="arguments")
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(name)


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)


def _normal(value: Any, *, path: str, depth: int) -> Any:
    if depth > DEPTH_MAX:
        raise InvalidInput(f"expected at most {DEPTH_MAX} levels", field=path)
    if type(value) in _PLAIN:
        return value
    match value:
        case None | bool() | str():
            return value
        case int():
            return _integer(int(value), path)
        case float():
            return _number(value, path)
        case dict() | Mapping():
            return {
                _key(key, path): _normal(item, path=f"{path}.{key}", depth=depth + 1)
                for key, item in value.items()
            }
        case list() | tuple():
            return [
                _normal(item, path=f"{path}[{index}]", depth=depth + 1) for index, item in enumerate(value)
            ]
    raise InvalidInput("expected a JSON value", field=path)


def _key(key: Any, path: str) -> str:
    if not isinstance(key, str):
        raise InvalidInput("expected text keys", field=path)
    return key


def _integer(value: int, path: str) -> int:
    if abs(value) > _INTEGER_MAX:
        raise InvalidInput("expected a whole number between -(2^53-1) and 2^53-1", field=path)
    return value


def _number(value: float, path: str) -> int | float:
    if not math.isfinite(value):
        raise InvalidInput("expected a finite number", field=path)
    return int(value) if value.is_integer() and abs(value) <= _INTEGER_MAX else value


def _dumped(value: Any, *, field: str = "value") -> str:
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    except TypeError:  # what is left after _normal: text with lone surrogates
        raise InvalidInput("expected valid Unicode text", field=field) from None


@lru_cache(maxsize=1024)
def _validator(schema: bytes) -> jsonschema_rs.Validator:
    try:
        return jsonschema_rs.validator_for(
            orjson.loads(schema), mask="the value", validate_formats=True, offline=True
        )
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        raise InvalidInput(f"expected a valid JSON Schema: {error.args[0]}", field="schema") from None


def _filled(value: Any, schema: Any, *, root: Mapping[str, Any], depth: int) -> Any:
    """Fill defaults that are certain to apply: properties, items, local references and allOf.

    Not through anyOf, oneOf or if: which branch applies would depend on what was filled.
    """
    if depth > DEPTH_MAX or not isinstance(schema, Mapping):
        return value
    for part in _parts(schema, root):
        value = _filled(value, part, root=root, depth=depth + 1)
    if isinstance(value, dict):
        return _filled_object(value, schema, root=root, depth=depth)
    items = schema.get("items")
    if isinstance(value, list) and isinstance(items, Mapping):
        return [_filled(item, items, root=root, depth=depth + 1) for item in value]
    return value


def _filled_object(
    value: dict[str, Any], schema: Mapping[str, Any], *, root: Mapping[str, Any], depth: int
) -> dict[str, Any]:
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        return value
    filled = dict(value)
    for name, sub in properties.items():
        if name not in filled:
            default = _default(sub, root)
            if default is _MISSING:
                continue
            filled[name] = default
        filled[name] = _filled(filled[name], sub, root=root, depth=depth + 1)
    return filled


def _parts(schema: Mapping[str, Any], root: Mapping[str, Any]) -> list[Any]:
    parts = schema.get("allOf")
    found = list(parts) if isinstance(parts, list) else []
    reference = schema.get("$ref")
    if isinstance(reference, str):
        found.append(_resolved(reference, root))
    return found


def _default(schema: Any, root: Mapping[str, Any]) -> Any:
    for _ in range(DEPTH_MAX):
        if not isinstance(schema, Mapping):
            return _MISSING
        if "default" in schema:
            return schema["default"]
        reference = schema.get("$ref")
        if not isinstance(reference, str):
            return _MISSING
        schema = _resolved(reference, root)
    return _MISSING


def _resolved(reference: str, root: Mapping[str, Any]) -> Any:
    if not reference.startswith("#/"):
        return None
    found: Any = root
    for step in reference[2:].split("/"):
        step = step.replace("~1", "/").replace("~0", "~")
        if not isinstance(found, Mapping) or step not in found:
            return None
        found = found[step]
    return found


def _invalid(error: Any) -> InvalidInput:
    """The validator's message (its values masked) at the path of the field that is wrong."""
    path = "arguments"
    for step in error.instance_path:
        path += f"[{step}]" if isinstance(step, int) else f".{step}"
    match error.kind:
        case jsonschema_rs.ValidationErrorKind.Required(property=missing):
            return InvalidInput("expected, but missing", field=f"{path}.{missing}")
        case jsonschema_rs.ValidationErrorKind.Type(types=types):
            return InvalidInput(f"expected {' or '.join(types)}", field=path)
        case jsonschema_rs.ValidationErrorKind.AdditionalProperties(unexpected=unexpected):
            return InvalidInput("not expected here", field=f"{path}.{unexpected[0]}")
        case jsonschema_rs.ValidationErrorKind.Format(format=name):
            return InvalidInput(f"expected format {name}", field=path)
        case jsonschema_rs.ValidationErrorKind.Enum(options=options):
            return InvalidInput(f"expected one of {_dumped(options)}", field=path)
    return InvalidInput(error.message, field=path)
