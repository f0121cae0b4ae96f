"""The words for where something stands, and what something is said for."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["ActionPhase", "ConsentPhase", "SpeechKind"]


class SpeechKind(StrEnum):
    """Whose words, and what for: these are Ringback's own."""

    READ_BACK = "read_back"
    FILLER = "filler"
    NOTICE = "notice"
    RESUMED = "resumed"
    # A person's words, spoken for them.
    OPERATOR = "operator"


class ActionPhase(StrEnum):
    """Where an action stands; DONE is the only end."""

    DECIDING = "deciding"
    FETCHING = "fetching"
    CONFIRMING = "confirming"
    JOURNALLING = "journalling"
    RUNNING = "running"
    CHECKING = "checking"
    DONE = "done"


class ConsentPhase(StrEnum):
    """Where a consent stands."""

    QUEUED = "queued"
    READING_BACK = "reading_back"
    WAITING = "waiting"
    READING_ANSWER = "reading_answer"
    CLARIFYING = "clarifying"
    GIVEN = "given"
    ENDED = "ended"
