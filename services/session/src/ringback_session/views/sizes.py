"""How large what a client puts in may be: its configuration, and each item of its own.

The configuration is part of the session's record, and must fit beside the call. An item comes back to the client in one
event, which cannot be split, and real clients take frames below 1 MiB.
"""

from __future__ import annotations

from typing import Any, Final

import orjson
from ringback_realtime import Item, SessionConfig, invalid_value

__all__ = [
    "ITEM_BYTES_MAX",
    "REST_BYTES_MAX",
    "SECTION_BYTES_MAX",
    "check_size",
    "created_item",
    "retrieved_item",
]

# Of the 600 KiB of a record's snapshot; far more than any model reads well.
SECTION_BYTES_MAX: Final = 128 * 1024
# All that is neither instructions nor tools: a prompt's variables, hints for the transcription, tags of a trace.
REST_BYTES_MAX: Final = 64 * 1024
# With what stands around it in its event it fits into one frame of 1 MiB.
ITEM_BYTES_MAX: Final = 1000 * 1024


def check_size(config: SessionConfig) -> None:
    """Raises ProtocolError, naming the field and the limit."""
    wire: dict[str, Any] = config.to_wire()
    for name in ("instructions", "tools"):
        _check(f"session.{name}", wire.pop(name, None), SECTION_BYTES_MAX)
    if len(orjson.dumps(wire)) > REST_BYTES_MAX:
        largest = max(wire, key=lambda name: len(orjson.dumps(wire[name])))
        _check(f"session.{largest}", wire, REST_BYTES_MAX)


def created_item(item: Item) -> dict[str, Any]:
    """A client's item as it is shown when it is there: its audio is not, nor its images where they are too much.

    Raises ProtocolError when the rest of it is.
    """
    wire = item.to_wire()
    if len(orjson.dumps(wire)) > ITEM_BYTES_MAX:
        for part in wire.get("content", ()):
            part.pop("image_url", None)
        _check("item", wire, ITEM_BYTES_MAX)
    return wire


def retrieved_item(item: Item) -> dict[str, Any]:
    """An item with all that it holds. Raises ProtocolError when that is too much for one event."""
    wire = item.to_wire(with_audio=True)
    _check("item_id", wire, ITEM_BYTES_MAX)
    return wire


def _check(param: str, value: object, bytes_max: int) -> None:
    size = len(orjson.dumps(value))
    if size > bytes_max:
        raise invalid_value(param, f"expected at most {bytes_max} bytes of JSON, not {size}")
