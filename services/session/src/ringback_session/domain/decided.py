"""Policy's answer to a question of the core, whatever the gate."""

from __future__ import annotations

import msgspec

from ringback_session.domain.rules import Effect
from ringback_session.domain.state import BoundValue

__all__ = ["Decided", "FactNeed", "ReadBack"]


class FactNeed(msgspec.Struct, frozen=True):
    name: str
    tool: str
    arguments_json: str
    ttl_ms: int = 0


class ReadBack(msgspec.Struct, frozen=True):
    text: str
    must_contain: tuple[BoundValue, ...]
    arguments_digest: str
    expires_after_ms: int
    clarify_max: int
    # The part of the text that says that the same was done already in this call; empty: it says nothing of the kind.
    once_more: str = ""


class Decided(msgspec.Struct, frozen=True, tag=True):
    """Policy's answer, or with source `fallback` the lack of one."""

    decision_id: str
    effect: Effect | None = None
    rule: str = ""
    layer: str = ""
    bundle_digest: str = ""
    reason: str = ""
    say: str = ""
    needs_facts: tuple[FactNeed, ...] = ()
    # Asked without what memory knows by now, and not to be decided without it.
    needs_slots: bool = False
    # It was done in this call, and the bundle has no words to ask for it once more.
    done_already: bool = False
    read_back: ReadBack | None = None
    proof: dict[str, str | int] | None = None
    forbid_irreversible: bool = False
    escalate: str = ""
    redact: tuple[tuple[int, int], ...] = ()
    restate: bool = False
    words_max: int = 0
    hold_audio_ms: int = 0
    source: str = "policy"
    wait_ms: float = 0.0
