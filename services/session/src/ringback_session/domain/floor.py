"""Who holds the floor when both speak, or nobody does: the part of a call's state that the turn rules keep."""

from __future__ import annotations

import msgspec

__all__ = ["Cut", "Floor", "Overlap"]


class Overlap(msgspec.Struct):
    """A sound of the caller over the agent that the client has not been told of.

    `voice_ms` runs from its onset to where voice was last found, `quiet_ms` from there; `level_db` is its loudest
    moment below full scale, None while nobody has measured.
    """

    item_id: str
    began_ms: int
    began_sample: int
    waiting: bool = False
    ended: bool = False
    voice_ms: int = 0
    quiet_ms: int = 0
    level_db: float | None = None
    words: str = ""


class Cut(msgspec.Struct):
    """What the agent was saying when the caller cut in; `more` of it was still to come."""

    item_id: str
    at_ms: int
    said: str
    more: bool = False


class Floor(msgspec.Struct):
    """`manner` is what the next reply is told about the last one; `prompts` counts those without an answer;
    `asides` are the client's own responses beside the conversation."""

    overlap: Overlap | None = None
    cut: Cut | None = None
    manner: list[str] = []
    prompts: int = 0
    watching: bool = False
    leaving: bool = False
    # As in an utterance: when the caller began to speak, with words still to come.
    heard_read_back: str = ""
    asides: list[str] = []
