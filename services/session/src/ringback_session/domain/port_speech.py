"""What is asked of the text-to-speech port: words that the realtime model would not say as they are."""

from __future__ import annotations

import msgspec

from ringback_session.domain.phases import SpeechKind

__all__ = ["SpeakByPort"]


class SpeakByPort(msgspec.Struct, frozen=True, tag=True):
    """Have exactly these words spoken by the port, and heard by nobody before all of them are there.

    It ends as words of the model do, with SpeechText and SpeechEnded; without a port as not said.
    """

    speech_id: str
    kind: SpeechKind
    text: str
