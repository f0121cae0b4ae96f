"""Agent packs: loading, validating, publishing and fetching. README.md describes the files."""

from ringback_packs.findings import Finding, PackError
from ringback_packs.loading import load_files, load_pack, pack_digest
from ringback_packs.model import (
    Agent,
    Breaker,
    Check,
    ClientRules,
    Condition,
    Connector,
    Fallback,
    FunctionConnector,
    GrpcConnector,
    Handoff,
    HttpConnector,
    HttpError,
    Idempotency,
    McpConnector,
    MessageRule,
    NatsConnector,
    Pack,
    Retry,
    ToolSpec,
    Upgrade,
)
from ringback_packs.store import PackStore, publish_pack
from ringback_packs.templates import placeholders

__all__ = [
    "Agent",
    "Breaker",
    "Check",
    "ClientRules",
    "Condition",
    "Connector",
    "Fallback",
    "Finding",
    "FunctionConnector",
    "GrpcConnector",
    "Handoff",
    "HttpConnector",
    "HttpError",
    "Idempotency",
    "McpConnector",
    "MessageRule",
    "NatsConnector",
    "Pack",
    "PackError",
    "PackStore",
    "Retry",
    "ToolSpec",
    "Upgrade",
    "load_files",
    "load_pack",
    "pack_digest",
    "placeholders",
    "publish_pack",
]
