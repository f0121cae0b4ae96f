"""Turning a broken rule of a typed struct into the protocol's error with the JSON path of the field."""

import re
from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec

from ringback_realtime.errors import ProtocolError, invalid_value, missing_parameter, unknown_parameter

__all__ = ["check_numbers", "convert", "protocol_error"]

T = TypeVar("T")

_PATH: Final = re.compile(r"^(?P<what>.*?)(?: - at `(?P<key>key )?(?:in )?\$?(?P<path>[^`]*)`)?$", re.S)
# What a JSON writer takes: the least signed and the greatest unsigned integer of 64 bits.
_INTEGER_MIN: Final = -(2**63)
_INTEGER_MAX: Final = 2**64 - 1
_FIELD: Final = re.compile(r"field `(?P<field>[^`]*)`")


def convert(data: object, kind: type[T], *, param: str) -> T:
    """Validate ``data`` as ``kind``; a breach is a ProtocolError whose ``param`` starts with ``param``."""
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        raise protocol_error(error, param=param) from None
    except (RecursionError, UnicodeError) as error:
        raise invalid_value(param, str(error)) from None


def protocol_error(error: Exception, *, param: str = "") -> ProtocolError:
    """The documented error for a message of msgspec."""
    match = _PATH.match(str(error))
    what = match["what"] if match else str(error)
    path = param + (match["path"] or "" if match else "")
    field = _FIELD.search(what)
    if field and what.startswith("Object missing"):
        return missing_parameter(_join(path, field["field"]))
    if field and "unknown field" in what:
        return unknown_parameter(_join(path, field["field"]))
    return invalid_value(path.lstrip(".") or "event", what[:1].lower() + what[1:])


def as_object(data: object, *, param: str) -> Mapping[str, Any]:
    """``data`` if it is a JSON object, else the error that says so."""
    if isinstance(data, Mapping):
        return data
    raise invalid_value(param, "expected an object")


def check_numbers(data: object, *, param: str) -> None:
    """Refuse a whole number, however deep, that does not fit 64 bits: it could not be passed on as it is."""
    waiting: list[tuple[str, object]] = [(param, data)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, Mapping):
            waiting += [(_join(path, str(name)), each) for name, each in value.items()]
        elif isinstance(value, list):
            waiting += [(f"{path}[{number}]", each) for number, each in enumerate(value)]
        elif isinstance(value, int) and not _INTEGER_MIN <= value <= _INTEGER_MAX:
            raise invalid_value(path, "expected a number of at most 64 bits")


def _join(path: str, field: str) -> str:
    return f"{path}.{field}".lstrip(".")
