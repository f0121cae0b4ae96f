"""Owns what a caller of Execute asks."""

from __future__ import annotations

from enum import IntEnum

from msgspec import Struct
from ringback_identity import Proof

__all__ = ["ActionRequest", "Priority"]


class Priority(IntEnum):
    """Who goes first when slots are short; lower is earlier."""

    LIVE_CALL = 0
    BACKGROUND = 1


class ActionRequest(Struct, frozen=True):
    """What a caller of Execute asks."""

    tenant: str
    session_id: str
    epoch: int
    action_id: str
    pack_digest: str
    tool: str
    tool_version: str
    arguments_json: str
    proof: Proof | None = None
    scopes: frozenset[str] = frozenset()
    priority: Priority = Priority.LIVE_CALL
    attach_only: bool = False
    # Work from the queue: when it was taken on, its epoch and proof having been checked; 0: asked by a session.
    taken_on_at_ms: int = 0

    @property
    def key(self) -> tuple[str, str, str]:
        """The action among all that run here."""
        return self.tenant, self.session_id, self.action_id
