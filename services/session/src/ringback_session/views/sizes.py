"""How large a client's configuration may be: it is part of the session's record, and must fit beside the call."""

from __future__ import annotations

from typing import Any, Final

import orjson
from ringback_realtime import SessionConfig, invalid_value

__all__ = ["REST_BYTES_MAX", "SECTION_BYTES_MAX", "check_size"]

# Of the 600 KiB of a record's snapshot; far more than any model reads well.
SECTION_BYTES_MAX: Final = 128 * 1024
# All that is neither instructions nor tools: a prompt's variables, hints for the transcription, tags of a trace.
REST_BYTES_MAX: Final = 64 * 1024


def check_size(config: SessionConfig) -> None:
    """Raises ProtocolError, naming the field and the limit."""
    wire: dict[str, Any] = config.to_wire()
    for name in ("instructions", "tools"):
        _check(f"session.{name}", wire.pop(name, None), SECTION_BYTES_MAX)
    if len(orjson.dumps(wire)) > REST_BYTES_MAX:
        largest = max(wire, key=lambda name: len(orjson.dumps(wire[name])))
        _check(f"session.{largest}", wire, REST_BYTES_MAX)


def _check(param: str, value: object, bytes_max: int) -> None:
    size = len(orjson.dumps(value))
    if size > bytes_max:
        raise invalid_value(param, f"expected at most {bytes_max} bytes of JSON, not {size}")
