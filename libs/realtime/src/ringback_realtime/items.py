"""Conversation items: their shape, and what a client may create."""

import binascii
import re
from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from ringback_realtime.errors import invalid_value, missing_parameter
from ringback_realtime.validation import as_object

__all__ = ["ContentPart", "Item", "decode_audio", "parse_item"]

PARTS_MAX: Final = 64
ITEM_ID_CHARS_MAX: Final = 64
CALL_ID_CHARS_MAX: Final = 32
_CALL_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")
_MCP_TYPES: Final = frozenset({"mcp_list_tools", "mcp_call", "mcp_approval_request", "mcp_approval_response"})
_PART_TYPES: Final[Mapping[str, tuple[str, ...]]] = {
    "user": ("input_text", "input_audio", "input_image"),
    "system": ("input_text",),
    "assistant": ("output_text", "output_audio"),
}

Status = Literal["in_progress", "completed", "incomplete"]


class ContentPart(msgspec.Struct, frozen=True, omit_defaults=True):
    """One part of a message. ``audio`` is base64 and leaves the server only in a retrieved item."""

    type: str
    text: str | None = None
    transcript: str | None = None
    audio: str | None = None
    image_url: str | None = None

    def to_wire(self, *, with_audio: bool = False) -> dict[str, Any]:
        """The part without unknown optionals; a user's audio always has a ``transcript`` key."""
        wire: dict[str, Any] = msgspec.to_builtins(self)
        if not with_audio:
            wire.pop("audio", None)
        if self.type == "input_audio":
            wire["transcript"] = self.transcript
        return wire


class Item(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A conversation item of any type; fields that its type does not have are None."""

    id: str
    type: str
    status: Status = "completed"
    role: str | None = None
    content: tuple[ContentPart, ...] = ()
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    output: str | None = None
    extra: Mapping[str, Any] = {}

    def to_wire(self, *, with_audio: bool = False) -> dict[str, Any]:
        wire: dict[str, Any] = {"id": self.id, "object": "realtime.item", "type": self.type}
        if self.type not in _MCP_TYPES:
            wire["status"] = self.status
        for name in ("role", "call_id", "name", "arguments", "output"):
            value = getattr(self, name)
            if value is not None:
                wire[name] = value
        if self.type == "message":
            wire["content"] = [part.to_wire(with_audio=with_audio) for part in self.content]
        return {**self.extra, **wire}

    @property
    def text(self) -> str:
        """All words of a message, as far as they are known."""
        return " ".join(filter(None, (part.text or part.transcript for part in self.content)))


def parse_item(data: object, *, fresh_id: str, fresh_call_id: str, param: str = "item") -> Item:
    """Validate an item that a client creates; extra keys are dropped.

    ``fresh_id`` and ``fresh_call_id`` are used where the client chose none. Raises ProtocolError with
    ``param`` as the JSON path of the field.
    """
    item = as_object(data, param=param)
    item_id = _optional_text(item, "id", param=param) or fresh_id
    if len(item_id) > ITEM_ID_CHARS_MAX:
        raise invalid_value(f"{param}.id", f"expected at most {ITEM_ID_CHARS_MAX} characters")
    kind = item.get("type")
    match kind:
        case None:
            raise missing_parameter(f"{param}.type")
        case "message":
            return _message(item, item_id, param=param)
        case "function_call":
            return Item(
                id=item_id,
                type="function_call",
                call_id=_call_id(item, param=param, fallback=fresh_call_id),
                name=_text(item, "name", param=param),
                arguments=_text(item, "arguments", param=param),
            )
        case "function_call_output":
            return Item(
                id=item_id,
                type="function_call_output",
                call_id=_call_id(item, param=param, fallback=None),
                output=_text(item, "output", param=param),
            )
        case str() if kind in _MCP_TYPES:
            return Item(
                id=item_id, type=kind, extra={k: v for k, v in item.items() if k not in ("id", "object")}
            )
        case _:
            raise invalid_value(
                f"{param}.type", "expected 'message', 'function_call', 'function_call_output' or an mcp type"
            )


def decode_audio(text: str, *, param: str = "audio", sample_bytes: int = 2) -> bytes:
    """Decode base64 audio and check that it holds whole samples."""
    try:
        audio = binascii.a2b_base64(text, strict_mode=True) if text else b""
    except ValueError:
        raise invalid_value(param, "expected base64-encoded audio") from None
    if len(audio) % sample_bytes:
        raise invalid_value(param, f"expected whole samples of {sample_bytes} bytes")
    return audio


def _message(item: Mapping[str, Any], item_id: str, *, param: str) -> Item:
    role = item.get("role")
    if role is None:
        raise missing_parameter(f"{param}.role")
    if role not in ("user", "assistant", "system"):
        raise invalid_value(f"{param}.role", "expected 'user', 'assistant' or 'system'")
    content = item.get("content")
    if content is None:
        raise missing_parameter(f"{param}.content")
    if not isinstance(content, list) or len(content) > PARTS_MAX:
        raise invalid_value(f"{param}.content", f"expected a list of at most {PARTS_MAX} parts")
    parts = tuple(_part(part, role, param=f"{param}.content[{n}]") for n, part in enumerate(content))
    return Item(id=item_id, type="message", role=role, content=parts)


def _part(data: object, role: str, *, param: str) -> ContentPart:
    part = as_object(data, param=param)
    kind = part.get("type")
    if kind is None:
        raise missing_parameter(f"{param}.type")
    if kind not in _PART_TYPES[role]:
        raise invalid_value(
            f"{param}.type", f"expected one of {', '.join(_PART_TYPES[role])} for role '{role}'"
        )
    match kind:
        case "input_audio":
            audio = _text(part, "audio", param=param)
            decode_audio(audio, param=f"{param}.audio", sample_bytes=1)
            return ContentPart(kind, audio=audio, transcript=_optional_text(part, "transcript", param=param))
        case "input_image":
            return ContentPart(kind, image_url=_text(part, "image_url", param=param))
        case _:
            # Assistant audio cannot be created; its words can, and they are kept as text.
            text = _text(part, "text", param=param)
            return ContentPart("output_text" if role == "assistant" else kind, text=text)


def _call_id(item: Mapping[str, Any], *, param: str, fallback: str | None) -> str:
    call_id = _optional_text(item, "call_id", param=param) or fallback
    if call_id is None:
        raise missing_parameter(f"{param}.call_id")
    if not _CALL_ID.fullmatch(call_id):
        raise invalid_value(
            f"{param}.call_id", f"expected 1 to {CALL_ID_CHARS_MAX} letters, digits, '_' or '-'"
        )
    return call_id


def _text(data: Mapping[str, Any], name: str, *, param: str) -> str:
    value = data.get(name)
    if value is None:
        raise missing_parameter(f"{param}.{name}")
    if not isinstance(value, str):
        raise invalid_value(f"{param}.{name}", "expected a string")
    return value


def _optional_text(data: Mapping[str, Any], name: str, *, param: str) -> str | None:
    return None if data.get(name) is None else _text(data, name, param=param)
