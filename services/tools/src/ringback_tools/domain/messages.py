"""Owns what a result says: the pack's sentences, cleaned sentences of other systems, general ones last."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from ringback_tools.domain.catalogue import Tool
from ringback_tools.domain.results import ErrorCode
from ringback_tools.domain.templates import say

__all__ = ["clean_text", "error_message", "ok_message"]

TEXT_CHARS_MAX: Final = 240

_GENERAL: Final[Mapping[ErrorCode, str]] = {
    ErrorCode.INVALID_ARGUMENTS: "I did not get all the details right for that.",
    ErrorCode.UNKNOWN_TOOL: "I cannot do that here.",
    ErrorCode.FORBIDDEN: "I am not allowed to do that.",
    ErrorCode.NOT_FOUND: "I could not find that.",
    ErrorCode.REJECTED: "The system did not accept that.",
    ErrorCode.TOOL_UNAVAILABLE: "I cannot reach the system for that right now.",
    ErrorCode.TIMEOUT: "The system did not answer in time.",
    ErrorCode.RATE_LIMITED: "The system is too busy right now.",
    ErrorCode.OVERLOADED: "Too much is going on right now.",
    ErrorCode.INVALID_RESULT: "The system gave an answer that I cannot use.",
    ErrorCode.UNKNOWN_OUTCOME: "I cannot tell yet whether that was done. It is being checked.",
    ErrorCode.FENCED: "This call was taken over elsewhere.",
    ErrorCode.CANCELLED: "That was stopped.",
    ErrorCode.INTERNAL: "Something went wrong on our side.",
    ErrorCode.AUTH: "I cannot reach the system for that right now.",
    ErrorCode.NOT_STARTED: "That was not started.",
}


def ok_message(tool: Tool, data: Mapping[str, Any], *, arguments: Mapping[str, Any]) -> str:
    """The sentence for this result, or nothing where the pack has none."""
    for rule in tool.ok_messages:
        if all(data.get(name) == wanted for name, wanted in rule.when.items()):
            return say(rule.say, {"arguments": arguments, "result": data}) or ""
    return ""


def error_message(
    tool: Tool | None,
    code: ErrorCode,
    *,
    arguments: Mapping[str, Any] | None = None,
    text: str = "",
    name: str = "",
) -> str:
    """The sentence for this error: the pack's, else the system's own (`text`), else a general one."""
    template = tool.error_messages.get(name or code.value, "") if tool else ""
    said = say(template, {"arguments": arguments or {}}) if template else None
    return said or text or _GENERAL[code]


def clean_text(text: Any) -> str:
    """Somebody else's sentence if it may be spoken (short, one line, no markup, no code), else nothing."""
    if not isinstance(text, str):
        return ""
    line = " ".join(text.split())
    if not line or len(line) > TEXT_CHARS_MAX or not line.isprintable():
        return ""
    if re.search(r"[<>{}\[\]\\=`|]|Traceback|Exception|Error:|https?://|0x[0-9a-f]{6}", line):
        return ""
    return line
