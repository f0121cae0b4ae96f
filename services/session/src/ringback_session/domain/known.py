"""What the call knows from memory, how old that is, and what is being looked up again."""

from __future__ import annotations

import msgspec

__all__ = ["Known", "Refresh", "SlotValue", "StaleValue"]


class SlotValue(msgspec.Struct, frozen=True):
    """A slot as memory knew it; policy sees its age."""

    name: str
    value_json: str
    as_of_seq: int
    at_ms: int
    confidence: float = 1.0
    # 0: never stale.
    ttl_ms: int = 0

    def expired(self, now_ms: int) -> bool:
        return 0 < self.ttl_ms <= now_ms - self.at_ms


class StaleValue(msgspec.Struct, frozen=True):
    """A slot past its time to live and its refresh hook: a read-only tool; without one only asking helps."""

    name: str
    tool: str = ""
    arguments_json: str = ""
    # The bundle's name of the fact that the slot belongs to; empty for a tool's result.
    fact: str = ""
    ttl_ms: int = 0


class Refresh(msgspec.Struct):
    """One reading tool under way, for all the slots that it refreshes."""

    refresh_id: str
    tool: str
    arguments_json: str
    fact: str
    names: list[str]
    ttl_ms: int
    asked_at_ms: int


class Known(msgspec.Struct):
    """`as_of`, `heard_at` and `heard_before` are (epoch, seq): what memory had folded, the caller's last turn, and the
    turn before it."""

    as_of: tuple[int, int] = (0, 0)
    heard_at: tuple[int, int] = (0, 0)
    heard_before: tuple[int, int] = (0, 0)
    stale: dict[str, StaleValue] = {}
    refreshing: dict[str, Refresh] = {}
    # Actions that wait for it before they are decided: action → what for (a refresh's id, or the context).
    waiting: dict[str, list[str]] = {}
    # Tools that the model has begun to call, for which memory is asked while their arguments come.
    announced: list[str] = []
    # Actions that policy is asked about without waiting: the rules of the call's bundle read no slots for them.
    unwaited: list[str] = []
    notes_turn: int = 0
    notes: int = 0

    @property
    def behind(self) -> bool:
        """Has memory not yet told of the caller's last turn?"""
        return self.as_of < self.heard_at
