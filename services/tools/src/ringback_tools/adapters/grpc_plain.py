"""Owns messages as JSON values and back: protobuf's own mapping, shorter where a message is plain.

Plain is a message whose fields are single scalars. What is not plain, or has a value that is not exactly of its field's
type, goes through json_format, whose word on what is right or wrong holds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

__all__ = ["parser_of", "printer_of"]

_TEXTS: Final = frozenset({FieldDescriptor.TYPE_STRING})
_BOOLS: Final = frozenset({FieldDescriptor.TYPE_BOOL})
_SHORT: Final = frozenset(
    {
        FieldDescriptor.TYPE_INT32,
        FieldDescriptor.TYPE_UINT32,
        FieldDescriptor.TYPE_SINT32,
        FieldDescriptor.TYPE_FIXED32,
        FieldDescriptor.TYPE_SFIXED32,
    }
)
# JSON has them as text (Protocol Buffers, "ProtoJSON format").
_LONG: Final = frozenset(
    {
        FieldDescriptor.TYPE_INT64,
        FieldDescriptor.TYPE_UINT64,
        FieldDescriptor.TYPE_SINT64,
        FieldDescriptor.TYPE_FIXED64,
        FieldDescriptor.TYPE_SFIXED64,
    }
)
# These have a JSON form of their own.
_WELL_KNOWN: Final = "google.protobuf."

_Parse = Callable[[Any], Message]
_Print = Callable[[Message], Any]


class _NotPlainError(Exception):
    """The value needs json_format."""


def parser_of(message: type[Message]) -> _Parse:
    """What makes messages of this type from JSON objects; it raises json_format.ParseError."""
    well_known = message.DESCRIPTOR.full_name.startswith(_WELL_KNOWN)
    taken: dict[str, tuple[str, type]] = {}
    for field in message.DESCRIPTOR.fields:
        kind = _python_type(field)
        if kind is not None and field.containing_oneof is None:
            taken[field.name] = taken[field.json_name] = (field.name, kind)

    def parse(values: Any) -> Message:
        if well_known or type(values) is not dict:
            return _parsed(values, message)
        found: dict[str, Any] = {}
        for given, value in values.items():
            name, kind = taken.get(given, ("", None))
            if type(value) is not kind or name in found:
                return _parsed(values, message)
            found[name] = value
        try:
            return message(**found)
        except (TypeError, ValueError):
            return _parsed(values, message)

    return parse


def _parsed(values: Any, message: type[Message]) -> Message:
    try:
        return json_format.ParseDict(values, message())
    except OverflowError:
        # What protobuf 7 makes of infinity where an enum belongs.
        raise json_format.ParseError("expected a finite number") from None


def printer_of(message: type[Message]) -> _Print:
    """What makes JSON objects from messages of this type, fields under their proto names and unset ones too."""
    fields = message.DESCRIPTOR.fields
    printers = [(field.name, field.has_presence, _printer(field)) for field in fields]
    if message.DESCRIPTOR.full_name.startswith(_WELL_KNOWN) or any(how is None for _, _, how in printers):
        return _as_dict

    def shown(found: Message) -> Any:
        try:
            return {
                name: how(getattr(found, name))
                for name, has_presence, how in printers
                if how is not None and (not has_presence or found.HasField(name))
            }
        except _NotPlainError:
            return _as_dict(found)

    return shown


def _as_dict(message: Message) -> Any:
    return json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def _python_type(field: Any) -> type | None:
    if field.is_repeated:
        return None
    if field.type in _TEXTS:
        return str
    if field.type in _BOOLS:
        return bool
    return int if field.type in _SHORT | _LONG else None


def _printer(field: Any) -> Callable[[Any], Any] | None:
    if field.is_repeated:
        return None
    if field.type in _TEXTS | _BOOLS | _SHORT:
        return _same
    if field.type in _LONG:
        return str
    if field.type == FieldDescriptor.TYPE_DOUBLE:
        return _finite
    if field.type == FieldDescriptor.TYPE_ENUM and not field.enum_type.full_name.startswith(_WELL_KNOWN):
        names = {number: value.name for number, value in field.enum_type.values_by_number.items()}
        return lambda number: _named(names, number)
    return None


def _same(value: Any) -> Any:
    return value


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise _NotPlainError
    return value


def _named(names: Mapping[int, str], number: int) -> str:
    try:
        return names[number]
    except KeyError:
        raise _NotPlainError from None
