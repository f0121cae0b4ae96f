"""What the model says it used, read with a stranger's caution, and what that costs by the table of prices."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

from ringback_session.domain.inputs import Input, TextAnswered
from ringback_session.domain.prices import PriceTable
from ringback_session.domain.upkeep import UsageReported
from ringback_session.domain.usage import Tokens, charge
from ringback_session.ports_voice import Spoken

__all__ = ["METERED", "Metering"]

RESPONSE_DONE: Final = "response.done"
TRANSCRIBED: Final = "conversation.item.input_audio_transcription.completed"
CONFIGURED: Final = ("session.created", "session.updated")
METERED: Final = frozenset({RESPONSE_DONE, TRANSCRIBED, *CONFIGURED})
UNKNOWN: Final = "unknown"
KINDS: Final = ("text", "audio", "image")
MODEL_CHARS_MAX: Final = 128
# Far beyond any response, and small enough that no sum of a call leaves 64 bits.
_Count = Annotated[int, msgspec.Meta(ge=0, le=10**9)]


class _Cached(msgspec.Struct):
    text_tokens: _Count = 0
    audio_tokens: _Count = 0
    image_tokens: _Count = 0


class _Details(_Cached):
    cached_tokens: _Count = 0
    cached_tokens_details: _Cached | None = None


class _Usage(msgspec.Struct):
    """Of a response, or of a transcription by tokens or by time."""

    input_tokens: _Count = 0
    output_tokens: _Count = 0
    input_token_details: _Details | None = None
    output_token_details: _Cached | None = None
    seconds: Annotated[float, msgspec.Meta(ge=0, le=10**6)] | None = None


class _Response(msgspec.Struct):
    id: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    usage: dict[str, Any] | None = None


class _ResponseEvent(msgspec.Struct):
    response: _Response


class _Transcribed(msgspec.Struct):
    item_id: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    usage: dict[str, Any] | None = None


class _SessionEvent(msgspec.Struct):
    session: dict[str, Any]


_response_events = msgspec.json.Decoder(_ResponseEvent)
_transcribed_events = msgspec.json.Decoder(_Transcribed)
_session_events = msgspec.json.Decoder(_SessionEvent)


class Metering:
    """One call's models: which one is connected, and what each answer used."""

    def __init__(self, prices: PriceTable) -> None:
        self._prices = prices
        self.model = UNKNOWN
        self.transcriber = UNKNOWN

    def read(self, type: str, frame: bytes) -> list[Input]:
        """What an event of `METERED` tells of usage. Total: what cannot be read counts as not reported."""
        try:
            if type in CONFIGURED:
                self._configured(_session_events.decode(frame).session)
                return []
            if type == RESPONSE_DONE:
                response = _response_events.decode(frame).response
                return self._used(response.usage, self.model, f"r:{response.id}", response_id=response.id)
            event = _transcribed_events.decode(frame)
            return self._used(event.usage, self.transcriber, f"t:{event.item_id}", item_id=event.item_id)
        except (msgspec.MsgspecError, OverflowError):
            return []

    def consulted(self, answered: TextAnswered) -> list[Input]:
        """What one step of a consultation used, as the text model's endpoint told; nothing if it did not."""
        cached = min(answered.cached_tokens, answered.input_tokens)
        tokens = Tokens(
            text_in=answered.input_tokens - cached, text_cached=cached, text_out=answered.output_tokens
        )
        key = f"c:{answered.consult_id}:{answered.number}"
        return self._priced(tokens, answered.model or UNKNOWN, key, consult_id=answered.consult_id)

    def spoken(self, speech_id: str, spoken: Spoken) -> list[Input]:
        """What the text-to-speech port made, by its length: no endpoint of that kind tells what it charges for."""
        return self._priced(Tokens(audio_ms=spoken.audio_ms), spoken.model or UNKNOWN, f"s:{speech_id}")

    def _configured(self, session: dict[str, Any]) -> None:
        self.model = _name(session.get("model")) or self.model
        transcription: Any = session
        for key in ("audio", "input", "transcription"):
            transcription = transcription.get(key) if isinstance(transcription, dict) else None
        named = transcription.get("model") if isinstance(transcription, dict) else None
        self.transcriber = _name(named) or self.transcriber

    def _used(self, raw: dict[str, Any] | None, model: str, key: str, **ids: str) -> list[Input]:
        tokens = Tokens() if raw is None else _tokens(msgspec.convert(raw, _Usage))
        return self._priced(tokens, model, key, **ids)

    def _priced(self, tokens: Tokens, model: str, key: str, **ids: str) -> list[Input]:
        if tokens == Tokens():
            return []
        cost_pico, unpriced = charge(tokens, self._prices.find(model))
        return [
            UsageReported(key=key, model=model, tokens=tokens, cost_pico=cost_pico, unpriced=unpriced, **ids)
        ]


def _tokens(usage: _Usage) -> Tokens:
    """Each token under one name. What the details do not explain of the totals has no known kind."""
    into = usage.input_token_details or _Details()
    out = usage.output_token_details or _Cached()
    counts: dict[str, int] = {}
    cached = _cached(into)
    for kind in KINDS:
        counts[f"{kind}_cached"] = cached[kind]
        counts[f"{kind}_in"] = getattr(into, f"{kind}_tokens") - cached[kind]
    counts["text_out"], counts["audio_out"] = out.text_tokens, out.audio_tokens
    explained_in = sum(getattr(into, f"{kind}_tokens") for kind in KINDS)
    counts["other_in"] = max(0, usage.input_tokens - explained_in)
    counts["other_out"] = max(0, usage.output_tokens - out.text_tokens - out.audio_tokens)
    return Tokens(**counts, audio_ms=round(usage.seconds * 1000) if usage.seconds else 0)


def _cached(into: _Details) -> dict[str, int]:
    """Cached tokens by kind, never more than there were of it; without details they are text first."""
    given = into.cached_tokens_details
    left = into.cached_tokens
    found = {}
    for kind in KINDS:
        of_kind = getattr(into, f"{kind}_tokens")
        wanted = left if given is None else getattr(given, f"{kind}_tokens")
        found[kind] = min(of_kind, wanted)
        left -= found[kind]
    return found


def _name(value: object) -> str:
    return value[:MODEL_CHARS_MAX] if isinstance(value, str) else ""
