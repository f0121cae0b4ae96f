"""The forms of names and the closed lists that the files of a pack may use."""

from __future__ import annotations

import re
from typing import Final

SLUG: Final = re.compile(r"[a-z][a-z0-9-]{0,62}\Z")
SLUG_FORM: Final = "a name of lower-case letters, digits and '-'"
NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}\Z")
NAME_FORM: Final = "a name of lower-case letters, digits and '_'"
TOOL_VERSION: Final = re.compile(r"(?:0|[1-9][0-9]{0,4})\.(?:0|[1-9][0-9]{0,4})\Z")
TOOL_VERSION_FORM: Final = "a version MAJOR.MINOR"
PACK_VERSION: Final = re.compile(r"[0-9]{1,5}(?:\.[0-9]{1,5}){1,2}\Z")
PACK_VERSION_FORM: Final = "a version MAJOR.MINOR or MAJOR.MINOR.PATCH"
TOOL_REFERENCE: Final = re.compile(r"[a-z][a-z0-9_]{0,63}(?:@[0-9]{1,5}\.[0-9]{1,5})?\Z")
TOOL_REFERENCE_FORM: Final = "a tool's name, or name@MAJOR.MINOR"
SCOPE: Final = re.compile(r"[a-z][a-z0-9_.:-]{0,63}\Z")
SCOPE_FORM: Final = "a scope of lower-case letters, digits and '_.:-'"
REFERENCE: Final = re.compile(r"[a-z][a-z0-9_]{0,63}\Z")
REFERENCE_FORM: Final = "a name from the tools service's settings (lower-case letters, digits and '_')"
HEADER: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}\Z")
HEADER_FORM: Final = "the name of an HTTP header"

SIDE_EFFECTS: Final = ("read", "write", "irreversible")
CLIENT_TOOLS: Final = ("deny", "confirm", "allow")
AGENT_KINDS: Final = ("voice", "text")
CONNECTORS: Final = ("http", "function", "grpc", "nats", "mcp")
MODES: Final = ("live", "background")
FALLBACKS: Final = ("none", "cached", "static", "callback", "person")
METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD")
LAYERS: Final = ("interaction.yaml", "domain.yaml", "safety.yaml", "actions.yaml")

# The closed list of error codes of a tool's result, as in tools/v1 without the prefix.
ERROR_CODES: Final = (
    "invalid_arguments",
    "unknown_tool",
    "forbidden",
    "not_found",
    "rejected",
    "tool_unavailable",
    "timeout",
    "rate_limited",
    "overloaded",
    "invalid_result",
    "unknown_outcome",
    "fenced",
    "cancelled",
    "internal",
    "auth",
    "not_started",
)
# Names under `messages` besides ok: the codes, a write that a check found without effect, background work taken on.
MESSAGE_NAMES: Final = (*ERROR_CODES, "not_done", "accepted")
# Those that may pass by themselves; only they may be retried.
RETRYABLE_CODES: Final = (
    "timeout",
    "tool_unavailable",
    "overloaded",
    "rate_limited",
    "internal",
    "invalid_result",
)
# Those that a backend's answer can mean.
BACKEND_CODES: Final = (
    "invalid_arguments",
    "forbidden",
    "not_found",
    "rejected",
    "tool_unavailable",
    "timeout",
    "rate_limited",
    "overloaded",
    "internal",
    "auth",
)
