"""What is known of a sound that the caller makes over the agent, before it is taken for a turn; and of its playback."""

from __future__ import annotations

import msgspec

__all__ = [
    "AsideBegan",
    "AsideEnded",
    "CallerOverlaps",
    "CallerSound",
    "FloorInput",
    "OverlapStopped",
    "OverlapWords",
    "PlaybackCleared",
    "WordsBrokenOff",
]


class _Input(msgspec.Struct, frozen=True, tag=True):
    pass


class CallerOverlaps(_Input, frozen=True):
    """The caller made a sound; the client hears of it when the core says so."""

    item_id: str


class CallerSound(_Input, frozen=True):
    """How the sound has been so far: see `Overlap`."""

    voice_ms: int
    quiet_ms: int
    level_db: float


class OverlapWords(_Input, frozen=True):
    """Words in the sound: partial ones, or in the end (`final`) all of them."""

    item_id: str
    text: str
    final: bool = False
    confidence: float | None = None


class OverlapStopped(_Input, frozen=True):
    """The caller fell silent; `discarded`: the audio becomes no item; `committed`: the client itself made it one."""

    item_id: str
    discarded: bool = False
    committed: bool = False


class PlaybackCleared(_Input, frozen=True):
    """The client threw away what it had not played yet."""


class AsideBegan(_Input, frozen=True):
    """The client asked for a response of its own beside the conversation."""

    own_id: str


class AsideEnded(_Input, frozen=True):
    own_id: str


class WordsBrokenOff(_Input, frozen=True):
    """Written words that the client has, of an item that will not be whole. `in_model`: its conversation holds them."""

    own_id: str
    item_id: str
    text: str
    kind: str = "reply"
    response_id: str = ""
    in_model: bool = True


FloorInput = (
    AsideBegan
    | AsideEnded
    | CallerOverlaps
    | CallerSound
    | OverlapWords
    | OverlapStopped
    | PlaybackCleared
    | WordsBrokenOff
)
