"""Words of our own, and what must be heard in them."""

from __future__ import annotations

from typing import Literal

import msgspec

from ringback_session.domain.phases import SpeechKind

__all__ = ["BoundValue", "Speech"]


class BoundValue(msgspec.Struct, frozen=True):
    """A value that a read-back must say, and how it sounds."""

    name: str
    value: str
    kind: Literal["id", "money", "date", "time", "phone", "number", "text"]


class Speech(msgspec.Struct):
    """Words of our own on their way to the caller."""

    speech_id: str
    kind: SpeechKind
    text: str
    must_contain: tuple[BoundValue, ...] = ()
    consent_id: str = ""
    attempt: int = 1
    requested: bool = False
    released: bool = False
    transcript: str = ""
    item_id: str = ""
    response_id: str = ""
    resumes: str = ""
    from_ms: int = 0
    # The reply that is shown behind it; empty: it is said when nothing else is.
    beside: str = ""
    told: bool = True
    # The model would not say them as they are: they are asked of the text-to-speech port.
    by_port: bool = False
